/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Common functions of the tests of /dev/vmshmN. Include t.h first. */
#ifndef DEV_H
#define DEV_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define MIB		(1L << 20)
#define PAGE		4096L

static inline int dev_open(int n)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/dev/vmshm%d", n);
	fd = open(path, O_RDWR | O_CLOEXEC);
	T_ASSERT(fd >= 0);
	return fd;
}

static inline char *dev_map(int fd, off_t offset, size_t len)
{
	char *p;

	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
	T_ASSERT(p != MAP_FAILED);
	return p;
}

/* A new host object, filled with its own numbers */
static inline const char *dev_object(const char *tail, size_t size,
				     uint32_t seed)
{
	const char *name = t_name(tail);

	t_host("unlink %s", name);
	t_host("create %s %zu", name, size);
	t_host("fill %s 0 %zu %u", name, size, (unsigned int)seed);
	return name;
}

/* Opens the device, attaches the object and maps all of the buffer. */
static inline char *dev_attach(int n, const char *name, int *fd)
{
	*fd = dev_open(n);
	T_EQ(ioctl(*fd, 0, name), 0);
	return dev_map(*fd, 0, MIB);
}

/*
 * A device of 2010 has no arena (BAR4). It shows one object at a time;
 * attaching another name fails with EBUSY.
 */
static inline int dev_has_arena(int n)
{
	unsigned long long start, end;
	char path[64];
	FILE *f;
	int i;

	snprintf(path, sizeof(path), "/sys/class/vmshm/vmshm%d/device/resource",
		 n);
	f = fopen(path, "r");
	T_ASSERT(f);
	for (i = 0; i <= 4; i++)
		T_EQ(fscanf(f, "%llx %llx %*x", &start, &end), 2);
	fclose(f);
	return end > start;
}

static inline int dev_mapped(const char *name)
{
	return atoi(t_host("mapped %s", name));
}

/* Wait for a device node to come or to go; t.h has the time limit. */
static inline void dev_wait(int n, int present)
{
	char path[32], event[512];
	int fd = inotify_init1(IN_CLOEXEC);

	snprintf(path, sizeof(path), "/dev/vmshm%d", n);
	T_ASSERT(fd >= 0);
	T_ASSERT(inotify_add_watch(fd, "/dev", IN_CREATE | IN_DELETE) >= 0);
	while ((access(path, F_OK) == 0) != present)
		T_ASSERT(read(fd, event, sizeof(event)) > 0);
	close(fd);
}

/* The device's PCI address in sysfs; valid until exit */
static inline char *dev_address(int n)
{
	char path[64], target[256];
	ssize_t len;

	snprintf(path, sizeof(path), "/sys/class/vmshm/vmshm%d/device", n);
	len = readlink(path, target, sizeof(target) - 1);
	T_ASSERT(len > 0);
	target[len] = '\0';
	return strdup(strrchr(target, '/') + 1);
}

/* The verb is "bind" or "unbind". */
static inline void dev_driver(const char *verb, const char *address)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/vmshm/%s", verb);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	T_ASSERT(fd >= 0);
	T_EQ(write(fd, address, strlen(address)), strlen(address));
	close(fd);
}

#endif
