// SPDX-License-Identifier: GPL-2.0-or-later
/* What the guest programs of the benchmark share: see b.h. */
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
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "t.h"

#include "b.h"

#define CALIBRATION 20000.0	/* microseconds */

static double clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

/*
 * The counter itself: where the kernel does not trust it, as in an emulated
 * machine, reading its clock is slower than some of what is measured here.
 */
double b_now(void)
{
	static double ticks_per_us;

	if (!ticks_per_us) {
		double start = clock_us(), now;
		unsigned long long ticks = __rdtsc();

		do
			now = clock_us();
		while (now - start < CALIBRATION);
		ticks_per_us = (__rdtsc() - ticks) / (now - start);
	}
	return __rdtsc() / ticks_per_us;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

double b_median(double *values, size_t count)
{
	T_ASSERT(count > 0);
	qsort(values, count, sizeof(*values), compare);
	return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

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

void b_mount(void)
{
	struct stat st;

	if (mkdir(B_VMSHM, 0755))
		T_EQ(errno, EEXIST);
	T_EQ(stat(B_VMSHM, &st), 0);
	/* Only of a file system of the device is the root sticky. */
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
