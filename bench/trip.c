// SPDX-License-Identifier: GPL-2.0-or-later
/* The time of a round trip of 64 bytes to the host and back */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "t.h"

#include "b.h"
#include "peers.h"
#include "talk.h"

#define SIZE 64
#define TURNS 8
#define TURNS_LOADED 2
#define TURN 12000.0		/* microseconds */
#define SPIN 50000.0
#define WORK 60000.0
#define PAUSE 500

static const struct peer {
	const char *name;
	/* The prefix of the names of QEMU's regions with the registers */
	const char *device;
	/* Of VMShm: neither the driver nor the channel busy-polls. */
	bool at_once;
	/* The peer uses the link of the entry before it, in another mode. */
	bool same;
	enum link_mode mode;
} sleeping[] = {
	{ .name = "words", .device = "vmshm" },
	{ .name = "words-0", .device = "vmshm",
	  .at_once = true },
	{ .name = "channel", .device = "vmshm" },
	{ .name = "channel-0", .device = "vmshm",
	  .at_once = true },
	{ .name = "serial", .device = "virtio-pci" },
	{ .name = "tcp-user", .device = "virtio-pci" },
	{ .name = "tcp-tap", .device = "virtio-pci" },
	{ .name = "doorbell", .device = "ivshmem" },
	{ .name = "doorbell-look", .device = "ivshmem",
	  .same = true, .mode = LINK_LOOK },
	{ .name = "doorbell-flag", .device = "ivshmem",
	  .same = true, .mode = LINK_FLAG },
};

#define SLEEPING ARRAY_SIZE(sleeping)

static const char *const spinning[] = { "words", "channel", "ivshmem" };

static void result(const char *name, const char *how, const char *peer,
		   double us)
{
	b_result("name=%s how=%s peer=%s us=%.3f", name, how, peer, us);
}

/* The time that the driver busy-polls before it sleeps: microseconds */
static void look_for(int us)
{
	T_EQ(t_system("echo %d >/sys/module/vmshm/parameters/look_us", us), 0);
}

static double trip(struct link *l, const struct peer *peer, double budget,
		   unsigned int pause, struct talk_times *times)
{
	double us;

	if (peer->at_once)
		look_for(0);
	if (l->mode)
		talk_mode(l, peer->mode);
	us = talk_trip(l, SIZE, budget, pause, times);
	if (peer->at_once)
		look_for(50);
	return us;
}

/* The processor time of a message; a round trip has two. */
static void work(struct link *l, const struct peer *peer, const char *how,
		 unsigned int pause)
{
	static struct talk_times times;
	size_t before = talk_messages();
	char keys[80];

	times.count = 0;
	snprintf(keys, sizeof(keys), "name=cpu how=%s peer=%s", how,
		 peer->name);
	b_cpu_begin();
	trip(l, peer, WORK, pause, &times);
	b_cpu_end(keys, talk_messages() - before);
}

static void open_all(struct link **links)
{
	size_t i;

	for (i = 0; i < SLEEPING; i++)
		links[i] = sleeping[i].same ? links[i - 1] :
				peer_open(sleeping[i].name, "sleep");
}

static void end_all(struct link **links)
{
	size_t i;

	for (i = 0; i < SLEEPING; i++)
		if (links[i] && !sleeping[i].same)
			talk_end(links[i]);
	peer_reap();
}

/* The peers take turns, so that other load of the host affects all. */
static void measure(const char *how, unsigned int pause, size_t turns,
		    bool works)
{
	static struct talk_times times[SLEEPING];
	struct link *links[SLEEPING];
	double us[SLEEPING][TURNS];
	size_t i, k;

	open_all(links);
	for (k = 0; k < turns; k++)
		for (i = 0; i < SLEEPING; i++)
			if (links[i])
				us[i][k] = trip(links[i], &sleeping[i], TURN,
						pause, &times[i]);
	for (i = 0; i < SLEEPING; i++) {
		if (!links[i])
			continue;
		result("trip", how, sleeping[i].name, b_median(us[i], turns));
		result("trip-p99", how, sleeping[i].name,
		       b_percentile(times[i].us, times[i].count, 99));
		if (works)
			work(links[i], &sleeping[i], how, pause);
	}
	end_all(links);
}

/* One trip after the other */
T_TEST(sleep)
{
	measure("sleep", 0, TURNS, true);
}

/* Now and then: both sides and their processors are idle in between. */
T_TEST(rest)
{
	measure("rest", PAUSE, TURNS, true);
}

/* The same on a loaded host, where each turn takes long */
T_TEST(loaded)
{
	t_host("load");
	measure("sleep", 0, TURNS_LOADED, false);
	measure("rest", PAUSE, TURNS_LOADED, false);
	t_host("no_load");
}

/* The accesses of a number of bursts of trips */
static long count(struct link *l, const struct peer *peer, unsigned int pause,
		  int bursts)
{
	static struct talk_times times;

	times.count = 0;
	t_host("accesses on");
	while (bursts--)
		trip(l, peer, 0, pause, &times);
	return atol(t_host("accesses off %s", peer->device));
}

/*
 * Accesses to registers of the peer's device in a round trip. A burst has other
 * messages than those of its trips. Both counts include them: the accesses and
 * the messages.
 */
static void count_exits(struct link *l, const struct peer *peer,
			const char *how, unsigned int pause)
{
	size_t before = talk_messages(), few, many;
	long first, second;

	first = count(l, peer, pause, 1);
	few = talk_messages() - before;
	second = count(l, peer, pause, 3);
	many = talk_messages() - before - few;
	b_result("name=exits how=%s peer=%s each=%.2f", how, peer->name,
		 2.0 * (second - first) / (many - few));
}

T_TEST(exits)
{
	struct link *links[SLEEPING];
	size_t i;

	open_all(links);
	for (i = 0; i < SLEEPING; i++) {
		if (!links[i])
			continue;
		count_exits(links[i], &sleeping[i], "sleep", 0);
		count_exits(links[i], &sleeping[i], "rest", PAUSE);
	}
	end_all(links);
}

/* One after the other, because both sides would spin all the time */
T_TEST(spin)
{
	static struct talk_times times;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(spinning); i++) {
		struct link *l = peer_open(spinning[i], "spin");

		times.count = 0;
		result("trip", "spin", spinning[i],
		       talk_trip(l, SIZE, SPIN, 0, &times));
		result("trip-p99", "spin", spinning[i],
		       b_percentile(times.us, times.count, 99));
		talk_end(l);
		peer_reap();
	}
}

T_TEST(host)
{
	t_host("host_only");
}
