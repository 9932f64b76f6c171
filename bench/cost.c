// SPDX-License-Identifier: GPL-2.0-or-later
/* The guest memory that the driver takes, by the page counts of the kernel. */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

#include "t.h"

#include "b.h"
#include "dev.h"

/* The sum of all numbers after a word in /proc/zoneinfo */
static long pages_of(const char *word)
{
	FILE *f = fopen("/proc/zoneinfo", "r");
	long sum = 0, pages;
	char first[32];

	T_ASSERT(f);
	while (fscanf(f, "%31s", first) == 1)
		if (!strcmp(first, word) && fscanf(f, "%ld", &pages) == 1)
			sum += pages;
	fclose(f);
	return sum;
}

/* Free pages in lists of a CPU are not part of MemFree. */
static long free_kib(void)
{
	return (pages_of("nr_free_pages") + pages_of("count:")) * 4;
}

/* A driver with a device with 2 GiB of arena, and one without a device */
T_TEST(idle)
{
	char *address = dev_address(0);
	long before;

	dev_driver("unbind", address);
	dev_wait(0, 0);
	before = free_kib();
	dev_driver("bind", address);
	dev_wait(0, 1);
	b_result("name=memory of=idle kib=%ld", before - free_kib());
}

/* A driver without any used place */
static void fresh_driver(void)
{
	char *address = dev_address(0);

	dev_driver("unbind", address);
	dev_wait(0, 0);
	dev_driver("bind", address);
	dev_wait(0, 1);
}

static int attach(const char *tail, size_t size, const char *use)
{
	const char *name = t_name(tail);
	int fd = dev_open(0);
	double start;

	t_host("object %s %zu", name, size);
	start = b_now();
	T_EQ(ioctl(fd, 0, name), 0);
	b_result("name=place use=%s size=%zu us=%.1f", use, size,
		 b_now() - start);
	return fd;
}

/*
 * Struct pages of a place are created when it is first used. The first place of
 * the arena has them from the start.
 */
T_TEST(places)
{
	static const char *const uses[] = { "first", "again" };
	int i, fd[3];

	fresh_driver();
	for (i = 0; i < 2; i++) {
		fd[0] = attach("place", 2 * B_MIB, "start");
		fd[1] = attach("size-2097152", 2 * B_MIB, uses[i]);
		fd[2] = attach("size-67108864", 64 * B_MIB, uses[i]);
		close(fd[0]);
		close(fd[1]);
		close(fd[2]);
	}
}

static void weigh(size_t size)
{
	const char *name = t_name("cost");
	long before;
	int fd;

	fresh_driver();
	fd = dev_open(0);
	t_host("object %s %zu", name, size);
	before = free_kib();
	T_EQ(ioctl(fd, 0, name), 0);
	b_result("name=memory of=attached size=%zu kib=%ld", size,
		 before - free_kib());
	close(fd);
	t_host("unlink %s", name);
}

T_TEST(attached)
{
	weigh(64 * B_MIB);
	weigh(512 * B_MIB);
}
