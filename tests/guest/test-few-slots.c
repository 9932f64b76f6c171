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

static void all_slots_wait(pid_t *pid)
{
	int i;

	for (i = 0; i < SLOTS; i++) {
		pid[i] = t_fork();
		while (!pid[i])
			wait_word(i, 0, -1);
	}
	for (i = 0; i < SLOTS; i++)
		words_asleep(pid[i]);
}

T_TEST(deadline_while_all_slots_wait)
{
	pid_t pid[SLOTS];
	long long end;
	int i;

	words_map(words_name());
	all_slots_wait(pid);
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

/* A waiter without a slot does not miss a wake-up that changes no word. */
T_TEST(woken_without_a_change_while_all_slots_wait)
{
	const char *name = words_name();
	pid_t pid[SLOTS];
	int i;

	words_map(name);
	all_slots_wait(pid);
	for (i = SLOTS; i < SLOTS + 8; i++) {
		pid_t waiter = t_fork();

		if (!waiter)
			_exit(wait_word(i, 0, now() + 60 * 1000000000LL));
		words_asleep(waiter);
		t_host("wake %s %d 1", name, i * 4);
		t_wait(waiter);
	}
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

/* The wake-up comes before the wait also if it is an access of its own. */
T_TEST(wakes_and_does_not_wake_itself)
{
	int i;

	words_map(words_name());
	for (i = 0; i < 50; i++)
		T_ERRNO(wake_and_wait(0, 0xffff, 0, 0, now() + 10000000),
			ETIMEDOUT);
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

/* IDs 0 and 10 to 13 of a user namespace are 1000 and 100000 to 100003. */
static void map_ids(pid_t pid, const char *file)
{
	T_EQ(t_system("printf '0 1000 1\n10 100000 4\n' >/proc/%d/%s", pid,
		      file),
	     0);
}

/* Polls and holds @count words, and then one too many if @full. */
static void takes(uid_t id, const int *files, long word, int count, int full)
{
	int i;

	T_EQ(seteuid(id), 0);
	for (i = 0; i < count; i++, word++) {
		T_EQ(poll_word(files[i], word, 0), 0);
		T_EQ(do_word(files[i], VMSHM_IOC_HOLD, word, 0), 0);
	}
	if (full) {
		T_EQ(poll_word(files[i], word, 0), 0);
		T_ERRNO(do_word(files[i], VMSHM_IOC_HOLD, word, 0), ENOSPC);
	}
	T_EQ(seteuid(0), 0);
}

/* The user 1000, who also has the user IDs 100000 to 100003 */
static void takes_with_all_ids(const int *files, int unshared, int mapped)
{
	char byte = 0;

	T_EQ(setresgid(1000, 1000, 1000), 0);
	T_EQ(setresuid(1000, 1000, 1000), 0);
	T_EQ(unshare(CLONE_NEWUSER), 0);
	T_EQ(write(unshared, &byte, 1), 1);
	T_EQ(read(mapped, &byte, 1), 1);
	takes(0, files, 0, 8, 0);
	takes(10, files + 8, 8, 7, 0);
	takes(11, files + 15, 15, 1, 1);
	takes(12, files + 17, 17, 0, 1);
	/* 18 words are polled so far. */
	T_EQ(seteuid(13), 0);
	for (int i = 18; i < 24; i++)
		T_EQ(poll_word(files[i], i, 0), 0);
	T_ERRNO(poll_word(files[24], 24, 0), ENOSPC);
}

T_TEST(subordinate_user_ids_have_one_limit)
{
	const char *name = words_name();
	int i, unshared[2], mapped[2], files[SLOTS];
	char byte = 0;
	pid_t pid;

	words_map(name);
	for (i = 0; i < SLOTS; i++)
		files[i] = words_open(name, O_RDWR);
	T_EQ(pipe(unshared), 0);
	T_EQ(pipe(mapped), 0);
	pid = t_fork();
	if (!pid) {
		takes_with_all_ids(files, unshared[1], mapped[0]);
		T_EQ(write(unshared[1], &byte, 1), 1);
		pause();
	}
	T_EQ(read(unshared[0], &byte, 1), 1);
	map_ids(pid, "uid_map");
	map_ids(pid, "gid_map");
	T_EQ(write(mapped[1], &byte, 1), 1);
	T_EQ(read(unshared[0], &byte, 1), 1);
	/* The same user outside of the namespace, and another user */
	T_EQ(seteuid(1000), 0);
	T_ERRNO(do_word(files[30], VMSHM_IOC_HOLD, 200, 0), ENOSPC);
	T_EQ(seteuid(0), 0);
	T_EQ(seteuid(100000), 0);
	T_EQ(do_word(files[31], VMSHM_IOC_HOLD, 201, 0), 0);
	T_EQ(poll_word(files[31], 201, 0), 0);
	T_EQ(seteuid(0), 0);
	T_EQ(kill(pid, SIGKILL), 0);
	T_EQ(waitpid(pid, NULL, 0), pid);
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
