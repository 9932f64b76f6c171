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

/* The number of slots that have records; 0 for NULL */
unsigned vmshm_futex_records(const VMShmFutex *w);

/*
 * A waiter that has given up may be in a word's queue for a moment longer, and
 * passes on a wake-up that arrives then. So this function is called before the
 * memory at a place is replaced. It returns when all waiters that were leaving
 * at the call have left. NULL is fine.
 */
void vmshm_futex_settle(VMShmFutex *w);

/* Whether vmshm_futex_settle() would have to wait. NULL is fine. */
bool vmshm_futex_leaving(VMShmFutex *w);

/* As at reset: all slots are idle. Thread safe. */
void vmshm_futex_reset(VMShmFutex *w);

/*
 * Ends all waits and holds; no slot can be armed any more. No thread is in a
 * word's queue then, but some threads may be about to raise the interrupt. For
 * that they need the big lock, which the caller has.
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
 * An access of the guest; @addr is relative to VMSHM_REG_SLOT. Thread safe. The
 * caller needs no lock. The function takes only locks that no thread holds for
 * longer than it takes to start or to end a thread.
 */
uint64_t vmshm_futex_read(VMShmFutex *w, uint64_t addr, unsigned size);
void vmshm_futex_write(VMShmFutex *w, uint64_t addr, uint64_t value,
                       unsigned size);

#endif /* VMSHM_FUTEX_H */
