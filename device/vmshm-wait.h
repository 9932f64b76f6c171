/*
 * VMShm: futex(2) on the host, for waiters in the guest
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_WAIT_H
#define VMSHM_WAIT_H

#include "qemu/event_notifier.h"
#include "vmshm-window.h"

typedef struct VMShmWaits VMShmWaits;

/*
 * The slots of a device whose objects are in @arena. NULL if the host's kernel
 * has no futex_waitv(2) (Linux 5.16). @notifier is set whenever a slot fires.
 */
VMShmWaits *vmshm_waits_new(VMShmWindow *arena, EventNotifier *notifier);

/* Ends all waits and their threads. NULL is fine. */
void vmshm_waits_free(VMShmWaits *w);

/* As at reset: all slots are idle. */
void vmshm_waits_reset(VMShmWaits *w);

/*
 * An access of the guest; @addr is relative to VMSHM_REG_SLOT. Thread safe: no
 * lock needs to be held, and none is taken that others hold for long.
 */
uint64_t vmshm_waits_read(VMShmWaits *w, uint64_t addr, unsigned size);
void vmshm_waits_write(VMShmWaits *w, uint64_t addr, uint64_t value,
                       unsigned size);

#endif /* VMSHM_WAIT_H */
