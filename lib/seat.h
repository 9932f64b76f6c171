/* SPDX-License-Identifier: MIT */
/*
 * A seat: a word of an object by which others see that somebody is there, and
 * see it end, whatever ends it. The word is the number of the one who sits
 * there | FUTEX_WAITERS, or FUTEX_OWNER_DIED | FUTEX_WAITERS. Nobody has come
 * yet if it has neither of these two bits: it is 0, or SEAT_FREE | any number.
 */
#ifndef VMSHM_SEAT_H
#define VMSHM_SEAT_H

#include "lib.h"

struct seat {
	struct vmshm *shm;
	pthread_t thread;
	bool started;
	/* What the thread is told; see the lock */
	pthread_mutex_t lock;
	pthread_cond_t told;
	bool ready;
	bool watching;
	bool stop;
	bool done;
	/* The word that is held on the host: robust futexes */
	struct robust_list_head robust;
	struct robust_list entry;
	uint32_t number;
	/* The word that is watched, its value at last, and who is told */
	uint64_t watched;
	_Atomic uint32_t *word;
	_Atomic uint32_t seen;
	/* Others watch it, too; set before it is watched */
	bool shared;
	bool (*changed)(void *arg);
	void *arg;
};

/* No thread's number is so large: the kernel takes it for nobody's. */
#define SEAT_FREE 0x20000000u

static inline bool seat_free(uint32_t value)
{
	return !(value & (FUTEX_WAITERS | FUTEX_OWNER_DIED));
}

static inline bool seat_taken(uint32_t value)
{
	return !seat_free(value) && value & FUTEX_TID_MASK;
}

/* Somebody was there, and is gone. */
static inline bool seat_left(uint32_t value)
{
	return !seat_free(value) && !seat_taken(value);
}

int seat_init(struct seat *seat, struct vmshm *shm);

/* Its thread; the next two do this, too, if need be. Then it cannot fail. */
int seat_start(struct seat *seat);

/*
 * Take the seat at @offset, whose word is @expected. -EAGAIN: it is not;
 * -EBUSY: one is taken already; others as VMSHM_IOC_HOLD. Who watches it is not
 * woken yet.
 */
int seat_take(struct seat *seat, uint64_t offset, uint32_t expected);

/*
 * From now on call @changed, in another thread, each time the word at @offset
 * has become another one than @value, until it says false. seat->seen is its
 * value. Whoever comes after somebody was there is seen after a death.
 */
int seat_watch(struct seat *seat, uint64_t offset, uint32_t value,
	       bool (*changed)(void *arg), void *arg);

/* Gives up both; the other side sees it as a death. */
void seat_leave(struct seat *seat);

/*
 * Wake who waits for the word, until *@done says that it had an effect: for
 * waiters that look at something which is not in the word.
 */
void seat_insist(struct seat *seat, uint64_t offset, bool *done);

#endif /* VMSHM_SEAT_H */
