// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The cost to open an object by its name, to map, touch and close it: an object
 * of the host through the file system, and an object of the guest's own tmpfs.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "t.h"

#include "b.h"

#define BUDGET 60000.0	/* microseconds for one size */
#define TURN 4		/* cycles in one turn of a file system */
#define MOST (250 * TURN)

enum { OPEN, MMAP, TOUCH, MUNMAP, CLOSE, STEPS };

static const char *const step_names[] = { "open", "mmap", "touch",
					  "munmap", "close" };

static const size_t sizes[] = { 4 * B_KIB, B_MIB, 64 * B_MIB };

enum { VMSHM, TMPFS, PEERS };

static const char *const peer_names[] = { "vmshm", "tmpfs" };

static struct cycles {
	double step[STEPS][MOST];
	double touched[MOST];	/* open to the last touch */
	double whole[MOST];
} cycles[PEERS];

/* One cycle; touches @touch bytes. */
static void cycle(const char *path, size_t size, size_t touch,
		  struct cycles *c, size_t n)
{
	double t[STEPS + 1];
	char *p;
	int fd, i;

	t[OPEN] = b_now();
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	t[MMAP] = b_now();
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	t[TOUCH] = b_now();
	T_ASSERT(p != MAP_FAILED);
	b_touch(p, touch);
	t[MUNMAP] = b_now();
	munmap(p, size);
	t[CLOSE] = b_now();
	close(fd);
	t[STEPS] = b_now();
	for (i = 0; i < STEPS; i++)
		c->step[i][n] = t[i + 1] - t[i];
	c->touched[n] = t[MUNMAP] - t[OPEN];
	c->whole[n] = t[STEPS] - t[OPEN];
}

static void report(const char *key, struct cycles *c, size_t count, int steps)
{
	int i;

	b_result("name=attach %s part=touched us=%.2f", key,
		 b_median(c->touched, count));
	b_result("name=attach-p99 %s part=touched us=%.2f", key,
		 b_percentile(c->touched, count, 99));
	b_result("name=attach %s part=whole us=%.2f", key,
		 b_median(c->whole, count));
	for (i = 0; steps && i < STEPS; i++)
		b_result("name=attach %s part=%s us=%.2f", key, step_names[i],
			 b_median(c->step[i], count));
}

/* The two file systems take turns: other load of the host affects both. */
static void measure(char paths[PEERS][300], size_t size, const char *touch,
		    int others)
{
	size_t bytes = strcmp(touch, "all") ? 1 : size, n = 0, k;
	double begin = b_now();
	int i;

	do {
		for (i = 0; i < PEERS; i++)
			for (k = 0; k < TURN; k++)
				cycle(paths[i], size, bytes, &cycles[i], n + k);
		n += TURN;
	} while (n < MOST && b_now() - begin < BUDGET);
	for (i = 0; i < PEERS; i++) {
		char key[128];

		snprintf(key, sizeof(key),
			 "peer=%s size=%zu touch=%s others=%d",
			 peer_names[i], size, touch, others);
		report(key, &cycles[i], n, !others);
	}
}

static const char *tail_of(size_t size)
{
	static char tail[32];

	snprintf(tail, sizeof(tail), "size-%zu", size);
	return tail;
}

static void measure_size(size_t size, const char *touch, int others)
{
	const char *tail = tail_of(size);
	char paths[PEERS][300];

	strcpy(paths[VMSHM], b_object(tail, size));
	strcpy(paths[TMPFS], b_tmpfs_object(tail, size));
	measure(paths, size, touch, others);
}

/* All sizes once, while @others other objects are attached. */
static void round_of(int others)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		measure_size(sizes[i], "first", others);
		if (!others && sizes[i] > 4 * B_KIB)
			measure_size(sizes[i], "all", others);
	}
}

static void attach_others(int count)
{
	struct rlimit limit = { count + 64, count + 64 };
	const char *prefix = t_name("other");
	char path[300];
	int i;

	T_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
	t_host("objects %s %d 4096", prefix, count);
	for (i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s%s-%d", B_VMSHM, prefix, i);
		T_ASSERT(open(path, O_RDWR) >= 0);
	}
}

T_TEST(alone)
{
	b_mount();
	round_of(0);
}

T_TEST(loaded)
{
	b_mount();
	t_host("load");
	measure_size(4 * B_KIB, "first", 0);
	t_host("no_load");
}

T_TEST(with_1)
{
	b_mount();
	attach_others(1);
	round_of(1);
}

T_TEST(with_100)
{
	b_mount();
	attach_others(100);
	round_of(100);
}

T_TEST(with_1000)
{
	b_mount();
	attach_others(1000);
	round_of(1000);
}

/* The attributes of an attached object, which the device returns */
T_TEST(stat)
{
	struct stat st;
	double start;
	char *p;
	int fd, i;

	b_mount();
	p = b_map(b_object(tail_of(B_MIB), B_MIB), B_MIB, &fd);
	start = b_now();
	for (i = 0; i < 1000; i++)
		fstat(fd, &st);
	b_result("name=fstat peer=vmshm us=%.2f", (b_now() - start) / 1000);
	munmap(p, B_MIB);
	close(fd);
	p = b_map(b_tmpfs_object(tail_of(B_MIB), B_MIB), B_MIB, &fd);
	start = b_now();
	for (i = 0; i < 1000; i++)
		fstat(fd, &st);
	b_result("name=fstat peer=tmpfs us=%.2f", (b_now() - start) / 1000);
	munmap(p, B_MIB);
	close(fd);
}
