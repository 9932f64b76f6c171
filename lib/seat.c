// SPDX-License-Identifier: MIT
/*
 * Seats. On the host the kernel marks the word when the thread that took it
 * ends: it is a robust futex, the only one of its list. In a guest the driver
 * and the device do the same.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <vmshm/ioctl.h>

#include "clock.h"
#include "object.h"
#include "seat.h"
#include "thread.h"

/* Nanoseconds */
#define LOOK_AGAIN CLOCK_SECOND

int seat_init(struct seat *seat, struct vmshm *shm)
{
	pthread_condattr_t attr;
	int err;

	memset(seat, 0, sizeof(*seat));
	seat->shm = shm;
	seat->robust.list.next = &seat->robust.list;
	pthread_mutex_init(&seat->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	err = pthread_cond_init(&seat->told, &attr);
	pthread_condattr_destroy(&attr);
	return -err;
}

/* Waits for the condition variable, or a millisecond. The lock is held. */
static void wait_told(struct seat *seat)
{
	int64_t end = clock_now() + 1000000;
	struct timespec t = { end / CLOCK_SECOND, end % CLOCK_SECOND };

	pthread_cond_timedwait(&seat->told, &seat->lock, &t);
}

void seat_insist(struct seat *seat, uint64_t offset, bool *done)
{
	pthread_mutex_lock(&seat->lock);
	while (!*done) {
		vmshm_wake(seat->shm, offset, UINT32_MAX);
		wait_told(seat);
	}
	pthread_mutex_unlock(&seat->lock);
}

/* The list that the kernel walks when this thread ends; still empty */
static void make_robust(struct seat *seat)
{
	seat->number = syscall(SYS_gettid);
	syscall(SYS_set_robust_list, &seat->robust, sizeof(seat->robust));
}

static bool stopped(struct seat *seat)
{
	bool stop;

	pthread_mutex_lock(&seat->lock);
	stop = seat->stop;
	pthread_mutex_unlock(&seat->lock);
	return stop;
}

/* The death of the previous party is reported before a new party. */
static uint32_t next_value(uint32_t seen, uint32_t value)
{
	return value != seen && seat_taken(seen) ? FUTEX_OWNER_DIED : value;
}

static bool can_go_on(int err)
{
	return !err || err == -EAGAIN || err == -EINTR || err == -ETIMEDOUT;
}

/*
 * The kernel wakes one watcher, which may be killed before it can wake the
 * others.
 */
static int64_t look_again(struct seat *seat)
{
	return vmshm_deadline(seat->shared ? LOOK_AGAIN : VMSHM_FOREVER);
}

/* Whether to go on watching */
static bool tell(struct seat *seat, uint32_t value)
{
	atomic_store(&seat->seen, value);
	/* The kernel has woken only one watcher. */
	if (!seat_taken(value))
		vmshm_wake(seat->shm, seat->watched, UINT32_MAX);
	return seat->changed(seat->arg);
}

static void watch(struct seat *seat)
{
	_Atomic uint32_t *word = seat->word;
	uint32_t value, seen;
	int err = 0;

	while (!stopped(seat) && can_go_on(err)) {
		seen = atomic_load(&seat->seen);
		value = next_value(seen, atomic_load(word));
		if (value != seen && !tell(seat, value))
			return;
		err = vmshm_wait(seat->shm, seat->watched, value,
				 look_again(seat));
	}
	/* No memory is there; a waiter gets ENODEV from its own call. */
	if (err == -ENODEV)
		atomic_store(&seat->seen, FUTEX_OWNER_DIED);
	else if (!can_go_on(err))
		tell(seat, FUTEX_OWNER_DIED);
	/* If only this watcher was woken, the others would sleep on. */
	vmshm_wake(seat->shm, seat->watched, UINT32_MAX);
}

static void *seat_thread(void *arg)
{
	struct seat *seat = arg;

	if (!seat->shm->guest)
		make_robust(seat);
	pthread_mutex_lock(&seat->lock);
	seat->ready = true;
	pthread_cond_broadcast(&seat->told);
	while (!seat->watching && !seat->stop)
		pthread_cond_wait(&seat->told, &seat->lock);
	pthread_mutex_unlock(&seat->lock);
	if (seat->watching)
		watch(seat);
	pthread_mutex_lock(&seat->lock);
	seat->done = true;
	pthread_cond_broadcast(&seat->told);
	while (!seat->stop)
		pthread_cond_wait(&seat->told, &seat->lock);
	pthread_mutex_unlock(&seat->lock);
	return NULL;
}

int seat_start(struct seat *seat)
{
	int err;

	if (seat->started)
		return 0;
	err = thread_start(&seat->thread, seat_thread, seat);
	/* EAGAIN means that the word has another value. */
	if (err)
		return err == -EAGAIN ? -ENOMEM : err;
	seat->started = true;
	pthread_mutex_lock(&seat->lock);
	while (!seat->ready)
		pthread_cond_wait(&seat->told, &seat->lock);
	pthread_mutex_unlock(&seat->lock);
	return 0;
}

/* Finds a word, and starts the thread that owns or watches it. */
static int seat_prepare(struct seat *seat, uint64_t offset, void **word)
{
	int err = object_word(seat->shm, offset, word);

	return err ? err : seat_start(seat);
}

static int take_on_host(struct seat *seat, uint64_t offset, uint32_t expected)
{
	void *word;
	int err;

	err = seat_prepare(seat, offset, &word);
	if (err)
		return err;
	seat->entry.next = &seat->robust.list;
	seat->robust.futex_offset = (char *)word - (char *)&seat->entry;
	atomic_thread_fence(memory_order_seq_cst);
	seat->robust.list.next = &seat->entry;
	if (!atomic_compare_exchange_strong((_Atomic uint32_t *)word, &expected,
					    seat->number | FUTEX_WAITERS)) {
		/*
		 * An owner in another PID namespace may have this thread's
		 * number.
		 */
		seat->robust.list.next = &seat->robust.list;
		return -EAGAIN;
	}
	return 0;
}

static int take_in_guest(struct seat *seat, uint64_t offset, uint32_t expected)
{
	struct vmshm_ioc_word word = {
		.offset = offset,
		.expected = expected,
	};

	return ioctl(seat->shm->fd, VMSHM_IOC_HOLD, &word) ? -errno : 0;
}

int seat_take(struct seat *seat, uint64_t offset, uint32_t expected)
{
	if (seat->shm->guest)
		return take_in_guest(seat, offset, expected);
	return take_on_host(seat, offset, expected);
}

int seat_watch(struct seat *seat, uint64_t offset, uint32_t value,
	       bool (*changed)(void *arg), void *arg)
{
	void *word;
	int err;

	err = seat_prepare(seat, offset, &word);
	if (err)
		return err;
	pthread_mutex_lock(&seat->lock);
	seat->watched = offset;
	seat->word = word;
	seat->seen = value;
	seat->changed = changed;
	seat->arg = arg;
	seat->watching = true;
	pthread_cond_broadcast(&seat->told);
	pthread_mutex_unlock(&seat->lock);
	return 0;
}

void seat_leave(struct seat *seat)
{
	pthread_mutex_lock(&seat->lock);
	seat->stop = true;
	pthread_cond_broadcast(&seat->told);
	pthread_mutex_unlock(&seat->lock);
	if (seat->watching)
		seat_insist(seat, seat->watched, &seat->done);
	if (seat->started)
		pthread_join(seat->thread, NULL);
	pthread_cond_destroy(&seat->told);
	pthread_mutex_destroy(&seat->lock);
}
