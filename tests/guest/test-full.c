/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host that has no memory left for objects: a user of the guest gets an
 * error, and the machine lives on.
 *
 * qemu: files
 */
#define _GNU_SOURCE
#include <sys/statvfs.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#include "t.h"

#include "fs.h"

/* Bytes of the host's file system */
#define SIZE (8 * MIB)

#define NOBODY 65534

static const char *const paths[] = { "/dev/shm/a", "/dev/shm/b" };

/* Mounts the file system with objects of a user without privileges. */
static void with_small(void)
{
	struct statvfs s;

	fs_private();
	fs_mount_at(FULL, "/dev/shm", "uid=65534");
	unlink(paths[0]);
	unlink(paths[1]);
	T_EQ(statvfs("/dev/shm", &s), 0);
	if (s.f_blocks * s.f_frsize != SIZE)
		t_skip("only root of the host can make a small tmpfs");
	T_EQ(s.f_bfree, s.f_blocks);
	T_EQ(setgid(NOBODY), 0);
	T_EQ(setuid(NOBODY), 0);
}

static int create(const char *path)
{
	int fd = open(path, O_CREAT | O_RDWR, 0600);

	T_ASSERT(fd >= 0);
	return fd;
}

static long size_of(int fd)
{
	struct stat st;

	T_EQ(fstat(fd, &st), 0);
	return st.st_size;
}

static long bytes_free(void)
{
	struct statvfs s;

	T_EQ(statvfs("/dev/shm", &s), 0);
	T_EQ(s.f_bfree, s.f_bavail);
	return s.f_bfree * s.f_frsize;
}

/* The device can be used again after names and space have become free. */
static void the_device_works(void)
{
	char text[8] = "";
	int fd;

	unlink(paths[0]);
	unlink(paths[1]);
	fd = create(paths[0]);
	T_EQ(pwrite(fd, "works", 6, MIB), 6);
	T_EQ(pread(fd, text, 6, MIB), 6);
	T_ASSERT(!strcmp(text, "works"));
	T_EQ(unlink(paths[0]), 0);
	close(fd);
	T_EQ(bytes_free(), SIZE);
}

T_TEST(statfs_shows_the_lesser)
{
	int fd;

	with_small();
	fd = create(paths[0]);
	T_EQ(posix_fallocate(fd, 0, 3 * MIB), 0);
	T_EQ(bytes_free(), SIZE - 3 * MIB);
	T_EQ(posix_fallocate(fd, 3 * MIB, 5 * MIB), 0);
	T_EQ(bytes_free(), 0);
	close(fd);
	the_device_works();
}

/* Each call ends with an error, or with a short write of the part that fits. */
T_TEST(write_gets_enospc)
{
	static char buf[SIZE + MIB];
	struct iovec parts[2] = { { buf, MIB }, { buf + MIB, SIZE } };
	int fd;

	with_small();
	memset(buf, 7, sizeof(buf));
	fd = create(paths[0]);
	T_EQ(write(fd, buf, sizeof(buf)), SIZE);
	T_ERRNO(write(fd, buf, 1), ENOSPC);
	T_ERRNO(pwrite(fd, buf, 1, 100 * MIB), ENOSPC);
	T_EQ(size_of(fd), SIZE);
	T_EQ(bytes_free(), 0);
	/* Pages that exist can be written. */
	T_EQ(pwrite(fd, buf, 10, SIZE - 10), 10);
	T_EQ(ftruncate(fd, 5), 0);
	T_EQ(pwritev(fd, parts, 2, 0), SIZE);
	T_EQ(ftruncate(fd, 0), 0);
	/* Holes */
	T_EQ(ftruncate(fd, 2 * SIZE), 0);
	T_EQ(pwrite(fd, buf, sizeof(buf), SIZE), SIZE);
	T_ERRNO(pwrite(fd, buf, sizeof(buf), 0), ENOSPC);
	T_EQ(size_of(fd), 2 * SIZE);
	close(fd);
	the_device_works();
}

T_TEST(fallocate_gets_enospc)
{
	int fd, other;

	with_small();
	fd = create(paths[0]);
	T_ERRNO(fallocate(fd, 0, 0, SIZE + PAGE), ENOSPC);
	T_EQ(size_of(fd), 0);
	T_EQ(fallocate(fd, 0, 0, SIZE), 0);
	other = create(paths[1]);
	T_ERRNO(fallocate(other, 0, 0, 1), ENOSPC);
	T_EQ(size_of(other), 0);
	close(fd);
	close(other);
	the_device_works();
}

/*
 * Stores to holes through a mapping. The object has two parts in the arena. The
 * next call on the file reports the loss, whatever handle of the device it
 * uses; a page fault that attaches a part in between does not.
 */
T_TEST(store_to_a_hole)
{
	const long second = 8 * MIB, size = second + MIB;
	struct stat st;
	int fd, other;
	char *p, byte;

	with_small();
	fd = create(paths[0]);
	other = create(paths[1]);
	T_EQ(ftruncate(fd, size), 0);
	p = fs_map_at(fd, 0, size);
	p[0] = 1;
	T_EQ(fallocate(fd, 0, second, PAGE), 0);
	T_EQ(fallocate(other, 0, 0, SIZE - 2 * PAGE), 0);
	T_EQ(bytes_free(), 0);
	p[PAGE] = 2;
	T_EQ(p[PAGE], 2);
	T_EQ(t_read_faults(p + second), 0);
	T_ERRNO(fstat(fd, &st), EIO);
	T_EQ(fstat(fd, &st), 0);
	T_EQ(st.st_size, size);
	p[second + PAGE] = 3;
	T_EQ(p[second + PAGE], 3);
	T_ERRNO(pread(fd, &byte, 1, 0), EIO);
	T_EQ(pread(fd, &byte, 1, 0), 1);
	T_EQ(byte, 1);
	/* The object keeps its holes. */
	T_EQ(fstat(fd, &st), 0);
	T_EQ(st.st_blocks * 512, 2 * PAGE);
	munmap(p, size);
	close(fd);
	close(other);
	T_EQ(unlink(paths[1]), 0);
	fd = open(paths[0], O_RDWR);
	p = fs_map_at(fd, 0, size);
	T_EQ(p[0], 1);
	T_EQ(p[PAGE], 0);
	T_EQ(p[second + PAGE], 0);
	munmap(p, size);
	close(fd);
	the_device_works();
}

T_TEST(programs_get_enospc)
{
	with_small();
	T_ASSERT(t_system("dd if=/dev/zero of=%s bs=64k count=200 2>/dev/null",
			  paths[0]) != 0);
	T_EQ(bytes_free(), 0);
	T_ASSERT(t_system("cp %s %s 2>/dev/null", paths[0], paths[1]) != 0);
	T_ASSERT(t_system("cat %s %s >>%s 2>/dev/null", paths[0], paths[0],
			  paths[1]) != 0);
	the_device_works();
}
