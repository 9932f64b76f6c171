/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VMSHM_IOC_HOLD: words that are marked when their owner dies.
 *
 * qemu: two
 */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <signal.h>
#include <sys/wait.h>

#include "t.h"
#include "words.h"

#define HOLDS 32
#define MARKED (FUTEX_OWNER_DIED | FUTEX_WAITERS)

static int hold(int file, long word, unsigned int expected)
{
	return do_word(file, VMSHM_IOC_HOLD, word, expected);
}

/* The owner of the word lives. */
static void check_held(unsigned int word)
{
	T_ASSERT(word & FUTEX_WAITERS);
	T_ASSERT(word & FUTEX_TID_MASK);
	T_EQ(word & FUTEX_OWNER_DIED, 0);
}

T_TEST(close_marks_the_word)
{
	const char *name = words_name();
	volatile unsigned int *words = words_map(name);
	int file = words_open(name, O_RDWR);
	char read[64];

	words[7] = 42;
	T_EQ(hold(file, 7, 42), 0);
	check_held(words[7]);
	snprintf(read, sizeof(read), "%02x%02x%02x%02x", words[7] & 255,
		 words[7] >> 8 & 255, words[7] >> 16 & 255, words[7] >> 24);
	T_ASSERT(!strcmp(t_host("read %s 28 4", name), read));
	close(file);
	T_EQ(words[7], MARKED);
}

T_TEST(a_waiter_here_is_woken)
{
	const char *name = words_name();
	volatile unsigned int *words = words_map(name);
	int file = words_open(name, O_RDWR);
	unsigned int owner;
	pid_t pid;

	T_EQ(hold(file, 0, 0), 0);
	owner = words[0];
	pid = t_fork();
	if (!pid) {
		close(file);
		_exit(wait_word(0, owner, -1));
	}
	t_host("waiting %s 0 1", name);
	close(file);
	t_wait(pid);
}

T_TEST(a_waiter_on_the_host_is_woken)
{
	const char *name = words_name();
	volatile unsigned int *words = words_map(name);
	int file = words_open(name, O_RDWR);

	T_EQ(hold(file, 0, 0), 0);
	t_host("wait %s 0 %u", name, words[0]);
	close(file);
	while (!atoi(t_host("waited %s", name)))
		;
}

T_TEST(kill_9_marks_the_word)
{
	const char *name = words_name();
	volatile unsigned int *words = words_map(name);
	int round;

	for (round = 0; round < 20; round++) {
		unsigned int before = words[3];
		pid_t pid = t_fork();

		if (!pid) {
			fd = words_open(name, O_RDWR);
			T_ASSERT(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd,
				      0) != MAP_FAILED);
			T_EQ(hold(fd, 3, before), 0);
			wait_word(3, words[3], -1);
			t_fail("it was woken");
		}
		words_asleep(pid);
		check_held(words[3]);
		t_host("wait %s 12 %u", name, words[3]);
		kill(pid, SIGKILL);
		T_EQ(waitpid(pid, NULL, 0), pid);
		T_EQ(words[3], MARKED);
		while (atoi(t_host("waited %s", name)) <= round)
			;
	}
}

T_TEST(one_word_a_file)
{
	const char *name = words_name();
	volatile unsigned int *words = words_map(name);
	int other = words_open(name, O_RDWR);

	T_EQ(hold(fd, 0, 0), 0);
	T_ERRNO(hold(fd, 0, words[0]), EBUSY);
	T_ERRNO(hold(fd, 1, 0), EBUSY);
	T_ERRNO(hold(other, 0, 0), EAGAIN);
	T_EQ(words[1], 0);
	/* The end of the first owner does not affect the second one. */
	T_EQ(hold(other, 0, words[0]), 0);
	check_held(words[0]);
	munmap((void *)words, WORDS_SIZE);
	close(fd);
	words = mmap(NULL, WORDS_SIZE, PROT_READ, MAP_SHARED, other, 0);
	check_held(words[0]);
}

T_TEST(other_value)
{
	const char *name = words_name();
	volatile unsigned int *words = words_map(name);

	words[0] = 5;
	T_ERRNO(hold(fd, 0, 0), EAGAIN);
	T_ERRNO(hold(fd, 0, 6), EAGAIN);
	T_EQ(words[0], 5);
	T_EQ(hold(fd, 0, 5), 0);
}

T_TEST(a_word_that_was_changed_is_left_alone)
{
	const char *name = words_name();
	volatile unsigned int *words = words_map(name);
	int file = words_open(name, O_RDWR);

	T_EQ(hold(file, 0, 0), 0);
	words[0] = 0;
	close(file);
	T_EQ(words[0], 0);
}

T_TEST(a_child_does_not_keep_it)
{
	const char *name = words_name();
	volatile unsigned int *words = words_map(name);
	int file = words_open(name, O_RDWR);
	int pipes[2];
	char c;
	pid_t pid;

	T_EQ(hold(file, 0, 0), 0);
	T_EQ(pipe(pipes), 0);
	pid = t_fork();
	if (!pid) {
		close(pipes[1]);
		_exit(read(pipes[0], &c, 1));
	}
	check_held(words[0]);
	close(file);
	T_EQ(words[0], MARKED);
	close(pipes[1]);
	t_wait(pid);
	T_EQ(words[0], MARKED);
}

T_TEST(a_child_does_not_end_it)
{
	const char *name = words_name();
	volatile unsigned int *words = words_map(name);
	int file = words_open(name, O_RDWR);
	pid_t pid;

	T_EQ(hold(file, 0, 0), 0);
	pid = t_fork();
	if (!pid)
		_exit(close(file));
	t_wait(pid);
	check_held(words[0]);
	close(file);
	T_EQ(words[0], MARKED);
}

T_TEST(killed_while_its_child_has_the_file)
{
	const char *name = words_name();
	volatile unsigned int *words = words_map(name);
	int pipes[2];
	pid_t pid;
	char c;

	T_EQ(pipe(pipes), 0);
	pid = t_fork();
	if (!pid) {
		T_EQ(hold(words_open(name, O_RDWR), 0, 0), 0);
		if (!t_fork()) {
			close(pipes[0]);
			pause();
		}
		T_EQ(write(pipes[1], "", 1), 1);
		pause();
	}
	T_EQ(read(pipes[0], &c, 1), 1);
	check_held(words[0]);
	kill(pid, SIGKILL);
	T_ASSERT(waitpid(pid, NULL, 0) == pid);
	T_EQ(words[0], MARKED);
}

T_TEST(a_mapping_does_not_keep_it)
{
	const char *name = words_name();
	volatile unsigned int *words = words_map(name);
	int file = words_open(name, O_RDWR);
	void *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 0);

	T_EQ(hold(file, 0, 0), 0);
	check_held(words[0]);
	close(file);
	T_EQ(words[0], MARKED);
	munmap(map, 4096);
}

T_TEST(through_the_device_node)
{
	const char *name = words_name();
	volatile unsigned int *words = words_map(name);
	int node = open("/dev/vmshm0", O_RDWR);

	T_ERRNO(hold(node, 0, 0), ENXIO);
	T_EQ(ioctl(node, 0, name), 0);
	T_EQ(hold(node, 0, 0), 0);
	check_held(words[0]);
	close(node);
	T_EQ(words[0], MARKED);
	/* A device without an arena */
	node = open("/dev/vmshm1", O_RDWR);
	T_ERRNO(hold(node, 0, 0), EOPNOTSUPP);
}

T_TEST(needs_a_file_open_for_writing)
{
	const char *name = words_name();
	volatile unsigned int *words = words_map(name);
	int node = open("/dev/vmshm0", O_RDONLY);

	T_ERRNO(hold(words_open(name, O_RDONLY), 0, 0), EBADF);
	T_EQ(ioctl(node, 0, name), 0);
	T_ERRNO(hold(node, 0, 0), EBADF);
	T_EQ(words[0], 0);
}

T_TEST(no_more_than_32)
{
	const char *name = words_name();
	volatile unsigned int *words = words_map(name);
	int file[HOLDS + 1];
	int round, i;

	for (round = 0; round < 3; round++) {
		for (i = 0; i <= HOLDS; i++)
			file[i] = words_open(name, O_RDWR);
		for (i = 0; i < HOLDS; i++) {
			T_EQ(hold(file[i], i, words[i]), 0);
			check_held(words[i]);
		}
		T_ERRNO(hold(file[HOLDS], HOLDS, 0), ENOSPC);
		close(file[5]);
		T_EQ(words[5], MARKED);
		T_EQ(hold(file[HOLDS], 5, MARKED), 0);
		for (i = 0; i <= HOLDS; i++)
			close(file[i]);
		for (i = 0; i < HOLDS; i++)
			T_EQ(words[i], MARKED);
	}
}

T_TEST(leaves_room_for_waiters)
{
	const char *name = words_name();
	int file[HOLDS], i;
	pid_t pid[64];

	words_map(name);
	for (i = 0; i < HOLDS; i++) {
		file[i] = words_open(name, O_RDWR);
		T_EQ(hold(file[i], i, 0), 0);
	}
	for (i = 0; i < 64; i++) {
		pid[i] = t_fork();
		if (!pid[i])
			_exit(wait_word(100 + i, 0, -1));
	}
	for (i = 63; i >= 0; i--) {
		host_wakes(name, 100 + i, 1);
		t_wait(pid[i]);
	}
}

T_TEST(unbind_marks_the_word)
{
	const char *name = words_name();
	int file;

	words_map(name);
	file = words_open(name, O_RDWR);
	T_EQ(hold(file, 1, 0), 0);
	words_unbind();
	T_ASSERT(!strcmp(t_host("read %s 4 4", name), "000000c0"));
	T_ERRNO(hold(file, 1, 0), ENODEV);
	T_ERRNO(hold(fd, 1, 0), ENODEV);
	close(file);
}

T_TEST(unplug_marks_the_word)
{
	const char *name = words_name();
	int node;

	words_map(name);
	t_host("device_add vmshm,id=hot,bus=rp0");
	while ((node = open("/dev/vmshm2", O_RDWR)) < 0)
		T_EQ(errno, ENOENT);
	T_EQ(ioctl(node, 0, name), 0);
	T_EQ(hold(node, 1, 0), 0);
	t_host("device_del hot");
	T_ASSERT(!strcmp(t_host("read %s 4 4", name), "000000c0"));
	close(node);
}

T_TEST(nonsense)
{
	struct vmshm_ioc_word word = { .reserved = 1 };

	words_map(words_name());
	T_ERRNO(ioctl(fd, VMSHM_IOC_HOLD, NULL), EFAULT);
	T_ERRNO(ioctl(fd, VMSHM_IOC_HOLD, (void *)8), EFAULT);
	T_ERRNO(ioctl(fd, VMSHM_IOC_HOLD, &word), EINVAL);
	word.reserved = 0;
	word.offset = 2;
	T_ERRNO(ioctl(fd, VMSHM_IOC_HOLD, &word), EINVAL);
	word.offset = WORDS_SIZE;
	T_ERRNO(ioctl(fd, VMSHM_IOC_HOLD, &word), EFAULT);
	word.offset = -4ULL;
	T_ERRNO(ioctl(fd, VMSHM_IOC_HOLD, &word), EFAULT);
	word.offset = 0;
	T_EQ(ioctl(fd, VMSHM_IOC_HOLD, &word), 0);
}

/* Many owners begin and end at the same time; no hold is left over. */
T_TEST(come_and_go)
{
	const char *name = words_name();
	volatile unsigned int *words = words_map(name);
	int i, round;

	for (i = 0; i < 8; i++) {
		if (t_fork())
			continue;
		for (round = 0; round < 150; round++) {
			int file = words_open(name, O_RDWR);

			T_EQ(hold(file, i, words[i]), 0);
			check_held(words[i]);
			if (round % 3)
				T_EQ(do_word(file, VMSHM_IOC_POLL, i, words[i]),
				     0);
			close(file);
			T_EQ(words[i], MARKED);
		}
		_exit(0);
	}
	for (i = 0; i < 8; i++)
		T_ASSERT(wait(NULL) > 0);
	t_host("nobody_waits %s 0", name);
}
