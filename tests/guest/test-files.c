/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unmodified programs: the calls of the C library with files that are the
 * host's objects.
 *
 * qemu: files
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "t.h"

#include "fs.h"

T_TEST(open_stat_map_close)
{
	const char *name = fs_object("a", 3 * MIB + 5, 1);
	struct stat st;
	char *p;
	int fd;

	fs_mount(PLAIN);
	T_EQ(fs_mapped(name), 0);
	fd = fs_open(name, O_RDWR);
	T_EQ(fstat(fd, &st), 0);
	T_EQ(st.st_size, 3 * MIB + 5);
	T_ASSERT(S_ISREG(st.st_mode));
	p = fs_map_at(fd, 0, 3 * MIB + 5);
	T_EQ(close(fd), 0);
	fs_same(name, p, 3 * MIB + 5);
	strcpy(p + MIB, "guest");
	T_ASSERT(!strcmp(t_host("text %s %ld", name, MIB), "guest"));
	t_host("write %s %ld 686f737400", name, 3 * MIB);
	T_ASSERT(!strcmp(p + 3 * MIB, "host"));
	T_EQ(fs_mapped(name), 1);
	T_EQ(munmap(p, 3 * MIB + 5), 0);
	T_EQ(fs_mapped(name), 0);
	T_ERRNO(shm_open(t_name("missing"), O_RDWR, 0), ENOENT);
}

/* A mapping can begin at any page of the object. */
T_TEST(a_part)
{
	const char *name = fs_object("a", 10 * PAGE, 2);
	char *all, *p;
	int fd;

	fs_mount(PLAIN);
	all = fs_map(name, 10 * PAGE);
	fd = fs_open(name, O_RDWR);
	p = fs_map_at(fd, 7 * PAGE, 3 * PAGE);
	T_ASSERT(!memcmp(p, all + 7 * PAGE, 3 * PAGE));
	p[PAGE] ^= 1;
	T_EQ(p[PAGE], all[8 * PAGE]);
	T_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 100), EINVAL);
	/*
	 * Pages beyond the end can be mapped, as for any file, but not
	 * accessed.
	 */
	p = fs_map_at(fd, 9 * PAGE, 2 * PAGE);
	T_EQ(t_read_faults(p + PAGE - 1), 0);
	T_EQ(t_read_faults(p + PAGE), 1);
	T_EQ(t_write_faults(p + PAGE), 1);
	p = fs_map_at(fd, 100 * MIB, PAGE);
	T_EQ(t_read_faults(p), 1);
}

T_TEST(sizes)
{
	static const long sizes[] = { 1,       PAGE - 1, PAGE,	  PAGE + 1,
				      MIB - 1, MIB,	 MIB + 1, 5 * MIB - 1 };
	const char *name;
	struct stat st;
	size_t i;
	char *p;

	fs_mount(PLAIN);
	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		long end = (sizes[i] + PAGE - 1) / PAGE * PAGE, j;

		name = fs_object("a", sizes[i], i);
		T_EQ(stat(fs_path("/dev/shm", name), &st), 0);
		T_EQ(st.st_size, sizes[i]);
		p = fs_map(name, sizes[i] + PAGE);
		fs_same(name, p, sizes[i]);
		for (j = sizes[i]; j < end; j++)
			T_EQ(p[j], 0);
		T_EQ(t_read_faults(p + end - 1), 0);
		T_EQ(t_write_faults(p + end - 1), 0);
		if (end < sizes[i] + PAGE)
			T_EQ(t_read_faults(p + end), 1);
		T_EQ(munmap(p, sizes[i] + PAGE), 0);
		T_EQ(fs_number("size", name), sizes[i]);
	}
}

/* Sparse: pages that are not touched cost nothing. */
T_TEST(sparse)
{
	const char *name = fs_new("a", 512 * MIB);
	char *p;

	fs_mount(PLAIN);
	p = fs_map(name, 512 * MIB);
	p[0] = 1;
	p[511 * MIB] = 2;
	T_ASSERT(!strcmp(t_host("read %s %ld 1", name, 511 * MIB), "02"));
	T_ASSERT(fs_number("blocks", name) <= 2 * 2 * MIB / 512);
}

T_TEST(empty)
{
	const char *name = fs_new("a", 0);
	char *p, byte;
	int fd;

	fs_mount(PLAIN);
	fd = fs_open(name, O_RDWR);
	T_EQ(read(fd, &byte, 1), 0);
	p = fs_map_at(fd, 0, PAGE);
	T_EQ(t_read_faults(p), 1);
	t_host("truncate %s 100", name);
	T_EQ(t_read_faults(p), 0);
	T_EQ(read(fd, &byte, 1), 1);
	p[5] = 'x';
	T_ASSERT(!strcmp(t_host("read %s 5 1", name), "78"));
}

T_TEST(read_write_seek)
{
	const char *name = fs_object("a", 3 * PAGE, 3);
	static char buf[4 * PAGE], mine[4 * PAGE];
	struct iovec two[] = { { buf, 10 }, { buf + 10, PAGE } };
	char *nowhere =
		mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd;

	fs_mount(PLAIN);
	t_fill(mine, 3 * PAGE, 3);
	fd = fs_open(name, O_RDWR);
	T_EQ(read(fd, buf, sizeof(buf)), 3 * PAGE);
	T_ASSERT(!memcmp(buf, mine, 3 * PAGE));
	T_EQ(read(fd, buf, 1), 0);
	T_EQ(lseek(fd, 0, SEEK_CUR), 3 * PAGE);
	T_EQ(lseek(fd, -7, SEEK_END), 3 * PAGE - 7);
	T_EQ(read(fd, buf, 100), 7);
	T_EQ(pread(fd, buf, 100, PAGE - 50), 100);
	T_ASSERT(!memcmp(buf, mine + PAGE - 50, 100));
	T_EQ(pread(fd, buf, 1, 1000 * MIB), 0);
	T_EQ(lseek(fd, 3, SEEK_SET), 3);
	T_EQ(readv(fd, two, 2), PAGE + 10);
	T_ASSERT(!memcmp(buf, mine + 3, PAGE + 10));
	T_EQ(pwrite(fd, "abcdef", 6, 2 * PAGE - 3), 6);
	T_ASSERT(!strcmp(t_host("read %s %ld 6", name, 2 * PAGE - 3),
			 "616263646566"));
	T_EQ(lseek(fd, 100, SEEK_SET), 100);
	T_EQ(writev(fd, two, 2), PAGE + 10);
	T_EQ(pread(fd, mine, PAGE + 10, 100), PAGE + 10);
	T_ASSERT(!memcmp(buf, mine, PAGE + 10));
	T_ERRNO(lseek(fd, -1, SEEK_SET), EINVAL);
	T_ERRNO(pread(fd, buf, 1, -1), EINVAL);
	T_ERRNO(read(fd, nowhere, 1), EFAULT);
	T_ERRNO(write(fd, nowhere, 1), EFAULT);
	T_EQ(fs_number("size", name), 3 * PAGE);
}

/*
 * The object cannot grow here: the part that fits is written, then the write
 * fails with EROFS.
 */
T_TEST(write_at_the_end)
{
	const char *name = fs_object("a", PAGE + 10, 4);
	char buf[100];
	int fd;

	fs_mount(PLAIN);
	memset(buf, 'w', sizeof(buf));
	fd = fs_open(name, O_RDWR);
	T_EQ(pwrite(fd, buf, 100, PAGE), 10);
	T_ERRNO(pwrite(fd, buf, 100, PAGE + 10), EROFS);
	T_ERRNO(pwrite(fd, buf, 1, 2 * PAGE), EROFS);
	close(fd);
	fd = fs_open(name, O_RDWR | O_APPEND);
	T_ERRNO(write(fd, buf, 1), EROFS);
	T_EQ(fs_number("size", name), PAGE + 10);
}

T_TEST(sendfile_and_copy_file_range)
{
	const char *one = fs_object("one", 300000, 5);
	const char *two = fs_object("two", 300000, 6);
	int fd, fd2, tmp = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	loff_t from = 0, to = 0;
	off_t offset = 0;
	char *p;

	fs_mount(PLAIN);
	fd = fs_open(one, O_RDWR);
	fd2 = fs_open(two, O_RDWR);
	while (offset < 300000)
		T_ASSERT(sendfile(tmp, fd, &offset, 300000 - offset) > 0);
	p = fs_map_at(tmp, 0, 300000);
	fs_same(one, p, 300000);
	/* From a file of the system's own to an object */
	memset(p, 's', 300000);
	T_EQ(lseek(tmp, 0, SEEK_SET), 0);
	for (offset = 0; offset < 300000;) {
		ssize_t n = sendfile(fd2, tmp, NULL, 300000 - offset);

		T_ASSERT(n > 0);
		offset += n;
	}
	fs_same(two, p, 300000);
	/* Between two objects */
	while (from < 300000)
		T_ASSERT(copy_file_range(fd, &from, fd2, &to, 300000 - from,
					 0) > 0);
	T_EQ(atoll(t_host("sum %s 0 300000", two)),
	     atoll(t_host("sum %s 0 300000", one)));
}

T_TEST(the_host_changes_the_size)
{
	const char *name = fs_object("a", PAGE, 7);
	struct stat st;
	char *p, byte;
	int fd;

	fs_mount(PLAIN);
	fd = fs_open(name, O_RDWR);
	p = fs_map_at(fd, 0, 3 * PAGE);
	T_EQ(t_read_faults(p + PAGE), 1);
	t_host("truncate %s %ld", name, 2 * PAGE + 1);
	T_EQ(fstat(fd, &st), 0);
	T_EQ(st.st_size, 2 * PAGE + 1);
	T_EQ(lseek(fd, 0, SEEK_END), 2 * PAGE + 1);
	T_EQ(pread(fd, &byte, 1, 2 * PAGE), 1);
	T_EQ(t_read_faults(p + PAGE), 0);
	p[2 * PAGE] = 'g';
	T_ASSERT(!strcmp(t_host("read %s %ld 1", name, 2 * PAGE), "67"));
	T_EQ(munmap(p, 3 * PAGE), 0);
	/* The object is truncated while it is not mapped. */
	t_host("truncate %s 10", name);
	T_EQ(stat(fs_path("/dev/shm", name), &st), 0);
	T_EQ(st.st_size, 10);
	T_EQ(lseek(fd, 0, SEEK_END), 10);
	T_EQ(pread(fd, &byte, 1, 10), 0);
	T_EQ(pread(fd, &byte, 1, 9), 1);
}

/* Attributes that a look-up has brought are not used in later system calls. */
T_TEST(the_host_changes_the_size_between_two_calls)
{
	const char *name = fs_object("a", PAGE, 7);
	const char *path = fs_path("/dev/shm", name);
	struct stat st;
	long size;
	int fd;

	fs_mount(PLAIN);
	fd = fs_open(name, O_RDWR);
	for (size = PAGE + 1; size < PAGE + 10; size++) {
		T_EQ(access(path, R_OK), 0);
		t_host("truncate %s %ld", name, size);
		T_EQ(fstat(fd, &st), 0);
		T_EQ(st.st_size, size);
		T_EQ(stat(path, &st), 0);
		T_EQ(st.st_size, size);
	}
}

/* After a program has listed the directory, it sees its own changes. */
T_TEST(attributes_after_a_list)
{
	const char *name = fs_object("a", PAGE, 7);
	struct stat st;
	int fd;

	fs_mount(CREATE);
	fd = fs_open(name, O_RDWR);
	T_EQ(fs_listed(name), 1);
	T_EQ(ftruncate(fd, 12345), 0);
	T_EQ(stat(fs_path("/dev/shm", name), &st), 0);
	T_EQ(st.st_size, 12345);
}

T_TEST(unlinked_and_created_again)
{
	const char *name = fs_object("a", PAGE, 8);
	struct stat st, st2;
	char *p, *q, was;
	int fd, fd2;

	fs_mount(PLAIN);
	fd = fs_open(name, O_RDWR);
	T_EQ(fstat(fd, &st), 0);
	p = fs_map_at(fd, 0, PAGE);
	was = p[0];
	t_host("unlink %s", name);
	T_ERRNO(stat(fs_path("/dev/shm", name), &st2), ENOENT);
	T_EQ(p[0], was);
	T_EQ(fstat(fd, &st2), 0);
	T_EQ(st2.st_size, PAGE);
	fs_object("a", 2 * PAGE, 9);
	fd2 = fs_open(name, O_RDWR);
	T_EQ(fstat(fd2, &st2), 0);
	T_EQ(st2.st_size, 2 * PAGE);
	T_ASSERT(st.st_ino != st2.st_ino);
	q = fs_map_at(fd2, 0, 2 * PAGE);
	fs_same(name, q, 2 * PAGE);
	p[5] = ~q[5];
	fs_same(name, q, 2 * PAGE);
	T_EQ(fstat(fd, &st2), 0);
	T_EQ(st2.st_ino, st.st_ino);
	/* The old object is detached with its last user. */
	T_EQ(fs_mapped(name), 2);
	close(fd);
	munmap(p, PAGE);
	T_EQ(fs_mapped(name), 1);
	fs_same(name, q, 2 * PAGE);
}

T_TEST(names)
{
	static const char *const tails[] = {
		"a b", "\xff\xfe", "\n",       "\\x",	   "%s", "*", "..",
		"-",   "\x7f\t",   "\xc3\xa9", "'\"`$(:)", ":",	 "#", "~"
	};
	char hex[1100], path[1200], name[600], byte;
	size_t i, j;
	int fd;

	fs_mount(PLAIN);
	for (i = 0; i < sizeof(tails) / sizeof(*tails); i++) {
		snprintf(name, sizeof(name), "%s%s", t_name(""), tails[i]);
		for (j = 0; name[j]; j++)
			sprintf(hex + 2 * j, "%02x", (unsigned char)name[j]);
		snprintf(path, sizeof(path), "/dev/shm%s", name);
		T_ERRNO(open(path, O_RDONLY), ENOENT);
		t_host("hex create %s", hex);
		fd = open(path, O_RDONLY);
		if (fd < 0)
			t_fail("%s: %s", tails[i], strerror(errno));
		T_EQ(read(fd, &byte, 1), 1);
		close(fd);
	}
}

T_TEST(long_names)
{
	char name[600];
	struct stat st;

	fs_mount(PLAIN);
	memset(name, 'n', sizeof(name));
	memcpy(name, t_name(""), strlen(t_name("")));
	name[256] = '\0';
	t_host("create %s 4096", name);
	T_EQ(stat(fs_path("/dev/shm", name), &st), 0);
	T_EQ(st.st_size, 4096);
	name[255] = '\0';
	T_ERRNO(stat(fs_path("/dev/shm", name), &st), ENOENT);
	name[255] = 'n';
	name[256] = 'n';
	name[257] = '\0';
	T_ERRNO(stat(fs_path("/dev/shm", name), &st), ENAMETOOLONG);
	T_ERRNO(open(fs_path("/dev/shm", name), O_CREAT | O_RDWR, 0600),
		ENAMETOOLONG);
	name[257] = 'n';
	name[400] = '\0';
	T_ERRNO(stat(fs_path("/dev/shm", name), &st), ENAMETOOLONG);
}

/* Some names on the host are not shared memory objects. */
T_TEST(what_is_no_object)
{
	const char *dir = t_name("dir"), *fifo = t_name("fifo");
	const char *link = t_name("link"), *name = fs_object("a", PAGE, 10);
	struct stat st;

	fs_mount(PLAIN);
	t_host("mkdir %s", dir);
	t_host("mkfifo %s", fifo);
	t_host("symlink %s %s", link, name);
	T_ASSERT(stat(fs_path("/dev/shm", dir), &st) == -1);
	T_ASSERT(stat(fs_path("/dev/shm", fifo), &st) == -1);
	T_ASSERT(stat(fs_path("/dev/shm", link), &st) == -1);
	T_ASSERT(open(fs_path("/dev/shm", dir), O_RDONLY) == -1);
	T_ASSERT(open(fs_path("/dev/shm", fifo), O_RDWR) == -1);
	T_ASSERT(open(fs_path("/dev/shm", link), O_RDONLY) == -1);
	T_EQ(fs_listed(name), 1);
	T_EQ(fs_listed(dir) + fs_listed(fifo) + fs_listed(link), 0);
	/* ".." is a directory of the guest. */
	T_EQ(stat("/dev/shm/..", &st), 0);
	T_EQ(stat("/dev/shm/../null", &st), 0);
	T_ASSERT(S_ISCHR(st.st_mode));
	T_ASSERT(stat("/dev/shm/../shm/../../etc/passwd", &st) == -1);
}

T_TEST(directory)
{
	char tail[16], seen[300] = "";
	struct dirent *d;
	struct stat st;
	DIR *dir;
	int i;

	fs_mount(PLAIN);
	t_host("many %s 300 4096", t_name("list"));
	dir = opendir("/dev/shm");
	while ((d = readdir(dir))) {
		if (strncmp(d->d_name, t_name("list") + 1,
			    strlen(t_name("list")) - 1))
			continue;
		T_EQ(d->d_type, DT_REG);
		i = atoi(d->d_name + strlen(t_name("list")) - 1);
		T_EQ(seen[i], 0);
		seen[i] = 1;
	}
	for (i = 0; i < 300; i++)
		T_EQ(seen[i], 1);
	/* Again, from the start */
	rewinddir(dir);
	for (i = 0; readdir(dir); i++)
		;
	T_ASSERT(i >= 302);
	closedir(dir);
	T_EQ(stat("/dev/shm", &st), 0);
	T_ASSERT(S_ISDIR(st.st_mode));
	T_EQ(st.st_mode & 07777, 01777);
	for (i = 0; i < 300; i += 2) {
		snprintf(tail, sizeof(tail), "list%d", i);
		t_host("unlink %s", t_name(tail));
	}
	T_EQ(fs_listed(t_name("list0")), 0);
	T_EQ(fs_listed(t_name("list1")), 1);
	T_ERRNO(open("/dev/shm", O_RDWR), EISDIR);
}

/* Reads one part of the directory and counts each listN in it. */
static int read_some(int dir, char *seen)
{
	static char buf[512];
	const char *prefix = t_name("list") + 1;
	long size = syscall(SYS_getdents64, dir, buf, sizeof(buf)), at;

	T_ASSERT(size >= 0);
	for (at = 0; at < size;) {
		struct dirent64 *d = (void *)(buf + at);

		if (!strncmp(d->d_name, prefix, strlen(prefix)))
			seen[atoi(d->d_name + strlen(prefix))]++;
		at += d->d_reclen;
	}
	return size;
}

static void read_rest(int dir, char *seen)
{
	while (read_some(dir, seen))
		;
}

/* Other readers, and names that are created and removed, do not disturb. */
T_TEST(directory_read_by_two)
{
	char seen[2][300] = {}, tail[16];
	int dir[2], i, k;

	fs_mount(PLAIN);
	for (i = 0; i < 300; i++) {
		snprintf(tail, sizeof(tail), "list%d", i);
		t_host("unlink %s", t_name(tail));
	}
	t_host("many %s 300 4096", t_name("list"));
	for (i = 0; i < 2; i++) {
		dir[i] = open("/dev/shm", O_RDONLY | O_DIRECTORY);
		T_ASSERT(dir[i] >= 0);
	}
	T_ASSERT(read_some(dir[0], seen[0]));
	for (i = 0; i < 300; i += 3) {
		snprintf(tail, sizeof(tail), "list%d", i);
		t_host("unlink %s", t_name(tail));
	}
	T_ASSERT(read_some(dir[1], seen[1]));
	T_ASSERT(read_some(dir[0], seen[0]));
	read_rest(dir[1], seen[1]);
	read_rest(dir[0], seen[0]);
	for (i = 0; i < 300; i++)
		for (k = 0; k < 2; k++)
			if (i % 3)
				T_EQ(seen[k][i], 1);
	/* Again, from the start */
	T_EQ(lseek(dir[0], 0, SEEK_SET), 0);
	read_rest(dir[0], seen[0]);
	for (i = 0; i < 300; i++)
		T_EQ(seen[0][i], i % 3 ? 2 : seen[0][i] > 0);
}

/*
 * A device without create=on: objects can be written; their size and attributes
 * cannot be changed.
 */
T_TEST(nothing_is_made_or_removed)
{
	const char *name = fs_object("a", PAGE, 11), *none = t_name("nothing");
	const char *path, *new;
	int fd;

	fs_mount(PLAIN);
	path = fs_path("/dev/shm", name);
	new = fs_path("/dev/shm", none);
	T_ERRNO(shm_open(none, O_CREAT | O_RDWR, 0600), EROFS);
	T_ERRNO(shm_open(none, O_CREAT | O_EXCL | O_RDWR, 0600), EROFS);
	T_ERRNO(shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST);
	T_ERRNO(shm_unlink(name), EROFS);
	T_ERRNO(shm_unlink(none), ENOENT);
	T_ERRNO(rename(path, new), EROFS);
	T_ERRNO(rename(new, path), ENOENT);
	T_ERRNO(link(path, new), EROFS);
	T_ERRNO(truncate(path, 0), EROFS);
	T_ERRNO(truncate(path, 2 * PAGE), EROFS);
	T_ERRNO(open(path, O_RDWR | O_TRUNC), EROFS);
	/* Existing objects can be opened with O_CREAT. */
	fd = shm_open(name, O_CREAT | O_RDWR, 0600);
	T_ASSERT(fd >= 0);
	T_ERRNO(ftruncate(fd, 100), EROFS);
	T_ERRNO(fallocate(fd, 0, 0, 2 * PAGE), EROFS);
	T_ERRNO(ftruncate(fd, -1), EINVAL);
	T_EQ(fs_number("size", name), PAGE);
	fs_same(name, fs_map_at(fd, 0, PAGE), PAGE);
}

/* Operations that shared memory objects do not support */
T_TEST(not_supported)
{
	const char *name = fs_object("a", PAGE, 12);
	const char *path, *new;
	char value[10];
	struct stat st;
	int fd, i;

	fs_private();
	fs_mount_at(CREATE, "/dev/shm", NULL);
	fs_mount_at(PLAIN, "/mnt", NULL);
	for (i = 0; i < 2; i++) {
		const char *dir = i ? "/mnt" : "/dev/shm";

		path = fs_path(dir, name);
		new = fs_path(dir, t_name("new"));
		T_ERRNO(mkdir(new, 0700), EPERM);
		T_ERRNO(symlink("x", new), EPERM);
		T_ERRNO(mknod(new, S_IFIFO | 0600, 0), EPERM);
		T_ERRNO(mknod(new, S_IFCHR | 0600, 0x103), EPERM);
		T_ERRNO(open(dir, O_TMPFILE | O_RDWR, 0600), EOPNOTSUPP);
		T_ERRNO(syscall(SYS_setxattr, path, "user.x", "1", 1, 0),
			EOPNOTSUPP);
		T_ERRNO(syscall(SYS_getxattr, path, "user.x", value, 10),
			EOPNOTSUPP);
		T_ERRNO(chown(path, 1, 1), EPERM);
		/*
		 * A call that changes nothing succeeds, as touch and cp -p
		 * expect.
		 */
		T_EQ(stat(path, &st), 0);
		T_EQ(chmod(path, st.st_mode & 07777), 0);
		T_EQ(chown(path, st.st_uid, st.st_gid), 0);
		T_EQ(chown(path, -1, -1), 0);
		T_EQ(utimensat(AT_FDCWD, path, NULL, 0), 0);
		T_ERRNO(rmdir(path), ENOTDIR);
		T_ERRNO(mkdir(path, 0700), EEXIST);
		T_ERRNO(open(fs_path(path, "/x"), O_RDONLY), ENOTDIR);
		fd = open(path, O_RDWR);
		T_ERRNO(fallocate(fd,
				  FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				  PAGE),
			EOPNOTSUPP);
		T_ERRNO(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, PAGE),
			EOPNOTSUPP);
		T_ERRNO(ioctl(fd, 0, name), ENOTTY);
		close(fd);
	}
	T_EQ(fs_number("size", name), PAGE);
}

/* An object of the host cannot give rights in the guest. */
T_TEST(setuid_and_exec)
{
	const char *name = fs_new("a", 12), *path;
	struct stat st;
	int status, i;
	pid_t pid;

	fs_mount(PLAIN);
	/* "#!/bin/true\n" */
	t_host("mode %s 6755", name);
	t_host("write %s 0 23212f62696e2f747275650a", name);
	path = fs_path("/dev/shm", name);
	T_EQ(stat(path, &st), 0);
	T_EQ(st.st_mode & 07777, 0755);
	for (i = 0; i < 2; i++) {
		pid = t_fork();
		if (pid == 0) {
			execl(path, path, NULL);
			_exit(100);
		}
		T_EQ(waitpid(pid, &status, 0), pid);
		T_EQ(WEXITSTATUS(status), i ? 100 : 0);
		T_EQ(mount(NULL, "/dev/shm", NULL,
			   MS_REMOUNT | MS_NOEXEC | MS_BIND, NULL),
		     0);
	}
}

T_TEST(other_calls)
{
	const char *name = fs_object("a", 2 * PAGE, 13);
	struct statfs s;
	int fd, in;

	fs_mount(PLAIN);
	T_EQ(statfs("/dev/shm", &s), 0);
	T_EQ(s.f_type, 0x68736d76);
	T_EQ(s.f_namelen, 255);
	T_EQ(s.f_bsize, PAGE);
	T_ASSERT(s.f_blocks * s.f_bsize >= 2 * MIB);
	T_ASSERT(s.f_bfree <= s.f_blocks);
	in = inotify_init1(IN_NONBLOCK);
	T_ASSERT(inotify_add_watch(in, "/dev/shm", IN_ALL_EVENTS) >= 0);
	T_ASSERT(inotify_add_watch(in, fs_path("/dev/shm", name),
				   IN_ALL_EVENTS) >= 0);
	fd = fs_open(name, O_RDWR);
	T_EQ(flock(fd, LOCK_EX), 0);
	T_EQ(flock(fs_open(name, O_RDWR), LOCK_EX | LOCK_NB), -1);
	T_EQ(errno, EWOULDBLOCK);
	T_EQ(fsync(fd), 0);
	T_EQ(fdatasync(fd), 0);
	T_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	T_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED), 0);
	T_EQ(readahead(fd, 0, PAGE) == 0 || errno == EINVAL, 1);
	T_EQ(syncfs(fd), 0);
	sync();
	T_ERRNO(open(fs_path("/dev/shm", name), O_RDWR | O_DIRECT), EINVAL);
	T_EQ(access(fs_path("/dev/shm", name), R_OK | W_OK), 0);
	fs_same(name, fs_map_at(fd, 0, 2 * PAGE), 2 * PAGE);
	close(in);
}

/* Each process uses its own object and a common object at the same time. */
T_TEST(many_processes)
{
	enum { N = 8, ROUNDS = 30 };
	const char *all = fs_new("all", 4096);
	pid_t pids[N];
	uint32_t *sum;
	int i, j;

	fs_mount(PLAIN);
	t_host("many %s %d 8192", t_name("each"), N);
	for (i = 0; i < N; i++) {
		char tail[16];

		pids[i] = t_fork();
		if (pids[i])
			continue;
		snprintf(tail, sizeof(tail), "each%d", i);
		for (j = 0; j < ROUNDS; j++) {
			uint32_t *p = (void *)fs_map(t_name(tail), 8192);
			uint32_t *q = (void *)fs_map(all, 4096);

			T_EQ(p[0], i);
			T_EQ(p[1024], j);
			p[1024]++;
			__atomic_add_fetch(q, 1, __ATOMIC_RELAXED);
			munmap(p, 8192);
			munmap(q, 4096);
		}
		_exit(0);
	}
	for (i = 0; i < N; i++)
		t_wait(pids[i]);
	sum = (void *)fs_map(all, 4096);
	T_EQ(*sum, N * ROUNDS);
}

/*
 * A mapping holds the file, and the file holds the object, until exec or a
 * kill.
 */
T_TEST(nothing_stays)
{
	const char *name = fs_object("a", 3 * MIB, 14);
	int go[2], status;
	char byte;
	pid_t pid;

	fs_mount(PLAIN);
	T_EQ(pipe(go), 0);
	pid = t_fork();
	if (pid == 0) {
		fs_map(name, 3 * MIB)[2 * MIB] = 1;
		T_EQ(write(go[1], "", 1), 1);
		pause();
	}
	T_EQ(read(go[0], &byte, 1), 1);
	T_EQ(fs_mapped(name), 1);
	T_EQ(kill(pid, SIGKILL), 0);
	T_EQ(waitpid(pid, &status, 0), pid);
	T_EQ(fs_mapped(name), 0);
	pid = t_fork();
	if (pid == 0) {
		T_ASSERT(fs_map(name, 3 * MIB)[MIB] || 1);
		execlp("true", "true", NULL);
	}
	t_wait(pid);
	T_EQ(fs_mapped(name), 0);
	T_EQ(atol(t_host("mapped_all")), 0);
}
