/*
 * VMShm: futex(2) on the host, for waiters in the guest
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_FUTEX_H
#define VMSHM_FUTEX_H

#include "vmshm-irq.h"
#include "vmshm-window.h"

typedef struct VMShmFutex VMShmFutex;

/* Whether the host's kernel has futex_waitv(2) (Linux 5.16) */
bool vmshm_futex_possible(void);

/*
 * The slots of a device whose objects are in @arena. @fired is where the bits
 * of slots that have fired are set; @records is where the guest says what slots
 * are to do, or NULL: then there are fewer slots. The guest may write to both.
 * @irq is raised whenever a slot fires, and is freed with the slots. A hold has
 * to end before its object is detached from the arena.
 */
VMShmFutex *vmshm_futex_new(VMShmWindow *arena, uint32_t *fired,
                            const uint8_t *records, VMShmIrq *irq);

/* How many slots have records; NULL has none. */
unsigned vmshm_futex_records(const VMShmFutex *w);

/*
 * A waiter that has given up may be in a word's queue for a moment longer, and
 * passes on a wake-up that comes then. So this is called before what the guest
 * has at a place is replaced, and returns when none is that was at the call.
 * NULL is fine.
 */
void vmshm_futex_settle(VMShmFutex *w);

/* As at reset: all slots are idle. */
void vmshm_futex_reset(VMShmFutex *w);

/*
 * Ends all waits and holds; no slot begins any more. No thread is in a word's
 * queue then, but some may be about to raise the interrupt: for that they need
 * the big lock, which the caller has.
 */
void vmshm_futex_stop(VMShmFutex *w);

/*
 * Drops the owner's reference. The last thread that accesses the slots frees
 * them. NULL is allowed.
 */
void vmshm_futex_unref(VMShmFutex *w);

/* Whether a slot has fired of which the guest has not cleared the bit */
bool vmshm_futex_fired(VMShmFutex *w);

/*
 * An access of the guest; @addr is relative to VMSHM_REG_SLOT. Thread safe: no
 * lock needs to be held, and none is taken that others hold for longer than a
 * thread needs to begin or to end.
 */
uint64_t vmshm_futex_read(VMShmFutex *w, uint64_t addr, unsigned size);
void vmshm_futex_write(VMShmFutex *w, uint64_t addr, uint64_t value,
                       unsigned size);

#endif /* VMSHM_FUTEX_H */
