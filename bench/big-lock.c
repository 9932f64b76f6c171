// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Preloaded into QEMU: measures how long a thread holds the big lock. The
 * longest time since the host program has set it to 0 is in the file BIG_LOCK,
 * as 64-bit nanoseconds. The time for which the thread was ready to run, but
 * other programs had the processor, does not count.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define VERSION "GLIBC_2.3.2"

typedef void lock_fn(void *mutex, const char *file, int line);

static lock_fn *lock_big_lock;
static int (*next_unlock)(pthread_mutex_t *);
static int (*next_wait)(pthread_cond_t *, pthread_mutex_t *);
static int (*next_timedwait)(pthread_cond_t *, pthread_mutex_t *,
			     const struct timespec *);
static void *_Atomic big_lock;
static _Atomic uint64_t *longest;
static __thread uint64_t since;

/* Nanoseconds for which the thread was ready, and did not run */
static uint64_t time_ready(void)
{
	static __thread int fd = -1;
	unsigned long long ready = 0;
	char text[80];
	ssize_t n;

	if (fd < 0)
		fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	n = pread(fd, text, sizeof(text) - 1, 0);
	text[n < 0 ? 0 : n] = 0;
	sscanf(text, "%*u %llu", &ready);
	return ready;
}

/* Nanoseconds for which the thread has run or slept */
static uint64_t thread_time(void)
{
	uint64_t ready, before;
	struct timespec t;

	ready = time_ready();
	do {
		before = ready;
		clock_gettime(CLOCK_MONOTONIC, &t);
		ready = time_ready();
	} while (ready != before);
	return t.tv_sec * 1000000000ull + t.tv_nsec - ready;
}

static void begin(void)
{
	since = thread_time();
}

static void end(void)
{
	uint64_t time = thread_time() - since;
	uint64_t most = *longest;

	while (time > most &&
	       !atomic_compare_exchange_weak(longest, &most, time))
		;
}

static void locked(void *mutex, const char *file, int line)
{
	lock_big_lock(mutex, file, line);
	big_lock = mutex;
	begin();
}

/* Other libraries may call these functions before start(). */
static void find_next(void)
{
	if (next_unlock)
		return;
	next_wait = dlvsym(RTLD_NEXT, "pthread_cond_wait", VERSION);
	next_timedwait = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", VERSION);
	next_unlock = dlsym(RTLD_NEXT, "pthread_mutex_unlock");
}

int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	find_next();
	if (mutex == big_lock)
		end();
	return next_unlock(mutex);
}

int pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
	int err;

	find_next();
	if (mutex != big_lock)
		return next_wait(cond, mutex);
	end();
	err = next_wait(cond, mutex);
	begin();
	return err;
}

int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
			   const struct timespec *time)
{
	int err;

	find_next();
	if (mutex != big_lock)
		return next_timedwait(cond, mutex, time);
	end();
	err = next_timedwait(cond, mutex, time);
	begin();
	return err;
}

__attribute__((constructor)) static void start(void)
{
	/* QEMU takes the big lock by this pointer, in order to profile it. */
	lock_fn **hook = dlsym(RTLD_DEFAULT, "qemu_bql_mutex_lock_func");
	const char *path = getenv("BIG_LOCK");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;

	longest = mmap(NULL, sizeof(*longest), PROT_READ | PROT_WRITE,
		       MAP_SHARED, fd, 0);
	close(fd);
	if (!hook || longest == MAP_FAILED) {
		fprintf(stderr, "big-lock: this QEMU cannot be measured\n");
		_exit(1);
	}
	lock_big_lock = *hook;
	*hook = locked;
}
