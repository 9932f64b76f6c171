// SPDX-License-Identifier: GPL-2.0-or-later
/* How long 64 bytes take to the host and back. */
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
	/* VMShm's; those with "-0" sleep at once */
	"words", "words-0", "channel", "channel-0",
	/* and others */
	"serial", "tcp-user", "tcp-tap", "doorbell",
};

#define SLEEPING ARRAY_SIZE(sleeping)

static const char *const spinning[] = { "words", "channel", "ivshmem" };

static void result(const char *how, const char *peer, double us)
{
	b_result("name=trip how=%s peer=%s us=%.3f", how, peer, us);
}

/* How long the driver looks before it sleeps: microseconds */
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

/* In turn, so that what else the machine does hits all. */
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

/* Now and then: both sides are at rest, and their processors, too. */
T_TEST(rest)
{
	measure("rest", PAUSE);
}

/* One after the other: both sides would spin all the time. */
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
