// SPDX-License-Identifier: GPL-2.0-or-later
/* Throughput to the host and to the guest, by size of the messages. */
#define _GNU_SOURCE
#include <stdio.h>

#include "t.h"

#include "b.h"
#include "peers.h"
#include "talk.h"

#define MEMCPY_BUDGET 20000.0	/* microseconds */

static const size_t sizes[] = { 64, B_KIB, 4 * B_KIB, 64 * B_KIB, B_MIB };

/* Zero-copy from this size on */
#define IN_PLACE (64 * B_KIB)

static const char *const peers[] = {
	"channel", "serial", "tcp-user", "tcp-tap", "ivshmem",
};

static const char *const way_names[] = { "out", "in" };

static void limit(int way, size_t size)
{
	b_result("name=bulk way=%s peer=memcpy size=%zu mbs=%.1f",
		 way_names[way], size, talk_memcpy(size, MEMCPY_BUDGET));
}

/* The rate, and the processor time of a message */
static void measure_rate(struct link *l, const char *peer, int way, size_t size)
{
	size_t before = talk_messages();
	char keys[80];
	double rate;

	snprintf(keys, sizeof(keys), "name=cpu how=%s-%zu peer=%s",
		 way_names[way], size, peer);
	b_cpu_begin();
	rate = talk_bulk(l, way ? TALK_IN : TALK_OUT, size);
	b_cpu_end(keys, talk_messages() - before);
	b_result("name=bulk way=%s peer=%s size=%zu mbs=%.3f", way_names[way],
		 peer, size, rate);
}

static void measure(struct link *l, const char *peer, int way, size_t size)
{
	measure_rate(l, peer, way, size);
	if (!l->make || size < IN_PLACE)
		return;
	b_result("name=bulk way=%s peer=%s-place size=%zu mbs=%.3f",
		 way_names[way], peer, size,
		 talk_bulk(l, way ? TALK_IN_PLACE : TALK_OUT_PLACE, size));
}

static void open_all(struct link **links)
{
	size_t k;

	for (k = 0; k < ARRAY_SIZE(peers); k++)
		links[k] = peer_open(peers[k], "both");
}

static void end_all(struct link **links)
{
	size_t k;

	for (k = 0; k < ARRAY_SIZE(peers); k++)
		if (links[k])
			talk_end(links[k]);
	peer_reap();
}

/* The peers take turns, so that other load of the host affects all. */
static void measure_size(struct link **links, size_t size)
{
	size_t k;
	int way;

	for (way = 0; way < 2; way++) {
		limit(way, size);
		for (k = 0; k < ARRAY_SIZE(peers); k++)
			if (links[k])
				measure(links[k], peers[k], way, size);
	}
}

T_TEST(all)
{
	struct link *links[ARRAY_SIZE(peers)];
	size_t i;

	open_all(links);
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		measure_size(links, sizes[i]);
	end_all(links);
}

T_TEST(loaded)
{
	struct link *links[ARRAY_SIZE(peers)];

	open_all(links);
	t_host("load");
	measure_size(links, 64 * B_KIB);
	t_host("no_load");
	end_all(links);
}
