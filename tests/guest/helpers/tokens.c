/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One party of a stress test of waiting and waking. The same program runs on
 * the host, with futex(2), and in the guest, with the driver's ioctls.
 *
 *	tokens FILE take TAKERS MAKERS TOKENS PARTIES
 *	tokens FILE turns|late PARTY PARTIES ROUNDS
 *
 * "take": makers make tokens, takers take them or sleep. At the end each taker
 * gets one token too many, which ends it. "turns": the parties take turns, and
 * each wakes only the next one. "late": the same, but a millisecond later, when
 * the others sleep. A lost wake-up leaves a party asleep for ever; the test has
 * a time limit.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <vmshm/ioctl.h>

/* Words of the object */
enum { TOKENS, TAKEN, MADE, TURN };

static int fd;
static int is_guest, is_late;
static _Atomic unsigned int *word;

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* Some deadlines are so short that they race with the wake-up. */
static void wait_word(int n, unsigned int expected, unsigned int *seed)
{
	int hurry = rand_r(seed) % 4 == 0;
	long long nsec = rand_r(seed) % 200000;
	struct timespec left = { 0, nsec };
	struct vmshm_ioc_wait wait = {
		.offset = n * 4,
		.expected = expected,
		.deadline = hurry ? now() + nsec : -1,
	};
	int ret;

	if (is_guest)
		ret = ioctl(fd, VMSHM_IOC_WAIT, &wait);
	else
		ret = syscall(SYS_futex, &word[n], FUTEX_WAIT, expected,
			      hurry ? &left : NULL, NULL, 0);
	if (ret && errno != EAGAIN && errno != ETIMEDOUT && errno != EINTR) {
		perror("wait");
		exit(1);
	}
}

static void wake_word(int n, unsigned int count)
{
	struct vmshm_ioc_wake wake = { .offset = n * 4, .count = count };
	int ret;

	if (is_guest)
		ret = ioctl(fd, VMSHM_IOC_WAKE, &wake);
	else
		ret = syscall(SYS_futex, &word[n], FUTEX_WAKE, count, NULL,
			      NULL, 0);
	if (ret < 0) {
		perror("wake");
		exit(1);
	}
}

/* Wakes the next party and waits for this party's turn, in one call. */
static void wake_and_wait(int wake, int n)
{
	struct vmshm_ioc_wake_wait both = {
		.offset = n * 4,
		.deadline = -1,
		.count = 1,
		.wake = wake * 4,
	};

	if (ioctl(fd, VMSHM_IOC_WAKE_WAIT, &both) && errno != EAGAIN &&
	    errno != EINTR) {
		perror("wake and wait");
		exit(1);
	}
}

static void make_tokens(unsigned int count)
{
	while (count--) {
		atomic_fetch_add(&word[TOKENS], 1);
		wake_word(TOKENS, 1);
	}
}

static void take_tokens(unsigned int total, unsigned int seed)
{
	for (;;) {
		unsigned int tokens = atomic_load(&word[TOKENS]);

		if (!tokens)
			wait_word(TOKENS, 0, &seed);
		else if (atomic_compare_exchange_weak(&word[TOKENS], &tokens,
						      tokens - 1) &&
			 atomic_fetch_add(&word[TAKEN], 1) >= total)
			return;
	}
}

static void take(int takers, int makers, unsigned int tokens, int parties)
{
	unsigned int total = parties * makers * tokens;
	int i, status, failed = 0;

	for (i = 0; i < takers + makers; i++) {
		if (fork())
			continue;
		if (i < takers)
			take_tokens(total, i + 100 * is_guest + 1);
		else
			make_tokens(tokens);
		/*
		 * The last maker of all makes the tokens that end the takers.
		 */
		if (i >= takers && atomic_fetch_add(&word[MADE], 1) + 1 ==
				   (unsigned int)(parties * makers))
			make_tokens(parties * takers);
		_exit(0);
	}
	while (wait(&status) > 0)
		failed |= status;
	if (failed)
		exit(1);
}

static void turns(unsigned int party, unsigned int parties, unsigned int rounds)
{
	unsigned int seed = party + 1;

	while (rounds--) {
		unsigned int turn;

		while ((turn = atomic_load(&word[TURN + 1 + party])) == 0)
			wait_word(TURN + 1 + party, 0, &seed);
		atomic_store(&word[TURN + 1 + party], 0);
		atomic_fetch_add(&word[TURN], 1);
		if (is_late)
			usleep(1000);
		atomic_store(&word[TURN + 1 + (party + 1) % parties], 1);
		/* After its last turn the party does not wait. */
		if (is_guest && rounds && rand_r(&seed) % 2)
			wake_and_wait(TURN + 1 + (party + 1) % parties,
				      TURN + 1 + party);
		else
			wake_word(TURN + 1 + (party + 1) % parties, 1);
	}
}

int main(int argc, char **argv)
{
	struct vmshm_ioc_wake nobody = { 0 };

	if (argc < 6)
		return 2;
	fd = open(argv[1], O_RDWR);
	if (fd < 0) {
		perror(argv[1]);
		return 1;
	}
	word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (word == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	is_late = !strcmp(argv[2], "late");
	is_guest = ioctl(fd, VMSHM_IOC_WAKE, &nobody) == 0;
	if (!strcmp(argv[2], "take") && argc == 7)
		take(atoi(argv[3]), atoi(argv[4]), atoi(argv[5]),
		     atoi(argv[6]));
	else if ((!strcmp(argv[2], "turns") || is_late) && argc == 6)
		turns(atoi(argv[3]), atoi(argv[4]), atoi(argv[5]));
	else
		return 2;
	return 0;
}
