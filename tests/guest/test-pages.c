/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mappings of files: memory like any other.
 *
 * qemu: -device vmshm,create=on
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "t.h"

static void mount_shm(void)
{
	/* Each test is a process: a mount of its own. */
	T_EQ(unshare(CLONE_NEWNS), 0);
	T_EQ(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	T_EQ(mount("vmshm0", "/dev/shm", "vmshm", 0, NULL), 0);
}

static char *map_shm(const char *name, size_t size, int *fd)
{
	char *p;

	*fd = shm_open(name, O_RDWR, 0);
	T_ASSERT(*fd >= 0);
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	T_ASSERT(p != MAP_FAILED);
	return p;
}

T_TEST(shm_open_and_mmap)
{
	const char *name = t_name("p1");
	struct stat st;
	char *p;
	int fd;

	mount_shm();
	t_host("create %s 3000000", name);
	t_host("write %s 2999990 68656c6c6f", name);
	p = map_shm(name, 3000000, &fd);
	T_EQ(fstat(fd, &st), 0);
	T_EQ(st.st_size, 3000000);
	T_EQ(memcmp(p + 2999990, "hello", 5), 0);
	memcpy(p + 4096, "guest", 5);
	T_ASSERT(!strcmp(t_host("read %s 4096 5", name), "6775657374"));
	T_EQ(munmap(p, 3000000), 0);
	close(fd);
}

T_TEST(process_shared_semaphore)
{
	const char *name = t_name("p2");
	sem_t *sem;
	int fd, status;
	pid_t pid;

	mount_shm();
	t_host("create %s 4096", name);
	sem = (sem_t *)map_shm(name, 4096, &fd);
	T_EQ(sem_init(sem, 1, 0), 0);
	pid = fork();
	if (!pid) {
		usleep(1000);
		_exit(sem_post(sem));
	}
	T_EQ(sem_wait(sem), 0);
	T_EQ(waitpid(pid, &status, 0), pid);
	T_EQ(status, 0);
}

T_TEST(vmsplice_keeps_the_page)
{
	const char *a = t_name("p3a"), *b = t_name("p3b");
	int fd, pipefd[2];
	char *p, buf[5];
	struct iovec iov;

	mount_shm();
	t_host("create %s 4096", a);
	t_host("create %s 4096", b);
	t_host("write %s 0 6f626a2d61", a);
	t_host("write %s 0 6f626a2d62", b);
	p = map_shm(a, 4096, &fd);
	T_EQ(pipe(pipefd), 0);
	iov.iov_base = p;
	iov.iov_len = 5;
	T_EQ(vmsplice(pipefd[1], &iov, 1, 0), 5);
	munmap(p, 4096);
	close(fd);
	p = map_shm(b, 4096, &fd);
	T_EQ(memcmp(p, "obj-b", 5), 0);
	T_EQ(read(pipefd[0], buf, 5), 5);
	T_EQ(memcmp(buf, "obj-a", 5), 0);
}

T_TEST(sem_open_creates)
{
	const char *name = t_name("p4");
	char host[256];
	sem_t *sem;

	mount_shm();
	sem = sem_open(name, O_CREAT | O_EXCL, 0600, 1);
	T_ASSERT(sem != SEM_FAILED);
	T_EQ(sem_wait(sem), 0);
	T_EQ(sem_post(sem), 0);
	T_EQ(sem_close(sem), 0);
	snprintf(host, sizeof(host), "/sem.%s", name + 1);
	T_EQ(sem_unlink(name), 0);
}

T_TEST(beyond_the_end_is_sigbus)
{
	const char *name = t_name("p5");
	int fd, status;
	volatile char *p;
	pid_t pid;

	mount_shm();
	t_host("create %s 4096", name);
	p = map_shm(name, 8192, &fd);
	pid = fork();
	if (!pid) {
		p[4096] = 1;
		_exit(0);
	}
	T_EQ(waitpid(pid, &status, 0), pid);
	T_EQ(WIFSIGNALED(status) ? WTERMSIG(status) : 0, SIGBUS);
	/* The host lets it grow. */
	t_host("truncate %s 8192", name);
	p[4096] = 1;
	T_ASSERT(!strcmp(t_host("read %s 4096 1", name), "01"));
}

T_TEST(unlinked_before_sized)
{
	const char *name = t_name("p6");
	char *p;
	int fd;

	mount_shm();
	fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
	T_ASSERT(fd >= 0);
	T_EQ(shm_unlink(name), 0);
	T_EQ(ftruncate(fd, 1 << 20), 0);
	p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	T_ASSERT(p != MAP_FAILED);
	memset(p, 7, 1 << 20);
	T_EQ(ftruncate(fd, 5000), 0);
	T_EQ(p[4999], 7);
	T_EQ(ftruncate(fd, 1 << 20), 0);
	T_EQ(p[4999], 7);
	T_EQ(p[5000], 0);
	T_EQ(p[100000], 0);
	p[100000] = 1;
	T_EQ(pread(fd, p, 1, 100000), 1);
	T_EQ(p[0], 1);
}
