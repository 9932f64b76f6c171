/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Statements of vmshm(5) about differences from tmpfs that no other test has.
 *
 * qemu: files
 */
#define _GNU_SOURCE
#include "t.h"

#include "fs.h"

static const char *in_shm(const char *name)
{
	return fs_path("/dev/shm", name);
}

/* A file that is bind-mounted on the result */
static const char *bound(const char *name)
{
	const char *path = "/tmp/bound";

	close(open(path, O_CREAT | O_RDWR, 0600));
	T_EQ(mount(in_shm(name), path, NULL, MS_BIND, NULL), 0);
	return path;
}

static void cannot_be_opened(const char *path)
{
	T_EQ(open(path, O_RDWR), -1);
	T_ASSERT(errno == ENOENT || errno == ESTALE);
}

/* The file is not open: the device finds the object by its name only. */
T_TEST(name_removed_elsewhere)
{
	const char *name = fs_object("a", PAGE, 1), *path;
	char proc[64];
	int fd;

	fs_mount(CREATE);
	path = bound(name);
	fd = open(in_shm(name), O_PATH);
	T_ASSERT(fd >= 0);
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	close(open(path, O_RDWR));
	t_host("unlink %s", name);
	cannot_be_opened(path);
	cannot_be_opened(proc);
	/* A new object with that name is not opened in its place. */
	fs_object("a", PAGE, 2);
	cannot_be_opened(path);
	cannot_be_opened(proc);
	T_EQ(umount(path), 0);
}

/* As on tmpfs, while a process has the file open */
T_TEST(name_removed_while_open)
{
	const char *name = fs_object("a", PAGE, 1), *path;
	char *p, *q;
	int fd, fd2;

	fs_mount(CREATE);
	path = bound(name);
	fd = fs_open(name, O_RDWR);
	t_host("unlink %s", name);
	fs_object("a", PAGE, 2);
	fd2 = open(path, O_RDWR);
	T_ASSERT(fd2 >= 0);
	p = fs_map_at(fd, 0, PAGE);
	q = fs_map_at(fd2, 0, PAGE);
	p[5] ^= 0xff;
	T_EQ(p[5], q[5]);
	T_EQ(umount2(path, MNT_DETACH), 0);
}

T_TEST(no_holes)
{
	const char *name = fs_new("a", 8 * PAGE);
	char *p;
	int fd;

	fs_mount(CREATE);
	fd = fs_open(name, O_RDWR);
	T_EQ(lseek(fd, 0, SEEK_HOLE), 8 * PAGE);
	T_EQ(lseek(fd, PAGE, SEEK_DATA), PAGE);
	T_ERRNO(lseek(fd, 8 * PAGE, SEEK_DATA), ENXIO);
	T_ERRNO(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, PAGE), EOPNOTSUPP);
	p = fs_map_at(fd, 0, 8 * PAGE);
	p[0] = 1;
	T_ERRNO(madvise(p, PAGE, MADV_REMOVE), EOPNOTSUPP);
	T_EQ(p[0], 1);
}
