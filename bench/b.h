/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Declarations for the guest programs of the benchmark. They are test programs
 * in the sense of tests/guest/t.h: one T_TEST is one round of something.
 *
 * A result goes to the host as words KEY=VALUE, the measured one last:
 *
 *	b_result("name=copy peer=ram size=4096 us=%.3f", us);
 */
#ifndef B_H
#define B_H

#include <stddef.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define B_KIB 1024UL
#define B_MIB (1024 * B_KIB)

/* Where the device's file system is mounted; the tmpfs is at B_TMPFS. */
#define B_VMSHM "/tmp/host"
#define B_TMPFS "/dev/shm"

/* Microseconds since an arbitrary time */
double b_now(void);

/* The median; sorts @values, which has one at least */
double b_median(double *values, size_t count);

/* As above, for the value that @percent of all values do not exceed */
double b_percentile(double *values, size_t count, int percent);

void b_result(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The time of t_host() within a measured time; microseconds */
double b_ping(void);

/*
 * Between the two calls, the host measures the CPU time for each of @messages,
 * of the VM (with QEMU's devices) and of the programs at the other ends.
 */
void b_cpu_begin(void);
void b_cpu_end(const char *keys, size_t messages);

/* Mounts the file system if it is not mounted yet. */
void b_mount(void);

/* The path of an object of the host, which is created with all its memory. */
const char *b_object(const char *tail, size_t size);

/* As above, for an object of the guest's own tmpfs */
const char *b_tmpfs_object(const char *tail, size_t size);

/* A sysfs file of the ivshmem-plain that exists since boot */
const char *b_ivshmem(const char *file);
void b_ivshmem_enable(void);

/* Opens as shm_open() and maps the whole object. The caller closes *fd. */
char *b_map(const char *path, size_t size, int *fd);

/* Reads a byte of each page. */
void b_touch(const char *p, size_t size);

#endif /* B_H */
