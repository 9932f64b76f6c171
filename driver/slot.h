/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm slots: the device waits or holds on the host for the guest.
 */
#ifndef VMSHM_SLOT_H
#define VMSHM_SLOT_H

#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/uidgid.h>
#include <linux/wait.h>

#include <vmshm/regs.h>

struct page;
struct pci_dev;
struct vmshm_dev;

/**
 * struct vmshm_slot_waiter - the waiter that is woken when a slot fires
 * @wait: wait queue of the tasks that sleep or poll
 * @fired: the slot has fired; set under slots->lock, read without the lock
 * @seen: poll(2) has reported the wake-up; under slots->lock
 */
struct vmshm_slot_waiter {
	wait_queue_head_t wait;
	bool fired;
	bool seen;
};

/**
 * struct vmshm_slot - a slot of the device
 * @waiter: or NULL; under slots->lock
 * @owner: the user to whose limit the slot counts; under slots->lock
 * @place: the register PLACE; for the user of the slot
 * @page: keeps the place of the word, or NULL; taken with xchg()
 */
struct vmshm_slot {
	struct vmshm_slot_waiter *waiter;
	kuid_t owner;
	u64 place;
	struct page *page;
};

/**
 * struct vmshm_slots - all slots of a device
 * @pdev: the PCI function, for its interrupts
 * @regs: BAR0
 * @memory: command memory, which has the bits of FIRED; or NULL
 * @records: slots have records
 * @vectors: number of interrupt vectors
 * @vector_name: names of the vectors
 * @gone_lock: held for reading while the registers of slots are used
 * @gone: the registers are not to be used any more; under @gone_lock
 * @paused: the device is being reset; under @gone_lock
 * @pause_ends: where tasks wait for the end of the pause
 * @used: bitmap of the slots that are in use
 * @count: number of slots
 * @slot: by number
 *
 * Waiting and waking take no lock of commands.
 */
struct vmshm_slots {
	struct pci_dev *pdev;
	void __iomem *regs;
	void __iomem *memory;
	bool records;
	unsigned int vectors;
	char vector_name[VMSHM_VECTORS_MAX][20];
	struct rw_semaphore gone_lock;
	bool gone;
	bool paused;
	wait_queue_head_t pause_ends;
	/**
	 * @lock: protects @used and the waiters; held from the read of a FIRED
	 * bit until the bit is cleared and the waiter is woken, so that no bit
	 * is left over for the next waiter of the slot
	 */
	spinlock_t lock;
	DECLARE_BITMAP(used, VMSHM_SLOTS_MAX);
	unsigned int count;
	struct vmshm_slot slot[];
};

/**
 * struct vmshm_slot_wake - a wake-up that the device has not executed yet
 * @place: of the word; bytes into BAR4
 * @count: maximum number of waiters to wake; 0: none
 */
struct vmshm_slot_wake {
	u64 place;
	u32 count;
};

/**
 * enum vmshm_slot_use - the use of a slot
 * @VMSHM_SLOT_HOLDS: kept for as long as a file holds a word
 * @VMSHM_SLOT_POLLS: kept for as long as a file polls a word
 * @VMSHM_SLOT_WAITS: one wait; some slots are reserved for this use
 * @VMSHM_SLOT_WAITS_UNSHARED: one wait; fails if so many slots are in use that
 *	waiters share slots
 */
enum vmshm_slot_use {
	VMSHM_SLOT_HOLDS,
	VMSHM_SLOT_POLLS,
	VMSHM_SLOT_WAITS,
	VMSHM_SLOT_WAITS_UNSHARED,
};

kuid_t vmshm_slot_user(void);
void vmshm_slot_waiter_init(struct vmshm_slot_waiter *waiter);
void vmshm_slot_waiter_fire(struct vmshm_slots *slots,
			    struct vmshm_slot_waiter *waiter);
bool vmshm_slots_enter(struct vmshm_slots *slots);
void vmshm_slots_leave(struct vmshm_slots *slots);
int vmshm_slot_get(struct vmshm_slots *slots, enum vmshm_slot_use use,
		   u64 place, kuid_t user, struct vmshm_slot_waiter *waiter);
void vmshm_slot_put(struct vmshm_slots *slots, unsigned int n);
u64 vmshm_slot_hold(struct vmshm_slots *slots, unsigned int n, u64 place);
void vmshm_slot_arm(struct vmshm_slots *slots, unsigned int n, u64 place,
		    u32 expected, struct vmshm_slot_wake *wake);
void vmshm_slot_wake(struct vmshm_slots *slots, u64 place, u32 count);
bool vmshm_slot_disarm(struct vmshm_slots *slots, unsigned int n);
void vmshm_slot_keep(struct vmshm_slots *slots, unsigned int n,
		     struct page *page);
bool vmshm_slot_stop(struct vmshm_slots *slots, unsigned int n, bool pass_on);
struct vmshm_slots *vmshm_slots_new(struct pci_dev *pdev, void __iomem *regs,
				    void __iomem *memory);
void vmshm_slots_stop(struct vmshm_slots *slots);
void vmshm_slots_drop_pages(struct vmshm_slots *slots);
void vmshm_slots_pause(struct vmshm_slots *slots);
void vmshm_slots_forget(struct vmshm_slots *slots);
void vmshm_slots_resume(struct vmshm_slots *slots);
void vmshm_slots_exit(struct vmshm_slots *slots);

#endif /* VMSHM_SLOT_H */
