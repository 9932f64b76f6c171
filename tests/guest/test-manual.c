/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Statements of vmshm(5) about differences from tmpfs that no other test has.
 *
 * qemu: files
 */
#define _GNU_SOURCE
#include <linux/loop.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

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

/* Both files show the object whose bytes have this sum. */
static void are_opened(const char *path, const char *proc, uint32_t sum)
{
	int fd = open(path, O_RDWR), fd2 = open(proc, O_RDWR);
	char *p, *q;

	T_ASSERT(fd >= 0 && fd2 >= 0);
	p = fs_map_at(fd, 0, PAGE);
	q = fs_map_at(fd2, 0, PAGE);
	T_EQ(t_sum(p, PAGE), sum);
	p[5] ^= 0xff;
	T_EQ(p[5], q[5]);
	p[5] ^= 0xff;
	T_EQ(munmap(p, PAGE), 0);
	T_EQ(munmap(q, PAGE), 0);
	close(fd);
	close(fd2);
}

/*
 * As on tmpfs: a name of a file that is not open is removed, or replaced, in
 * this guest.
 */
static void name_removed_here(void (*removes)(const char *name))
{
	const char *name = fs_object("a", PAGE, 1), *path;
	uint32_t sum = atoll(t_host("sum %s 0 %ld", name, PAGE));
	long descriptors;
	char proc[64];
	int fd;

	fs_mount(CREATE);
	descriptors = atol(t_host("descriptors"));
	path = bound(name);
	fd = open(in_shm(name), O_PATH);
	T_ASSERT(fd >= 0);
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	removes(name);
	are_opened(path, proc, sum);
	fs_object("a", PAGE, 2);
	are_opened(path, proc, sum);
	T_EQ(umount(path), 0);
	T_EQ(fs_mapped(name), 1);
	close(fd);
	/* The last user of the file is gone, and so is the object. */
	T_EQ(fs_mapped(name), 0);
	T_EQ(atol(t_host("descriptors")), descriptors);
}

static void unlinks(const char *name)
{
	T_ERRNO(unlink(in_shm("/there-is-no-such-object")), ENOENT);
	T_EQ(unlink(in_shm(name)), 0);
}

static void replaces(const char *name)
{
	const char *other = fs_object("other", PAGE, 3);

	T_EQ(rename(in_shm(other), in_shm(name)), 0);
}

T_TEST(name_unlinked_here)
{
	name_removed_here(unlinks);
}

T_TEST(name_replaced_here)
{
	name_removed_here(replaces);
}

/* A look-up of a name that was removed elsewhere ends a mount on it. */
T_TEST(name_removed_under_a_mount)
{
	const char *name = fs_object("a", PAGE, 1);
	int i, over = open("/tmp/over", O_CREAT | O_RDWR, 0600);
	struct stat st;

	T_EQ(write(over, "over", 4), 4);
	fs_mount(CREATE);
	for (i = 0; i < 2; i++) {
		T_EQ(mount("/tmp/over", in_shm(name), NULL, MS_BIND, NULL), 0);
		T_EQ(stat(in_shm(name), &st), 0);
		T_EQ(st.st_size, 4);
		T_ERRNO(unlink(in_shm(name)), EBUSY);
		t_host("unlink %s", name);
		if (i)
			T_ERRNO(stat(in_shm(name), &st), ENOENT);
		t_host("create %s %ld", name, 2 * PAGE);
		T_EQ(stat(in_shm(name), &st), 0);
		T_EQ(st.st_size, 2 * PAGE);
		T_ERRNO(umount(in_shm(name)), EINVAL);
	}
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

/* On the guest's own tmpfs, only an access to a mapping does that. */
T_TEST(reading_a_hole_allocates_it)
{
	const char *name = fs_new("a", 8 * PAGE);
	char byte;

	fs_mount(READONLY);
	T_EQ(fs_number("blocks", name), 0);
	T_EQ(pread(fs_open(name, O_RDONLY), &byte, 1, 3 * PAGE), 1);
	T_EQ(byte, 0);
	T_ASSERT(fs_number("blocks", name) >= PAGE / 512);
}

/* Whether a lock of the other process, on another mount, is seen */
static void is_locked_elsewhere(const char *path)
{
	struct flock lock = { .l_type = F_WRLCK, .l_len = 10 };
	int fd = open(path, O_RDWR);

	T_ASSERT(fd >= 0);
	T_EQ(fcntl(fd, F_GETLK, &lock), 0);
	T_EQ(lock.l_type, F_UNLCK);
	T_EQ(fcntl(fd, F_SETLK, &lock), 0);
	T_EQ(flock(fd, LOCK_EX | LOCK_NB), 0);
	_exit(0);
}

static void is_locked_here(const char *path)
{
	struct flock lock = { .l_type = F_WRLCK, .l_len = 10 };
	int fd = open(path, O_RDWR);

	T_ASSERT(fd >= 0);
	T_ERRNO(fcntl(fd, F_SETLK, &lock), EAGAIN);
	lock.l_pid = 0;
	T_ERRNO(fcntl(fd, F_OFD_SETLK, &lock), EAGAIN);
	lock.l_start = 10;
	T_EQ(fcntl(fd, F_SETLK, &lock), 0);
	T_ERRNO(flock(fd, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	_exit(0);
}

/* Locks of a mount do not reach another device, as they do not the host. */
T_TEST(locks_are_local)
{
	struct flock lock = { .l_type = F_WRLCK, .l_len = 10 };
	const char *name = fs_object("a", PAGE, 1);
	pid_t pid;
	int fd;

	fs_mount(CREATE);
	fs_mount_at(PLAIN, "/tmp/other", NULL);
	fd = fs_open(name, O_RDWR);
	T_EQ(fcntl(fd, F_SETLK, &lock), 0);
	T_EQ(flock(fd, LOCK_EX), 0);
	pid = t_fork();
	if (!pid)
		is_locked_here(in_shm(name));
	t_wait(pid);
	pid = t_fork();
	if (!pid)
		is_locked_elsewhere(fs_path("/tmp/other", name));
	t_wait(pid);
}

T_TEST(leases)
{
	const char *name = fs_object("a", PAGE, 1);
	int fd;

	fs_mount(CREATE);
	fd = fs_open(name, O_RDONLY);
	signal(SIGIO, SIG_IGN);
	T_EQ(fcntl(fd, F_SETLEASE, F_RDLCK), 0);
	T_EQ(fcntl(fd, F_GETLEASE), F_RDLCK);
	T_ERRNO(open(in_shm(name), O_RDWR | O_NONBLOCK), EWOULDBLOCK);
	/* The host does not know of it. */
	t_host("write %s 0 07", name);
	T_EQ(fcntl(fd, F_SETLEASE, F_UNLCK), 0);
	T_ASSERT(fs_open(name, O_RDWR) >= 0);
}

/* An event of this guest is reported; one of the host is not. */
T_TEST(inotify_is_local)
{
	const char *name = fs_object("a", PAGE, 1);
	char events[1000];
	int fd, in;

	fs_mount(CREATE);
	fd = fs_open(name, O_RDWR);
	in = inotify_init1(IN_NONBLOCK);
	T_ASSERT(inotify_add_watch(in, in_shm(name), IN_MODIFY) >= 0);
	t_host("write %s 0 07", name);
	T_ERRNO(read(in, events, sizeof(events)), EAGAIN);
	T_EQ(pwrite(fd, "x", 1, 0), 1);
	T_ASSERT(read(in, events, sizeof(events)) > 0);
}

static struct stat times(const char *name)
{
	struct stat st;

	T_EQ(stat(in_shm(name), &st), 0);
	T_EQ(st.st_ctim.tv_sec, st.st_mtim.tv_sec);
	T_EQ(st.st_ctim.tv_nsec, st.st_mtim.tv_nsec);
	return st;
}

static int is_later(const struct timespec *one, const struct timespec *other)
{
	return one->tv_sec > other->tv_sec ||
	       (one->tv_sec == other->tv_sec &&
		one->tv_nsec > other->tv_nsec);
}

/*
 * Reads and writes of existing bytes change no time, a new size does. The host
 * has noticed the first store to each page before.
 */
T_TEST(times_are_those_of_the_host)
{
	const struct timespec old[2] = { { 1000, 0 }, { 2000, 0 } };
	const char *name = fs_object("a", 2 * PAGE, 1);
	struct stat st;
	char byte, *p;
	int fd;

	fs_mount(CREATE);
	fd = fs_open(name, O_RDWR);
	p = fs_map_at(fd, 0, 2 * PAGE);
	p[0] = 1;
	T_EQ(pwrite(fd, "x", 1, PAGE), 1);
	T_EQ(futimens(fd, old), 0);
	p[0] = 2;
	T_EQ(pwrite(fd, "y", 1, PAGE), 1);
	T_EQ(pread(fd, &byte, 1, 0), 1);
	st = times(name);
	T_EQ(st.st_atim.tv_sec, 1000);
	T_EQ(st.st_mtim.tv_sec, 2000);
	T_EQ(pwrite(fd, "x", 1, 2 * PAGE), 1);
	st = times(name);
	T_ASSERT(is_later(&st.st_mtim, &old[1]));
}

/* Each name of a listing has another d_ino. */
T_TEST(numbers_of_names_differ)
{
	enum { NAMES = 200 };
	const char *names = strdup(t_name("many"));
	ino_t seen[NAMES];
	int i, count = 0;
	struct dirent *d;
	DIR *dir;

	t_host("many %s %d 0", names, NAMES);
	fs_mount(CREATE);
	dir = opendir("/dev/shm");
	T_ASSERT(dir);
	while ((d = readdir(dir))) {
		if (strncmp(d->d_name, names + 1, strlen(names) - 1))
			continue;
		T_ASSERT(d->d_ino);
		for (i = 0; i < count; i++)
			T_ASSERT(seen[i] != d->d_ino);
		seen[count++] = d->d_ino;
	}
	T_EQ(count, NAMES);
	closedir(dir);
}

T_TEST(no_loop_device)
{
	const char *name = fs_object("a", MIB, 1);
	int loop, fd;

	fs_mount(CREATE);
	fd = fs_open(name, O_RDWR);
	loop = open("/dev/loop0", O_RDWR);
	if (loop < 0)
		t_skip("the kernel has no loop devices");
	T_ERRNO(ioctl(loop, LOOP_SET_FD, fd), EINVAL);
}

/* Only root of the system may mount the file system. */
T_TEST(mount_in_a_user_namespace)
{
	pid_t pid;

	mkdir("/mnt", 0755);
	pid = t_fork();
	if (!pid) {
		T_EQ(unshare(CLONE_NEWUSER | CLONE_NEWNS), 0);
		T_ERRNO(mount("vmshm0", "/mnt", "vmshm", 0, NULL), EPERM);
		_exit(0);
	}
	t_wait(pid);
}
