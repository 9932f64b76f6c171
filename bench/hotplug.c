// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The alternative for an object that did not exist at boot: the host plugs an
 * ivshmem-plain for it, the guest maps its BAR, and the host unplugs it. The
 * host measures the time, so that requests and answers are not included.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "t.h"

#include "b.h"

/* The device in the first root port */
#define SLOT "/sys/bus/pci/devices/0000:01:00.0/"

static int open_resource(void)
{
	int fd, enable;

	while ((fd = open(SLOT "resource2", O_RDWR)) < 0)
		usleep(200);
	enable = open(SLOT "enable", O_WRONLY);
	T_EQ(write(enable, "1", 1), 1);
	close(enable);
	return fd;
}

static void result(const char *touch, size_t size, const char *part, double us)
{
	char key[128];

	snprintf(key, sizeof(key), "size=%zu touch=%s others=0 part=%s", size,
		 touch, part);
	b_result("name=attach peer=ivshmem %s us=%.2f", key, us);
}

static void cycle(const char *tail, size_t size, double ping)
{
	const char *name = t_name(tail);
	double first, start, all, leave;
	char *p;
	int fd;

	t_host("object %s %zu", name, size);
	t_host("plug %s %zu", name, size);
	fd = open_resource();
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	T_ASSERT(p != MAP_FAILED);
	b_touch(p, 1);
	first = atof(t_host("since_plug")) - ping / 2;

	start = b_now();
	b_touch(p, size);
	all = b_now() - start;
	munmap(p, size);
	close(fd);
	leave = atof(t_host("plug_out"));

	result("first", size, "touched", first);
	result("first", size, "whole", first + leave);
	result("all", size, "touched", first + all);
	result("all", size, "whole", first + all + leave);
}

T_TEST(sizes)
{
	double ping = b_ping();

	cycle("size-4096", 4 * B_KIB, ping);
	cycle("size-1048576", B_MIB, ping);
	cycle("size-67108864", 64 * B_MIB, ping);
}
