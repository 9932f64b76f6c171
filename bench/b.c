// SPDX-License-Identifier: GPL-2.0-or-later
/* Code that the guest programs of the benchmark share: see b.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "t.h"

#include "b.h"

void b_result(const char *fmt, ...)
{
	char line[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	t_host("result %s", line);
}

double b_ping(void)
{
	double times[9];
	size_t i;

	for (i = 0; i < 9; i++) {
		double start = b_now();

		t_host("ping");
		times[i] = b_now() - start;
	}
	return b_median(times, 9);
}

/* The second request tells the host what a request costs. */
void b_cpu_begin(void)
{
	t_host("cpu_begin");
	t_host("cpu_begin");
}

void b_cpu_end(const char *keys, size_t messages)
{
	t_host("cpu_end %s %zu", keys, messages);
}

/* See bench/machine.py. */
const char *b_ivshmem(const char *file)
{
	static char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/0000:00:10.0/%s",
		 file);
	return path;
}

void b_ivshmem_enable(void)
{
	int fd = open(b_ivshmem("enable"), O_WRONLY);

	T_EQ(write(fd, "1", 1), 1);
	close(fd);
}

void b_mount(void)
{
	struct stat st;

	if (mkdir(B_VMSHM, 0755))
		T_EQ(errno, EEXIST);
	T_EQ(stat(B_VMSHM, &st), 0);
	/* Only the root directory of the device's file system is sticky. */
	if (!(st.st_mode & S_ISVTX))
		T_EQ(mount("vmshm0", B_VMSHM, "vmshm", 0, NULL), 0);
}

const char *b_object(const char *tail, size_t size)
{
	static char path[300];
	const char *name = t_name(tail);

	t_host("object %s %zu", name, size);
	snprintf(path, sizeof(path), "%s%s", B_VMSHM, name);
	return path;
}

const char *b_tmpfs_object(const char *tail, size_t size)
{
	static char path[300];
	char *p;
	int fd;

	snprintf(path, sizeof(path), "%s%s", B_TMPFS, t_name(tail));
	fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd < 0) {
		T_EQ(errno, EEXIST);
		return path;
	}
	T_EQ(ftruncate(fd, size), 0);
	close(fd);
	p = b_map(path, size, &fd);
	memset(p, 'v', size);
	munmap(p, size);
	close(fd);
	return path;
}

char *b_map(const char *path, size_t size, int *fd)
{
	char *p;

	*fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	T_ASSERT(*fd >= 0);
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	T_ASSERT(p != MAP_FAILED);
	return p;
}

void b_touch(const char *p, size_t size)
{
	size_t i;

	for (i = 0; i < size; i += 4096)
		(void)*(const volatile char *)(p + i);
}
