// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm character device: the interface of 2010, see <vmshm/ioctl.h>.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <vmshm/ioctl.h>

#include "vmshm.h"

static int vmshm_open(struct inode *inode, struct file *file)
{
	struct vmshm_dev *vdev;
	struct vmshm_file *vfile;
	bool gone;

	vdev = container_of(inode->i_cdev, struct vmshm_dev, cdev);
	mutex_lock(&vdev->lock);
	gone = vdev->gone;
	mutex_unlock(&vdev->lock);
	if (gone)
		return -ENODEV;

	vfile = kzalloc(sizeof(*vfile), GFP_KERNEL);
	if (!vfile)
		return -ENOMEM;
	vfile->vdev = vdev;
	file->private_data = vfile;
	file->f_mapping = vdev->inode->i_mapping;
	return 0;
}

static int vmshm_release(struct inode *inode, struct file *file)
{
	struct vmshm_file *vfile = file->private_data;
	struct vmshm_dev *vdev = vfile->vdev;

	mutex_lock(&vdev->lock);
	if (vfile->object)
		vmshm_object_put(vdev, vfile->object);
	mutex_unlock(&vdev->lock);
	kfree(vfile);
	return 0;
}

/* A file has one object for life: the same name again is fine. */
static int vmshm_attach(struct vmshm_file *vfile, const char *name)
{
	struct vmshm_dev *vdev = vfile->vdev;
	struct vmshm_object *object;
	int err = 0;

	mutex_lock(&vdev->lock);
	object = vmshm_object_get(vdev, name);
	if (IS_ERR(object))
		err = PTR_ERR(object);
	else if (vfile->object)
		vmshm_object_put(vdev, object);
	else
		vfile->object = object;
	mutex_unlock(&vdev->lock);
	return err;
}

static long vmshm_ioctl_attach(struct vmshm_file *vfile, const char __user *arg)
{
	char *name;
	long len;

	name = kmalloc(VMSHM_NAME_SIZE, GFP_KERNEL);
	if (!name)
		return -ENOMEM;
	len = strncpy_from_user(name, arg, VMSHM_NAME_SIZE);
	if (len == VMSHM_NAME_SIZE)
		len = -ENAMETOOLONG;
	if (len >= 0)
		len = vmshm_attach(vfile, name);
	kfree(name);
	return len;
}

static long vmshm_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	switch (cmd) {
	case VMSHM_IOC_ATTACH:
		return vmshm_ioctl_attach(file->private_data,
					  (const char __user *)arg);
	default:
		return -ENOTTY;
	}
}

static int vmshm_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct vmshm_file *vfile = file->private_data;
	struct vmshm_dev *vdev = vfile->vdev;
	int err;

	mutex_lock(&vdev->lock);
	if (vdev->gone)
		err = -ENODEV;
	else if (!vfile->object)
		err = -ENXIO;
	else
		err = vmshm_buffer_mmap(vfile, vma);
	mutex_unlock(&vdev->lock);
	return err;
}

static const struct file_operations vmshm_fops = {
	.owner = THIS_MODULE,
	.open = vmshm_open,
	.release = vmshm_release,
	.unlocked_ioctl = vmshm_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = vmshm_mmap,
};

void vmshm_chardev_init(struct cdev *cdev)
{
	cdev_init(cdev, &vmshm_fops);
	cdev->owner = THIS_MODULE;
}
