/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * futex(2) on an object whose device goes away: a waiter returns, a process
 * that sleeps in the C library ends, and no thread sleeps for ever.
 *
 * driver: futex=1
 * qemu: programs
 * needs: x86
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>

#include "t.h"

static const char *device = "vmshm0";

#define WORDS_DEVICE device

#include "dev.h"
#include "words.h"
#include "futex.h"

/* What POSIX threads sleep on, in the object */
struct shared {
	unsigned int word;
	sem_t sem;
	pthread_mutex_t mutex;
	pthread_mutex_t robust;
	pthread_mutex_t owned;
	pthread_cond_t cond;
	pthread_rwlock_t rwlock;
};

static struct shared *shared;

static void init_mutex(pthread_mutex_t *mutex, int robust)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, robust);
	T_EQ(pthread_mutex_init(mutex, &attr), 0);
}

/* The locks are held by this process. */
static void map_shared(void)
{
	pthread_rwlockattr_t rwlock;
	pthread_condattr_t cond;

	shared = (struct shared *)futex_map(words_name());
	T_EQ(sem_init(&shared->sem, 1, 0), 0);
	init_mutex(&shared->mutex, PTHREAD_MUTEX_STALLED);
	init_mutex(&shared->robust, PTHREAD_MUTEX_ROBUST);
	pthread_condattr_init(&cond);
	pthread_condattr_setpshared(&cond, PTHREAD_PROCESS_SHARED);
	T_EQ(pthread_cond_init(&shared->cond, &cond), 0);
	pthread_rwlockattr_init(&rwlock);
	pthread_rwlockattr_setpshared(&rwlock, PTHREAD_PROCESS_SHARED);
	T_EQ(pthread_rwlock_init(&shared->rwlock, &rwlock), 0);
	T_EQ(pthread_mutex_lock(&shared->mutex), 0);
	T_EQ(pthread_mutex_lock(&shared->robust), 0);
	T_EQ(pthread_rwlock_wrlock(&shared->rwlock), 0);
}

static const struct timespec late = { .tv_sec = 1000000 };

/* Whether the event wakes each waiter before it takes the device away */
static bool wakes;

static void waits(void)
{
	if (wakes)
		T_EQ(futex(&shared->word, FUTEX_WAIT, 0, NULL, NULL, 0), 0);
	T_ERRNO(futex(&shared->word, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT);
	/* Later calls do not sleep either. */
	T_ERRNO(futex(&shared->word, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT);
	T_ERRNO(futex(&shared->word, FUTEX_WAKE, 1, NULL, NULL, 0), EFAULT);
}

static void waits_until_late(void)
{
	if (wakes)
		T_EQ(futex(&shared->word, FUTEX_WAIT, 0, &late, NULL, 0), 0);
	T_ERRNO(futex(&shared->word, FUTEX_WAIT, 0, &late, NULL, 0), EFAULT);
	T_ERRNO(futex(&shared->word, FUTEX_WAIT, 0, &late, NULL, 0), EFAULT);
}

static void waits_for_sem(void)
{
	sem_wait(&shared->sem);
}

static void locks_mutex(void)
{
	pthread_mutex_lock(&shared->mutex);
}

static void locks_robust_mutex(void)
{
	pthread_mutex_lock(&shared->robust);
}

static void locks_rwlock(void)
{
	pthread_rwlock_rdlock(&shared->rwlock);
}

static void waits_for_cond(void)
{
	pthread_mutex_t *mutex = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	T_ASSERT(mutex != MAP_FAILED);
	init_mutex(mutex, PTHREAD_MUTEX_STALLED);
	T_EQ(pthread_mutex_lock(mutex), 0);
	pthread_cond_wait(&shared->cond, mutex);
}

/* Functions of the C library do not return; they have no error for this. */
static const struct {
	void (*run)(void);
	bool returns;
} kinds[] = {
	{ waits, true },
	{ waits_until_late, true },
	{ waits_for_sem, false },
	{ locks_mutex, false },
	{ locks_robust_mutex, false },
	{ locks_rwlock, false },
	{ waits_for_cond, false },
};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static void start_waiters(pid_t *pid)
{
	int i;

	for (i = 0; i < KINDS; i++) {
		pid[i] = t_fork();
		if (!pid[i]) {
			kinds[i].run();
			_exit(!kinds[i].returns);
		}
		futex_asleep(pid[i]);
	}
}

/* Each waiter returns, or its process dies of SIGBUS or by abort(). */
static void all_end(const pid_t *pid)
{
	int i, status;

	for (i = 0; i < KINDS; i++) {
		T_EQ(waitpid(pid[i], &status, 0), pid[i]);
		if (kinds[i].returns)
			T_EQ(status, 0);
		else
			T_ASSERT(WIFSIGNALED(status) &&
				 (WTERMSIG(status) == SIGABRT ||
				  WTERMSIG(status) == SIGBUS));
	}
}

/* A process that holds two robust mutexes, one of them in other memory */
static pid_t start_owner(pthread_mutex_t *other)
{
	char byte;
	pid_t pid;
	int go[2];

	init_mutex(&shared->owned, PTHREAD_MUTEX_ROBUST);
	init_mutex(other, PTHREAD_MUTEX_ROBUST);
	T_EQ(pipe(go), 0);
	pid = t_fork();
	if (!pid) {
		T_EQ(pthread_mutex_lock(&shared->owned), 0);
		T_EQ(pthread_mutex_lock(other), 0);
		T_EQ(write(go[1], "", 1), 1);
		pause();
	}
	T_EQ(read(go[0], &byte, 1), 1);
	return pid;
}

/*
 * When a process ends, the kernel follows the list of its robust mutexes, which
 * goes through the object. The mutex that was locked last comes first.
 */
static void owner_ends(pid_t pid, pthread_mutex_t *other)
{
	kill(pid, SIGKILL);
	T_EQ(waitpid(pid, NULL, 0), pid);
	T_ASSERT(other->__data.__lock & FUTEX_OWNER_DIED);
}

/* This process ends with robust mutexes of the object in its list, too. */
static void ends_after(void (*removed)(void))
{
	pthread_mutex_t *other = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid[KINDS], owner;

	T_ASSERT(other != MAP_FAILED);
	map_shared();
	start_waiters(pid);
	owner = start_owner(other);
	removed();
	all_end(pid);
	owner_ends(owner, other);
}

static void reset_function(void)
{
	T_EQ(t_system("echo 1 >$(ls -d /sys/bus/pci/drivers/vmshm/0*)/reset"),
	     0);
}

T_TEST(an_unbind)
{
	ends_after(words_unbind);
}

/* A reset ends no call. */
static void reset_and_unbind(void)
{
	reset_function();
	T_EQ(t_read_faults(shared), 0);
	words_unbind();
}

T_TEST(an_unbind_after_a_reset)
{
	wakes = true;
	ends_after(reset_and_unbind);
}

static void unplug(void)
{
	t_host("device_del hot");
	dev_wait(1, 0);
}

T_TEST(an_unplug)
{
	device = "vmshm1";
	t_host("device_add vmshm,id=hot,bus=rp0");
	dev_wait(1, 1);
	ends_after(unplug);
}
