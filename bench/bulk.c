// SPDX-License-Identifier: GPL-2.0-or-later
/* Throughput to the host and to the guest, by size of the messages. */
#define _GNU_SOURCE
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

static void measure(struct link *l, const char *peer, int way, size_t size)
{
	b_result("name=bulk way=%s peer=%s size=%zu mbs=%.3f", way_names[way],
		 peer, size, talk_bulk(l, way ? TALK_IN : TALK_OUT, size));
	if (!l->make || size < IN_PLACE)
		return;
	b_result("name=bulk way=%s peer=%s-place size=%zu mbs=%.3f",
		 way_names[way], peer, size,
		 talk_bulk(l, way ? TALK_IN_PLACE : TALK_OUT_PLACE, size));
}

/* The peers take turns, so that other load of the host affects all. */
T_TEST(all)
{
	struct link *links[ARRAY_SIZE(peers)];
	size_t i, k;
	int way;

	for (k = 0; k < ARRAY_SIZE(peers); k++)
		links[k] = peer_open(peers[k], "both");
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (way = 0; way < 2; way++) {
			limit(way, sizes[i]);
			for (k = 0; k < ARRAY_SIZE(peers); k++)
				if (links[k])
					measure(links[k], peers[k], way,
						sizes[i]);
		}
	}
	for (k = 0; k < ARRAY_SIZE(peers); k++)
		if (links[k])
			talk_end(links[k]);
	peer_reap();
}
