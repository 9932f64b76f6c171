// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm devices: their numbers, and their lifetime from probe to last close.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "anon.h"
#include "arena.h"
#include "chardev.h"
#include "content.h"
#include "dev.h"
#include "extent.h"
#include "mailbox.h"
#include "owner.h"
#include "pause.h"
#include "queue.h"
#include "recent.h"
#include "regs.h"
#include "slot.h"
#include "ioctl.h"
#include "sysfs.h"
#include "vmshm.h"

#define VMSHM_MAX_DEVICES 256

static dev_t vmshm_dev_devt;

/*
 * Devices by number. The class lists them, too, but only after udev was
 * notified. A udev rule may mount a device at once.
 */
static DEFINE_IDR(vmshm_dev_idr);
static DEFINE_MUTEX(vmshm_dev_idr_lock);

static void vmshm_dev_release(struct device *dev)
{
	struct vmshm_dev *vdev = container_of(dev, struct vmshm_dev, dev);

	iput(vdev->inode);
	kfree(vdev->pci_state);
	vmshm_recent_exit(vdev);
	kfree(vdev->mailboxes);
	vmshm_owners_free(vdev->owners);
	vmshm_queue_free(vdev->queue);
	kvfree(vdev->slots);
	vmshm_arena_destroy(vdev->arena);
	mutex_destroy(&vdev->list_lock);
	mutex_destroy(&vdev->names_lock);
	mutex_destroy(&vdev->vnodes_lock);
	mutex_destroy(&vdev->lock);
	kfree(vdev);
}

static struct class vmshm_dev_class = {
	.name = "vmshm",
	.dev_release = vmshm_dev_release,
};

/**
 * vmshm_dev_new() - make a device
 * @parent: the PCI function
 *
 * put_device(&vdev->dev) gives it back.
 *
 * Return: the device, or ERR_PTR(-ENOMEM).
 */
struct vmshm_dev *vmshm_dev_new(struct device *parent)
{
	struct vmshm_dev *vdev;
	struct inode *inode;

	vdev = kzalloc(sizeof(*vdev), GFP_KERNEL);
	if (!vdev)
		return ERR_PTR(-ENOMEM);
	vdev->owners = vmshm_owners_new();
	if (!vdev->owners) {
		kfree(vdev);
		return ERR_PTR(-ENOMEM);
	}
	inode = vmshm_anon_new();
	if (IS_ERR(inode)) {
		vmshm_owners_free(vdev->owners);
		kfree(vdev);
		return ERR_CAST(inode);
	}
	vdev->inode = inode;
	mutex_init(&vdev->lock);
	mutex_init(&vdev->vnodes_lock);
	mutex_init(&vdev->names_lock);
	hash_init(vdev->vnodes);
	mutex_init(&vdev->list_lock);
	INIT_LIST_HEAD(&vdev->word_files);
	spin_lock_init(&vdev->word_files_lock);
	vmshm_recent_init(vdev);
	vmshm_pause_init(vdev);
	vmshm_extent_init(vdev);
	device_initialize(&vdev->dev);
	vdev->dev.class = &vmshm_dev_class;
	vdev->dev.parent = parent;
	vdev->dev.groups = vmshm_sysfs_groups;
	vmshm_chardev_init(&vdev->cdev);
	return vdev;
}

static void vmshm_dev_forget(struct vmshm_dev *vdev)
{
	mutex_lock(&vmshm_dev_idr_lock);
	idr_remove(&vmshm_dev_idr,
		   MINOR(vdev->dev.devt) - MINOR(vmshm_dev_devt));
	mutex_unlock(&vmshm_dev_idr_lock);
}

/**
 * vmshm_dev_add() - make /dev/vmshmN available
 * @vdev: a device that is ready
 *
 * Return: 0 or a negative errno.
 */
int vmshm_dev_add(struct vmshm_dev *vdev)
{
	int id, err;

	mutex_lock(&vmshm_dev_idr_lock);
	id = idr_alloc(&vmshm_dev_idr, NULL, 0, VMSHM_MAX_DEVICES, GFP_KERNEL);
	mutex_unlock(&vmshm_dev_idr_lock);
	if (id < 0)
		return id;
	vdev->dev.devt =
		MKDEV(MAJOR(vmshm_dev_devt), MINOR(vmshm_dev_devt) + id);
	err = dev_set_name(&vdev->dev, "vmshm%d", id);
	mutex_lock(&vmshm_dev_idr_lock);
	if (err)
		idr_remove(&vmshm_dev_idr, id);
	else
		idr_replace(&vmshm_dev_idr, vdev, id);
	mutex_unlock(&vmshm_dev_idr_lock);
	if (err)
		return err;
	err = cdev_device_add(&vdev->cdev, &vdev->dev);
	if (err)
		vmshm_dev_forget(vdev);
	return err;
}

/**
 * vmshm_dev_del() - undo vmshm_dev_add()
 * @vdev: the device
 *
 * The number is free at once, so a device that is added again gets it back.
 */
void vmshm_dev_del(struct vmshm_dev *vdev)
{
	cdev_device_del(&vdev->cdev, &vdev->dev);
	vmshm_dev_forget(vdev);
}

/**
 * vmshm_dev_stop() - give up the PCI function
 * @vdev: a device after vmshm_dev_del()
 *
 * Files and mappings may stay, but they no longer reach the device: a later
 * access to memory gets SIGBUS, a later call gets ENODEV. If a page is in use
 * by a pipe or a transfer, vdev->lingering is not empty afterwards.
 */
void vmshm_dev_stop(struct vmshm_dev *vdev)
{
	mutex_lock(&vdev->lock);
	WRITE_ONCE(vdev->gone, true);
	mutex_unlock(&vdev->lock);
	wake_up_all(&vdev->pause_ends);
	vmshm_mailboxes_stop(vdev);
	/* From here on no page fault fills a mapping. */
	unmap_mapping_range(vdev->inode->i_mapping, 0, 0, 1);
	if (vdev->slots) {
		vmshm_slots_stop(vdev->slots);
		vmshm_queue_stop(vdev->queue);
	}
	vmshm_ioctl_gone(vdev);
	if (vdev->arena)
		vmshm_content_stop(vdev);
	/* A page in use still shows the object, so it stays attached. */
	if (!list_empty(&vdev->lingering))
		return;
	mutex_lock(&vdev->lock);
	vmshm_regs_release(vdev);
	mutex_unlock(&vdev->lock);
}

/**
 * vmshm_dev_shutdown() - detach everything because the kernel shuts down
 * @vdev: the device
 *
 * Programs that still run see private memory of the device.
 */
void vmshm_dev_shutdown(struct vmshm_dev *vdev)
{
	mutex_lock(&vdev->lock);
	WRITE_ONCE(vdev->gone, true);
	mutex_unlock(&vdev->lock);
	vmshm_mailboxes_stop(vdev);
	mutex_lock(&vdev->lock);
	vmshm_regs_release(vdev);
	mutex_unlock(&vdev->lock);
}

/**
 * vmshm_dev_find() - find a device by its name
 * @name: such as "vmshm0"
 *
 * put_device(&vdev->dev) gives it back.
 *
 * Return: the device, or NULL.
 */
struct vmshm_dev *vmshm_dev_find(const char *name)
{
	struct vmshm_dev *vdev;
	int id;

	mutex_lock(&vmshm_dev_idr_lock);
	idr_for_each_entry(&vmshm_dev_idr, vdev, id)
		if (!strcmp(dev_name(&vdev->dev), name))
			break;
	if (vdev)
		get_device(&vdev->dev);
	mutex_unlock(&vmshm_dev_idr_lock);
	return vdev;
}

/**
 * vmshm_dev_init() - prepare the module for devices
 *
 * Return: 0 or a negative errno.
 */
int vmshm_dev_init(void)
{
	int err;

	err = vmshm_anon_init();
	if (err)
		return err;
	err = alloc_chrdev_region(&vmshm_dev_devt, 0, VMSHM_MAX_DEVICES,
				  "vmshm");
	if (err)
		goto err_inode;
	err = class_register(&vmshm_dev_class);
	if (err)
		goto err_region;
	return 0;

err_region:
	unregister_chrdev_region(vmshm_dev_devt, VMSHM_MAX_DEVICES);
err_inode:
	vmshm_anon_exit();
	return err;
}

/**
 * vmshm_dev_exit() - undo vmshm_dev_init()
 */
void vmshm_dev_exit(void)
{
	class_unregister(&vmshm_dev_class);
	unregister_chrdev_region(vmshm_dev_devt, VMSHM_MAX_DEVICES);
	vmshm_anon_exit();
	idr_destroy(&vmshm_dev_idr);
}
