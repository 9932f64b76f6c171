// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The host changes an object between the look-up of its name and its use. An
 * open without a new look-up begins with attributes that are out of date.
 *
 * qemu: -device vmshm,id=vmshm0
 */
#define _GNU_SOURCE
#include <errno.h>

#include "t.h"

#include "fs.h"

/* Looks the name up, without an attachment. */
static int look(const char *name)
{
	int fd = open(fs_path("/dev/shm", name), O_PATH);

	T_ASSERT(fd >= 0);
	return fd;
}

static int reopen(int looked, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", looked);
	return open(path, flags);
}

static int reopen_sized(int looked, off_t size)
{
	int fd = reopen(looked, O_RDWR);
	struct stat st;

	T_ASSERT(fd >= 0);
	T_EQ(fstat(fd, &st), 0);
	T_EQ(st.st_size, size);
	return fd;
}

T_TEST(smaller)
{
	const char *name = fs_object("s", 3 * PAGE, 1);
	int looked, fd;
	char *p;

	fs_mount(0);
	looked = look(name);
	t_host("truncate %s %ld", name, PAGE);
	fd = reopen_sized(looked, PAGE);
	p = fs_map_at(fd, 0, 3 * PAGE);
	fs_same(name, p, PAGE);
	T_EQ(t_read_faults(p + PAGE), 1);
}

/* The host lets the object grow between the look-up and the open. */
static void grows(const char *name, long size)
{
	int looked;
	char *p;

	fs_mount(0);
	looked = look(name);
	t_host("truncate %s %ld", name, size);
	t_host("fill %s 0 %ld 3", name, size);
	p = fs_map_at(reopen_sized(looked, size), 0, size);
	fs_same(name, p, size);
	T_EQ(t_read_faults(p + size - 1), 0);
}

T_TEST(larger)
{
	grows(fs_object("l", PAGE, 2), 5 * MIB);
}

T_TEST(empty)
{
	const char *name = fs_object("e", PAGE, 4);
	int looked, fd;
	char *p;

	fs_mount(0);
	looked = look(name);
	t_host("truncate %s 0", name);
	fd = reopen_sized(looked, 0);
	p = fs_map_at(fd, 0, PAGE);
	T_EQ(t_read_faults(p), 1);
	/* The file still refers to the same object. */
	t_host("truncate %s %ld", name, PAGE);
	t_host("fill %s 0 %ld 5", name, PAGE);
	T_EQ(t_read_faults(p), 0);
	fs_same(name, p, PAGE);
}

T_TEST(no_longer_empty)
{
	grows(fs_object("n", 0, 0), 2 * PAGE);
}

T_TEST(another_one_by_now)
{
	const char *name = fs_object("a", PAGE, 7);
	int looked;

	fs_mount(0);
	looked = look(name);
	t_host("unlink %s", name);
	T_EQ(reopen(looked, O_RDWR), -1);
	fs_object("a", PAGE, 8);
	T_ERRNO(reopen(looked, O_RDWR), ESTALE);
	/* The failed open leaves no attachment. */
	T_EQ(fs_mapped(name), 0);
}
