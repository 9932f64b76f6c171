/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Queues of waiters: the tasks of this guest that wait on words.
 *
 * A queue has the waiters of this guest only. Slots of the device represent
 * them in the futex queue of the host. A slot represents one waiter as long as
 * there are enough slots. Otherwise a slot represents all waiters of a word
 * that expect the same value.
 */
#ifndef VMSHM_QUEUE_H
#define VMSHM_QUEUE_H

#include <linux/ktime.h>
#include <linux/types.h>

struct vmshm_queue;
struct vmshm_slot_wake;
struct vmshm_slots;
struct vmshm_word;

/**
 * struct vmshm_queue_deadline - the latest time at which a wait ends
 * @none: the wait has no deadline
 * @clock: CLOCK_MONOTONIC or CLOCK_REALTIME
 * @time: of the clock
 */
struct vmshm_queue_deadline {
	bool none;
	clockid_t clock;
	ktime_t time;
};

struct vmshm_queue *vmshm_queue_new(struct vmshm_slots *slots);
void vmshm_queue_wake_all(struct vmshm_queue *queue);
void vmshm_queue_stop(struct vmshm_queue *queue);
void vmshm_queue_free(struct vmshm_queue *queue);
int vmshm_queue_wait(struct vmshm_queue *queue, struct vmshm_word *word,
		     u32 expected, const struct vmshm_queue_deadline *deadline,
		     struct vmshm_slot_wake *wake);
int vmshm_queue_wake_here(struct vmshm_queue *queue, struct vmshm_word *word,
			  u32 count, struct vmshm_slot_wake *wake);
int vmshm_queue_wake_others(struct vmshm_queue *queue,
			    struct vmshm_slot_wake *wake);

#endif /* VMSHM_QUEUE_H */
