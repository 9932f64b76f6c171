// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm resets: the use of the device goes on after it was reset.
 *
 * Before a reset of the PCI function, all use of the device pauses: first that
 * of vnodes, which includes page faults, then that of memory, slots and
 * commands. After the reset, objects are attached again by name and identity,
 * at the places where they were. A system sleep needs only the second part,
 * because all tasks are frozen.
 */
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/jiffies.h>
#include <linux/mutex.h>

#include "content.h"
#include "ioctl.h"
#include "mailbox.h"
#include "pause.h"
#include "queue.h"
#include "regs.h"
#include "reset.h"
#include "slot.h"
#include "vmshm.h"

/* The time for which a reset waits for commands */
#define VMSHM_RESET_COMMANDS (5 * HZ)
/* The time for which it waits for pages in use */
#define VMSHM_RESET_PAGES (2 * HZ)

/*
 * Waits until no page is in use. A waiter has a reference to the page of its
 * word. It is woken, and waits again after the reset if the word is the same.
 */
static void vmshm_reset_wait_for_pages(struct vmshm_dev *vdev)
{
	unsigned long end = jiffies + VMSHM_RESET_PAGES;

	for (;;) {
		if (vdev->slots) {
			vmshm_queue_wake_all(vdev->queue);
			vmshm_slots_drop_pages(vdev->slots);
		}
		if (vmshm_content_idle(vdev))
			return;
		if (time_after(jiffies, end))
			break;
		usleep_range(5000, 10000);
	}
	vmshm_content_warn(vdev);
}

/**
 * vmshm_reset_expect() - note whether the device was reset already
 * @vdev: a device that will be reset, or sleep
 */
void vmshm_reset_expect(struct vmshm_dev *vdev)
{
	vdev->surprised = vmshm_mailboxes_lost(vdev);
}

/**
 * vmshm_reset_begin() - pause all use of a device that will be reset
 * @vdev: a device with an arena
 *
 * vmshm_reset_end() has to follow, in the same task.
 */
void vmshm_reset_begin(struct vmshm_dev *vdev)
{
	unsigned long end = jiffies + VMSHM_RESET_COMMANDS;

	vmshm_reset_expect(vdev);
	vmshm_pause_set(vdev, VMSHM_PAUSE_VNODES);
	vmshm_content_pause(vdev, end);
	vmshm_reset_wait_for_pages(vdev);
	if (vdev->slots) {
		vmshm_slots_pause(vdev->slots);
		vmshm_ioctl_mark_held(vdev);
	}
	vmshm_pause_set(vdev, VMSHM_PAUSE_COMMANDS);
	vmshm_mailboxes_pause(vdev, end);
	/* A task that executes a command through registers has the lock. */
	mutex_lock(&vdev->lock);
	WRITE_ONCE(vdev->resets, vdev->resets + 1);
	mutex_unlock(&vdev->lock);
	WRITE_ONCE(vdev->hurry, false);
}

/**
 * vmshm_reset_restore() - attach all objects again: the device was reset
 * @vdev: a device with an arena, paused; or the system was asleep
 *
 * If nothing was paused at a reset, stores to the objects may have been lost.
 * All of them are gone then.
 */
void vmshm_reset_restore(struct vmshm_dev *vdev)
{
	if (vdev->slots)
		vmshm_slots_forget(vdev->slots);
	/* Attributes that a listing has read are old. */
	atomic_inc(&vdev->changes);
	mutex_lock(&vdev->lock);
	WRITE_ONCE(vdev->resets, vdev->resets + 1);
	vmshm_regs_release(vdev);
	mutex_unlock(&vdev->lock);
	vmshm_mailboxes_begin_epoch(vdev);
	if (vdev->surprised)
		vmshm_content_lose_all(vdev);
	else
		vmshm_content_restore(vdev);
	if (vdev->slots)
		vmshm_ioctl_restore(vdev);
}

/**
 * vmshm_reset_end() - end the pause
 * @vdev: the device; it is restored, or gone
 */
void vmshm_reset_end(struct vmshm_dev *vdev)
{
	if (vdev->slots) {
		vmshm_slots_resume(vdev->slots);
		vmshm_queue_wake_all(vdev->queue);
	}
	vmshm_pause_end(vdev);
}
