/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Slots of the device, by which it waits or holds on the host for us.
 */
#ifndef VMSHM_SLOT_H
#define VMSHM_SLOT_H

#include <linux/spinlock.h>
#include <linux/wait.h>

#include "vmshm.h"

/* Who is told when a slot fires; nobody when it is not in use. */
struct vmshm_waiter {
	wait_queue_head_t wait;
	/* Both under waits->lock, but fired may be read without */
	bool fired;
	/* poll() has told of it. */
	bool seen;
};

struct vmshm_slot {
	/* Under waits->lock */
	struct vmshm_waiter *waiter;
	/* What the device has; under vdev->lock */
	u64 place;
	/* Keeps the place of the word, or NULL; under vdev->lock */
	struct page *page;
};

struct vmshm_waits {
	struct pci_dev *pdev;
	/*
	 * Held from when a fired bit is seen until it is cleared and its waiter
	 * told, so that none is left over for the next waiter in the slot.
	 */
	spinlock_t lock;
	/* Where slots are waited for */
	wait_queue_head_t room;
	DECLARE_BITMAP(used, VMSHM_SLOTS);
	struct vmshm_slot slot[VMSHM_SLOTS];
};

/*
 * What slots are for. Those that hold and those that poll keep theirs for as
 * long as they like, so there are some that neither can have.
 */
enum vmshm_slot_use {
	VMSHM_SLOT_HOLDS,
	VMSHM_SLOT_POLLS,
	VMSHM_SLOT_WAITS,
};

void vmshm_waiter_init(struct vmshm_waiter *waiter);

/* The number of a slot, or -ENOSPC; @waiter may be NULL. */
int vmshm_slot_get(struct vmshm_waits *waits, enum vmshm_slot_use use,
		   struct vmshm_waiter *waiter);
void vmshm_slot_put(struct vmshm_waits *waits, unsigned int n);

/* With vdev->lock held, and the device not gone: begins what @control says. */
void vmshm_slot_start(struct vmshm_dev *vdev, unsigned int n, u64 place,
		      u64 control);
u64 vmshm_slot_control(struct vmshm_dev *vdev, unsigned int n);

/* The same: wakes up to @count waiters, 0xffff and more: all. */
void vmshm_wake_at(struct vmshm_dev *vdev, u64 place, u32 count);

/*
 * Ends it, and drops the page. True: a wake-up was for the slot's waiter, or
 * the device is gone; with @pass_on another waiter has got it.
 */
bool vmshm_slot_stop(struct vmshm_dev *vdev, unsigned int n, bool pass_on);

#endif /* VMSHM_SLOT_H */
