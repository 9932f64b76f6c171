/*
 * VMShm: futex(2) on the host, for waiters in the guest
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_WAIT_H
#define VMSHM_WAIT_H

#include "vmshm-irq.h"
#include "vmshm-window.h"

typedef struct VMShmWaits VMShmWaits;

/* Whether the host's kernel has futex_waitv(2) (Linux 5.16) */
bool vmshm_waits_possible(void);

/*
 * The slots of a device whose objects are in @arena. @irq is raised whenever a
 * slot fires, and is freed with the slots. What holds a word has to end before
 * the object goes from the arena.
 */
VMShmWaits *vmshm_waits_new(VMShmWindow *arena, VMShmIrq *irq);

/*
 * A waiter that has given up may be in a word's queue for a moment longer, and
 * passes on a wake-up that comes then. So this is called before what the guest
 * has at a place is replaced, and returns when none is that was at the call.
 */
void vmshm_waits_settle(VMShmWaits *w);

/* As at reset: all slots are idle. */
void vmshm_waits_reset(VMShmWaits *w);

/*
 * Ends all waits and holds; no slot begins any more. No thread is in a word's
 * queue then, but some may be about to raise the interrupt: for that they need
 * the big lock, which the caller has.
 */
void vmshm_waits_stop(VMShmWaits *w);

/*
 * After that, when nobody accesses them any more; the last such thread frees
 * them. NULL is fine.
 */
void vmshm_waits_unref(VMShmWaits *w);

/* Whether a slot has fired of which the guest has not cleared the bit */
bool vmshm_waits_fired(VMShmWaits *w);

/*
 * An access of the guest; @addr is relative to VMSHM_REG_SLOT. Thread safe: no
 * lock needs to be held, and none is taken that others hold for longer than a
 * thread needs to begin or to end.
 */
uint64_t vmshm_waits_read(VMShmWaits *w, uint64_t addr, unsigned size);
void vmshm_waits_write(VMShmWaits *w, uint64_t addr, uint64_t value,
                       unsigned size);

#endif /* VMSHM_WAIT_H */
