// SPDX-License-Identifier: GPL-2.0-or-later
/* The time of a round trip of 64 bytes to the host and back */
#define _GNU_SOURCE
#include <stdbool.h>
#include <string.h>

#include "t.h"

#include "b.h"
#include "peers.h"
#include "talk.h"

#define SIZE 64
#define TURNS 8
#define TURN 12000.0		/* microseconds */
#define SPIN 50000.0
#define PAUSE 500

static const char *const sleeping[] = {
	/* VMShm; those with "-0" sleep at once */
	"words", "words-0", "channel", "channel-0",
	/* Peers */
	"serial", "tcp-user", "tcp-tap", "doorbell",
};

#define SLEEPING ARRAY_SIZE(sleeping)

static const char *const spinning[] = { "words", "channel", "ivshmem" };

static void result(const char *how, const char *peer, double us)
{
	b_result("name=trip how=%s peer=%s us=%.3f", how, peer, us);
}

/* The time that the driver busy-polls before it sleeps: microseconds */
static void look_for(int us)
{
	T_EQ(t_system("echo %d >/sys/module/vmshm/parameters/look_us", us), 0);
}

static double trip(struct link *l, const char *peer, unsigned int pause)
{
	bool at_once = strstr(peer, "-0");
	double us;

	if (at_once)
		look_for(0);
	us = talk_trip(l, SIZE, TURN, pause);
	if (at_once)
		look_for(50);
	return us;
}

/* The peers take turns, so that other load of the host affects all. */
static void measure(const char *how, unsigned int pause)
{
	struct link *links[SLEEPING];
	double us[SLEEPING][TURNS];
	size_t i, k;

	for (i = 0; i < SLEEPING; i++)
		links[i] = peer_open(sleeping[i], "sleep");
	for (k = 0; k < TURNS; k++)
		for (i = 0; i < SLEEPING; i++)
			if (links[i])
				us[i][k] = trip(links[i], sleeping[i], pause);
	for (i = 0; i < SLEEPING; i++) {
		if (!links[i])
			continue;
		result(how, sleeping[i], b_median(us[i], TURNS));
		talk_end(links[i]);
	}
	peer_reap();
}

/* One trip after the other */
T_TEST(sleep)
{
	measure("sleep", 0);
}

/* Now and then: both sides and their processors are idle in between. */
T_TEST(rest)
{
	measure("rest", PAUSE);
}

/* One after the other, because both sides would spin all the time */
T_TEST(spin)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(spinning); i++) {
		struct link *l = peer_open(spinning[i], "spin");

		result("spin", spinning[i], talk_trip(l, SIZE, SPIN, 0));
		talk_end(l);
		peer_reap();
	}
}

T_TEST(host)
{
	t_host("host_only");
}
