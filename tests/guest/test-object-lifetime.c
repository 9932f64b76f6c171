// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An object stays attached as long as it is in use, and not longer.
 *
 * qemu: -device vmshm,id=vmshm0
 * qemu 2010: -device vmshm,id=vmshm0,arena=0
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "t.h"

#include "dev.h"

/* Ready and go between parent and child, one byte each */
static int pair[2];

static void make_pair(void)
{
	T_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
}

static void say(int side)
{
	T_EQ(write(pair[side], "", 1), 1);
}

static void hear(int side)
{
	char byte;

	T_EQ(read(pair[side], &byte, 1), 1);
}

T_TEST(close_before_munmap)
{
	const char *one = dev_object("one", MIB, 1);
	const char *two = dev_object("two", MIB, 2);
	int fd, fd2 = dev_open(0);
	char *p = dev_attach(0, one, &fd);

	close(fd);
	T_EQ(dev_mapped(one), 1);
	T_EQ(t_sum(p, MIB), atoll(t_host("sum %s 0 %ld", one, MIB)));
	if (!dev_has_arena(0))
		T_ERRNO(ioctl(fd2, 0, two), EBUSY);
	T_EQ(munmap(p, MIB), 0);
	T_EQ(dev_mapped(one), 0);
	T_EQ(ioctl(fd2, 0, two), 0);
}

T_TEST(munmap_before_close)
{
	const char *name = dev_object("o", MIB, 3);
	int fd;
	char *p = dev_attach(0, name, &fd);

	T_EQ(munmap(p, MIB), 0);
	T_EQ(dev_mapped(name), 1);
	p = dev_map(fd, 0, MIB);
	T_EQ(t_sum(p, MIB), atoll(t_host("sum %s 0 %ld", name, MIB)));
	T_EQ(munmap(p, MIB), 0);
	close(fd);
	T_EQ(dev_mapped(name), 0);
}

T_TEST(munmap_in_parts)
{
	static const int order[] = { 3, 0, 7, 5, 1, 6, 2, 4 };
	const char *name = dev_object("o", MIB, 4);
	int fd, i, j;
	char *p = dev_attach(0, name, &fd);

	close(fd);
	for (i = 0; i < 8; i++) {
		T_EQ(dev_mapped(name), 1);
		for (j = i; j < 8; j++)
			p[order[j] * MIB / 8] ^= 1;
		T_EQ(munmap(p + order[i] * MIB / 8, MIB / 8), 0);
	}
	T_EQ(dev_mapped(name), 0);
}

T_TEST(dup_is_a_user)
{
	const char *name = dev_object("o", MIB, 5);
	int fd = dev_open(0), fd2 = dup(fd);

	T_EQ(ioctl(fd, 0, name), 0);
	close(fd);
	T_EQ(dev_mapped(name), 1);
	dev_map(fd2, 0, MIB)[0] = 1;
	T_EQ(ioctl(fd2, 0, name), 0);
}

T_TEST(fork_is_a_user)
{
	const char *name = dev_object("o", MIB, 6);
	int fd;
	char *touched = dev_attach(0, name, &fd);
	char *fresh = dev_map(fd, 0, MIB);
	pid_t pid;

	touched[0] = 'p';
	make_pair();
	pid = t_fork();
	if (pid == 0) {
		hear(1);
		close(fd);
		T_EQ(touched[0], 'p');
		T_EQ(fresh[0], 'p');
		fresh[1] = 'c';
		say(1);
		hear(1);
		T_EQ(touched[2], 'h');
		_exit(0);
	}
	munmap(touched, MIB);
	munmap(fresh, MIB);
	close(fd);
	say(0);
	hear(0);
	T_EQ(dev_mapped(name), 1);
	T_ASSERT(!strcmp(t_host("read %s 1 1", name), "63"));
	t_host("write %s 2 68", name);
	say(0);
	t_wait(pid);
	T_EQ(dev_mapped(name), 0);
}

T_TEST(kill_9)
{
	const char *one = dev_object("one", MIB, 7);
	const char *two = dev_object("two", MIB, 8);
	volatile char *p;
	pid_t pid;
	int fd, i;

	make_pair();
	for (i = 0; i < 20; i++) {
		pid = t_fork();
		if (pid == 0) {
			p = dev_attach(0, i % 2 ? one : two, &fd);
			say(1);
			for (;;)
				p[i * PAGE]++;
		}
		hear(0);
		T_EQ(kill(pid, SIGKILL), 0);
		T_EQ(waitpid(pid, NULL, 0), pid);
	}
	T_EQ(dev_mapped(one), 0);
	T_EQ(dev_mapped(two), 0);
}

T_TEST(execve_ends_a_mapping)
{
	const char *name = dev_object("o", MIB, 9);
	int status, fd;
	pid_t pid;

	make_pair();
	pid = t_fork();
	if (pid == 0) {
		dev_attach(0, name, &fd)[0] = 1;
		T_EQ(dup2(pair[1], 0), 0);
		T_EQ(dup2(pair[1], 1), 1);
		/* cat echoes each byte until the end of file. */
		execlp("cat", "cat", NULL);
		_exit(1);
	}
	close(pair[1]);
	say(0);
	hear(0);
	T_EQ(dev_mapped(name), 0);
	shutdown(pair[0], SHUT_WR);
	T_EQ(waitpid(pid, &status, 0), pid);
}

static int module_users(void)
{
	FILE *f = fopen("/sys/module/vmshm/refcnt", "r");
	int n;

	T_ASSERT(f && fscanf(f, "%d", &n) == 1);
	fclose(f);
	return n;
}

T_TEST(rmmod)
{
	const char *name = dev_object("o", MIB, 10);
	int fd;
	char *p = dev_attach(0, name, &fd);

	T_ASSERT(t_system("rmmod vmshm 2>/dev/null"));
	close(fd);
	T_ASSERT(t_system("rmmod vmshm 2>/dev/null"));
	T_EQ(t_sum(p, MIB), atoll(t_host("sum %s 0 %ld", name, MIB)));
	munmap(p, MIB);
	T_EQ(module_users(), 0);
	T_EQ(t_system("rmmod vmshm"), 0);
	dev_wait(0, 0);
	T_EQ(t_system("insmod /vmshm.ko"), 0);
	dev_wait(0, 1);
	dev_attach(0, name, &fd)[0] = 1;
}

T_TEST(thousand_times)
{
	const char *one = dev_object("one", 10 * PAGE, 11);
	const char *two = dev_object("two", MIB, 12);
	int fd, i;

	for (i = 0; i < 1000; i++) {
		char *p = dev_attach(0, i % 2 ? one : two, &fd);

		p[i] ^= 1;
		/* The mapping is removed before the close, or after it. */
		if (i % 3)
			munmap(p, MIB);
		close(fd);
		if (i % 3 == 0)
			munmap(p, MIB);
	}
	T_EQ(dev_mapped(one), 0);
	T_EQ(dev_mapped(two), 0);
	T_EQ(module_users(), 0);
}

/* Processes that ask for different names: each has its own, or EBUSY. */
T_TEST(race_of_names)
{
	const char *name[2] = { dev_object("one", MIB, 13),
				dev_object("two", MIB, 14) };
	pid_t pids[4];
	int i, fd, fd2, arena = dev_has_arena(0);
	char mark[2];

	for (i = 0; i < 2; i++)
		mark[i] = strtol(t_host("read %s 0 1", name[i]), NULL, 16);
	T_ASSERT(mark[0] != mark[1]);
	for (i = 0; i < 4; i++) {
		int got = 0, tries = 0;

		pids[i] = t_fork();
		if (pids[i])
			continue;
		while (got < 100) {
			T_ASSERT(++tries < 1000000);
			fd = dev_open(0);
			if (ioctl(fd, 0, name[i % 2]) == 0) {
				char *p = dev_map(fd, 0, PAGE);

				T_EQ(p[0], mark[i % 2]);
				close(fd);
				T_EQ(p[0], mark[i % 2]);
				munmap(p, PAGE);
				got++;
			} else {
				T_EQ(errno, EBUSY);
				T_ASSERT(!arena);
				close(fd);
			}
		}
		_exit(0);
	}
	for (i = 0; i < 4; i++)
		t_wait(pids[i]);
	T_EQ(dev_mapped(name[0]), 0);
	T_EQ(dev_mapped(name[1]), 0);
	dev_attach(0, name[0], &fd2);
}
