/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Everything at once, by chance but always the same: the kernel has to live,
 * and in the end nothing may be left.
 *
 * qemu: files
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "t.h"

#include "dev.h"
#include "fs.h"

#define PROCESSES 8
#define NAMES 5
#define SECONDS 3
#define LARGEST (6 * MIB)

static sigjmp_buf jump;

static void on_fault(int sig)
{
	(void)sig;
	siglongjmp(jump, 1);
}

/* Accesses memory in several ways; a signal is a valid result. */
static void use(char *p, size_t size, unsigned int *seed)
{
	size_t i, at = rand_r(seed) % size, len = rand_r(seed) % (size - at);
	volatile char sum = 0;
	pid_t pid;

	if (sigsetjmp(jump, 1))
		return;
	switch (rand_r(seed) % 6) {
	case 0:
		memset(p + at, *seed, len);
		break;
	case 1:
		for (i = at; i < at + len; i += 1000)
			sum += p[i];
		break;
	case 2:
		madvise(p, size, MADV_DONTNEED);
		break;
	case 3:
		mprotect(p, PAGE, PROT_READ);
		break;
	case 4:
		munmap(p + (at & ~(PAGE - 1)), PAGE);
		break;
	case 5:
		pid = fork();
		if (pid == 0) {
			p[at]++;
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
}

static void a_pipe(char *p, size_t size, unsigned int *seed)
{
	struct iovec iov = { p + rand_r(seed) % size / PAGE * PAGE, 100 };
	static int fds[2] = { -1, -1 };
	char buf[100];

	if (fds[0] < 0)
		T_EQ(pipe(fds), 0);
	if (vmsplice(fds[1], &iov, 1, SPLICE_F_NONBLOCK) > 0 &&
	    rand_r(seed) % 2)
		T_ASSERT(read(fds[0], buf, sizeof(buf)) > 0);
	/* Sometimes the pages stay in the pipe until a later round. */
	if (rand_r(seed) % 8 == 0) {
		close(fds[0]);
		close(fds[1]);
		fds[0] = -1;
	}
}

static void step(const char *const names[], unsigned int *seed, char *buf)
{
	const char *dir = rand_r(seed) % 2 ? "/dev/shm" : "/mnt";
	const char *name = names[rand_r(seed) % NAMES];
	char path[300], other[300];
	size_t size;
	char *p;
	int fd;

	snprintf(path, sizeof(path), "%s%s", dir, name);
	snprintf(other, sizeof(other), "%s%s", dir,
		 names[rand_r(seed) % NAMES]);
	fd = open(path, O_RDWR | (rand_r(seed) % 2 ? O_CREAT : 0), 0600);
	if (fd < 0)
		return;
	size = rand_r(seed) % LARGEST + 1;
	if (rand_r(seed) % 3 == 0)
		T_EQ(ftruncate(fd, size), 0);
	p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		 rand_r(seed) % 8 ? MAP_SHARED : MAP_PRIVATE, fd, 0);
	T_ASSERT(p != MAP_FAILED);
	use(p, size, seed);
	a_pipe(p, size, seed);
	switch (rand_r(seed) % 8) {
	case 0:
		unlink(path);
		break;
	case 1:
		rename(path, other);
		break;
	case 2:
		link(path, other);
		break;
	case 3:
		pread(fd, buf, MIB, rand_r(seed) % size);
		break;
	case 4:
		pwrite(fd, buf, rand_r(seed) % MIB, rand_r(seed) % size);
		break;
	case 5:
		fallocate(fd, 0, rand_r(seed) % size, 1 + rand_r(seed) % MIB);
		break;
	case 6:
		close(open(other, O_RDWR | O_TRUNC));
		break;
	case 7:
		close(fd);
		fd = open("/dev/vmshm0", O_RDWR);
		if (ioctl(fd, 0, name) == 0) {
			char *q = fs_map_at(fd, 0, MIB);

			use(q, MIB, seed);
			munmap(q, MIB);
		}
	}
	use(p, size, seed);
	munmap(p, size);
	close(fd);
}

T_TEST(everything_at_once)
{
	const char *names[NAMES];
	pid_t pids[PROCESSES];
	char *buf = malloc(MIB);
	char tail[8];
	int i;

	for (i = 0; i < NAMES; i++) {
		snprintf(tail, sizeof(tail), "s%d", i);
		names[i] = fs_new(tail, i * MIB);
	}
	fs_private();
	fs_mount_at(CREATE, "/dev/shm", NULL);
	fs_mount_at(CREATE, "/mnt", NULL);
	for (i = 0; i < PROCESSES; i++) {
		time_t end = time(NULL) + SECONDS;
		unsigned int seed = i;

		pids[i] = t_fork();
		if (pids[i])
			continue;
		signal(SIGBUS, on_fault);
		signal(SIGSEGV, on_fault);
		while (time(NULL) < end)
			step(names, &seed, buf);
		_exit(0);
	}
	for (i = 0; i < PROCESSES; i++)
		t_wait(pids[i]);
	while (atol(t_host("mapped_all")))
		sched_yield();
	T_EQ(umount("/mnt"), 0);
	T_EQ(umount("/dev/shm"), 0);
}
