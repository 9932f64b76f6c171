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
#include <vmshm/regs.h>

#include "buffer.h"
#include "chardev.h"
#include "content.h"
#include "hold.h"
#include "ioctl.h"
#include "mmap.h"
#include "poll.h"
#include "command.h"
#include "vmshm.h"
#include "vnode.h"

/**
 * struct vmshm_chardev_file - an open file of /dev/vmshmN
 * @vdev: the device
 * @wfile: the file's use of words
 * @buffer: the attached buffer, on a device without an arena; or NULL
 * @vnode: the attached object, on a device with an arena; or NULL
 */
struct vmshm_chardev_file {
	struct vmshm_dev *vdev;
	struct vmshm_word_file *wfile;
	/** @lock: serialises requests to attach */
	struct mutex lock;
	struct vmshm_buffer *buffer;
	struct vmshm_vnode *vnode;
};

static int vmshm_chardev_open(struct inode *inode, struct file *file)
{
	struct vmshm_dev *vdev;
	struct vmshm_chardev_file *vfile;

	vdev = container_of(inode->i_cdev, struct vmshm_dev, cdev);
	if (READ_ONCE(vdev->gone))
		return -ENODEV;

	vfile = kzalloc(sizeof(*vfile), GFP_KERNEL_ACCOUNT);
	if (!vfile)
		return -ENOMEM;
	vfile->wfile = vmshm_ioctl_open(vdev);
	if (!vfile->wfile) {
		kfree(vfile);
		return -ENOMEM;
	}
	vfile->vdev = vdev;
	mutex_init(&vfile->lock);
	file->private_data = vfile;
	file->f_mapping = vdev->inode->i_mapping;
	return 0;
}

static int vmshm_chardev_flush(struct file *file, fl_owner_t id)
{
	struct vmshm_chardev_file *vfile = file->private_data;

	vmshm_hold_flush(vfile->wfile, id);
	return 0;
}

static int vmshm_chardev_release(struct inode *inode, struct file *file)
{
	struct vmshm_chardev_file *vfile = file->private_data;
	struct vmshm_dev *vdev = vfile->vdev;

	vmshm_ioctl_release(vfile->wfile);
	if (vfile->buffer)
		vmshm_buffer_put(vdev, vfile->buffer);
	if (vfile->vnode) {
		vmshm_content_close(vfile->vnode);
		vmshm_vnode_put(vfile->vnode);
	}
	mutex_destroy(&vfile->lock);
	kfree(vfile);
	return 0;
}

/* A file cannot change its object. To attach the same name again succeeds. */
static int vmshm_chardev_attach_buffer(struct vmshm_chardev_file *vfile,
				       const char *name)
{
	struct vmshm_dev *vdev = vfile->vdev;
	struct vmshm_buffer *buffer;

	buffer = vmshm_buffer_get(vdev, name);
	if (IS_ERR(buffer))
		return PTR_ERR(buffer);
	if (vfile->buffer)
		vmshm_buffer_put(vdev, buffer);
	else
		WRITE_ONCE(vfile->buffer, buffer);
	return 0;
}

/* Refuses a read-only object to a file that is open for writing. */
static int vmshm_chardev_open_vnode(struct vmshm_vnode *vnode, u64 size,
				    bool write)
{
	bool first;
	int err = vmshm_content_open(vnode, size, write, &first);

	if (!err && !vnode->size) {
		vmshm_content_close(vnode);
		err = -ENODATA;
	}
	return err;
}

static int vmshm_chardev_attach_vnode(struct file *file, const char *name)
{
	struct vmshm_chardev_file *vfile = file->private_data;
	struct vmshm_dev *vdev = vfile->vdev;
	struct vmshm_vnode *vnode;
	struct vmshm_stat st;
	int err;

	err = vmshm_request_stat(vdev, name, 0, &st);
	if (err)
		return err;
	vnode = vmshm_vnode_lookup(vdev, name, &st);
	if (IS_ERR(vnode))
		return PTR_ERR(vnode);
	if (vfile->vnode)
		err = vnode == vfile->vnode ? 0 : -EBUSY;
	else
		err = vmshm_chardev_open_vnode(vnode, st.size,
					       file->f_mode & FMODE_WRITE);
	if (err || vfile->vnode) {
		vmshm_vnode_put(vnode);
		return err;
	}
	/* file->f_mapping is not changed: mmap() may be using it. */
	smp_store_release(&vfile->vnode, vnode);
	return 0;
}

static int vmshm_chardev_attach(struct file *file, const char *name)
{
	struct vmshm_chardev_file *vfile = file->private_data;
	int err;

	mutex_lock(&vfile->lock);
	err = vfile->vdev->arena ? vmshm_chardev_attach_vnode(file, name) :
				   vmshm_chardev_attach_buffer(vfile, name);
	mutex_unlock(&vfile->lock);
	return err;
}

static long vmshm_chardev_ioctl_attach(struct file *file,
				       const char __user *arg)
{
	char *name;
	long len;

	name = kmalloc(VMSHM_NAME_SIZE, GFP_KERNEL_ACCOUNT);
	if (!name)
		return -ENOMEM;
	len = strncpy_from_user(name, arg, VMSHM_NAME_SIZE);
	if (len == VMSHM_NAME_SIZE)
		len = -ENAMETOOLONG;
	if (len >= 0)
		len = vmshm_chardev_attach(file, name);
	kfree(name);
	return len;
}

static long vmshm_chardev_ioctl(struct file *file, unsigned int cmd,
				unsigned long arg)
{
	struct vmshm_chardev_file *vfile = file->private_data;
	/* Pairs with the release in vmshm_chardev_attach_vnode() */
	struct vmshm_vnode *vnode = smp_load_acquire(&vfile->vnode);

	if (cmd == VMSHM_IOC_ATTACH)
		return vmshm_chardev_ioctl_attach(file,
						  (const char __user *)arg);
	return vmshm_ioctl_dispatch(vfile->wfile, vnode, file, cmd, arg);
}

static __poll_t vmshm_chardev_poll(struct file *file,
				   struct poll_table_struct *wait)
{
	struct vmshm_chardev_file *vfile = file->private_data;

	return vmshm_poll_mask(vfile->wfile, file, wait);
}

static int vmshm_chardev_mmap(struct file *file, struct vm_area_struct *vma)
{
	const unsigned long pages = VMSHM_BUFFER_SIZE >> PAGE_SHIFT;
	struct vmshm_chardev_file *vfile = file->private_data;

	/* An attached object is never detached, so no lock is needed here. */
	struct vmshm_vnode *vnode = smp_load_acquire(&vfile->vnode);

	if (READ_ONCE(vfile->vdev->gone))
		return -ENODEV;
	if (!vnode && !READ_ONCE(vfile->buffer))
		return -ENXIO;
	/* A private mapping cannot be shared with the host. */
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	if (vma->vm_pgoff > pages || vma_pages(vma) > pages - vma->vm_pgoff)
		return -EINVAL;
	if (vnode)
		vmshm_mmap_vnode_buffer(vnode, vma);
	else
		vmshm_buffer_mmap(vfile->vdev, vma);
	return 0;
}

static const struct file_operations vmshm_chardev_fops = {
	.owner = THIS_MODULE,
	.open = vmshm_chardev_open,
	.flush = vmshm_chardev_flush,
	.release = vmshm_chardev_release,
	.unlocked_ioctl = vmshm_chardev_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.poll = vmshm_chardev_poll,
	.mmap = vmshm_chardev_mmap,
};

/**
 * vmshm_chardev_init() - prepare a character device
 * @cdev: of a struct vmshm_dev
 */
void vmshm_chardev_init(struct cdev *cdev)
{
	cdev_init(cdev, &vmshm_chardev_fops);
	cdev->owner = THIS_MODULE;
}
