/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Permissions: read-only files, mappings, objects, devices and mounts;
 * owners and modes; and what the device's policy hides.
 *
 * qemu: files
 * expect-log: vmshm: Bad value for 'uid'
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <grp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <vmshm/ioctl.h>

#include "t.h"

#include "fs.h"
#include "kernfile.h"

static const char *in_shm(const char *name)
{
	return fs_path("/dev/shm", name);
}

static void write_is_killed(volatile char *p)
{
	int status;
	pid_t pid = t_fork();

	if (pid == 0) {
		*p = 1;
		_exit(0);
	}
	T_EQ(waitpid(pid, &status, 0), pid);
	T_ASSERT(WIFSIGNALED(status));
	T_EQ(WTERMSIG(status), SIGSEGV);
}

/* Root cannot write past the page table's permissions either. */
static void no_way_to_write(char *p)
{
	struct iovec mine = { "x", 1 }, theirs = { p, 1 };
	int status, fd = open("/proc/self/mem", O_RDWR);
	char was = p[0];
	pid_t pid;

	T_ASSERT(fd >= 0);
	write_is_killed(p);
	T_ASSERT(pwrite(fd, "x", 1, (off_t)p) == -1);
	T_ERRNO(process_vm_writev(getpid(), &mine, 1, &theirs, 1, 0), EFAULT);
	T_ERRNO(read(open("/dev/zero", O_RDONLY), p, 1), EFAULT);
	pid = t_fork();
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(0);
	}
	T_EQ(waitpid(pid, &status, 0), pid);
	T_ASSERT(WIFSTOPPED(status));
	T_EQ(ptrace(PTRACE_POKEDATA, pid, p, 0x5555L), -1);
	ptrace(PTRACE_CONT, pid, NULL, NULL);
	T_EQ(waitpid(pid, &status, 0), pid);
	T_EQ(p[0], was);
	close(fd);
}

/* A file that was opened for reading, and a mapping made for reading */
T_TEST(read_only_files)
{
	const char *name = fs_object("a", 2 * PAGE, 1);
	char *p, *q;
	int fd;

	fs_mount(PLAIN);
	fd = fs_open(name, O_RDONLY);
	T_ERRNO(write(fd, "x", 1), EBADF);
	T_ERRNO(mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, fd, 0), EACCES);
	p = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	T_ASSERT(p != MAP_FAILED);
	fs_same(name, p, 2 * PAGE);
	T_ERRNO(mprotect(p, PAGE, PROT_READ | PROT_WRITE), EACCES);
	no_way_to_write(p);
	no_way_to_write(p + PAGE);
	T_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fs_open(name, O_RDWR),
		     1),
		EINVAL);
	q = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fs_open(name, O_RDWR), 0);
	no_way_to_write(q);
	T_EQ(mprotect(q, PAGE, PROT_READ | PROT_WRITE), 0);
	q[0] ^= 1;
	T_EQ(p[0], q[0]);
	fd = open(in_shm(name), O_WRONLY);
	T_ASSERT(fd >= 0);
	T_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0), EACCES);
	T_ERRNO(read(fd, q, 1), EBADF);
	T_EQ(pwrite(fd, "w", 1, 0), 1);
	T_EQ(p[0], 'w');
}

/* A file that cannot be opened for writing, for any of the reasons */
static void only_reads(const char *name, int open_errno)
{
	uint32_t before = atoll(t_host("sum %s 0 %ld", name, 2 * PAGE));
	static char buf[2 * PAGE];
	char *p, *q;
	int fd;

	T_ERRNO(shm_open(name, O_RDWR, 0), open_errno);
	T_ERRNO(open(in_shm(name), O_WRONLY), open_errno);
	fd = shm_open(name, O_RDONLY, 0);
	T_ASSERT(fd >= 0);
	T_EQ(read(fd, buf, sizeof(buf)), sizeof(buf));
	T_EQ(t_sum(buf, sizeof(buf)), before);
	T_ERRNO(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0),
		EACCES);
	p = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	T_ASSERT(p != MAP_FAILED);
	T_EQ(t_sum(p, 2 * PAGE), before);
	T_ERRNO(mprotect(p, PAGE, PROT_READ | PROT_WRITE), EACCES);
	no_way_to_write(p);
	/* A private copy can be written. */
	q = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	T_ASSERT(q != MAP_FAILED);
	q[0] ^= 0xff;
	T_ASSERT(q[0] != p[0]);
	/* The host can still write. */
	t_host("write %s 1 77", name);
	T_EQ(p[1], 0x77);
	t_host("write %s 1 %02x", name, (unsigned char)buf[1]);
	T_EQ(atoll(t_host("sum %s 0 %ld", name, 2 * PAGE)), before);
}

T_TEST(read_only_device)
{
	const char *name = fs_object("a", 2 * PAGE, 2);
	int fd;

	fs_mount(READONLY);
	only_reads(name, EACCES);
	T_ERRNO(truncate(in_shm(name), 0), EROFS);
	T_ERRNO(shm_unlink(name), EROFS);
	fd = open("/dev/vmshm2", O_RDWR);
	T_ASSERT(fd >= 0);
	T_ERRNO(ioctl(fd, 0, name), EACCES);
	close(fd);
	fd = open("/dev/vmshm2", O_RDONLY);
	T_EQ(ioctl(fd, 0, name), 0);
}

T_TEST(object_that_qemu_may_not_write)
{
	const char *name = fs_object("a", 2 * PAGE, 4);
	static char buf[2 * PAGE];
	char *p;
	int fd;

	fs_mount(PLAIN);
	t_host("mode %s 444", name);
	T_ERRNO(shm_open(name, O_RDWR, 0), EACCES);
	fd = fs_open(name, O_RDONLY);
	T_EQ(read(fd, buf, sizeof(buf)), sizeof(buf));
	fs_same(name, buf, sizeof(buf));
	p = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	T_ASSERT(p != MAP_FAILED);
	fs_same(name, p, 2 * PAGE);
	no_way_to_write(p);
	/* A new mode does not concern files that are open. */
	t_host("mode %s 644", name);
	T_ERRNO(mprotect(p, PAGE, PROT_READ | PROT_WRITE), EACCES);
	no_way_to_write(p);
	munmap(p, 2 * PAGE);
	close(fd);
	p = fs_map(name, 2 * PAGE);
	p[0] ^= 1;
	fs_same(name, p, 2 * PAGE);
}

/* Waits for the word 1 with the value 0. */
static void waits(int fd)
{
	struct vmshm_ioc_wait wait = { .offset = 4, .deadline = -1 };

	T_EQ(ioctl(fd, VMSHM_IOC_WAIT, &wait), 0);
	_exit(0);
}

/*
 * The host allows writing while the object is open for reading. The next open
 * for writing then succeeds, and existing mappings, pages and waits go on.
 */
T_TEST(object_that_qemu_may_write_later)
{
	const char *name = fs_object("a", 3 * MIB, 14);
	struct vmshm_ioc_word word = { .offset = 8 };
	struct pollfd polled = { .events = POLLIN };
	struct iovec iov = { .iov_len = 100 };
	char *reader, *writer, *copy, bytes[100];
	int fd, pipes[2];
	pid_t pid;

	fs_mount(CREATE);
	t_host("write %s 0 000000000000000000000000", name);
	t_host("mode %s 444", name);
	T_ERRNO(shm_open(name, O_RDWR, 0), EACCES);
	fd = fs_open(name, O_RDONLY);
	T_ERRNO(shm_open(name, O_RDWR, 0), EACCES);
	T_ERRNO(truncate(in_shm(name), 2 * MIB), EACCES);
	reader = mmap(NULL, 3 * MIB, PROT_READ, MAP_SHARED, fd, 0);
	copy = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, PAGE);
	T_ASSERT(reader != MAP_FAILED && copy != MAP_FAILED);
	fs_same(name, reader, 3 * MIB);
	copy[0] = 5;
	/* A wait, a polled word and a pipe keep the page that is read-only. */
	pid = t_fork();
	if (!pid)
		waits(fd);
	t_host("waiting %s 4 1", name);
	polled.fd = fd;
	T_EQ(ioctl(fd, VMSHM_IOC_POLL, &word), 0);
	iov.iov_base = reader + 2 * PAGE;
	T_EQ(pipe(pipes), 0);
	T_EQ(vmsplice(pipes[1], &iov, 1, 0), 100);

	t_host("mode %s 644", name);
	writer = fs_map(name, 3 * MIB);
	memset(writer + PAGE, 7, 3 * MIB - PAGE);
	fs_same(name, writer, 3 * MIB);
	T_ASSERT(!memcmp(reader, writer, 3 * MIB));
	T_EQ(copy[0], 5);
	T_EQ(pread(fd, bytes, 1, MIB), 1);
	T_EQ(bytes[0], 7);
	no_way_to_write(reader + PAGE);
	T_EQ(read(pipes[0], bytes, 100), 100);
	T_EQ(bytes[99], 7);
	t_host("write %s 4 0100000001000000", name);
	t_host("wake %s 4 1", name);
	t_host("wake %s 8 1", name);
	t_wait(pid);
	T_EQ(poll(&polled, 1, -1), 1);
	T_EQ(truncate(in_shm(name), 2 * MIB), 0);
	T_EQ(t_read_faults(reader + 2 * MIB), 1);
	T_EQ(t_write_faults(writer + 2 * MIB), 1);
	writer[0] = 3;
	T_EQ(reader[0], 3);
	/* All is detached after the last close. */
	munmap(reader, 3 * MIB);
	munmap(writer, 3 * MIB);
	munmap(copy, PAGE);
	close(pipes[0]);
	close(pipes[1]);
	close(fd);
	while (fs_mapped(name))
		sched_yield();
}

/* The same by chmod(2) in the guest, of an object that is empty */
T_TEST(empty_object_that_qemu_may_write_later)
{
	const char *name = fs_new("a", 0);
	int fd, fd2;
	char byte;

	fs_mount(CREATE);
	t_host("mode %s 400", name);
	fd = fs_open(name, O_RDONLY);
	T_ERRNO(shm_open(name, O_RDWR, 0), EACCES);
	T_EQ(fchmod(fd, 0600), 0);
	fd2 = fs_open(name, O_RDWR);
	T_EQ(write(fd2, "x", 1), 1);
	T_EQ(pread(fd, &byte, 1, 0), 1);
	T_EQ(byte, 'x');
	close(fd2);
	/* The name belongs to another object by now. */
	T_EQ(unlink(in_shm(name)), 0);
	t_host("create %s 10 444", name);
	T_ERRNO(shm_open(name, O_RDWR, 0), EACCES);
}

T_TEST(object_that_qemu_may_not_read)
{
	const char *name = fs_object("a", PAGE, 5);
	struct stat st;

	fs_mount(PLAIN);
	t_host("mode %s 000", name);
	T_ERRNO(shm_open(name, O_RDONLY, 0), EACCES);
	T_ERRNO(shm_open(name, O_RDWR, 0), EACCES);
	T_ASSERT(stat(in_shm(name), &st) == -1);
	T_EQ(errno, EACCES);
	t_host("mode %s 600", name);
	T_ASSERT(fs_map(name, PAGE));
}

T_TEST(read_only_mount)
{
	const char *name = fs_object("a", 2 * PAGE, 6);

	fs_private();
	T_EQ(mount("vmshm0", "/dev/shm", "vmshm", MS_RDONLY, NULL), 0);
	only_reads(name, EROFS);
	T_ERRNO(shm_open(t_name("new"), O_CREAT | O_RDWR, 0600), EROFS);
	T_ERRNO(shm_unlink(name), EROFS);
	T_ERRNO(rename(in_shm(name), in_shm(t_name("new"))), EROFS);
	T_ERRNO(truncate(in_shm(name), 0), EROFS);
	T_EQ(mount(NULL, "/dev/shm", NULL, MS_REMOUNT, NULL), 0);
	T_EQ(truncate(in_shm(name), 0), 0);
}

static void become(uid_t uid, gid_t gid)
{
	T_EQ(setgroups(0, NULL), 0);
	T_EQ(setgid(gid), 0);
	T_EQ(setuid(uid), 0);
}

/* A request that compares the word with a value needs read permission. */
static void requests_need(int fd, int reads, int writes)
{
	struct vmshm_ioc_word word = { .expected = 1 };
	struct vmshm_ioc_wait wait = { .expected = 1 };
	struct vmshm_ioc_wake wake = { .count = 1 };
	struct vmshm_ioc_wake_wait both = { .expected = 1 };

	T_ASSERT(fd >= 0);
	T_ERRNO(ioctl(fd, VMSHM_IOC_WAIT, &wait), reads ? EAGAIN : EBADF);
	T_ERRNO(ioctl(fd, VMSHM_IOC_WAKE_WAIT, &both), reads ? EAGAIN : EBADF);
	T_ERRNO(ioctl(fd, VMSHM_IOC_HOLD, &word),
		reads && writes ? EAGAIN : EBADF);
	if (reads)
		T_EQ(ioctl(fd, VMSHM_IOC_POLL, &word), 0);
	else
		T_ERRNO(ioctl(fd, VMSHM_IOC_POLL, &word), EBADF);
	T_EQ(ioctl(fd, VMSHM_IOC_WAKE, &wake), 0);
	close(fd);
}

T_TEST(requests_on_words)
{
	const char *name = fs_new("a", PAGE);
	int mode;

	fs_mount(CREATE);
	for (mode = O_RDONLY; mode <= O_RDWR; mode++) {
		int node = open("/dev/vmshm0", mode);

		T_EQ(ioctl(node, VMSHM_IOC_ATTACH, name), 0);
		requests_need(node, mode != O_WRONLY, mode != O_RDONLY);
		requests_need(open(in_shm(name), mode), mode != O_WRONLY,
			      mode != O_RDONLY);
	}
}

/* Permission bits and owner are those of the host. */
T_TEST(permission_bits)
{
	const char *name = fs_object("a", PAGE, 7);
	struct stat st;
	pid_t pid;

	fs_mount(PLAIN);
	t_host("mode %s 640", name);
	if (!t_host_try("owner %s 0 1234", name))
		t_skip("the host's user cannot give objects away");
	T_EQ(stat(in_shm(name), &st), 0);
	T_EQ(st.st_mode & 07777, 0640);
	T_EQ(st.st_uid, 0);
	T_EQ(st.st_gid, 1234);
	pid = t_fork();
	if (pid == 0) {
		become(1000, 1234);
		T_ERRNO(shm_open(name, O_RDWR, 0), EACCES);
		T_ASSERT(shm_open(name, O_RDONLY, 0) >= 0);
		_exit(0);
	}
	t_wait(pid);
	pid = t_fork();
	if (pid == 0) {
		become(1000, 1000);
		T_ERRNO(shm_open(name, O_RDWR, 0), EACCES);
		T_ERRNO(shm_open(name, O_RDONLY, 0), EACCES);
		_exit(0);
	}
	t_wait(pid);
}

/*
 * The guest has cached the mode 666, which the host has changed. An open that
 * attaches without a new look-up has to see the new mode.
 */
T_TEST(mode_that_was_changed_meanwhile)
{
	const char *name = fs_object("a", PAGE, 10);
	struct stat st;
	pid_t pid;

	fs_mount(CREATE);
	t_host("mode %s 666", name);
	close(fs_open(name, O_RDWR));
	t_host("mode %s 644", name);
	pid = t_fork();
	if (pid == 0) {
		become(65534, 65534);
		T_ERRNO(open(in_shm(name), O_RDONLY | O_TRUNC), EACCES);
		_exit(0);
	}
	t_wait(pid);
	T_EQ(stat(in_shm(name), &st), 0);
	T_EQ(st.st_size, PAGE);
}

enum { RACE_OBJECTS = 60, RACE_USERS = 4 };

/* Each process opens each object, as far as possible at the same time. */
static void opens_all(char names[][64], int *arrived)
{
	int i;

	become(65534, 65534);
	for (i = 0; i < RACE_OBJECTS; i++) {
		__atomic_add_fetch(arrived, 1, __ATOMIC_SEQ_CST);
		while (__atomic_load_n(arrived, __ATOMIC_SEQ_CST) <
		       (i + 1) * RACE_USERS)
			sched_yield();
		T_ERRNO(open(names[i], O_RDONLY), EACCES);
	}
	_exit(0);
}

T_TEST(mode_that_was_changed_and_several_open)
{
	static char names[RACE_OBJECTS][64];
	pid_t pid[RACE_USERS];
	int i, *arrived;

	arrived = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	T_ASSERT(arrived != MAP_FAILED);
	fs_mount(CREATE);
	for (i = 0; i < RACE_OBJECTS; i++) {
		char tail[16];
		const char *name;

		snprintf(tail, sizeof(tail), "race-%d", i);
		name = fs_new(tail, PAGE);
		snprintf(names[i], sizeof(names[i]), "%s", in_shm(name));
		t_host("mode %s 666", name);
		close(fs_open(name, O_RDWR));
		t_host("mode %s 600", name);
	}
	for (i = 0; i < RACE_USERS; i++) {
		pid[i] = t_fork();
		if (pid[i] == 0)
			opens_all(names, arrived);
	}
	for (i = 0; i < RACE_USERS; i++)
		t_wait(pid[i]);
	for (i = 0; i < RACE_OBJECTS; i++)
		T_EQ(unlink(names[i]), 0);
}

/* Sets the mode as root, and continues as another user. */
static void host_mode(const char *name, const char *mode)
{
	T_EQ(seteuid(0), 0);
	t_host("mode %s %s", name, mode);
	T_EQ(setgroups(0, NULL), 0);
	T_EQ(setresgid(-1, 65534, -1), 0);
	T_EQ(seteuid(65534), 0);
}

/*
 * An open file can be opened again through /proc, which looks up no name. The
 * permission is that of now, whether the object is attached or not.
 */
T_TEST(mode_that_was_changed_before_an_open_through_proc)
{
	const char *name = fs_object("a", PAGE, 11);
	char path[2][32];
	struct stat st;
	int i, fd[2];
	char byte;

	fs_mount(CREATE);
	host_mode(name, "666");
	fd[0] = open(in_shm(name), O_PATH);
	snprintf(path[0], sizeof(path[0]), "/proc/self/fd/%d", fd[0]);
	T_EQ(close(open(path[0], O_RDWR)), 0);
	host_mode(name, "600");
	T_ERRNO(open(path[0], O_RDWR), EACCES);
	host_mode(name, "666");
	fd[1] = open(in_shm(name), O_RDONLY);
	T_ASSERT(fd[1] >= 0);
	snprintf(path[1], sizeof(path[1]), "/proc/self/fd/%d", fd[1]);
	host_mode(name, "600");
	for (i = 0; i < 2; i++) {
		T_ERRNO(open(path[i], O_RDWR), EACCES);
		T_ERRNO(open(path[i], O_RDONLY), EACCES);
		T_ERRNO(open(path[i], O_RDONLY | O_TRUNC), EACCES);
	}
	/* The open file itself stays open. */
	T_EQ(pread(fd[1], &byte, 1, 0), 1);
	host_mode(name, "644");
	T_EQ(fstat(fd[1], &st), 0);
	T_EQ(st.st_size, PAGE);
	T_ERRNO(open(path[1], O_RDWR), EACCES);
	T_ASSERT(open(path[1], O_RDONLY) >= 0);
}

static void list_shm(void)
{
	DIR *dir = opendir("/dev/shm");

	T_ASSERT(dir);
	while (readdir(dir))
		;
	closedir(dir);
}

/* What a listing has read is too old for a permission. */
T_TEST(mode_that_was_changed_after_a_listing)
{
	const char *name = fs_object("a", PAGE, 12);
	struct stat st;

	fs_mount(CREATE);
	host_mode(name, "666");
	list_shm();
	host_mode(name, "600");
	T_ERRNO(truncate(in_shm(name), 0), EACCES);
	host_mode(name, "666");
	list_shm();
	host_mode(name, "600");
	T_ERRNO(utimensat(AT_FDCWD, in_shm(name), NULL, 0), EACCES);
	host_mode(name, "666");
	T_EQ(utimensat(AT_FDCWD, in_shm(name), NULL, 0), 0);
	T_EQ(truncate(in_shm(name), 2 * PAGE), 0);
	T_EQ(stat(in_shm(name), &st), 0);
	T_EQ(st.st_size, 2 * PAGE);
}

/*
 * Creates and removes the object on another mount, as processes of the host do.
 */
static void create_again_and_again(const char *path)
{
	for (;;) {
		int fd = open(path, O_CREAT | O_EXCL | O_RDWR, 0600);

		if (fd >= 0)
			close(fd);
		/* Also an object that the other process has created */
		unlink(path);
	}
}

/*
 * open(O_CREAT) finds an object that did not exist a moment before, and checks
 * the permissions. An object that the call itself has created has another mode.
 */
static void opens_only_its_own(const char *path)
{
	int i, refused = 0;

	umask(0);
	become(65534, 65534);
	for (i = 0; i < 2000; i++) {
		int fd = open(path, O_CREAT | O_RDWR, 0666);
		struct stat st;

		if (fd < 0) {
			/* ESTALE: it was removed and created twice */
			T_ASSERT(errno == EACCES || errno == ESTALE);
			refused += errno == EACCES;
			continue;
		}
		T_EQ(fstat(fd, &st), 0);
		T_EQ(st.st_mode & 0777, 0666);
		close(fd);
	}
	T_ASSERT(refused);
}

T_TEST(create_gives_no_right_to_what_others_created)
{
	const char *name = t_name("race");
	pid_t creator[6], user;
	int i;

	fs_mount(CREATE);
	fs_mount_at(CREATE, "/tmp/other", NULL);
	/*
	 * Several processes, so that one acts between the user's look-up and
	 * create
	 */
	for (i = 0; i < 6; i++) {
		creator[i] = t_fork();
		if (creator[i] == 0)
			create_again_and_again(fs_path("/tmp/other", name));
	}
	user = t_fork();
	if (user == 0) {
		opens_only_its_own(in_shm(name));
		_exit(0);
	}
	t_wait(user);
	for (i = 0; i < 6; i++) {
		kill(creator[i], SIGKILL);
		waitpid(creator[i], NULL, 0);
	}
	t_host("unlink %s", name);
}

/* Users that remove and replace a name through separate mounts */
static void take_names_away(const char *dir, const char *name, int what)
{
	const char *path = fs_path(dir, name);
	char other[200];
	int fd;

	snprintf(other, sizeof(other), "%s-%d", path, what);
	become(65534, 65534);
	for (;;) {
		switch (what) {
		case 0:
			unlink(path);
			break;
		case 1:
			fd = open(path, O_CREAT | O_EXCL | O_RDWR, 0600);
			close(fd);
			break;
		case 2:
			close(open(other, O_CREAT | O_RDWR, 0600));
			rename(other, path);
			break;
		default:
			rename(path, other);
		}
	}
}

enum { NAME_USERS = 4 };

/*
 * Names are protected as on tmpfs with the sticky bit, also if there are
 * several mounts.
 */
T_TEST(names_of_others_stay)
{
	const char *name = t_name("sticky"), *path = in_shm(name);
	pid_t user[NAME_USERS];
	struct stat mine, st;
	char dir[16];
	int i, fd, made = 0;

	fs_mount(CREATE);
	for (i = 0; i < NAME_USERS; i++) {
		snprintf(dir, sizeof(dir), "/tmp/user-%d", i);
		fs_mount_at(CREATE, dir, NULL);
		user[i] = t_fork();
		if (user[i] == 0)
			take_names_away(dir, name, i);
	}
	while (made < 400) {
		fd = open(path, O_CREAT | O_EXCL | O_RDWR, 0600);
		if (fd < 0) {
			/* Root may remove it. */
			unlink(path);
			continue;
		}
		made++;
		T_EQ(fstat(fd, &mine), 0);
		for (i = 0; i < 3; i++) {
			T_EQ(stat(path, &st), 0);
			T_EQ(st.st_ino, mine.st_ino);
			T_EQ(st.st_uid, 0);
		}
		T_EQ(unlink(path), 0);
		close(fd);
	}
	for (i = 0; i < NAME_USERS; i++) {
		kill(user[i], SIGKILL);
		waitpid(user[i], NULL, 0);
		t_host("unlink %s-%d", name, i);
	}
	t_host("unlink %s", name);
}

/* A user that is root of its own namespaces has no right to others' objects. */
T_TEST(root_of_a_user_namespace)
{
	const char *path = in_shm(fs_object("theirs", PAGE, 8));
	pid_t pid;

	fs_mount(CREATE);
	pid = t_fork();
	if (pid == 0) {
		T_EQ(setgroups(0, NULL), 0);
		T_EQ(setgid(65534), 0);
		T_EQ(setuid(65534), 0);
		T_EQ(prctl(PR_SET_DUMPABLE, 1), 0);
		T_EQ(unshare(CLONE_NEWUSER | CLONE_NEWNS), 0);
		kernfile_put("/proc/self/uid_map", "0 65534 1");
		T_EQ(getuid(), 0);
		T_EQ(mount("/dev/shm", "/dev/shm", NULL, MS_BIND, NULL), 0);
		T_ERRNO(open(path, O_RDONLY), EACCES);
		T_ERRNO(open(path, O_RDWR | O_CREAT, 0666), EACCES);
		T_ERRNO(truncate(path, 0), EACCES);
		T_ERRNO(chmod(path, 0666), EPERM);
		T_ERRNO(chown(path, 0, -1), EPERM);
		T_ERRNO(unlink(path), EPERM);
		T_ERRNO(rename(path, in_shm(t_name("mine"))), EPERM);
		T_ERRNO(mount(NULL, "/dev/shm", NULL, MS_REMOUNT, "uid=0"),
			EPERM);
		_exit(0);
	}
	t_wait(pid);
	T_EQ(access(path, F_OK), 0);
}

/* Permission bits and owner are those of the mount options. */
T_TEST(mount_options)
{
	const char *name = fs_object("a", PAGE, 8);
	struct stat st;
	pid_t pid;
	int fd;

	fs_private();
	fs_mount_at(CREATE, "/dev/shm", "uid=1000,gid=2000,mode=0604");
	T_EQ(t_system("grep -q '/dev/shm vmshm .*uid=1000,gid=2000,mode=604' "
		      "/proc/mounts"),
	     0);
	T_EQ(stat("/dev/shm", &st), 0);
	T_EQ(st.st_uid, 1000);
	T_EQ(st.st_gid, 2000);
	fd = fs_open(name, O_RDWR);
	T_EQ(fstat(fd, &st), 0);
	T_EQ(st.st_mode & 07777, 0604);
	T_EQ(st.st_uid, 1000);
	T_EQ(st.st_gid, 2000);
	pid = t_fork();
	if (pid == 0) {
		become(1000, 1);
		T_ASSERT(shm_open(name, O_RDWR, 0) >= 0);
		T_EQ(truncate(in_shm(name), 100), 0);
		T_EQ(shm_unlink(name), 0);
		_exit(0);
	}
	t_wait(pid);
	name = fs_object("a", PAGE, 9);
	pid = t_fork();
	if (pid == 0) {
		become(3000, 2000);
		T_ERRNO(shm_open(name, O_RDONLY, 0), EACCES);
		_exit(0);
	}
	t_wait(pid);
	pid = t_fork();
	if (pid == 0) {
		become(3000, 3000);
		T_ASSERT(shm_open(name, O_RDONLY, 0) >= 0);
		T_ERRNO(shm_open(name, O_RDWR, 0), EACCES);
		/* As in /dev/shm: only the owner removes it */
		T_ERRNO(unlink(in_shm(name)), EPERM);
		_exit(0);
	}
	t_wait(pid);
	/* Another test may have created the directory. */
	T_ASSERT(!mkdir("/mnt", 0755) || errno == EEXIST);
	T_ERRNO(mount("vmshm0", "/mnt", "vmshm", 0, "uid=-1"), EINVAL);
}

/* A name that the policy refuses looks like one that does not exist. */
static void is_hidden(const char *name)
{
	struct stat st;
	int fd = open("/dev/vmshm4", O_RDWR);

	T_ERRNO(stat(in_shm(name), &st), ENOENT);
	T_ERRNO(shm_open(name, O_RDWR, 0), ENOENT);
	T_ERRNO(shm_open(name, O_RDONLY, 0), ENOENT);
	T_ERRNO(shm_open(name, O_RDWR | O_CREAT, 0600), EROFS);
	T_ERRNO(shm_unlink(name), ENOENT);
	T_ERRNO(ioctl(fd, 0, name), ENOENT);
	T_EQ(fs_listed(name), 0);
	close(fd);
}

T_TEST(policy)
{
	static const char *const allowed[] = { "yes", "yes-1", "maybe",
					       "maybe-x" };
	static const char *const refused[] = { "no",	   "ye",  "yes-secret",
					       "maybe-1x", "Yes", "xyes" };
	size_t i;
	int fd;

	fs_mount(POLICY);
	for (i = 0; i < sizeof(allowed) / sizeof(*allowed); i++) {
		const char *name = fs_object(allowed[i], PAGE, i);

		fs_same(name, fs_map(name, PAGE), PAGE);
		T_EQ(fs_listed(name), 1);
		fd = open("/dev/vmshm4", O_RDWR);
		T_EQ(ioctl(fd, 0, name), 0);
		close(fd);
	}
	for (i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		const char *name = fs_object(refused[i], PAGE, i);

		is_hidden(name);
		t_host("unlink %s", name);
		is_hidden(name);
	}
}

T_TEST(policy_prefix)
{
	const char *in = fs_object("in-p", PAGE, 10);
	const char *out = fs_object("out", PAGE, 11);
	int fd = open("/dev/vmshm5", O_RDWR);

	fs_mount(PREFIX);
	fs_same(in, fs_map("/p", PAGE), PAGE);
	T_EQ(fs_listed("/p"), 1);
	T_EQ(fs_listed(in), 0);
	T_EQ(fs_listed(out), 0);
	T_ERRNO(shm_open(in, O_RDWR, 0), ENOENT);
	T_ERRNO(shm_open(out, O_RDWR, 0), ENOENT);
	T_ERRNO(ioctl(fd, 0, out), ENOENT);
	T_EQ(ioctl(fd, 0, "/p"), 0);
}

/* max-objects=8,max-bytes=1M */
T_TEST(limits)
{
	int fd[8], i;
	char tail[8];

	fs_mount(LIMITED);
	t_host("many %s 10 4096", t_name("l"));
	for (i = 0; i < 8; i++) {
		snprintf(tail, sizeof(tail), "l%d", i);
		fd[i] = fs_open(t_name(tail), O_RDWR);
	}
	T_ERRNO(shm_open(t_name("l8"), O_RDWR, 0), ENFILE);
	/* An object that is already open can be opened again. */
	T_ASSERT(fs_open(t_name("l3"), O_RDWR) >= 0);
	close(fd[7]);
	T_ASSERT(fs_open(t_name("l8"), O_RDWR) >= 0);
	T_ERRNO(shm_open(t_name("l7"), O_RDWR, 0), ENFILE);
}

/* Objects that are open but not in use are detached for others. */
T_TEST(limit_of_bytes)
{
	const char *one = fs_object("one", MIB - PAGE, 12);
	const char *two = fs_object("two", 2 * PAGE, 13);
	const char *large = fs_object("large", 2 * MIB, 14);
	char *p, *q;
	int i;

	fs_mount(LIMITED);
	p = fs_map(one, MIB - PAGE);
	q = fs_map(two, 2 * PAGE);
	for (i = 0; i < 3; i++) {
		fs_same(one, p, MIB - PAGE);
		fs_same(two, q, 2 * PAGE);
	}
	fs_same(large, fs_map(large, 2 * MIB), 2 * MIB);
}
