/* SPDX-License-Identifier: MIT */
/*
 * A seat: a word of an object that a party holds. The word shows the other
 * parties that the party is there, or that it has ended for any reason. The
 * word is the party's thread number | FUTEX_WAITERS, or after its end
 * FUTEX_OWNER_DIED | FUTEX_WAITERS. A word with neither of these two bits is a
 * seat that no party has taken yet: 0, or SEAT_FREE | any number.
 */
#ifndef VMSHM_LIB_SEAT_H
#define VMSHM_LIB_SEAT_H

#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <vmshm/vmshm.h>

struct seat {
	struct vmshm *shm;
	pthread_t thread;
	bool started;
	/* Protected by the lock; the thread waits for changes. */
	pthread_mutex_t lock;
	pthread_cond_t told;
	bool ready;
	bool watching;
	bool stop;
	bool done;
	/*
	 * The robust list of the word held on the host; see set_robust_list(2)
	 */
	struct robust_list_head robust;
	struct robust_list entry;
	uint32_t number;
	/* The word that is watched, its last value, and the callback */
	uint64_t watched;
	_Atomic uint32_t *word;
	_Atomic uint32_t seen;
	/* Other processes also watch the word; set before seat_watch() */
	bool shared;
	bool (*changed)(void *arg);
	void *arg;
};

/* No thread has so large a number, so the kernel never marks the word. */
#define SEAT_FREE 0x20000000u

static inline bool seat_free(uint32_t value)
{
	return !(value & (FUTEX_WAITERS | FUTEX_OWNER_DIED));
}

static inline bool seat_taken(uint32_t value)
{
	return !seat_free(value) && value & FUTEX_TID_MASK;
}

/* A party has held the seat, and is gone. */
static inline bool seat_left(uint32_t value)
{
	return !seat_free(value) && !seat_taken(value);
}

int seat_init(struct seat *seat, struct vmshm *shm);

/*
 * Starts the seat's thread, as seat_take() and seat_watch() do if it is not
 * running. 0 or -errno
 */
int seat_start(struct seat *seat);

/*
 * Takes the seat at @offset if its word is @expected. -EAGAIN: the word has
 * another value; -EBUSY: this file holds a seat already; other errors as for
 * VMSHM_IOC_HOLD. Watchers of the word are not woken.
 */
int seat_take(struct seat *seat, uint64_t offset, uint32_t expected);

/*
 * From now on calls @changed, in another thread, each time the word at @offset
 * has changed from @value or from its last value, until @changed returns false.
 * seat->seen is the word's value. A new party is reported only after the death
 * of the previous party.
 */
int seat_watch(struct seat *seat, uint64_t offset, uint32_t value,
	       bool (*changed)(void *arg), void *arg);

/*
 * Gives the seat up and ends the watching. For the peer, this is the same as a
 * death.
 */
void seat_leave(struct seat *seat);

/*
 * Wakes the waiters of the word until *@done is true; the lock protects *@done.
 * This is for waiters whose condition is not in the word.
 */
void seat_insist(struct seat *seat, uint64_t offset, bool *done);

#endif /* VMSHM_LIB_SEAT_H */
