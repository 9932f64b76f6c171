// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm slots: who has them, and the interrupt that says that some have fired.
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
#include "vmshm.h"

/*
 * Slots from here on: of those that hold, which never fire, so that the
 * interrupt need not look at their word; that poll; that only wait.
 */
#define VMSHM_SLOTS_POLL 32
#define VMSHM_SLOTS_WAIT 80

static void __iomem *vmshm_slot_reg(struct vmshm_dev *vdev, unsigned int n,
				    unsigned int reg)
{
	return vdev->regs + VMSHM_REG_SLOT + n * VMSHM_SLOT_SIZE + reg;
}

static void __iomem *vmshm_slot_fired_reg(struct vmshm_dev *vdev,
					  unsigned int n)
{
	return vdev->regs + VMSHM_REG_FIRED + n / 32 * sizeof(u32);
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

/* Whether there was somebody to tell */
static bool vmshm_slot_fired(struct vmshm_slot *slot)
{
	struct vmshm_slot_waiter *waiter = slot->waiter;

	if (!waiter)
		return false;
	WRITE_ONCE(waiter->fired, true);
	wake_up_poll(&waiter->wait, EPOLLIN | EPOLLRDNORM);
	return true;
}

/*
 * At unbind a slot can fire when its waiter has left already. Its bit stays,
 * for who ends the slot to pass the wake-up on.
 */
static void vmshm_slot_irq_word(struct vmshm_dev *vdev, unsigned int first)
{
	void __iomem *reg = vmshm_slot_fired_reg(vdev, first);
	unsigned long fired = ioread32(reg);
	unsigned int bit;
	u32 told = 0;

	for_each_set_bit(bit, &fired, 32)
		if (vmshm_slot_fired(&vdev->slots->slot[first + bit]))
			told |= BIT(bit);
	if (told)
		iowrite32(told, reg);
}

static irqreturn_t vmshm_slot_irq(int irq, void *data)
{
	struct vmshm_dev *vdev = data;
	struct vmshm_slots *slots = vdev->slots;
	unsigned int first;

	spin_lock(&slots->lock);
	for (first = VMSHM_SLOTS_POLL; first < VMSHM_SLOTS; first += 32)
		/* To ask the device takes longer. */
		if (find_next_bit(slots->used, first + 32, first) < first + 32)
			vmshm_slot_irq_word(vdev, first);
	spin_unlock(&slots->lock);
	/* Always ours, even if who gave up has cleared the bit already */
	return IRQ_HANDLED;
}

/* A free slot of [@first, @end), or -ENOSPC */
static int vmshm_slot_find(struct vmshm_slots *slots, unsigned int first,
			   unsigned int end)
{
	unsigned int n;

	do {
		n = find_next_zero_bit(slots->used, end, first);
		if (n >= end)
			return -ENOSPC;
	} while (test_and_set_bit_lock(n, slots->used));
	return n;
}

static int vmshm_slot_find_use(struct vmshm_slots *slots,
			       enum vmshm_slot_use use)
{
	int n;

	switch (use) {
	case VMSHM_SLOT_HOLDS:
		return vmshm_slot_find(slots, 0, VMSHM_SLOTS_POLL);
	case VMSHM_SLOT_POLLS:
		return vmshm_slot_find(slots, VMSHM_SLOTS_POLL,
				       VMSHM_SLOTS_WAIT);
	default:
		n = vmshm_slot_find(slots, VMSHM_SLOTS_WAIT, VMSHM_SLOTS);
		return n >= 0 ? n :
				vmshm_slot_find_use(slots, VMSHM_SLOT_POLLS);
	}
}

static void vmshm_slot_set_waiter(struct vmshm_slots *slots, unsigned int n,
				  struct vmshm_slot_waiter *waiter)
{
	spin_lock_irq(&slots->lock);
	slots->slot[n].waiter = waiter;
	spin_unlock_irq(&slots->lock);
}

/**
 * vmshm_slot_get() - get a free slot
 * @slots: the slots of the device
 * @use: what it is for
 * @waiter: is told when the slot fires; or NULL
 *
 * Return: number of the slot, or -ENOSPC.
 */
int vmshm_slot_get(struct vmshm_slots *slots, enum vmshm_slot_use use,
		   struct vmshm_slot_waiter *waiter)
{
	int n = vmshm_slot_find_use(slots, use);

	if (n >= 0)
		vmshm_slot_set_waiter(slots, n, waiter);
	return n;
}

/**
 * vmshm_slot_put() - give back a slot
 * @slots: the slots of the device
 * @n: number of the slot, which is stopped
 */
void vmshm_slot_put(struct vmshm_slots *slots, unsigned int n)
{
	vmshm_slot_set_waiter(slots, n, NULL);
	clear_bit_unlock(n, slots->used);
	wake_up(&slots->room);
}

/**
 * vmshm_slot_start() - begin to wait or to hold
 * @vdev: the device, locked and not gone
 * @n: number of the slot
 * @place: of the word; bytes into BAR4
 * @control: VMSHM_SLOT_ARM and the value, or VMSHM_SLOT_HOLD
 */
void vmshm_slot_start(struct vmshm_dev *vdev, unsigned int n, u64 place,
		      u64 control)
{
	struct vmshm_slot *slot = &vdev->slots->slot[n];

	lockdep_assert_held(&vdev->lock);
	if (slot->place != place)
		writeq(place, vmshm_slot_reg(vdev, n, VMSHM_SLOT_PLACE));
	slot->place = place;
	writeq(control, vmshm_slot_reg(vdev, n, VMSHM_SLOT_CONTROL));
}

/**
 * vmshm_slot_control() - read the state of a slot
 * @vdev: the device, not gone
 * @n: number of the slot
 *
 * Return: VMSHM_SLOT_IS_*, with the owner if it is held.
 */
u64 vmshm_slot_control(struct vmshm_dev *vdev, unsigned int n)
{
	return readq(vmshm_slot_reg(vdev, n, VMSHM_SLOT_CONTROL));
}

/**
 * vmshm_slot_wake() - wake waiters of a word
 * @vdev: the device, locked and not gone
 * @place: of the word; bytes into BAR4
 * @count: how many at most; 0xffff and more: all
 */
void vmshm_slot_wake(struct vmshm_dev *vdev, u64 place, u32 count)
{
	u64 most = min_t(u32, count, 0xffff);

	lockdep_assert_held(&vdev->lock);
	writeq(most << VMSHM_WAKE_COUNT_SHIFT | place / sizeof(u32),
	       vdev->regs + VMSHM_REG_WAKE);
}

/* Whether it has fired before */
static bool vmshm_slot_disarm(struct vmshm_dev *vdev, unsigned int n)
{
	struct vmshm_slots *slots = vdev->slots;
	bool fired;

	spin_lock_irq(&slots->lock);
	fired = slots->slot[n].waiter->fired;
	if (!fired) {
		writeq(0, vmshm_slot_reg(vdev, n, VMSHM_SLOT_CONTROL));
		fired = vmshm_slot_control(vdev, n) == VMSHM_SLOT_IS_FIRED;
		if (fired)
			iowrite32(BIT(n % 32), vmshm_slot_fired_reg(vdev, n));
	}
	spin_unlock_irq(&slots->lock);
	return fired;
}

/**
 * vmshm_slot_stop() - end what vmshm_slot_start() began, and drop the page
 * @vdev: the device
 * @n: number of the slot
 * @pass_on: if the slot was woken, wake another waiter instead
 *
 * Return: true if the slot was woken or the device is gone.
 */
bool vmshm_slot_stop(struct vmshm_dev *vdev, unsigned int n, bool pass_on)
{
	struct vmshm_slot *slot = &vdev->slots->slot[n];
	struct page *page;
	bool fired = true;

	mutex_lock(&vdev->lock);
	if (!vdev->gone && n < VMSHM_SLOTS_POLL) {
		/* Without the spinlock: the end of a hold takes its time. */
		writeq(0, vmshm_slot_reg(vdev, n, VMSHM_SLOT_CONTROL));
	} else if (!vdev->gone) {
		fired = vmshm_slot_disarm(vdev, n);
		if (fired && pass_on)
			vmshm_slot_wake(vdev, slot->place, 1);
	}
	page = slot->page;
	slot->page = NULL;
	mutex_unlock(&vdev->lock);
	if (page)
		put_page(page);
	return fired;
}

/*
 * The device is as good as gone, but still there: the slot takes no wake-up any
 * more, and what it got that nobody here was told of is another waiter's.
 */
static void vmshm_slot_end(struct vmshm_dev *vdev, unsigned int n)
{
	struct vmshm_slots *slots = vdev->slots;
	struct vmshm_slot *slot = &slots->slot[n];
	bool fired;

	lockdep_assert_held(&vdev->lock);
	writeq(0, vmshm_slot_reg(vdev, n, VMSHM_SLOT_CONTROL));
	if (n < VMSHM_SLOTS_POLL)
		return;
	spin_lock_irq(&slots->lock);
	fired = ioread32(vmshm_slot_fired_reg(vdev, n)) & BIT(n % 32);
	if (fired)
		iowrite32(BIT(n % 32), vmshm_slot_fired_reg(vdev, n));
	if (slot->waiter)
		wake_up_all(&slot->waiter->wait);
	spin_unlock_irq(&slots->lock);
	if (fired)
		vmshm_slot_wake(vdev, slot->place, 1);
}

/**
 * vmshm_slots_stop() - end all slots: the device is gone
 * @vdev: the device
 *
 * No task sleeps on, and no page is kept.
 */
void vmshm_slots_stop(struct vmshm_dev *vdev)
{
	struct vmshm_slots *slots = vdev->slots;
	unsigned int n;

	if (!slots)
		return;
	/* Waiters first: others answer when a holder of a word is gone. */
	for (n = VMSHM_SLOTS; n--;) {
		/* Also one whose user has just left: he could not end it. */
		mutex_lock(&vdev->lock);
		vmshm_slot_end(vdev, n);
		mutex_unlock(&vdev->lock);
		/* The page */
		vmshm_slot_stop(vdev, n, false);
	}
	wake_up_all(&slots->room);
}

/**
 * vmshm_slots_exit() - give back the interrupt
 * @vdev: the device
 *
 * The memory is freed with the device.
 */
void vmshm_slots_exit(struct vmshm_dev *vdev)
{
	struct pci_dev *pdev;

	if (!vdev->slots)
		return;
	pdev = vdev->slots->pdev;
	free_irq(pci_irq_vector(pdev, 0), vdev);
	pci_free_irq_vectors(pdev);
}

/**
 * vmshm_slots_init() - prepare the slots of a new device
 * @vdev: the device
 * @pdev: its PCI function
 *
 * Without slots everything else works.
 */
void vmshm_slots_init(struct vmshm_dev *vdev, struct pci_dev *pdev)
{
	struct vmshm_slots *slots;
	int err;

	if (!vdev->arena || !(vdev->features & VMSHM_F_FUTEX))
		return;
	slots = kzalloc(sizeof(*slots), GFP_KERNEL);
	if (!slots)
		return;
	slots->pdev = pdev;
	spin_lock_init(&slots->lock);
	init_waitqueue_head(&slots->room);
	pci_set_master(pdev);
	err = pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSIX);
	if (err < 0)
		goto err_free;
	vdev->slots = slots;
	err = request_irq(pci_irq_vector(pdev, 0), vmshm_slot_irq, IRQF_SHARED,
			  "vmshm", vdev);
	if (err)
		goto err_vectors;
	return;

err_vectors:
	vdev->slots = NULL;
	pci_free_irq_vectors(pdev);
err_free:
	kfree(slots);
	dev_warn(&pdev->dev, "no interrupt (error %d), so nobody can wait\n",
		 err);
}
