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

#include "slot.h"

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

static void __iomem *vmshm_fired_reg(struct vmshm_dev *vdev, unsigned int n)
{
	return vdev->regs + VMSHM_REG_FIRED + n / 32 * sizeof(u32);
}

void vmshm_waiter_init(struct vmshm_waiter *waiter)
{
	init_waitqueue_head(&waiter->wait);
	waiter->fired = false;
	waiter->seen = false;
}

/* Whether there was somebody to tell */
static bool vmshm_slot_fired(struct vmshm_slot *slot)
{
	struct vmshm_waiter *waiter = slot->waiter;

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
static void vmshm_irq_word(struct vmshm_dev *vdev, unsigned int first)
{
	void __iomem *reg = vmshm_fired_reg(vdev, first);
	unsigned long fired = ioread32(reg);
	unsigned int bit;
	u32 told = 0;

	for_each_set_bit(bit, &fired, 32)
		if (vmshm_slot_fired(&vdev->waits->slot[first + bit]))
			told |= BIT(bit);
	if (told)
		iowrite32(told, reg);
}

static irqreturn_t vmshm_irq(int irq, void *data)
{
	struct vmshm_dev *vdev = data;
	struct vmshm_waits *waits = vdev->waits;
	unsigned int first;

	spin_lock(&waits->lock);
	for (first = VMSHM_SLOTS_POLL; first < VMSHM_SLOTS; first += 32)
		/* To ask the device takes longer. */
		if (find_next_bit(waits->used, first + 32, first) < first + 32)
			vmshm_irq_word(vdev, first);
	spin_unlock(&waits->lock);
	/* Always ours, even if who gave up has cleared the bit already */
	return IRQ_HANDLED;
}

/* A free slot of [@first, @end), or -ENOSPC */
static int vmshm_slot_find(struct vmshm_waits *waits, unsigned int first,
			   unsigned int end)
{
	unsigned int n;

	do {
		n = find_next_zero_bit(waits->used, end, first);
		if (n >= end)
			return -ENOSPC;
	} while (test_and_set_bit_lock(n, waits->used));
	return n;
}

static int vmshm_slot_find_use(struct vmshm_waits *waits,
			       enum vmshm_slot_use use)
{
	int n;

	switch (use) {
	case VMSHM_SLOT_HOLDS:
		return vmshm_slot_find(waits, 0, VMSHM_SLOTS_POLL);
	case VMSHM_SLOT_POLLS:
		return vmshm_slot_find(waits, VMSHM_SLOTS_POLL,
				       VMSHM_SLOTS_WAIT);
	default:
		n = vmshm_slot_find(waits, VMSHM_SLOTS_WAIT, VMSHM_SLOTS);
		return n >= 0 ? n : vmshm_slot_find_use(waits,
							VMSHM_SLOT_POLLS);
	}
}

static void vmshm_slot_set_waiter(struct vmshm_waits *waits, unsigned int n,
				  struct vmshm_waiter *waiter)
{
	spin_lock_irq(&waits->lock);
	waits->slot[n].waiter = waiter;
	spin_unlock_irq(&waits->lock);
}

int vmshm_slot_get(struct vmshm_waits *waits, enum vmshm_slot_use use,
		   struct vmshm_waiter *waiter)
{
	int n = vmshm_slot_find_use(waits, use);

	if (n >= 0)
		vmshm_slot_set_waiter(waits, n, waiter);
	return n;
}

void vmshm_slot_put(struct vmshm_waits *waits, unsigned int n)
{
	vmshm_slot_set_waiter(waits, n, NULL);
	clear_bit_unlock(n, waits->used);
	wake_up(&waits->room);
}

void vmshm_slot_start(struct vmshm_dev *vdev, unsigned int n, u64 place,
		      u64 control)
{
	struct vmshm_slot *slot = &vdev->waits->slot[n];

	lockdep_assert_held(&vdev->lock);
	if (slot->place != place)
		writeq(place, vmshm_slot_reg(vdev, n, VMSHM_SLOT_PLACE));
	slot->place = place;
	writeq(control, vmshm_slot_reg(vdev, n, VMSHM_SLOT_CONTROL));
}

u64 vmshm_slot_control(struct vmshm_dev *vdev, unsigned int n)
{
	return readq(vmshm_slot_reg(vdev, n, VMSHM_SLOT_CONTROL));
}

void vmshm_wake_at(struct vmshm_dev *vdev, u64 place, u32 count)
{
	u64 most = min_t(u32, count, 0xffff);

	lockdep_assert_held(&vdev->lock);
	writeq(most << VMSHM_WAKE_COUNT_SHIFT | place / sizeof(u32),
	       vdev->regs + VMSHM_REG_WAKE);
}

/* Whether it has fired before */
static bool vmshm_slot_disarm(struct vmshm_dev *vdev, unsigned int n)
{
	struct vmshm_waits *waits = vdev->waits;
	bool fired;

	spin_lock_irq(&waits->lock);
	fired = waits->slot[n].waiter->fired;
	if (!fired) {
		writeq(0, vmshm_slot_reg(vdev, n, VMSHM_SLOT_CONTROL));
		fired = vmshm_slot_control(vdev, n) == VMSHM_SLOT_IS_FIRED;
		if (fired)
			iowrite32(BIT(n % 32), vmshm_fired_reg(vdev, n));
	}
	spin_unlock_irq(&waits->lock);
	return fired;
}

bool vmshm_slot_stop(struct vmshm_dev *vdev, unsigned int n, bool pass_on)
{
	struct vmshm_slot *slot = &vdev->waits->slot[n];
	struct page *page;
	bool fired = true;

	mutex_lock(&vdev->lock);
	if (!vdev->gone && n < VMSHM_SLOTS_POLL) {
		/* Without the spinlock: the end of a hold takes its time. */
		writeq(0, vmshm_slot_reg(vdev, n, VMSHM_SLOT_CONTROL));
	} else if (!vdev->gone) {
		fired = vmshm_slot_disarm(vdev, n);
		if (fired && pass_on)
			vmshm_wake_at(vdev, slot->place, 1);
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
	struct vmshm_waits *waits = vdev->waits;
	struct vmshm_slot *slot = &waits->slot[n];
	bool fired;

	lockdep_assert_held(&vdev->lock);
	writeq(0, vmshm_slot_reg(vdev, n, VMSHM_SLOT_CONTROL));
	if (n < VMSHM_SLOTS_POLL)
		return;
	spin_lock_irq(&waits->lock);
	fired = ioread32(vmshm_fired_reg(vdev, n)) & BIT(n % 32);
	if (fired)
		iowrite32(BIT(n % 32), vmshm_fired_reg(vdev, n));
	if (slot->waiter)
		wake_up_all(&slot->waiter->wait);
	spin_unlock_irq(&waits->lock);
	if (fired)
		vmshm_wake_at(vdev, slot->place, 1);
}

/* The device is gone: nobody sleeps on, and no page is kept. */
void vmshm_waits_stop(struct vmshm_dev *vdev)
{
	struct vmshm_waits *waits = vdev->waits;
	unsigned int n;

	if (!waits)
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
	wake_up_all(&waits->room);
}

/* No interrupt comes any more. The memory goes with the device. */
void vmshm_waits_exit(struct vmshm_dev *vdev)
{
	struct pci_dev *pdev;

	if (!vdev->waits)
		return;
	pdev = vdev->waits->pdev;
	free_irq(pci_irq_vector(pdev, 0), vdev);
	pci_free_irq_vectors(pdev);
}

/* Without it everything else works. */
void vmshm_waits_init(struct vmshm_dev *vdev, struct pci_dev *pdev)
{
	struct vmshm_waits *waits;
	int err;

	if (!vdev->arena || !(vdev->features & VMSHM_F_FUTEX))
		return;
	waits = kzalloc(sizeof(*waits), GFP_KERNEL);
	if (!waits)
		return;
	waits->pdev = pdev;
	spin_lock_init(&waits->lock);
	init_waitqueue_head(&waits->room);
	pci_set_master(pdev);
	err = pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSIX);
	if (err < 0)
		goto err_free;
	vdev->waits = waits;
	err = request_irq(pci_irq_vector(pdev, 0), vmshm_irq, 0, "vmshm", vdev);
	if (err)
		goto err_vectors;
	return;

err_vectors:
	vdev->waits = NULL;
	pci_free_irq_vectors(pdev);
err_free:
	kfree(waits);
	dev_warn(&pdev->dev, "no interrupt (error %d), so nobody can wait\n",
		 err);
}
