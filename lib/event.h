/* SPDX-License-Identifier: MIT */
/*
 * An event word: a word of the object by which one waiter is woken after a
 * change. Bit 0 is set while the waiter waits. A change that finds the bit set
 * clears it and increments the rest of the word.
 *
 * No wake-up is lost. The waiter sets the bit, checks its condition again, and
 * then sleeps only if the word is still the same. The other side makes its
 * change first and reads the bit second. Both have a full memory barrier
 * between the two steps, so at least one side sees the first step of the other
 * side.
 */
#ifndef VMSHM_LIB_EVENT_H
#define VMSHM_LIB_EVENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The waiter announces itself. Returns the value of the word to sleep on. */
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
 * Like event_signal(), but the waiter has to be woken in any case: the other
 * side may have been killed after it changed the word and before it woke the
 * waiter.
 */
static inline void event_move(_Atomic uint32_t *word)
{
	uint32_t value = atomic_load(word);

	while (!atomic_compare_exchange_weak(word, &value, (value | 1) + 1))
		;
}

#endif /* VMSHM_LIB_EVENT_H */
