// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm slots: which of them are in use, and the interrupt that says that some
 * have fired.
 */
#include <linux/bitmap.h>
#include <linux/interrupt.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/mm.h>
#include <linux/pci.h>
#include <linux/poll.h>
#include <linux/slab.h>

#include <vmshm/regs.h>

#include "slot.h"

/*
 * First slots that poll, and first slots that only wait. Slots before hold;
 * they never fire, so that the interrupt need not read their word of FIRED.
 */
#define VMSHM_SLOTS_POLL 32
#define VMSHM_SLOTS_WAIT 80
/* Slots that are free for waiters, but not for those that can share one */
#define VMSHM_SLOTS_SPARE 16

static void __iomem *vmshm_slot_reg(struct vmshm_slots *slots, unsigned int n,
				    unsigned int reg)
{
	return slots->regs + VMSHM_REG_SLOT + n * VMSHM_SLOT_SIZE + reg;
}

/* The word of FIRED that has the bit of the slot; needs no register access */
static atomic_t *vmshm_slot_fired_memory(struct vmshm_slots *slots,
					 unsigned int n)
{
	return (__force atomic_t *)(slots->regs + VMSHM_MEM_FIRED +
				    n / 32 * sizeof(u32));
}

static void __iomem *vmshm_slot_fired_reg(struct vmshm_slots *slots,
					  unsigned int n)
{
	return slots->regs + VMSHM_REG_FIRED + n / 32 * sizeof(u32);
}

static u32 vmshm_slot_read_fired(struct vmshm_slots *slots, unsigned int n)
{
	if (slots->memory)
		return atomic_read(vmshm_slot_fired_memory(slots, n));
	return ioread32(vmshm_slot_fired_reg(slots, n));
}

/* Under slots->lock, so that no bit of an earlier wait is left over. */
static void vmshm_slot_clear_fired(struct vmshm_slots *slots, unsigned int n,
				   u32 bits)
{
	if (slots->memory)
		atomic_andnot(bits, vmshm_slot_fired_memory(slots, n));
	else
		iowrite32(bits, vmshm_slot_fired_reg(slots, n));
}

/**
 * vmshm_slot_waiter_init() - prepare a waiter
 * @waiter: the waiter
 */
void vmshm_slot_waiter_init(struct vmshm_slot_waiter *waiter)
{
	init_waitqueue_head(&waiter->wait);
	waiter->fired = false;
	waiter->seen = false;
}

static void vmshm_slot_waiter_tell(struct vmshm_slot_waiter *waiter)
{
	WRITE_ONCE(waiter->fired, true);
	wake_up_poll(&waiter->wait, EPOLLIN | EPOLLRDNORM);
}

/**
 * vmshm_slot_waiter_fire() - do to a waiter what a slot does that fires
 * @slots: the slots of the device
 * @waiter: the waiter
 */
void vmshm_slot_waiter_fire(struct vmshm_slots *slots,
			    struct vmshm_slot_waiter *waiter)
{
	spin_lock_irq(&slots->lock);
	vmshm_slot_waiter_tell(waiter);
	spin_unlock_irq(&slots->lock);
}

/*
 * At unbind a slot can fire when its waiter has left already. Its bit stays,
 * for vmshm_slots_stop() to pass the wake-up on.
 */
static void vmshm_slot_irq_word(struct vmshm_slots *slots, unsigned int first)
{
	unsigned long fired = vmshm_slot_read_fired(slots, first);
	unsigned int bit;
	u32 told = 0;

	for_each_set_bit(bit, &fired, 32) {
		struct vmshm_slot_waiter *waiter;

		waiter = slots->slot[first + bit].waiter;
		if (waiter) {
			vmshm_slot_waiter_tell(waiter);
			told |= BIT(bit);
		}
	}
	if (told)
		vmshm_slot_clear_fired(slots, first, told);
}

static irqreturn_t vmshm_slot_irq(int irq, void *data)
{
	struct vmshm_slots *slots = data;
	unsigned int first;

	spin_lock(&slots->lock);
	for (first = VMSHM_SLOTS_POLL; first < VMSHM_SLOTS; first += 32)
		/* To ask the device takes longer. */
		if (find_next_bit(slots->used, first + 32, first) < first + 32)
			vmshm_slot_irq_word(slots, first);
	spin_unlock(&slots->lock);
	/* A waiter that gave up may have cleared the bit already. */
	return IRQ_HANDLED;
}

/**
 * vmshm_slots_enter() - begin to use registers of slots
 * @slots: the slots of the device
 *
 * Return: true, and vmshm_slots_leave() has to follow; or false: the device is
 * gone.
 */
bool vmshm_slots_enter(struct vmshm_slots *slots)
{
	down_read(&slots->gone_lock);
	if (!slots->gone)
		return true;
	up_read(&slots->gone_lock);
	return false;
}

/**
 * vmshm_slots_leave() - end what vmshm_slots_enter() began
 * @slots: the slots of the device
 */
void vmshm_slots_leave(struct vmshm_slots *slots)
{
	up_read(&slots->gone_lock);
}

/* Whether a user other than root has half of the slots [@first, @end) */
static bool vmshm_slot_is_over_limit(struct vmshm_slots *slots,
				     unsigned int first, unsigned int end,
				     kuid_t user)
{
	unsigned int n, count = 0;

	if (uid_eq(user, GLOBAL_ROOT_UID))
		return false;
	for (n = find_next_bit(slots->used, end, first); n < end;
	     n = find_next_bit(slots->used, end, n + 1))
		if (uid_eq(slots->slot[n].owner, user))
			count++;
	return count >= (end - first) / 2;
}

/*
 * A free slot of [@first, @end), rather one that has PLACE already, as that
 * saves a write; or -ENOSPC.
 */
static int vmshm_slot_find(struct vmshm_slots *slots, unsigned int first,
			   unsigned int end, u64 place)
{
	int best = -ENOSPC;
	unsigned int n;

	for (n = find_next_zero_bit(slots->used, end, first); n < end;
	     n = find_next_zero_bit(slots->used, end, n + 1)) {
		if (slots->slot[n].place == place)
			return n;
		if (best < 0)
			best = n;
	}
	return best;
}

static unsigned int vmshm_slots_free(struct vmshm_slots *slots)
{
	unsigned int n, count = 0;

	for (n = VMSHM_SLOTS_POLL; n < VMSHM_SLOTS; n++)
		count += !test_bit(n, slots->used);
	return count;
}

static int vmshm_slot_find_wait(struct vmshm_slots *slots, u64 place,
				kuid_t user)
{
	int n;

	if (vmshm_slot_is_over_limit(slots, VMSHM_SLOTS_POLL, VMSHM_SLOTS,
				     user))
		return -ENOSPC;
	n = vmshm_slot_find(slots, VMSHM_SLOTS_WAIT, VMSHM_SLOTS, place);
	return n >= 0 ? n :
			vmshm_slot_find(slots, VMSHM_SLOTS_POLL,
					VMSHM_SLOTS_WAIT, place);
}

static int vmshm_slot_find_use(struct vmshm_slots *slots,
			       enum vmshm_slot_use use, u64 place, kuid_t user)
{
	switch (use) {
	case VMSHM_SLOT_HOLDS:
		if (vmshm_slot_is_over_limit(slots, 0, VMSHM_SLOTS_POLL, user))
			return -ENOSPC;
		return vmshm_slot_find(slots, 0, VMSHM_SLOTS_POLL, place);
	case VMSHM_SLOT_POLLS:
		if (vmshm_slot_is_over_limit(slots, VMSHM_SLOTS_POLL,
					     VMSHM_SLOTS_WAIT, user))
			return -ENOSPC;
		return vmshm_slot_find(slots, VMSHM_SLOTS_POLL,
				       VMSHM_SLOTS_WAIT, place);
	case VMSHM_SLOT_WAITS_SPARE:
		if (vmshm_slots_free(slots) <= VMSHM_SLOTS_SPARE)
			return -ENOSPC;
		fallthrough;
	default:
		return vmshm_slot_find_wait(slots, place, user);
	}
}

/**
 * vmshm_slot_get() - get a free slot
 * @slots: the slots of the device
 * @use: what it is for
 * @place: of the word; bytes into BAR4
 * @user: whose limit it counts for
 * @waiter: is told when the slot fires; or NULL
 *
 * Return: number of the slot; or -ENOSPC: all are in use, or half of them by
 * this user, which is the limit for all users but root.
 */
int vmshm_slot_get(struct vmshm_slots *slots, enum vmshm_slot_use use,
		   u64 place, kuid_t user, struct vmshm_slot_waiter *waiter)
{
	int n;

	spin_lock_irq(&slots->lock);
	n = vmshm_slot_find_use(slots, use, place, user);
	if (n >= 0) {
		__set_bit(n, slots->used);
		slots->slot[n].waiter = waiter;
		slots->slot[n].owner = user;
	}
	spin_unlock_irq(&slots->lock);
	return n;
}

/**
 * vmshm_slot_put() - give back a slot
 * @slots: the slots of the device
 * @n: number of the slot, which is stopped
 */
void vmshm_slot_put(struct vmshm_slots *slots, unsigned int n)
{
	spin_lock_irq(&slots->lock);
	slots->slot[n].waiter = NULL;
	__clear_bit(n, slots->used);
	spin_unlock_irq(&slots->lock);
}

/**
 * vmshm_slot_start() - begin to wait or to hold
 * @slots: the slots of the device, entered
 * @n: number of the slot
 * @place: of the word; bytes into BAR4
 * @control: VMSHM_SLOT_ARM and the value, or VMSHM_SLOT_HOLD
 */
void vmshm_slot_start(struct vmshm_slots *slots, unsigned int n, u64 place,
		      u64 control)
{
	struct vmshm_slot *slot = &slots->slot[n];

	if (slot->place != place)
		writeq(place, vmshm_slot_reg(slots, n, VMSHM_SLOT_PLACE));
	slot->place = place;
	writeq(control, vmshm_slot_reg(slots, n, VMSHM_SLOT_CONTROL));
}

/**
 * vmshm_slot_control() - read the state of a slot
 * @slots: the slots of the device, entered
 * @n: number of the slot
 *
 * Return: VMSHM_SLOT_IS_*, with the owner if it is held.
 */
u64 vmshm_slot_control(struct vmshm_slots *slots, unsigned int n)
{
	return readq(vmshm_slot_reg(slots, n, VMSHM_SLOT_CONTROL));
}

/**
 * vmshm_slot_wake() - wake waiters of a word
 * @slots: the slots of the device, entered
 * @place: of the word; bytes into BAR4
 * @count: how many at most; 0xffff and more: all
 */
void vmshm_slot_wake(struct vmshm_slots *slots, u64 place, u32 count)
{
	u64 most = min_t(u32, count, 0xffff);

	writeq(most << VMSHM_WAKE_COUNT_SHIFT | place / sizeof(u32),
	       slots->regs + VMSHM_REG_WAKE);
}

/* The slot does not fire any more. Whether it has fired before */
static bool vmshm_slot_end_wait(struct vmshm_slots *slots, unsigned int n)
{
	struct vmshm_slot_waiter *waiter = slots->slot[n].waiter;
	bool fired, late;

	if (READ_ONCE(waiter->fired))
		return true;
	writeq(0, vmshm_slot_reg(slots, n, VMSHM_SLOT_CONTROL));
	spin_lock_irq(&slots->lock);
	/* Either the interrupt came in time, or the bit is set still. */
	fired = waiter->fired;
	late = vmshm_slot_read_fired(slots, n) & BIT(n % 32);
	if (!fired && late) {
		vmshm_slot_clear_fired(slots, n, BIT(n % 32));
		WRITE_ONCE(waiter->fired, true);
		fired = true;
	}
	spin_unlock_irq(&slots->lock);
	return fired;
}

/**
 * vmshm_slot_disarm() - end a wait
 * @slots: the slots of the device
 * @n: number of the slot, which has a waiter
 *
 * Return: true if the slot has fired before.
 */
bool vmshm_slot_disarm(struct vmshm_slots *slots, unsigned int n)
{
	bool fired;

	if (!vmshm_slots_enter(slots))
		return READ_ONCE(slots->slot[n].waiter->fired);
	fired = vmshm_slot_end_wait(slots, n);
	vmshm_slots_leave(slots);
	return fired;
}

/**
 * vmshm_slot_keep() - keep the page of a word until vmshm_slot_stop()
 * @slots: the slots of the device, entered
 * @n: number of the slot
 * @page: the page; gets another reference
 */
void vmshm_slot_keep(struct vmshm_slots *slots, unsigned int n,
		     struct page *page)
{
	get_page(page);
	slots->slot[n].page = page;
}

/* vmshm_slots_stop() may do it at the same time. */
static void vmshm_slot_drop_page(struct vmshm_slots *slots, unsigned int n)
{
	struct page *page = xchg(&slots->slot[n].page, NULL);

	if (page)
		put_page(page);
}

/**
 * vmshm_slot_stop() - end what vmshm_slot_start() began, and drop the page
 * @slots: the slots of the device
 * @n: number of the slot
 * @pass_on: if the slot was woken, wake another waiter instead
 *
 * Return: true if the slot was woken or the device is gone.
 */
bool vmshm_slot_stop(struct vmshm_slots *slots, unsigned int n, bool pass_on)
{
	bool fired = true;

	if (vmshm_slots_enter(slots)) {
		if (n < VMSHM_SLOTS_POLL) {
			writeq(0, vmshm_slot_reg(slots, n, VMSHM_SLOT_CONTROL));
		} else {
			fired = vmshm_slot_end_wait(slots, n);
			if (fired && pass_on)
				vmshm_slot_wake(slots, slots->slot[n].place, 1);
		}
		vmshm_slots_leave(slots);
	}
	vmshm_slot_drop_page(slots, n);
	return fired;
}

/*
 * The device is as good as gone, but its registers work still. The slot takes
 * no wake-up any more. One that no waiter was told of goes to another waiter.
 */
static void vmshm_slot_end(struct vmshm_slots *slots, unsigned int n)
{
	struct vmshm_slot *slot = &slots->slot[n];
	bool fired;

	writeq(0, vmshm_slot_reg(slots, n, VMSHM_SLOT_CONTROL));
	if (n < VMSHM_SLOTS_POLL)
		return;
	spin_lock_irq(&slots->lock);
	fired = vmshm_slot_read_fired(slots, n) & BIT(n % 32);
	if (fired)
		vmshm_slot_clear_fired(slots, n, BIT(n % 32));
	if (slot->waiter)
		wake_up_all(&slot->waiter->wait);
	spin_unlock_irq(&slots->lock);
	if (fired)
		vmshm_slot_wake(slots, slot->place, 1);
}

/**
 * vmshm_slots_stop() - end all slots: the device is gone
 * @slots: the slots of the device
 *
 * No waiter of a slot sleeps on, and no page is kept.
 */
void vmshm_slots_stop(struct vmshm_slots *slots)
{
	unsigned int n;

	down_write(&slots->gone_lock);
	WRITE_ONCE(slots->gone, true);
	up_write(&slots->gone_lock);
	/* Waiters first: others answer when a holder of a word is gone. */
	for (n = VMSHM_SLOTS; n--;) {
		vmshm_slot_end(slots, n);
		vmshm_slot_drop_page(slots, n);
	}
}

/**
 * vmshm_slots_forget() - the device was reset, and no slot is in use
 * @slots: the slots of the device
 */
void vmshm_slots_forget(struct vmshm_slots *slots)
{
	unsigned int n;

	for (n = 0; n < VMSHM_SLOTS; n++)
		slots->slot[n].place = 0;
}

/**
 * vmshm_slots_exit() - give back the interrupt
 * @slots: the slots of the device, which are stopped
 *
 * The caller frees the memory when no file of the device is open any more.
 */
void vmshm_slots_exit(struct vmshm_slots *slots)
{
	free_irq(pci_irq_vector(slots->pdev, 0), slots);
	pci_free_irq_vectors(slots->pdev);
}

static int vmshm_slots_request_irq(struct vmshm_slots *slots)
{
	struct pci_dev *pdev = slots->pdev;
	int err;

	pci_set_master(pdev);
	err = pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSIX);
	if (err < 0)
		return err;
	err = request_irq(pci_irq_vector(pdev, 0), vmshm_slot_irq, IRQF_SHARED,
			  "vmshm", slots);
	if (err)
		pci_free_irq_vectors(pdev);
	return err;
}

/**
 * vmshm_slots_new() - prepare the slots of a new device
 * @pdev: its PCI function
 * @regs: its BAR0
 * @memory: the bits of FIRED are in memory, too
 *
 * Return: the slots, which kfree() frees; or NULL: then waiting is not
 * supported, but everything else works.
 */
struct vmshm_slots *vmshm_slots_new(struct pci_dev *pdev, void __iomem *regs,
				    bool memory)
{
	struct vmshm_slots *slots = kzalloc(sizeof(*slots), GFP_KERNEL);
	int err;

	if (!slots)
		return NULL;
	slots->pdev = pdev;
	slots->regs = regs;
	slots->memory = memory;
	init_rwsem(&slots->gone_lock);
	spin_lock_init(&slots->lock);
	err = vmshm_slots_request_irq(slots);
	if (!err)
		return slots;
	kfree(slots);
	dev_warn(&pdev->dev,
		 "no interrupt (error %d): waiting is not supported\n", err);
	return NULL;
}
