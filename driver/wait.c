// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm waiting and waking: futex(2) on the host, by slots of the device.
 *
 * A slot waits on the host for one waiter here. Who gives up looks once more
 * whether the slot has fired; if it has, the wake-up was for this waiter, and
 * if it has not, the device passes on what comes too late.
 */
#include <linux/bitmap.h>
#include <linux/err.h>
#include <linux/highmem.h>
#include <linux/hrtimer.h>
#include <linux/interrupt.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/mm.h>
#include <linux/pci.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#include <vmshm/ioctl.h>

#include "vmshm.h"

struct vmshm_slot {
	wait_queue_head_t wait;
	bool fired;
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

static void __iomem *vmshm_slot_reg(struct vmshm_dev *vdev, unsigned int n,
				    unsigned int reg)
{
	return vdev->regs + VMSHM_REG_SLOT + n * VMSHM_SLOT_SIZE + reg;
}

static irqreturn_t vmshm_irq(int irq, void *data)
{
	struct vmshm_dev *vdev = data;
	struct vmshm_waits *waits = vdev->waits;
	irqreturn_t ret = IRQ_NONE;
	unsigned int word;

	spin_lock(&waits->lock);
	for (word = 0; word < VMSHM_SLOTS / 32; word++) {
		void __iomem *reg = vdev->regs + VMSHM_REG_FIRED + 4 * word;
		unsigned long fired = ioread32(reg);
		unsigned int bit;

		if (!fired)
			continue;
		iowrite32(fired, reg);
		ret = IRQ_HANDLED;
		for_each_set_bit(bit, &fired, 32) {
			struct vmshm_slot *slot = &waits->slot[32 * word + bit];

			WRITE_ONCE(slot->fired, true);
			wake_up(&slot->wait);
		}
	}
	spin_unlock(&waits->lock);
	return ret;
}

static int vmshm_slot_try_get(struct vmshm_waits *waits)
{
	unsigned int n;

	do {
		n = find_first_zero_bit(waits->used, VMSHM_SLOTS);
		if (n >= VMSHM_SLOTS)
			return -EAGAIN;
	} while (test_and_set_bit_lock(n, waits->used));
	return n;
}

static void vmshm_slot_put(struct vmshm_waits *waits, unsigned int n)
{
	clear_bit_unlock(n, waits->used);
	wake_up(&waits->room);
}

/* The device may be gone: then nothing is written, and nobody waits. */
static int vmshm_slot_write(struct vmshm_dev *vdev, unsigned int n,
			    unsigned int reg, u64 value)
{
	int err = -ENODEV;

	mutex_lock(&vdev->lock);
	if (!vdev->gone) {
		writeq(value, vmshm_slot_reg(vdev, n, reg));
		err = 0;
	}
	mutex_unlock(&vdev->lock);
	return err;
}

/* Ends a wait; whether it has been woken after all. */
static bool vmshm_slot_disarm(struct vmshm_dev *vdev, unsigned int n)
{
	void __iomem *control = vmshm_slot_reg(vdev, n, VMSHM_SLOT_CONTROL);
	struct vmshm_waits *waits = vdev->waits;
	bool fired = true;

	mutex_lock(&vdev->lock);
	if (!vdev->gone) {
		spin_lock_irq(&waits->lock);
		writeq(0, control);
		fired = readq(control) == VMSHM_SLOT_IS_FIRED;
		if (fired)
			iowrite32(BIT(n % 32), vdev->regs + VMSHM_REG_FIRED +
				  4 * (n / 32));
		spin_unlock_irq(&waits->lock);
	}
	mutex_unlock(&vdev->lock);
	return fired;
}

static bool vmshm_slot_done(struct vmshm_dev *vdev, struct vmshm_slot *slot)
{
	return READ_ONCE(slot->fired) || READ_ONCE(vdev->gone);
}

/* Sleeps until the slot fires; -EINTR for a signal, -ETIMEDOUT. */
static int vmshm_slot_sleep(struct vmshm_dev *vdev, struct vmshm_slot *slot,
			    s64 deadline)
{
	ktime_t left = KTIME_MAX;
	int err;

	if (deadline >= 0)
		left = max_t(s64, deadline - ktime_get_ns(), 0);
	err = wait_event_interruptible_hrtimeout(slot->wait,
						 vmshm_slot_done(vdev, slot),
						 left);
	if (err == -ETIME)
		return -ETIMEDOUT;
	return err ? -EINTR : 0;
}

static int vmshm_wait_at(struct vmshm_dev *vdev, u64 place, u32 expected,
			 s64 deadline)
{
	struct vmshm_waits *waits = vdev->waits;
	struct vmshm_slot *slot;
	int n, err;

	err = wait_event_interruptible(waits->room,
				       (n = vmshm_slot_try_get(waits)) >= 0 ||
				       READ_ONCE(vdev->gone));
	if (err)
		return err;
	if (n < 0)
		return -ENODEV;
	slot = &waits->slot[n];
	WRITE_ONCE(slot->fired, false);
	err = vmshm_slot_write(vdev, n, VMSHM_SLOT_PLACE, place);
	if (!err)
		err = vmshm_slot_write(vdev, n, VMSHM_SLOT_CONTROL,
				       VMSHM_SLOT_ARM | expected);
	if (!err) {
		err = vmshm_slot_sleep(vdev, slot, deadline);
		if (err && vmshm_slot_disarm(vdev, n))
			err = 0;
	}
	vmshm_slot_put(waits, n);
	if (!err && READ_ONCE(vdev->gone))
		err = -ENODEV;
	/* With a deadline, not a duration, the call can simply be made anew. */
	return err == -EINTR ? -ERESTARTSYS : err;
}

/* The page of the word at @offset, to be put, and its place. */
static struct page *vmshm_word_page(struct vmshm_object *object, u64 offset,
				    u64 *place)
{
	struct vmshm_extent *extent;
	struct page *page;

	if (offset % sizeof(u32))
		return ERR_PTR(-EINVAL);
	mutex_lock(&object->lock);
	page = vmshm_object_page(object, offset & PAGE_MASK);
	if (!IS_ERR(page)) {
		extent = vmshm_extent_find(object, offset);
		*place = extent->place + (offset - extent->offset);
	}
	mutex_unlock(&object->lock);
	return page;
}

/*
 * Waits until somebody wakes the word at @offset of the object, on this side of
 * the border or on the other, if it is @expected. @deadline: CLOCK_MONOTONIC,
 * nanoseconds; negative: none. Errors: see <vmshm/ioctl.h>.
 */
static int vmshm_object_wait(struct vmshm_object *object, u64 offset,
			     u32 expected, s64 deadline)
{
	struct vmshm_dev *vdev = object->vdev;
	struct page *page;
	u64 place;
	u32 *kaddr;
	int err;

	if (!vdev->waits)
		return -EOPNOTSUPP;
	page = vmshm_word_page(object, offset, &place);
	if (IS_ERR(page))
		return PTR_ERR(page);
	kaddr = kmap_local_page(page);
	err = READ_ONCE(kaddr[offset_in_page(offset) / sizeof(u32)]) == expected
	      ? 0 : -EAGAIN;
	kunmap_local(kaddr);
	/* The page holds the place of the word. */
	if (!err)
		err = vmshm_wait_at(vdev, place, expected, deadline);
	put_page(page);
	return err;
}

/* Wakes up to @count waiters, 0xffff and more: all. */
static int vmshm_object_wake(struct vmshm_object *object, u64 offset,
			     u32 count)
{
	struct vmshm_dev *vdev = object->vdev;
	u64 most = min_t(u32, count, 0xffff);
	struct page *page;
	int err = 0;
	u64 place;

	if (!vdev->waits)
		return -EOPNOTSUPP;
	page = vmshm_word_page(object, offset, &place);
	if (IS_ERR(page))
		return PTR_ERR(page);
	mutex_lock(&vdev->lock);
	if (vdev->gone)
		err = -ENODEV;
	else
		writeq(most << VMSHM_WAKE_COUNT_SHIFT | place / sizeof(u32),
		       vdev->regs + VMSHM_REG_WAKE);
	mutex_unlock(&vdev->lock);
	put_page(page);
	return err;
}

static long vmshm_ioctl_wait(struct vmshm_object *object, void __user *arg)
{
	struct vmshm_ioc_wait wait;

	if (copy_from_user(&wait, arg, sizeof(wait)))
		return -EFAULT;
	if (wait.reserved)
		return -EINVAL;
	return vmshm_object_wait(object, wait.offset, wait.expected,
				 wait.deadline);
}

static long vmshm_ioctl_wake(struct vmshm_object *object, void __user *arg)
{
	struct vmshm_ioc_wake wake;

	if (copy_from_user(&wake, arg, sizeof(wake)))
		return -EFAULT;
	if (wake.reserved)
		return -EINVAL;
	return vmshm_object_wake(object, wake.offset, wake.count);
}

/* Of a file of the object, whatever kind of file it is. */
long vmshm_object_ioctl(struct vmshm_object *object, unsigned int cmd,
			unsigned long arg)
{
	switch (cmd) {
	case VMSHM_IOC_WAIT:
		return vmshm_ioctl_wait(object, (void __user *)arg);
	case VMSHM_IOC_WAKE:
		return vmshm_ioctl_wake(object, (void __user *)arg);
	default:
		return -ENOTTY;
	}
}

/* The device is gone: nobody sleeps on. */
void vmshm_waits_stop(struct vmshm_dev *vdev)
{
	unsigned int n;

	if (!vdev->waits)
		return;
	for (n = 0; n < VMSHM_SLOTS; n++)
		wake_up_all(&vdev->waits->slot[n].wait);
	wake_up_all(&vdev->waits->room);
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
	unsigned int n;
	int err;

	if (!vdev->arena || !(vdev->features & VMSHM_F_FUTEX))
		return;
	waits = kzalloc(sizeof(*waits), GFP_KERNEL);
	if (!waits)
		return;
	waits->pdev = pdev;
	spin_lock_init(&waits->lock);
	init_waitqueue_head(&waits->room);
	for (n = 0; n < VMSHM_SLOTS; n++)
		init_waitqueue_head(&waits->slot[n].wait);
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
