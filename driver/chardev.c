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

	vdev = container_of(inode->i_cdev, struct vmshm_dev, cdev);
	if (READ_ONCE(vdev->gone))
		return -ENODEV;

	vfile = kzalloc(sizeof(*vfile), GFP_KERNEL);
	if (!vfile)
		return -ENOMEM;
	vfile->words = vmshm_words_new(vdev);
	if (!vfile->words) {
		kfree(vfile);
		return -ENOMEM;
	}
	vfile->vdev = vdev;
	mutex_init(&vfile->lock);
	file->private_data = vfile;
	file->f_mapping = vdev->inode->i_mapping;
	return 0;
}

static int vmshm_flush(struct file *file, fl_owner_t id)
{
	struct vmshm_file *vfile = file->private_data;

	vmshm_words_flush(vfile->words, id);
	return 0;
}

static int vmshm_release(struct inode *inode, struct file *file)
{
	struct vmshm_file *vfile = file->private_data;
	struct vmshm_dev *vdev = vfile->vdev;

	vmshm_words_free(vfile->words);
	if (vfile->buffer) {
		mutex_lock(&vdev->lock);
		vmshm_buffer_put(vdev, vfile->buffer);
		mutex_unlock(&vdev->lock);
	}
	if (vfile->object) {
		vmshm_object_close(vfile->object);
		vmshm_object_put(vfile->object);
	}
	mutex_destroy(&vfile->lock);
	kfree(vfile);
	return 0;
}

/* A file has one object for life: the same name again is fine. */
static int vmshm_attach_buffer(struct vmshm_file *vfile, const char *name)
{
	struct vmshm_dev *vdev = vfile->vdev;
	struct vmshm_buffer *buffer;
	int err = 0;

	mutex_lock(&vdev->lock);
	buffer = vmshm_buffer_get(vdev, name);
	if (IS_ERR(buffer))
		err = PTR_ERR(buffer);
	else if (vfile->buffer)
		vmshm_buffer_put(vdev, buffer);
	else
		vfile->buffer = buffer;
	mutex_unlock(&vdev->lock);
	return err;
}

/* An object that cannot be written is refused: the users of 2010 write. */
static int vmshm_open_object(struct vmshm_object *object, u64 size, bool write)
{
	int err = vmshm_object_open(object, size, write);

	if (!err && !object->size) {
		vmshm_object_close(object);
		err = -ENODATA;
	}
	return err;
}

static int vmshm_attach_object(struct file *file, const char *name)
{
	struct vmshm_file *vfile = file->private_data;
	struct vmshm_dev *vdev = vfile->vdev;
	struct vmshm_object *object;
	struct vmshm_stat st;
	int err;

	mutex_lock(&vdev->lock);
	err = vmshm_regs_stat(vdev, name, 0, &st);
	mutex_unlock(&vdev->lock);
	if (err)
		return err;
	object = vmshm_object_get(vdev, name, &st);
	if (IS_ERR(object))
		return PTR_ERR(object);
	if (vfile->object)
		err = object == vfile->object ? 0 : -EBUSY;
	else
		err = vmshm_open_object(object, st.size,
					file->f_mode & FMODE_WRITE);
	if (err || vfile->object) {
		vmshm_object_put(object);
		return err;
	}
	file->f_mapping = object->inode->i_mapping;
	/* mmap() looks at the object first and then uses the other. */
	smp_store_release(&vfile->object, object);
	return 0;
}

static int vmshm_attach(struct file *file, const char *name)
{
	struct vmshm_file *vfile = file->private_data;
	int err;

	mutex_lock(&vfile->lock);
	err = vfile->vdev->arena ? vmshm_attach_object(file, name)
				 : vmshm_attach_buffer(vfile, name);
	mutex_unlock(&vfile->lock);
	return err;
}

static long vmshm_ioctl_attach(struct file *file, const char __user *arg)
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
		len = vmshm_attach(file, name);
	kfree(name);
	return len;
}

static long vmshm_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct vmshm_file *vfile = file->private_data;
	/* Pairs with the release in vmshm_attach_object() */
	struct vmshm_object *object = smp_load_acquire(&vfile->object);

	if (cmd == VMSHM_IOC_ATTACH)
		return vmshm_ioctl_attach(file, (const char __user *)arg);
	return vmshm_words_ioctl(vfile->words, object, file, cmd, arg);
}

static __poll_t vmshm_poll(struct file *file, struct poll_table_struct *wait)
{
	struct vmshm_file *vfile = file->private_data;

	return vmshm_words_poll(vfile->words, file, wait);
}

static int vmshm_mmap(struct file *file, struct vm_area_struct *vma)
{
	const unsigned long pages = VMSHM_BUFFER_SIZE >> PAGE_SHIFT;
	struct vmshm_file *vfile = file->private_data;

	/* What is attached stays so: no lock is needed to look. */
	struct vmshm_object *object = smp_load_acquire(&vfile->object);

	if (READ_ONCE(vfile->vdev->gone))
		return -ENODEV;
	if (!object && !READ_ONCE(vfile->buffer))
		return -ENXIO;
	/* What is private to a process cannot be shared with the host. */
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	if (vma->vm_pgoff > pages || vma_pages(vma) > pages - vma->vm_pgoff)
		return -EINVAL;
	if (object)
		vmshm_object_mmap_buffer(object, vma);
	else
		vmshm_buffer_mmap(vfile->vdev, vma);
	return 0;
}

static const struct file_operations vmshm_fops = {
	.owner = THIS_MODULE,
	.open = vmshm_open,
	.flush = vmshm_flush,
	.release = vmshm_release,
	.unlocked_ioctl = vmshm_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.poll = vmshm_poll,
	.mmap = vmshm_mmap,
};

void vmshm_chardev_init(struct cdev *cdev)
{
	cdev_init(cdev, &vmshm_fops);
	cdev->owner = THIS_MODULE;
}
