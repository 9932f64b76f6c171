/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Common functions of the tests of the file system. Include t.h first. The
 * devices are those of the machine "files" in run.py.
 */
#ifndef FS_H
#define FS_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB (1L << 20)
#define PAGE 4096L

/* vmshmN */
enum {
	CREATE, /* create=on */
	PLAIN,
	READONLY, /* readonly=on */
	SMALL, /* arena=4M,create=on */
	POLICY, /* allow= and deny= */
	PREFIX, /* prefix=, what the host calls in-NAME; create=on */
	LIMITED, /* max-objects=8,max-bytes=1M */
	LARGE, /* arena=4G */
	FULL, /* arena=64M,create=on, and a tmpfs of 8 MiB as dir= */
	DEVICES, /* the number of devices; a new device gets it */
};

static inline void fs_mount_at(int n, const char *dir, const char *options)
{
	char source[16];

	snprintf(source, sizeof(source), "vmshm%d", n);
	mkdir(dir, 0755);
	T_EQ(mount(source, dir, "vmshm", 0, options), 0);
}

/* Gives the test, which is a separate process, private mounts. */
static inline void fs_private(void)
{
	T_EQ(unshare(CLONE_NEWNS), 0);
	T_EQ(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
}

/* A device on /dev/shm, where the C library looks. */
static inline void fs_mount(int n)
{
	fs_private();
	fs_mount_at(n, "/dev/shm", NULL);
}

/* A new host object of zeros; the name is valid until exit */
static inline const char *fs_new(const char *tail, size_t size)
{
	char *name = strdup(t_name(tail));

	t_host("unlink %s", name);
	t_host("create %s %zu", name, size);
	return name;
}

/* As fs_new(), filled with the bytes of t_fill() */
static inline const char *fs_object(const char *tail, size_t size,
				    uint32_t seed)
{
	const char *name = fs_new(tail, size);

	t_host("fill %s 0 %zu %u", name, size, (unsigned int)seed);
	return name;
}

static inline char *fs_map_at(int fd, off_t offset, size_t size)
{
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		       offset);

	T_ASSERT(p != MAP_FAILED);
	return p;
}

static inline int fs_open(const char *name, int flags)
{
	int fd = shm_open(name, flags, 0600);

	if (fd < 0)
		t_fail("shm_open(%s): %s", name, strerror(errno));
	return fd;
}

/* Maps the whole object and closes the file. */
static inline char *fs_map(const char *name, size_t size)
{
	int fd = fs_open(name, O_RDWR);
	char *p = fs_map_at(fd, 0, size);

	close(fd);
	return p;
}

/* The path under a mount; valid until exit */
static inline const char *fs_path(const char *dir, const char *name)
{
	char *path;

	T_ASSERT(asprintf(&path, "%s%s", dir, name) >= 0);
	return path;
}

static inline long fs_number(const char *request, const char *name)
{
	return atol(t_host("%s %s", request, name));
}

static inline int fs_mapped(const char *name)
{
	return fs_number("mapped", name);
}

/* How often the name is in a listing of /dev/shm: 0 or 1 */
static inline int fs_listed(const char *name)
{
	DIR *dir = opendir("/dev/shm");
	struct dirent *d;
	int found = 0;

	T_ASSERT(dir);
	while ((d = readdir(dir)))
		found += !strcmp(d->d_name, name + 1);
	closedir(dir);
	return found;
}

/* The object's bytes are the same on both sides. */
static inline void fs_same(const char *name, const char *p, size_t size)
{
	T_EQ(t_sum(p, size), atoll(t_host("sum %s 0 %zu", name, size)));
}

#endif
