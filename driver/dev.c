// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm devices: their numbers, and their life from probe to last close.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "vmshm.h"

#define VMSHM_MAX_DEVICES 256

static dev_t vmshm_devt;

/*
 * By number. The class has them too, but only after udev was told of them,
 * whose rules may mount at once.
 */
static DEFINE_IDR(vmshm_devices);
static DEFINE_MUTEX(vmshm_devices_lock);

static void vmshm_dev_release(struct device *dev)
{
	struct vmshm_dev *vdev = container_of(dev, struct vmshm_dev, dev);

	iput(vdev->inode);
	kfree(vdev->waits);
	mutex_destroy(&vdev->list_lock);
	mutex_destroy(&vdev->objects_lock);
	mutex_destroy(&vdev->lock);
	kfree(vdev);
}

static struct class vmshm_class = {
	.name = "vmshm",
	.dev_release = vmshm_dev_release,
};

/* put_device(&vdev->dev) gives it back. */
struct vmshm_dev *vmshm_dev_new(struct device *parent)
{
	struct vmshm_dev *vdev;
	struct inode *inode;

	vdev = kzalloc(sizeof(*vdev), GFP_KERNEL);
	if (!vdev)
		return ERR_PTR(-ENOMEM);
	inode = vmshm_inode_new();
	if (IS_ERR(inode)) {
		kfree(vdev);
		return ERR_CAST(inode);
	}
	vdev->inode = inode;
	mutex_init(&vdev->lock);
	mutex_init(&vdev->objects_lock);
	hash_init(vdev->objects);
	mutex_init(&vdev->list_lock);
	INIT_LIST_HEAD(&vdev->words);
	spin_lock_init(&vdev->words_lock);
	vmshm_extents_init(vdev);
	device_initialize(&vdev->dev);
	vdev->dev.class = &vmshm_class;
	vdev->dev.parent = parent;
	vdev->dev.groups = vmshm_dev_groups;
	vmshm_chardev_init(&vdev->cdev);
	return vdev;
}

static void vmshm_dev_forget(struct vmshm_dev *vdev)
{
	mutex_lock(&vmshm_devices_lock);
	idr_remove(&vmshm_devices, MINOR(vdev->dev.devt) - MINOR(vmshm_devt));
	mutex_unlock(&vmshm_devices_lock);
}

/* From here on /dev/vmshmN can be opened. */
int vmshm_dev_add(struct vmshm_dev *vdev)
{
	int id, err;

	mutex_lock(&vmshm_devices_lock);
	id = idr_alloc(&vmshm_devices, NULL, 0, VMSHM_MAX_DEVICES, GFP_KERNEL);
	mutex_unlock(&vmshm_devices_lock);
	if (id < 0)
		return id;
	vdev->dev.devt = MKDEV(MAJOR(vmshm_devt), MINOR(vmshm_devt) + id);
	err = dev_set_name(&vdev->dev, "vmshm%d", id);
	mutex_lock(&vmshm_devices_lock);
	if (err)
		idr_remove(&vmshm_devices, id);
	else
		idr_replace(&vmshm_devices, vdev, id);
	mutex_unlock(&vmshm_devices_lock);
	if (err)
		return err;
	err = cdev_device_add(&vdev->cdev, &vdev->dev);
	if (err)
		vmshm_dev_forget(vdev);
	return err;
}

/* The number is free at once: a device that comes back is the same again. */
void vmshm_dev_del(struct vmshm_dev *vdev)
{
	cdev_device_del(&vdev->cdev, &vdev->dev);
	vmshm_dev_forget(vdev);
}

/*
 * Files and mappings may stay, but nothing of them reaches the device any
 * more: later accesses are SIGBUS, later calls ENODEV.
 */
void vmshm_dev_stop(struct vmshm_dev *vdev)
{
	mutex_lock(&vdev->lock);
	WRITE_ONCE(vdev->gone, true);
	mutex_unlock(&vdev->lock);
	/* No fault fills a mapping any more. */
	unmap_mapping_range(vdev->inode->i_mapping, 0, 0, 1);
	vmshm_waits_stop(vdev);
	vmshm_words_gone(vdev);
	if (vdev->arena)
		vmshm_extents_stop(vdev);
	mutex_lock(&vdev->lock);
	vmshm_regs_release(vdev);
	mutex_unlock(&vdev->lock);
}

/* The kernel ends; who still runs sees private memory of the device. */
void vmshm_dev_shutdown(struct vmshm_dev *vdev)
{
	mutex_lock(&vdev->lock);
	WRITE_ONCE(vdev->gone, true);
	vmshm_regs_release(vdev);
	mutex_unlock(&vdev->lock);
}

/* "vmshm0" and so on; put_device(&vdev->dev) gives it back. NULL: none. */
struct vmshm_dev *vmshm_dev_find(const char *name)
{
	struct vmshm_dev *vdev;
	int id;

	mutex_lock(&vmshm_devices_lock);
	idr_for_each_entry(&vmshm_devices, vdev, id)
		if (!strcmp(dev_name(&vdev->dev), name))
			break;
	if (vdev)
		get_device(&vdev->dev);
	mutex_unlock(&vmshm_devices_lock);
	return vdev;
}

int vmshm_dev_init(void)
{
	int err;

	err = vmshm_inode_init();
	if (err)
		return err;
	err = alloc_chrdev_region(&vmshm_devt, 0, VMSHM_MAX_DEVICES, "vmshm");
	if (err)
		goto err_inode;
	err = class_register(&vmshm_class);
	if (err)
		goto err_region;
	return 0;

err_region:
	unregister_chrdev_region(vmshm_devt, VMSHM_MAX_DEVICES);
err_inode:
	vmshm_inode_exit();
	return err;
}

void vmshm_dev_exit(void)
{
	class_unregister(&vmshm_class);
	unregister_chrdev_region(vmshm_devt, VMSHM_MAX_DEVICES);
	vmshm_inode_exit();
	idr_destroy(&vmshm_devices);
}
