// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An ordinary program that uses the synchronisation of POSIX threads in a
 * shared memory object. It does not use VMShm; tests run it on the host
 * and in guests.
 *
 * usage: primitives PATH init			makes everything ready
 *	  primitives PATH KIND ROLE ROUNDS	ROLE is 0 or 1; ring: or 2
 *
 * PATH is the path of the object. KIND is in the table below. All roles must
 * run. The exit code is 0 if the program saw the behaviour that POSIX defines.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct shared {
	sem_t sem[2];
	sem_t done;
	pthread_mutex_t mutex;
	pthread_mutex_t robust;
	pthread_cond_t cond;
	pthread_barrier_t barrier;
	pthread_rwlock_t rwlock;
	volatile long turn;
	volatile long count[2];
};

static struct shared *shared;
static const char *path;
static int role;
static long rounds;

#define CHECK(condition)						\
	do {								\
		if (!(condition)) {					\
			fprintf(stderr, "primitives: line %d: %s (%s)\n", \
				__LINE__, #condition, strerror(errno));	\
			exit(1);					\
		}							\
	} while (0)

static void init(void)
{
	pthread_mutexattr_t mutex;
	pthread_condattr_t cond;
	pthread_barrierattr_t barrier;
	pthread_rwlockattr_t rwlock;

	memset(shared, 0, sizeof(*shared));
	pthread_mutexattr_init(&mutex);
	pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
	CHECK(!pthread_mutex_init(&shared->mutex, &mutex));
	pthread_mutexattr_setrobust(&mutex, PTHREAD_MUTEX_ROBUST);
	CHECK(!pthread_mutex_init(&shared->robust, &mutex));
	pthread_condattr_init(&cond);
	pthread_condattr_setpshared(&cond, PTHREAD_PROCESS_SHARED);
	CHECK(!pthread_cond_init(&shared->cond, &cond));
	pthread_barrierattr_init(&barrier);
	pthread_barrierattr_setpshared(&barrier, PTHREAD_PROCESS_SHARED);
	CHECK(!pthread_barrier_init(&shared->barrier, &barrier, 2));
	pthread_rwlockattr_init(&rwlock);
	pthread_rwlockattr_setpshared(&rwlock, PTHREAD_PROCESS_SHARED);
	CHECK(!pthread_rwlock_init(&shared->rwlock, &rwlock));
	CHECK(!sem_init(&shared->sem[0], 1, 0));
	CHECK(!sem_init(&shared->sem[1], 1, 0));
	CHECK(!sem_init(&shared->done, 1, 0));
}

/* Semaphores count; only signals of the test can interrupt them. */
static void sem_down(sem_t *sem)
{
	while (sem_wait(sem))
		CHECK(errno == EINTR);
}

static void semaphores(sem_t *mine, sem_t *other)
{
	long i;

	for (i = 0; i < rounds; i++) {
		if (!role)
			sem_post(other);
		sem_down(mine);
		if (role)
			sem_post(other);
	}
}

static void unnamed_semaphore(void)
{
	semaphores(&shared->sem[role], &shared->sem[!role]);
}

/* Two semaphores with names that begin with that of the object */
static void named_semaphore(void)
{
	const char *base = strrchr(path, '/');
	sem_t *sem[2];
	int i;

	for (i = 0; i < 2; i++) {
		char name[200];

		snprintf(name, sizeof(name), "%s-s%d", base, i);
		sem[i] = sem_open(name, O_CREAT, 0600, 0);
		CHECK(sem[i] != SEM_FAILED);
	}
	semaphores(sem[role], sem[!role]);
}

/* Role 0 waits for the other role and checks the counts of both. */
static void check_counts(long expected)
{
	sem_post(&shared->done);
	if (role)
		return;
	sem_down(&shared->done);
	sem_down(&shared->done);
	CHECK(shared->count[0] == expected);
}

static void mutex(void)
{
	long i;

	for (i = 0; i < rounds; i++) {
		long was;

		CHECK(!pthread_mutex_lock(&shared->mutex));
		was = shared->count[0];
		if (i % 4 == 0)
			sched_yield();
		shared->count[0] = was + 1;
		CHECK(!pthread_mutex_unlock(&shared->mutex));
	}
	check_counts(2 * rounds);
}

static void condition(void)
{
	long i;

	for (i = 0; i < rounds; i++) {
		CHECK(!pthread_mutex_lock(&shared->mutex));
		while (shared->turn % 2 != role)
			CHECK(!pthread_cond_wait(&shared->cond,
						 &shared->mutex));
		shared->turn++;
		CHECK(!pthread_cond_signal(&shared->cond));
		CHECK(!pthread_mutex_unlock(&shared->mutex));
	}
}

/* Three parties take turns. */
static void ring(void)
{
	long i;

	for (i = 0; i < rounds; i++) {
		CHECK(!pthread_mutex_lock(&shared->mutex));
		while (shared->turn % 3 != role)
			CHECK(!pthread_cond_wait(&shared->cond,
						 &shared->mutex));
		shared->turn++;
		CHECK(!pthread_cond_broadcast(&shared->cond));
		CHECK(!pthread_mutex_unlock(&shared->mutex));
	}
}

static void condition_with_deadline(void)
{
	struct timespec t;
	long i;

	for (i = 0; i < rounds; i++) {
		CHECK(!pthread_mutex_lock(&shared->mutex));
		while (shared->turn % 2 != role) {
			clock_gettime(CLOCK_REALTIME, &t);
			t.tv_sec += 1000;
			CHECK(!pthread_cond_timedwait(&shared->cond,
						      &shared->mutex, &t));
		}
		shared->turn++;
		CHECK(!pthread_cond_broadcast(&shared->cond));
		CHECK(!pthread_mutex_unlock(&shared->mutex));
	}
	/* No more signals are pending. */
	CHECK(!pthread_mutex_lock(&shared->mutex));
	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += 10000000;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	while (!(i = pthread_cond_timedwait(&shared->cond, &shared->mutex, &t)))
		;
	CHECK(i == ETIMEDOUT);
	CHECK(!pthread_mutex_unlock(&shared->mutex));
}

static void barrier(void)
{
	long i;

	for (i = 0; i < rounds; i++) {
		int ret;

		shared->count[role] = i;
		ret = pthread_barrier_wait(&shared->barrier);
		CHECK(!ret || ret == PTHREAD_BARRIER_SERIAL_THREAD);
		CHECK(shared->count[!role] == i);
		ret = pthread_barrier_wait(&shared->barrier);
		CHECK(!ret || ret == PTHREAD_BARRIER_SERIAL_THREAD);
	}
}

/* Role 0 writes, role 1 reads. Each role sleeps until the other one unlocks. */
static void rwlock(void)
{
	long i;

	for (i = 0; i < rounds; i++) {
		if (role) {
			CHECK(!pthread_rwlock_rdlock(&shared->rwlock));
			CHECK(shared->count[0] == shared->count[1]);
		} else {
			CHECK(!pthread_rwlock_wrlock(&shared->rwlock));
			shared->count[0]++;
			sched_yield();
			shared->count[1]++;
		}
		if (i % 4 == 0)
			sched_yield();
		CHECK(!pthread_rwlock_unlock(&shared->rwlock));
	}
	check_counts(rounds);
}

/*
 * A child of role 1 dies with the mutex locked, while role 0 waits for the
 * mutex or is about to. Either order has the same result.
 */
static void die_with_mutex(void)
{
	CHECK(!pthread_mutex_lock(&shared->robust));
	sem_post(&shared->sem[0]);
	sem_down(&shared->sem[1]);
	kill(getpid(), SIGKILL);
}

static void robust(void)
{
	long i;

	for (i = 0; i < rounds; i++) {
		if (role) {
			pid_t pid = fork();
			int status;

			if (!pid)
				die_with_mutex();
			CHECK(waitpid(pid, &status, 0) == pid);
			CHECK(WIFSIGNALED(status));
			sem_down(&shared->sem[1]);
			continue;
		}
		sem_down(&shared->sem[0]);
		sem_post(&shared->sem[1]);
		CHECK(pthread_mutex_lock(&shared->robust) == EOWNERDEAD);
		CHECK(!pthread_mutex_consistent(&shared->robust));
		CHECK(!pthread_mutex_unlock(&shared->robust));
		CHECK(!pthread_mutex_lock(&shared->robust));
		CHECK(!pthread_mutex_unlock(&shared->robust));
		sem_post(&shared->sem[1]);
	}
}

static const struct {
	const char *name;
	void (*run)(void);
} kinds[] = {
	{ "init", init },
	{ "semaphore", unnamed_semaphore },
	{ "named", named_semaphore },
	{ "mutex", mutex },
	{ "condition", condition },
	{ "ring", ring },
	{ "deadline", condition_with_deadline },
	{ "barrier", barrier },
	{ "rwlock", rwlock },
	{ "robust", robust },
};

int main(int argc, char **argv)
{
	size_t i;
	int fd;

	CHECK(argc >= 3);
	if (argc > 3)
		role = atoi(argv[3]);
	if (argc > 4)
		rounds = atol(argv[4]);
	path = argv[1];
	fd = open(path, O_RDWR);
	CHECK(fd >= 0);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED,
		      fd, 0);
	CHECK(shared != MAP_FAILED);
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kinds[i].name, argv[2])) {
			kinds[i].run();
			return 0;
		}
	fprintf(stderr, "primitives: no kind %s\n", argv[2]);
	return 2;
}
