/* SPDX-License-Identifier: MIT */
/*
 * An event word: a word of the object by which one waiter is woken after a
 * change. Bit 0 says that it waits; each change moves the word on.
 *
 * No wake-up is lost: the waiter sets the bit, checks its condition again, and
 * then sleeps only if the word is still the same. The other side makes its
 * change first and reads the bit second. Both have a full memory barrier
 * between the two steps, so one of them sees what the other did.
 */
#ifndef VMSHM_LIB_EVENT_H
#define VMSHM_LIB_EVENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The waiter announces itself. The value of the word to sleep on */
static inline uint32_t event_begin(_Atomic uint32_t *word)
{
	return atomic_fetch_or(word, 1) | 1;
}

/* The waiter does not wait any more. */
static inline void event_end(_Atomic uint32_t *word)
{
	atomic_fetch_and(word, ~1u);
}

/* After a change: whether the waiter has to be woken */
static inline bool event_signal(_Atomic uint32_t *word)
{
	uint32_t value;

	atomic_thread_fence(memory_order_seq_cst);
	value = atomic_load_explicit(word, memory_order_relaxed);
	return value & 1 &&
	       atomic_compare_exchange_strong(word, &value, value + 1);
}

/*
 * The same, but the waiter has to be woken in any case: the other side may have
 * been killed after it has moved the word on and before it could wake.
 */
static inline void event_move(_Atomic uint32_t *word)
{
	uint32_t value = atomic_load(word);

	while (!atomic_compare_exchange_weak(word, &value, (value | 1) + 1))
		;
}

#endif /* VMSHM_LIB_EVENT_H */
