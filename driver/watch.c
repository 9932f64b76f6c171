// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm watch: resets of which the kernel does not tell the driver.
 *
 * A program can write to the configuration of the function or of its bridge, as
 * setpci(8) does, and the kernel resets a bus after a fatal error of PCI
 * Express (AER). The command memory shows such a reset. Nothing else does:
 * an access to a mapping reads zeros, and a store is lost.
 */
#include <linux/device.h>
#include <linux/errno.h>
#include <linux/timer.h>
#include <linux/workqueue.h>

#include "mailbox.h"
#include "vmshm.h"
#include "watch.h"

/* The interval at which the device is examined */
#define VMSHM_WATCH_INTERVAL HZ

/* Frozen during a sleep, because a sleep resets the device */
static struct workqueue_struct *vmshm_watch_queue;

static void vmshm_watch_work(struct work_struct *work)
{
	struct vmshm_dev *vdev = container_of(to_delayed_work(work),
					      struct vmshm_dev, watch);
	struct device *parent = vdev->dev.parent;

	get_device(&vdev->dev);
	get_device(parent);
	/* A reset by the kernel, or a removal, has the lock. */
	if (device_trylock(parent)) {
		if (!READ_ONCE(vdev->gone) && vmshm_mailboxes_lost(vdev))
			vdev->watch_found(vdev);
		device_unlock(parent);
	}
	if (!READ_ONCE(vdev->gone))
		vmshm_watch_start(vdev);
	put_device(parent);
	put_device(&vdev->dev);
}

/**
 * vmshm_watch_init() - prepare a new device
 * @vdev: the device
 * @found: is called with the lock of the PCI function
 */
void vmshm_watch_init(struct vmshm_dev *vdev,
		      void (*found)(struct vmshm_dev *vdev))
{
	vdev->watch_found = found;
	INIT_DELAYED_WORK(&vdev->watch, vmshm_watch_work);
}

/**
 * vmshm_watch_start() - examine the device from now on
 * @vdev: the device; nothing happens if it has no command memory
 */
void vmshm_watch_start(struct vmshm_dev *vdev)
{
	unsigned long delay = round_jiffies_relative(VMSHM_WATCH_INTERVAL);

	if (vdev->mailboxes)
		queue_delayed_work(vmshm_watch_queue, &vdev->watch, delay);
}

/**
 * vmshm_watch_stop() - end what vmshm_watch_start() began
 * @vdev: the device
 *
 * The caller has the lock of the PCI function, and is not @found.
 */
void vmshm_watch_stop(struct vmshm_dev *vdev)
{
	cancel_delayed_work_sync(&vdev->watch);
}

/**
 * vmshm_watch_queue_new() - prepare the module for devices
 *
 * Return: 0 or -ENOMEM.
 */
int vmshm_watch_queue_new(void)
{
	vmshm_watch_queue = alloc_workqueue("vmshm_watch",
					    WQ_FREEZABLE | WQ_UNBOUND, 0);
	return vmshm_watch_queue ? 0 : -ENOMEM;
}

/**
 * vmshm_watch_queue_free() - undo vmshm_watch_queue_new()
 */
void vmshm_watch_queue_free(void)
{
	destroy_workqueue(vmshm_watch_queue);
}
