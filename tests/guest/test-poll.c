/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VMSHM_IOC_POLL: words in event loops.
 *
 * qemu: -device vmshm,id=vmshm0
 */
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "t.h"
#include "words.h"

#define POLLS 48	/* words that can be polled at a time */
#define FILES 40

static int arm(int file, long word, unsigned int expected)
{
	return do_word(file, VMSHM_IOC_POLL, word, expected);
}

/* The events that poll() returns; the timeout is in milliseconds, or -1 */
static int ready(int file, int timeout)
{
	struct pollfd p = { .fd = file, .events = POLLIN | POLLOUT };

	T_ASSERT(poll(&p, 1, timeout) >= 0);
	return p.revents;
}

T_TEST(ready_if_it_was_never_asked)
{
	int node = open("/dev/vmshm0", O_RDWR);

	words_map(words_name());
	T_EQ(ready(fd, -1), POLLIN | POLLOUT);
	T_EQ(ready(node, -1), POLLIN | POLLOUT);
}

T_TEST(other_value_is_ready_at_once)
{
	volatile unsigned int *words = words_map(words_name());

	words[3] = 7;
	T_EQ(arm(fd, 3, 6), 0);
	T_EQ(ready(fd, -1), POLLIN);
	T_EQ(arm(fd, 3, 7), 0);
	T_EQ(ready(fd, 0), 0);
}

T_TEST(host_wakes)
{
	const char *name = words_name();
	int round;

	words_map(name);
	for (round = 0; round < 20; round++) {
		T_EQ(arm(fd, 1, 0), 0);
		T_EQ(ready(fd, 0), 0);
		host_wakes(name, 1, 1);
		T_EQ(ready(fd, -1), POLLIN);
		/* The file stays readable until it is armed again. */
		T_EQ(ready(fd, -1), POLLIN);
	}
}

T_TEST(guest_wakes)
{
	volatile unsigned int *words = words_map(words_name());
	int round;

	for (round = 0; round < 20; round++) {
		pid_t pid;

		T_EQ(arm(fd, 1, round), 0);
		pid = t_fork();
		if (!pid) {
			words[1] = round + 1;
			_exit(wake_word(1, 1));
		}
		T_EQ(ready(fd, -1), POLLIN);
		T_EQ(words[1], round + 1);
		t_wait(pid);
	}
}

T_TEST(through_the_device_node)
{
	const char *name = words_name();
	int node = open("/dev/vmshm0", O_RDWR);

	words_map(name);
	T_ERRNO(arm(node, 0, 0), ENXIO);
	T_EQ(ioctl(node, 0, name), 0);
	T_EQ(arm(node, 0, 0), 0);
	T_EQ(ready(node, 0), 0);
	host_wakes(name, 0, 1);
	T_EQ(ready(node, -1), POLLIN);
}

T_TEST(a_file_open_for_reading)
{
	const char *name = words_name();
	int file;

	words_map(name);
	file = words_open(name, O_RDONLY);
	T_EQ(arm(file, 0, 0), 0);
	host_wakes(name, 0, 1);
	T_EQ(ready(file, -1), POLLIN);
}

T_TEST(another_word)
{
	const char *name = words_name();
	int round;

	words_map(name);
	for (round = 0; round < 50; round++) {
		T_EQ(arm(fd, 0, 0), 0);
		T_EQ(arm(fd, 1, 0), 0);
		/*
		 * The poll of word 0 has left the queue, or passes on a wake-up
		 * that it gets.
		 */
		while (atoi(t_host("wake %s 0 1", name)))
			;
		T_EQ(ready(fd, 0), 0);
		host_wakes(name, 1, 1);
		T_EQ(ready(fd, -1), POLLIN);
	}
}

/* FILES files that poll a word each, in an epoll set */
static int many(const char *name, int *file, unsigned int mode)
{
	int set = epoll_create1(EPOLL_CLOEXEC);
	int i;

	for (i = 0; i < FILES; i++) {
		struct epoll_event event = { EPOLLIN | mode, { .u32 = i } };

		file[i] = words_open(name, O_RDWR);
		T_EQ(arm(file[i], i, 0), 0);
		T_EQ(epoll_ctl(set, EPOLL_CTL_ADD, file[i], &event), 0);
	}
	return set;
}

/* Waits until the epoll set reports this file, and no other one. */
static void tells(int set, unsigned int i)
{
	struct epoll_event event[FILES];

	T_EQ(epoll_wait(set, event, FILES, -1), 1);
	T_EQ(event[0].data.u32, i);
	T_EQ(event[0].events, EPOLLIN);
}

T_TEST(epoll_by_level)
{
	const char *name = words_name();
	struct epoll_event event;
	int file[FILES];
	int set, i;

	words_map(name);
	set = many(name, file, 0);
	T_EQ(epoll_wait(set, &event, 1, 0), 0);
	for (i = FILES - 1; i >= 0; i--) {
		host_wakes(name, i, 1);
		tells(set, i);
		tells(set, i);
		T_EQ(arm(file[i], i, 0), 0);
		T_EQ(epoll_wait(set, &event, 1, 0), 0);
	}
}

T_TEST(epoll_by_edge)
{
	const char *name = words_name();
	volatile unsigned int *words = words_map(name);
	struct epoll_event event;
	int file[FILES];
	int set, i;

	set = many(name, file, EPOLLET);
	for (i = 0; i < FILES; i++) {
		host_wakes(name, i, 1);
		tells(set, i);
		T_EQ(epoll_wait(set, &event, 1, 0), 0);
		T_EQ(ready(file[i], 0), POLLIN);
		/* A changed value is an edge as well. */
		words[i] = 1;
		T_EQ(arm(file[i], i, 0), 0);
		tells(set, i);
		T_EQ(arm(file[i], i, 1), 0);
	}
	for (i = 0; i < FILES; i++)
		host_wakes(name, i, 1);
	for (i = 0; i < FILES; i++)
		T_EQ(epoll_wait(set, &event, 1, -1), 1);
	T_EQ(epoll_wait(set, &event, 1, 0), 0);
}

T_TEST(two_words_of_two_files)
{
	const char *name = words_name();
	struct pollfd p[2] = { { .events = POLLIN }, { .events = POLLIN } };
	int i;

	words_map(name);
	for (i = 0; i < 2; i++) {
		p[i].fd = words_open(name, O_RDWR);
		T_EQ(arm(p[i].fd, i, 0), 0);
	}
	host_wakes(name, 1, 1);
	T_EQ(poll(p, 2, -1), 1);
	T_EQ(p[0].revents, 0);
	T_EQ(p[1].revents, POLLIN);
}

T_TEST(unbind_is_an_error)
{
	const char *name = words_name();
	pid_t pid[2];
	int i;

	words_map(name);
	for (i = 0; i < 2; i++) {
		pid[i] = t_fork();
		if (!pid[i]) {
			struct epoll_event event = { .events = EPOLLIN };
			int set = epoll_create1(0);

			fd = words_open(name, O_RDWR);
			T_EQ(arm(fd, 10 + i, 0), 0);
			/* Tells the test that the word is armed. */
			t_host("write %s %d 01", name, i);
			if (i)
				T_EQ(ready(fd, -1), POLLERR | POLLHUP);
			T_EQ(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event), 0);
			T_EQ(epoll_wait(set, &event, 1, -1), 1);
			T_EQ(event.events, EPOLLERR | EPOLLHUP);
			T_ERRNO(arm(fd, 0, 0), ENODEV);
			_exit(0);
		}
	}
	while (strcmp(t_host("read %s 0 2", name), "0101"))
		;
	words_unbind();
	for (i = 0; i < 2; i++)
		t_wait(pid[i]);
	T_EQ(ready(fd, -1), POLLERR | POLLHUP);
}

/* The unbind is the only event of these pollers. */
T_TEST(unbind_tells_who_polls_for_nothing)
{
	const char *name = words_name();
	pid_t pid[3];
	int i;

	words_map(name);
	for (i = 0; i < 3; i++) {
		pid[i] = t_fork();
		if (!pid[i]) {
			struct pollfd p = { .fd = words_open(name, O_RDWR) };

			if (i == 2)
				p.fd = open("/dev/vmshm0", O_RDWR);
			if (i == 1)
				T_EQ(arm(p.fd, 10, 0), 0);
			T_EQ(poll(&p, 1, 0), 0);
			t_host("write %s %d 01", name, i);
			T_EQ(poll(&p, 1, -1), 1);
			T_EQ(p.revents, POLLERR | POLLHUP);
			_exit(0);
		}
	}
	while (strcmp(t_host("read %s 0 3", name), "010101"))
		;
	words_unbind();
	for (i = 0; i < 3; i++)
		t_wait(pid[i]);
}

T_TEST(close_while_armed)
{
	const char *name = words_name();
	int i;

	words_map(name);
	for (i = 0; i < 1000; i++) {
		int file = words_open(name, O_RDWR);

		T_EQ(arm(file, i % 3, 0), 0);
		if (i % 2)
			T_EQ(arm(file, i % 5, 0), 0);
		close(file);
	}
	for (i = 0; i < POLLS; i++)
		T_EQ(arm(words_open(name, O_RDWR), 9, 0), 0);
}

/*
 * A wake-up for one token wakes one of two waiters. If that waiter closes its
 * file without a look at the token, the driver wakes the other waiter.
 */
T_TEST(close_passes_the_wake_up_on)
{
	const char *name = words_name();
	volatile unsigned int *words = words_map(name);
	int round;

	for (round = 0; round < 200; round++) {
		int file = words_open(name, O_RDWR);
		pid_t pid;

		T_EQ(arm(file, 0, 0), 0);
		pid = t_fork();
		if (!pid) {
			close(file);
			while (!words[0])
				wait_word(0, 0, -1);
			_exit(0);
		}
		words_asleep(pid);
		__sync_fetch_and_add(&words[0], 1);
		if (round % 2)
			t_host("wake %s 0 1", name);
		else
			T_EQ(wake_word(0, 1), 0);
		close(file);
		t_wait(pid);
		words[0] = 0;
	}
}

T_TEST(arming_anew_passes_the_wake_up_on)
{
	const char *name = words_name();
	volatile unsigned int *words = words_map(name);
	int round;

	for (round = 0; round < 200; round++) {
		pid_t pid;

		T_EQ(arm(fd, 0, 0), 0);
		pid = t_fork();
		if (!pid) {
			while (!words[0])
				wait_word(0, 0, -1);
			_exit(0);
		}
		words_asleep(pid);
		__sync_fetch_and_add(&words[0], 1);
		T_EQ(wake_word(0, 1), 0);
		T_EQ(arm(fd, 1, 0), 0);
		t_wait(pid);
		words[0] = 0;
	}
}

T_TEST(nonsense)
{
	struct vmshm_ioc_word word = { .reserved = 1 };

	words_map(words_name());
	T_ERRNO(ioctl(fd, VMSHM_IOC_POLL, NULL), EFAULT);
	T_ERRNO(ioctl(fd, VMSHM_IOC_POLL, &word), EINVAL);
	word.reserved = 0;
	word.offset = 6;
	T_ERRNO(ioctl(fd, VMSHM_IOC_POLL, &word), EINVAL);
	word.offset = WORDS_SIZE;
	T_ERRNO(ioctl(fd, VMSHM_IOC_POLL, &word), EFAULT);
	word.offset = -4ULL;
	T_ERRNO(ioctl(fd, VMSHM_IOC_POLL, &word), EFAULT);
	/* A request that fails changes nothing. */
	T_EQ(ready(fd, -1), POLLIN | POLLOUT);
	word.offset = 0;
	T_EQ(ioctl(fd, VMSHM_IOC_POLL, &word), 0);
	word.offset = 2;
	T_ERRNO(ioctl(fd, VMSHM_IOC_POLL, &word), EINVAL);
	T_EQ(ready(fd, 0), 0);
}
