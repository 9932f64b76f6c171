/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * More waiters than slots: a device of contract 1.0 has 64 for words that are
 * waited for or polled.
 *
 * qemu: registers
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/wait.h>

#include "t.h"

#define WORDS_DEVICE "vmshm1"
#include "words.h"

#define SLOTS 64
#define POLLS 48 /* words that can be polled at a time */

static int poll_word(int file, long word, unsigned int expected)
{
	return do_word(file, VMSHM_IOC_POLL, word, expected);
}

T_TEST(as_many_waiters_as_slots)
{
	const char *name = words_name();
	int i, status;

	words_map(name);
	for (i = 0; i < SLOTS; i++)
		if (!t_fork())
			_exit(wait_word(i, 0, -1));
	for (i = SLOTS - 1; i >= 0; i--)
		host_wakes(name, i, 1);
	for (i = 0; i < SLOTS; i++)
		T_ASSERT(waitpid(-1, &status, 0) > 0 && !status);
}

T_TEST(deadline_while_all_slots_wait)
{
	pid_t pid[SLOTS];
	long long end;
	int i;

	words_map(words_name());
	for (i = 0; i < SLOTS; i++) {
		pid[i] = t_fork();
		if (!pid[i]) {
			wait_word(i, 0, -1);
			_exit(0);
		}
	}
	for (i = 0; i < SLOTS; i++)
		words_asleep(pid[i]);
	/* Without a free slot a wait may return 0 without a wake-up. */
	end = now() + 20000000;
	while (!wait_word(0, 0, end))
		;
	T_EQ(errno, ETIMEDOUT);
	T_ASSERT(now() >= end);
	T_ERRNO(wait_word(0, 0, 0), ETIMEDOUT);
	for (i = 0; i < SLOTS; i++)
		kill(pid[i], SIGKILL);
}

T_TEST(more_waiters_than_slots)
{
	const char *name = words_name();
	volatile unsigned int *words = words_map(name);
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

/*
 * Each waiter wakes the next one only, so all but one sleep. Some of them wait
 * for a slot, and compare the word again when they get it.
 */
T_TEST(turns_of_more_waiters_than_slots)
{
	/* The order of the turns is not that in which the waiters came. */
	enum { PARTIES = SLOTS + 32, STEP = 41, ROUNDS = 3 };
	volatile unsigned int *words = words_map(words_name());
	int i, round, status;

	for (i = 0; i < PARTIES; i++) {
		if (t_fork())
			continue;
		for (round = 0; round < ROUNDS; round++) {
			while (!words[i])
				wait_word(i, 0, -1);
			words[i] = 0;
			words[(i + STEP) % PARTIES] = 1;
			T_EQ(wake_word((i + STEP) % PARTIES, 1), 0);
		}
		_exit(0);
	}
	words[0] = 1;
	T_EQ(wake_word(0, 1), 0);
	for (i = 0; i < PARTIES; i++)
		T_ASSERT(waitpid(-1, &status, 0) > 0 && !status);
}

/* Waiters of many words get a slot in turn. */
T_TEST(five_hundred_waiters_of_as_many_words)
{
	const char *name = words_name();
	volatile unsigned int *words = words_map(name);
	enum { WAITERS = 500 };
	int i, status;

	for (i = 0; i < WAITERS; i++)
		if (!t_fork()) {
			while (!words[i])
				wait_word(i, 0, -1);
			_exit(0);
		}
	wake_in_turns(name, words, WAITERS);
	for (i = 0; i < WAITERS; i++)
		T_ASSERT(waitpid(-1, &status, 0) > 0 && !status);
}

/* The driver needs two commands in place of one: WAKE, then PLACE and ARM. */
T_TEST(wakes_and_waits_in_one_call)
{
	const char *name = words_name();
	pid_t pid;

	words_map(name);
	t_host("wait %s 4 0", name);
	pid = t_fork();
	if (!pid)
		_exit(wake_and_wait(1, 1, 2, 0, -1));
	while (!atoi(t_host("waited %s", name)))
		;
	host_wakes(name, 2, 1);
	t_wait(pid);
}

/* Such a device has one vector, and each waiter uses it. */
T_TEST(one_vector)
{
	T_EQ(t_system("test $(grep -c vmshm-0 /proc/interrupts) = 2"), 0);
	T_EQ(t_system("grep -q vmshm-1 /proc/interrupts"), 1);
}

/*
 * A user other than root gets half of the slots. Other waits of that user work
 * without a slot.
 */
T_TEST(one_user_does_not_take_all_slots)
{
	volatile unsigned int *words = words_map(words_name());
	int i, status, files[SLOTS];

	for (i = 0; i < SLOTS; i++)
		files[i] = words_open(words_name(), O_RDWR);
	T_EQ(setresuid(65534, 65534, 0), 0);
	for (i = 0; i < 24; i++)
		T_EQ(do_word(files[i], VMSHM_IOC_POLL, 0, 0), 0);
	T_ERRNO(do_word(files[24], VMSHM_IOC_POLL, 0, 0), ENOSPC);
	for (i = 0; i < 16; i++)
		T_EQ(do_word(files[i], VMSHM_IOC_HOLD, 100 + i, 0), 0);
	T_ERRNO(do_word(files[16], VMSHM_IOC_HOLD, 200, 0), ENOSPC);
	for (i = 0; i < SLOTS; i++)
		if (!t_fork()) {
			while (!words[i])
				wait_word(i, 0, -1);
			_exit(0);
		}
	T_EQ(setresuid(0, 0, 0), 0);
	T_EQ(do_word(files[24], VMSHM_IOC_POLL, 0, 0), 0);
	T_EQ(do_word(files[16], VMSHM_IOC_HOLD, 200, 0), 0);
	for (i = 0; i < SLOTS; i++) {
		words[i] = 1;
		T_EQ(wake_word(i, 1), 0);
	}
	for (i = 0; i < SLOTS; i++)
		T_ASSERT(waitpid(-1, &status, 0) > 0 && !status);
}

T_TEST(polls_have_a_limit)
{
	const char *name = words_name();
	int file[POLLS + 1];
	int i;

	words_map(name);
	for (i = 0; i <= POLLS; i++)
		file[i] = words_open(name, O_RDWR);
	for (i = 0; i < POLLS; i++)
		T_EQ(poll_word(file[i], i, 0), 0);
	T_ERRNO(poll_word(file[POLLS], 0, 0), ENOSPC);
	/* A file that has a slot keeps it. */
	T_EQ(poll_word(file[0], 50, 0), 0);
	close(file[1]);
	T_EQ(poll_word(file[POLLS], 0, 0), 0);
	/* Other users can still wait. */
	T_ERRNO(wait_word(0, 0, now() + 1000000), ETIMEDOUT);
}
