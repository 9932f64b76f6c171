// SPDX-License-Identifier: GPL-2.0-or-later
/* The guest memory that the driver takes, by the page counts of the kernel. */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdio.h>
#include <sys/mount.h>
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

static char *open_object(const char *tail, size_t size, int *fd)
{
	return b_map(b_object(tail, size), size, fd);
}

/* A file; the time is that of open(), mmap() and the first byte. */
static int first_byte(const char *tail, size_t size, const char *use)
{
	const char *path = b_object(tail, size);
	double start = b_now();
	char *p;
	int fd;

	p = b_map(path, size, &fd);
	b_touch(p, 1);
	b_result("name=place use=%s size=%zu us=%.1f", use, size,
		 b_now() - start);
	munmap(p, size);
	return fd;
}

/*
 * Struct pages of a place are created when it is first used, unless the driver
 * has created them ahead of use.
 */
T_TEST(places)
{
	static const char *const uses[] = { "first", "again" };
	int i, fd[3];

	fresh_driver();
	b_mount();
	for (i = 0; i < 2; i++) {
		fd[0] = first_byte("place", 2 * B_MIB, "start");
		fd[1] = first_byte("size-2097152", 2 * B_MIB, uses[i]);
		fd[2] = first_byte("size-67108864", 64 * B_MIB, uses[i]);
		close(fd[0]);
		close(fd[1]);
		close(fd[2]);
	}
	T_EQ(umount2(B_VMSHM, 0), 0);
}

/* All pages were used; the page tables are gone again. */
static void weigh(size_t size)
{
	long before;
	char *p;
	int fd;

	fresh_driver();
	b_mount();
	p = open_object("start", 4096, &fd);
	b_touch(p, 1);
	munmap(p, 4096);
	close(fd);
	before = free_kib();
	p = open_object("cost", size, &fd);
	b_touch(p, size);
	munmap(p, size);
	b_result("name=memory of=attached size=%zu kib=%ld", size,
		 before - free_kib());
	close(fd);
	t_host("unlink %s", t_name("cost"));
	T_EQ(umount2(B_VMSHM, 0), 0);
}

T_TEST(attached)
{
	weigh(64 * B_MIB);
	weigh(512 * B_MIB);
}
