// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * usage: broadcast-writer NAME SIZE MILLISECONDS FILE READERS
 *
 * Prints "ready", waits for the end of its input, and then publishes entries of
 * SIZE bytes for MILLISECONDS, at most as fast as all readers can follow. Each
 * reader writes its progress into FILE, a number in a separate cache line.
 * Prints the number of entries.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vmshm/broadcast.h>

#include "b.h"
#include "link.h"

#define ROOM (16 << 20)		/* bytes of entries */

struct progress {
	_Alignas(64) uint64_t entries;
};

static int failed(int ret)
{
	if (ret < 0)
		errno = -ret;
	return ret < 0;
}

static uint64_t slowest(const struct progress *readers, int count)
{
	uint64_t least = UINT64_MAX;
	int i;

	for (i = 0; i < count; i++) {
		uint64_t n = __atomic_load_n(&readers[i].entries,
					     __ATOMIC_RELAXED);

		if (n < least)
			least = n;
	}
	return least;
}

static void publish(struct vmshm_broadcast *b, size_t size, double us,
		    const struct progress *readers, int count)
{
	uint64_t most = ROOM / size / 2, n = 0;
	char *data = calloc(1, size);
	double begin = b_now();

	LINK_CHECK(data);
	do {
		while (n - slowest(readers, count) >= most)
			usleep(50);
		LINK_CHECK(!failed(vmshm_broadcast_send(b, data, size)));
		n++;
	} while (b_now() - begin < us);
	printf("%llu\n", (unsigned long long)n);
}

int main(int argc, char **argv)
{
	struct vmshm_broadcast *b;
	struct progress *readers;
	size_t size;
	char none;
	int fd;

	LINK_CHECK(argc == 6);
	size = atoi(argv[2]);
	LINK_CHECK(!failed(vmshm_broadcast_create(&b, NULL, argv[1], size,
						  ROOM / size, 0600)));
	fd = open(argv[4], O_RDWR);
	readers = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	LINK_CHECK(readers != MAP_FAILED);
	printf("ready\n");
	fflush(stdout);
	LINK_CHECK(read(0, &none, 1) == 0);
	publish(b, size, atoi(argv[3]) * 1e3, readers, atoi(argv[5]));
	vmshm_broadcast_close(b);
	LINK_CHECK(!failed(vmshm_unlink(NULL, argv[1])));
	return 0;
}
