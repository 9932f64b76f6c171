/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Permission bits, owners and times: the user who may change them can, other
 * users cannot, and programs that set them succeed.
 *
 * qemu: files
 */
#define _GNU_SOURCE
#include <grp.h>
#include <sys/wait.h>
#include <utime.h>

#include "t.h"

#include "fs.h"

#define USER 1000

static const char *in_shm(const char *name)
{
	return fs_path("/dev/shm", name);
}

static int mode_of(const char *path)
{
	struct stat st;

	T_EQ(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static int mode_on_host(const char *name)
{
	return strtol(t_host("bits %s", name), NULL, 8);
}

static void become(uid_t uid, gid_t gid)
{
	T_EQ(setgroups(0, NULL), 0);
	T_EQ(setgid(gid), 0);
	T_EQ(setuid(uid), 0);
}

static void as_user(uid_t uid, void (*run)(const char *path), const char *path)
{
	pid_t pid = t_fork();

	if (pid == 0) {
		become(uid, uid);
		run(path);
		_exit(0);
	}
	t_wait(pid);
}

T_TEST(chmod_reaches_the_host)
{
	const char *name = fs_new("a", PAGE), *path = in_shm(name);
	struct stat st;
	int fd;

	fs_mount(CREATE);
	fs_mount_at(CREATE, "/tmp/other", NULL);
	T_EQ(chmod(path, 0640), 0);
	T_EQ(mode_of(path), 0640);
	T_EQ(mode_on_host(name), 0640);
	T_EQ(mode_of(fs_path("/tmp/other", name)), 0640);
	fd = fs_open(name, O_RDWR);
	T_EQ(fchmod(fd, 0604), 0);
	T_EQ(mode_on_host(name), 0604);
	T_EQ(fchmodat(AT_FDCWD, path, 0600, 0), 0);
	T_EQ(mode_on_host(name), 0600);
	/* The bits above 777 (setuid, setgid, sticky) are refused. */
	T_ERRNO(chmod(path, 04755), EPERM);
	T_ERRNO(chmod(path, 02755), EPERM);
	T_ERRNO(chmod(path, 01755), EPERM);
	T_EQ(mode_on_host(name), 0600);
	/* A file that has no name any more */
	T_EQ(unlink(path), 0);
	T_EQ(fchmod(fd, 0666), 0);
	T_EQ(fstat(fd, &st), 0);
	T_EQ(st.st_mode & 07777, 0666);
	/* Another object of that name is not affected. */
	t_host("create %s 4096 600", name);
	T_EQ(fchmod(fd, 0644), 0);
	T_EQ(mode_on_host(name), 0600);
}

static void changes_nothing(const char *path)
{
	struct utimbuf times = { 1, 1 };

	T_ERRNO(chmod(path, 0666), EPERM);
	T_ERRNO(chown(path, USER, USER), EPERM);
	T_ERRNO(chown(path, -1, USER), EPERM);
	T_ERRNO(utime(path, &times), EPERM);
	T_ERRNO(utime(path, NULL), EACCES);
	T_ERRNO(truncate(path, 0), EACCES);
}

/* By a descriptor, and on a file that the user may write */
static void changes_nothing_it_does_not_own(const char *path)
{
	struct timespec times[2] = { { 1, 1 }, { 1, 1 } };
	int fd = open(path, O_RDWR);

	T_ASSERT(fd >= 0);
	T_ERRNO(fchmod(fd, 0600), EPERM);
	T_ERRNO(futimens(fd, times), EPERM);
	T_ERRNO(fchown(fd, USER, USER), EPERM);
	T_EQ(futimens(fd, NULL), 0);
}

static void owner_changes(const char *path)
{
	struct utimbuf times = { 1000, 2000 };
	struct stat st;

	T_EQ(chmod(path, 0640), 0);
	T_EQ(chown(path, USER, USER), 0);
	T_ERRNO(chown(path, 0, -1), EPERM);
	T_ERRNO(chown(path, -1, 0), EPERM);
	T_EQ(utime(path, &times), 0);
	T_EQ(stat(path, &st), 0);
	T_EQ(st.st_atime, 1000);
	T_EQ(st.st_mtime, 2000);
}

T_TEST(only_the_owner_changes)
{
	const char *name = fs_new("a", PAGE), *path = in_shm(name);

	fs_mount(CREATE);
	fs_mount_at(CREATE, "/tmp/user", "uid=1000,gid=1000");
	T_EQ(chmod(path, 0644), 0);
	as_user(USER, changes_nothing, path);
	as_user(65534, changes_nothing, path);
	T_EQ(mode_on_host(name), 0644);
	T_EQ(fs_number("size", name), PAGE);
	T_EQ(chmod(path, 0666), 0);
	as_user(USER, changes_nothing_it_does_not_own, path);
	T_EQ(mode_on_host(name), 0666);
	as_user(USER, owner_changes, fs_path("/tmp/user", name));
	T_EQ(mode_on_host(name), 0640);
	/* Root can change the bits. No user can change the owner. */
	T_EQ(chmod(path, 0600), 0);
	T_ERRNO(chown(path, USER, -1), EPERM);
}

/* Bits that are a mount option cannot be changed. */
T_TEST(bits_of_the_mount)
{
	const char *name = fs_new("a", PAGE), *path = in_shm(name);

	fs_private();
	fs_mount_at(CREATE, "/dev/shm", "mode=0604");
	t_host("mode %s 640", name);
	T_ERRNO(chmod(path, 0600), EPERM);
	T_EQ(chmod(path, 0604), 0);
	T_EQ(mode_on_host(name), 0640);
}

/* Without create=on, or on a read-only mount, nothing of the host changes. */
T_TEST(where_nothing_can_be_changed)
{
	const char *name = fs_new("a", PAGE), *path = in_shm(name);
	struct utimbuf times = { 1000, 2000 };
	struct stat before, after;

	fs_mount(PLAIN);
	T_EQ(stat(path, &before), 0);
	T_ERRNO(chmod(path, 0640), EPERM);
	T_EQ(chmod(path, 0600), 0);
	/* touch(1) and cp(1) expect success. */
	T_EQ(utime(path, NULL), 0);
	T_EQ(utime(path, &times), 0);
	T_EQ(stat(path, &after), 0);
	T_EQ(after.st_mtime, before.st_mtime);
	T_EQ(mount(NULL, "/dev/shm", NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	T_ERRNO(chmod(path, 0600), EROFS);
	T_ERRNO(utime(path, &times), EROFS);
}

T_TEST(times)
{
	const char *name = fs_new("a", PAGE), *path = in_shm(name);
	struct timespec set[2] = { { 1000, 5 }, { -2000, 999999999 } };
	struct stat st;

	fs_mount(CREATE);
	T_EQ(utimensat(AT_FDCWD, path, set, 0), 0);
	T_EQ(stat(path, &st), 0);
	T_EQ(st.st_atim.tv_sec, 1000);
	T_EQ(st.st_atim.tv_nsec, 5);
	T_EQ(st.st_mtim.tv_sec, -2000);
	T_EQ(st.st_mtim.tv_nsec, 999999999);
	set[0].tv_nsec = UTIME_OMIT;
	set[1] = (struct timespec){ 3000, 0 };
	T_EQ(utimensat(AT_FDCWD, path, set, 0), 0);
	T_EQ(stat(path, &st), 0);
	T_EQ(st.st_atim.tv_sec, 1000);
	T_EQ(st.st_mtim.tv_sec, 3000);
	/* The current time is the host's. */
	T_EQ(utimensat(AT_FDCWD, path, NULL, 0), 0);
	T_EQ(stat(path, &st), 0);
	T_ASSERT(st.st_mtim.tv_sec > 1000000000);
	T_ASSERT(st.st_atim.tv_sec > 1000000000);
	/* A call that sets the size sets the time as well. */
	set[0] = set[1];
	T_EQ(utimensat(AT_FDCWD, path, set, 0), 0);
	T_EQ(truncate(path, 5), 0);
	T_EQ(stat(path, &st), 0);
	T_ASSERT(st.st_mtim.tv_sec > 1000000000);
}

/*
 * A mode without read permission also applies to QEMU, unless QEMU has
 * CAP_DAC_OVERRIDE.
 */
T_TEST(modes_without_reading)
{
	const char *name = fs_new("a", PAGE), *path = in_shm(name);
	int fd;

	fs_mount(CREATE);
	fd = fs_open(name, O_RDWR);
	T_EQ(fchmod(fd, 0), 0);
	T_EQ(mode_on_host(name), 0);
	T_EQ(pwrite(fd, "x", 1, 0), 1);
	T_EQ(fchmod(fd, 0600), 0);
	close(fd);
	T_EQ(chmod(path, 0), 0);
	if (chmod(path, 0600) < 0) {
		T_EQ(errno, EACCES);
		t_host("mode %s 600", name);
	}
	close(fs_open(name, O_RDWR));
}

static void programs(const char *path)
{
	T_EQ(t_system("cd /dev/shm && set -e; echo text >%s; touch %s; "
		      "touch -d '2020-01-02 03:04:05' %s; "
		      "test $(stat -c %%Y %s) = $(stat -c %%X %s); "
		      "cp -p %s %s-cp; test %s-cp -ot /proc/self/stat; "
		      "test $(stat -c %%Y %s) = $(stat -c %%Y %s-cp); "
		      "chmod 640 %s-cp; cp %s %s-in; chmod 444 %s-in; "
		      "test $(stat -c %%a %s-in) = 444; "
		      "tar -cf /tmp/attributes.tar %s; rm %s; "
		      "tar -xpf /tmp/attributes.tar; "
		      "grep -q text %s; mv %s-cp %s; rm %s %s-in",
		      path, path, path, path, path, path, path, path, path,
		      path, path, path, path, path, path, path, path, path,
		      path, path, path, path),
	     0);
	unlink("/tmp/attributes.tar");
}

T_TEST(programs_that_set_attributes)
{
	fs_private();
	fs_mount_at(PREFIX, "/dev/shm", NULL);
	programs("prog");
	T_EQ(umount("/dev/shm"), 0);
	fs_mount_at(PREFIX, "/dev/shm", "uid=1000,gid=1000");
	as_user(USER, programs, "prog");
}

/*
 * A write by a user without privileges clears the special bits, and such a user
 * cannot set them.
 */
T_TEST(no_special_bits)
{
	const char *name = fs_new("a", PAGE), *path = in_shm(name);
	pid_t pid;
	int fd;

	fs_mount(CREATE);
	t_host("mode %s 6777", name);
	T_EQ(mode_of(path), 0777);
	pid = t_fork();
	if (pid == 0) {
		become(65534, 65534);
		fd = open(path, O_RDWR);
		T_EQ(pwrite(fd, "x", 1, 0), 1);
		T_ERRNO(fchmod(fd, 06777), EPERM);
		_exit(0);
	}
	t_wait(pid);
	T_EQ(chmod(path, 0755), 0);
	T_EQ(mode_on_host(name), 0755);
	/* A new file has no special bits either. */
	T_EQ(unlink(path), 0);
	T_EQ(mknod(path, S_IFREG | S_ISUID | 0700, 0), 0);
	T_EQ(mode_on_host(name), 0700);
}
