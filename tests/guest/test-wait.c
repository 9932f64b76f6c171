/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Waiting and waking across the border: the ioctls of <vmshm/ioctl.h> here,
 * futex(2) on the host.
 *
 * qemu: -device vmshm
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <vmshm/ioctl.h>

#include "t.h"

#define SLOTS 96

static int fd;

static const char *t_path(const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "/dev/shm%s", name);
	return path;
}

/* The name of an object of this test alone, which is a process. */
static const char *new_name(void)
{
	char tail[32];

	snprintf(tail, sizeof(tail), "w%d", getpid());
	return t_name(tail);
}

/* The words of a new object of the host, mapped through the file system. */
static volatile int *map_words(const char *name)
{
	volatile int *words;

	T_EQ(unshare(CLONE_NEWNS), 0);
	T_EQ(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	T_EQ(mount("vmshm0", "/dev/shm", "vmshm", 0, NULL), 0);
	t_host("create %s 8192", name);
	fd = open(t_path(name), O_RDWR);
	T_ASSERT(fd >= 0);
	words = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	T_ASSERT(words != MAP_FAILED);
	return words;
}

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int wait_word(long word, unsigned int expected, long long deadline)
{
	struct vmshm_ioc_wait wait = {
		.offset = word * 4,
		.expected = expected,
		.deadline = deadline,
	};

	return ioctl(fd, VMSHM_IOC_WAIT, &wait);
}

static int wake_word(long word, unsigned int count)
{
	struct vmshm_ioc_wake wake = { .offset = word * 4, .count = count };

	return ioctl(fd, VMSHM_IOC_WAKE, &wake);
}

/* Wakes on the host until as many as this were woken. */
static void host_wakes(const char *name, long word, int count)
{
	while (count > 0)
		count -= atoi(t_host("wake %s %ld %d", name, word * 4, count));
}

T_TEST(other_value)
{
	volatile int *words = map_words(new_name());

	words[5] = 7;
	T_ERRNO(wait_word(5, 8, -1), EAGAIN);
}

T_TEST(deadline)
{
	long long start;

	map_words(new_name());
	start = now();
	T_ERRNO(wait_word(0, 0, start + 20000000), ETIMEDOUT);
	T_ASSERT(now() - start >= 20000000);
	T_ERRNO(wait_word(0, 0, 0), ETIMEDOUT);
}

T_TEST(host_wakes_guest)
{
	const char *name = new_name();
	pid_t pid;

	map_words(name);
	pid = t_fork();
	if (!pid)
		_exit(wait_word(3, 0, -1));
	host_wakes(name, 3, 1);
	t_wait(pid);
}

T_TEST(guest_wakes_guest)
{
	volatile int *words = map_words(new_name());
	pid_t pid = t_fork();

	if (!pid) {
		while (!words[1])
			T_ASSERT(!wait_word(1, 0, -1) || errno == EAGAIN);
		_exit(0);
	}
	words[1] = 1;
	T_EQ(wake_word(1, 1), 0);
	t_wait(pid);
}

T_TEST(guest_wakes_host)
{
	const char *name = new_name();

	map_words(name);
	t_host("wait %s %d 0", name, 4);
	while (!atoi(t_host("waited %s", name)))
		T_EQ(wake_word(1, 1), 0);
}

T_TEST(wakes_as_many_as_asked)
{
	const char *name = new_name();
	pid_t pid[5];
	int i, status;

	map_words(name);
	for (i = 0; i < 5; i++) {
		pid[i] = t_fork();
		if (!pid[i])
			_exit(wait_word(0, 0, -1));
	}
	host_wakes(name, 0, 2);
	for (i = 0; i < 2; i++)
		T_ASSERT(waitpid(-1, &status, 0) > 0 && !status);
	/* The other three sleep on. */
	T_EQ(waitpid(-1, &status, WNOHANG), 0);
	host_wakes(name, 0, 3);
	for (i = 0; i < 3; i++)
		T_ASSERT(waitpid(-1, &status, 0) > 0 && !status);
}

T_TEST(as_many_waiters_as_slots)
{
	const char *name = new_name();
	int i, status;

	map_words(name);
	for (i = 0; i < SLOTS; i++)
		if (!t_fork())
			_exit(wait_word(i, 0, -1));
	for (i = SLOTS - 1; i >= 0; i--)
		host_wakes(name, i, 1);
	for (i = 0; i < SLOTS; i++)
		T_ASSERT(waitpid(-1, &status, 0) > 0 && !status);
}

T_TEST(more_waiters_than_slots)
{
	const char *name = new_name();
	volatile int *words = map_words(name);
	int i, status;

	for (i = 0; i < SLOTS + 20; i++)
		if (!t_fork()) {
			while (!words[i])
				wait_word(i, 0, -1);
			_exit(0);
		}
	for (i = 0; i < SLOTS + 20; i++) {
		words[i] = 1;
		T_EQ(wake_word(i, 1), 0);
	}
	for (i = 0; i < SLOTS + 20; i++)
		T_ASSERT(waitpid(-1, &status, 0) > 0 && !status);
}

static void on_signal(int number)
{
}

T_TEST(signals)
{
	struct sigaction act = { .sa_handler = on_signal };
	const char *name = new_name();
	volatile int *words;
	pid_t pid;
	int i;

	words = map_words(name);
	sigaction(SIGUSR1, &act, NULL);
	act.sa_flags = SA_RESTART;
	sigaction(SIGUSR2, &act, NULL);
	pid = t_fork();
	if (!pid) {
		T_ERRNO(wait_word(0, 0, -1), EINTR);
		signal(SIGUSR1, SIG_IGN);
		words[1] = 1;
		T_EQ(wake_word(1, 1), 0);
		_exit(wait_word(0, 0, -1));
	}
	t_host("wait %s 4 0", name);
	while (!atoi(t_host("waited %s", name)))
		kill(pid, SIGUSR1);
	for (i = 0; i < 50; i++)
		kill(pid, SIGUSR2);
	host_wakes(name, 0, 1);
	t_wait(pid);
}

T_TEST(killed_waiters_leave_their_slots)
{
	const char *name = new_name();
	int i, round;

	map_words(name);
	for (round = 0; round < 3; round++) {
		pid_t pid[SLOTS];

		for (i = 0; i < SLOTS; i++) {
			pid[i] = t_fork();
			if (!pid[i]) {
				wait_word(0, 0, -1);
				_exit(0);
			}
		}
		for (i = 0; i < SLOTS; i++)
			kill(pid[i], SIGKILL);
		while (wait(NULL) > 0)
			;
	}
	T_EQ(atoi(t_host("wake %s 0 1000", name)), 0);
	if (!t_fork())
		_exit(wait_word(0, 0, -1));
	host_wakes(name, 0, 1);
	T_ASSERT(wait(NULL) > 0);
}

T_TEST(refused)
{
	struct vmshm_ioc_wait wait = { .reserved = 1 };
	struct vmshm_ioc_wake wake = { .reserved = 1 };

	map_words(new_name());
	T_ERRNO(ioctl(fd, VMSHM_IOC_WAIT, &wait), EINVAL);
	T_ERRNO(ioctl(fd, VMSHM_IOC_WAKE, &wake), EINVAL);
	T_ERRNO(ioctl(fd, VMSHM_IOC_WAIT, NULL), EFAULT);
	T_ERRNO(ioctl(fd, VMSHM_IOC_WAKE, (void *)8), EFAULT);
	wait.reserved = 0;
	wake.reserved = 0;
	wait.offset = wake.offset = 2;
	T_ERRNO(ioctl(fd, VMSHM_IOC_WAIT, &wait), EINVAL);
	T_ERRNO(ioctl(fd, VMSHM_IOC_WAKE, &wake), EINVAL);
	wait.offset = wake.offset = 8192;
	T_ERRNO(ioctl(fd, VMSHM_IOC_WAIT, &wait), EFAULT);
	T_ERRNO(ioctl(fd, VMSHM_IOC_WAKE, &wake), EFAULT);
	wait.offset = wake.offset = -4ULL;
	T_ERRNO(ioctl(fd, VMSHM_IOC_WAIT, &wait), EFAULT);
	T_ERRNO(ioctl(fd, VMSHM_IOC_WAKE, &wake), EFAULT);
	T_ERRNO(ioctl(fd, 0x1234), ENOTTY);
}

T_TEST(through_the_device_node)
{
	const char *name = new_name();
	struct vmshm_ioc_wait wait = { .deadline = -1 };
	int node = open("/dev/vmshm0", O_RDWR);
	pid_t pid;

	map_words(name);
	T_ERRNO(ioctl(node, VMSHM_IOC_WAIT, &wait), ENXIO);
	T_EQ(ioctl(node, 0, name), 0);
	pid = t_fork();
	if (!pid)
		_exit(ioctl(node, VMSHM_IOC_WAIT, &wait));
	host_wakes(name, 0, 1);
	t_wait(pid);
}

T_TEST(unbind_ends_it)
{
	pid_t pid[3];
	int i;

	map_words(new_name());
	for (i = 0; i < 3; i++) {
		pid[i] = t_fork();
		if (!pid[i]) {
			T_ERRNO(wait_word(i, 0, -1), ENODEV);
			_exit(0);
		}
	}
	T_EQ(t_system("cd /sys/bus/pci/drivers/vmshm && f=$(ls -d 0*) && "
		      "echo $f >unbind && echo $f >bind"),
	     0);
	for (i = 0; i < 3; i++)
		t_wait(pid[i]);
	T_ERRNO(wait_word(0, 0, -1), ENODEV);
	T_ERRNO(wake_word(0, 1), ENODEV);
}

/*
 * Tokens: each that is made is taken exactly once, by whoever comes, here and
 * on the host; who gets none sleeps. See tokens.c.
 */
T_TEST(every_token_is_taken_once)
{
	const char *name = new_name();
	char read[64];

	map_words(name);
	t_host("spawn tokens %s take 4 4 5000 2", name);
	T_EQ(t_system("tokens %s take 4 4 5000 2", t_path(name)), 0);
	t_host("reap");
	/* None is left, and 40000 and one for each of 8 takers were taken. */
	snprintf(read, sizeof(read), "%s", t_host("read %s 0 8", name));
	T_ASSERT(!strcmp(read, "00000000489c0000"));
}

T_TEST(turns_across_the_border)
{
	const char *name = new_name();
	volatile int *words = map_words(name);
	pid_t pid;

	/* Guest, host, guest, host; it is the first one's turn. */
	t_host("spawn tokens %s turns 1 4 1500", name);
	t_host("spawn tokens %s turns 3 4 1500", name);
	words[4] = 1;
	pid = t_fork();
	if (!pid)
		_exit(t_system("tokens %s turns 2 4 1500", t_path(name)));
	T_EQ(t_system("tokens %s turns 0 4 1500", t_path(name)), 0);
	t_wait(pid);
	t_host("reap");
	T_EQ(words[3], 6000);
}
