// SPDX-License-Identifier: GPL-2.0-or-later
/* A reader of a broadcast of the host; one in each of several guests. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vmshm/broadcast.h>

#include "t.h"

#include "b.h"

static char entry[B_MIB];

/* Also counts the entries, for the writer. */
static void receive(struct vmshm_broadcast *b, uint64_t *progress)
{
	uint64_t count = 0, all_lost = 0, lost;
	double begin = b_now();
	ssize_t got;

	for (;;) {
		got = vmshm_broadcast_recv(b, entry, sizeof(entry), &lost,
					   VMSHM_FOREVER);
		if (got < 0)
			break;
		all_lost += lost;
		count++;
		__atomic_store_n(progress, count + all_lost, __ATOMIC_RELAXED);
	}
	T_EQ(got, -EPIPE);
	t_host("received %llu %llu %.0f", (unsigned long long)count,
	       (unsigned long long)all_lost, b_now() - begin);
}

static char *map_progress(const char *name, int *fd)
{
	char path[400];

	snprintf(path, sizeof(path), B_VMSHM "%s", name);
	return b_map(path, 4096, fd);
}

/* One broadcast after the other, until the host ends the list. */
T_TEST(reader)
{
	struct vmshm_broadcast *b;
	char name[256], progress[300], *p;
	int number, fd;

	b_mount();
	while (sscanf(t_host("next_broadcast"), "%255s %299s %d", name,
		      progress, &number) == 3) {
		p = map_progress(progress, &fd);
		T_EQ(vmshm_broadcast_open(&b, NULL, name), 0);
		t_host("opened");
		receive(b, (uint64_t *)(p + 64 * number));
		vmshm_broadcast_close(b);
		munmap(p, 4096);
		close(fd);
	}
}
