/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm slots: the device waits or holds on the host for the guest.
 */
#ifndef VMSHM_SLOT_H
#define VMSHM_SLOT_H

#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>

#include <vmshm/regs.h>

struct page;
struct pci_dev;
struct vmshm_dev;

/**
 * struct vmshm_slot_waiter - the party that is told when a slot fires
 * @wait: where it sleeps or polls
 * @fired: the slot has fired; set under slots->lock, read without
 * @seen: poll(2) has reported it; under slots->lock
 */
struct vmshm_slot_waiter {
	wait_queue_head_t wait;
	bool fired;
	bool seen;
};

/**
 * struct vmshm_slot - a slot of the device
 * @waiter: or NULL; under slots->lock
 * @place: what the device has; under vdev->lock
 * @page: keeps the place of the word, or NULL; under vdev->lock
 */
struct vmshm_slot {
	struct vmshm_slot_waiter *waiter;
	u64 place;
	struct page *page;
};

/**
 * struct vmshm_slots - all slots of a device
 * @pdev: for its interrupt
 * @room: where tasks wait for a free slot
 * @used: slots that are in use
 * @slot: by number
 */
struct vmshm_slots {
	struct pci_dev *pdev;
	/**
	 * @lock: held from when a FIRED bit is seen until it is cleared and
	 * the waiter told, so that no bit is left over for the next waiter of
	 * the slot
	 */
	spinlock_t lock;
	wait_queue_head_t room;
	DECLARE_BITMAP(used, VMSHM_SLOTS);
	struct vmshm_slot slot[VMSHM_SLOTS];
};

/**
 * enum vmshm_slot_use - what a slot is for
 * @VMSHM_SLOT_HOLDS: kept for as long as a file holds a word
 * @VMSHM_SLOT_POLLS: kept for as long as a file polls a word
 * @VMSHM_SLOT_WAITS: one wait; some slots are reserved for this use
 */
enum vmshm_slot_use {
	VMSHM_SLOT_HOLDS,
	VMSHM_SLOT_POLLS,
	VMSHM_SLOT_WAITS,
};

void vmshm_slot_waiter_init(struct vmshm_slot_waiter *waiter);
int vmshm_slot_get(struct vmshm_slots *slots, enum vmshm_slot_use use,
		   struct vmshm_slot_waiter *waiter);
void vmshm_slot_put(struct vmshm_slots *slots, unsigned int n);
void vmshm_slot_start(struct vmshm_dev *vdev, unsigned int n, u64 place,
		      u64 control);
u64 vmshm_slot_control(struct vmshm_dev *vdev, unsigned int n);
void vmshm_slot_wake(struct vmshm_dev *vdev, u64 place, u32 count);
bool vmshm_slot_stop(struct vmshm_dev *vdev, unsigned int n, bool pass_on);
void vmshm_slots_init(struct vmshm_dev *vdev, struct pci_dev *pdev);
void vmshm_slots_stop(struct vmshm_dev *vdev);
void vmshm_slots_exit(struct vmshm_dev *vdev);

#endif /* VMSHM_SLOT_H */
