/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest moves to another QEMU of this host, as in a live migration ("live")
 * and as by a file ("saved", with no QEMU in between). QEMU refuses this while
 * an object is attached; waits then go on. After the move, futex(2) and the
 * ioctls work as before.
 *
 * This guest runs no other tests, which could change its devices.
 *
 * driver: futex=1
 * qemu: -device vmshm,create=on,allow=/@PREFIX@*,bus=rp2
 * needs: x86
 */
#define _GNU_SOURCE
#include <semaphore.h>
#include <sys/wait.h>

#include "t.h"
#include "words.h"
#include "futex.h"

enum sleeper {
	FUTEX_SLEEPER,
	SLEEPER_WITH_DEADLINE,
	IOCTL_SLEEPER,
	SEM_SLEEPER,
	SLEEPERS
};

static const struct timespec late = { .tv_sec = 1000000 };
static volatile unsigned int *words;
static sem_t *sem;

/* Sleeps until words[0] is not 0, or until the semaphore is posted. */
static void sleeps(enum sleeper kind)
{
	switch (kind) {
	case FUTEX_SLEEPER:
	case SLEEPER_WITH_DEADLINE:
		while (!words[0])
			futex(words, FUTEX_WAIT, 0,
			      kind == FUTEX_SLEEPER ? NULL : &late, NULL, 0);
		break;
	case IOCTL_SLEEPER:
		while (!words[0])
			T_ASSERT(!wait_word(0, 0, -1) || errno == EAGAIN ||
				 errno == EINTR);
		break;
	default:
		T_EQ(sem_wait(sem), 0);
	}
	_exit(0);
}

static void start_sleepers(const char *name, pid_t *pid)
{
	int i;

	words = futex_map(name);
	sem = (sem_t *)(words + 1024);
	T_EQ(sem_init(sem, 1, 0), 0);
	for (i = 0; i < SLEEPERS; i++) {
		pid[i] = t_fork();
		if (!pid[i])
			sleeps(i);
		words_sleeps_in(pid[i], i == IOCTL_SLEEPER ? SYS_ioctl :
				SYS_futex);
	}
	t_host("waiting %s 0 1", name);
}

/* The host wakes all sleepers. */
static void wake_sleepers(const char *name, const pid_t *pid)
{
	int i;

	t_host("write %s 0 01000000", name);
	t_host("wake %s 0 10", name);
	/* sem_post(3) of the C library: the number is in the lower half. */
	t_host("write %s 4096 01000000", name);
	t_host("wake %s 4096 1", name);
	for (i = 0; i < SLEEPERS; i++)
		t_wait(pid[i]);
}

/* After the last use, the driver releases an object. */
static void close_all(void)
{
	T_EQ(munmap((void *)words, WORDS_SIZE), 0);
	close(fd);
	T_EQ(umount("/dev/shm"), 0);
	while (atoi(t_host("mapped_all")))
		sched_yield();
}

T_TEST(refused_while_a_thread_sleeps)
{
	const char *name = words_name();
	pid_t pid[SLEEPERS];

	start_sleepers(name, pid);
	T_ASSERT(!t_host_try("move saved"));
	wake_sleepers(name, pid);
}

/* The guest and the host synchronise, in both directions. */
static void synchronises(const char *kind, int rounds)
{
	const char *name = t_name(kind);
	int role;

	for (role = 0; role < 2; role++) {
		t_host("create %s 4096", name);
		T_EQ(t_system("primitives %s init", words_path(name)), 0);
		t_host("spawn primitives %s %s %d %d", name, kind, !role,
		       rounds);
		T_EQ(t_system("primitives %s %s %d %d", words_path(name), kind,
			      role, rounds), 0);
		t_host("reap");
		t_host("unlink %s", name);
	}
}

static void works_after(const char *way)
{
	const char *name = words_name();
	pid_t pid[SLEEPERS];

	start_sleepers(name, pid);
	wake_sleepers(name, pid);
	close_all();
	t_host("unlink %s", name);
	t_host("move %s", way);
	start_sleepers(name, pid);
	wake_sleepers(name, pid);
	synchronises("semaphore", 100);
	synchronises("condition", 100);
	synchronises("robust", 10);
}

T_TEST(works_after_a_live_migration)
{
	works_after("live");
}

T_TEST(works_after_a_restore)
{
	works_after("saved");
}
