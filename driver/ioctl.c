// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm ioctls on words: see <vmshm/ioctl.h>.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <vmshm/ioctl.h>

#include "hold.h"
#include "ioctl.h"
#include "poll.h"
#include "vmshm.h"
#include "vnode.h"
#include "wait.h"
#include "word.h"

/**
 * vmshm_ioctl_open() - make the state of words for a file that is opened
 * @vdev: the device
 *
 * Return: the state, which vmshm_ioctl_release() frees; or NULL.
 */
struct vmshm_word_file *vmshm_ioctl_open(struct vmshm_dev *vdev)
{
	struct vmshm_word_file *wfile =
		kzalloc(sizeof(*wfile), GFP_KERNEL_ACCOUNT);

	if (!wfile)
		return NULL;
	wfile->vdev = vdev;
	mutex_init(&wfile->lock);
	wfile->polling = -1;
	wfile->holding = -1;
	vmshm_slot_waiter_init(&wfile->waiter);
	spin_lock(&vdev->word_files_lock);
	list_add(&wfile->node, &vdev->word_files);
	spin_unlock(&vdev->word_files_lock);
	return wfile;
}

/**
 * vmshm_ioctl_gone() - wake all files that poll: the device is gone
 * @vdev: the device
 */
void vmshm_ioctl_gone(struct vmshm_dev *vdev)
{
	struct vmshm_word_file *wfile;

	spin_lock(&vdev->word_files_lock);
	list_for_each_entry(wfile, &vdev->word_files, node)
		wake_up_all(&wfile->waiter.wait);
	spin_unlock(&vdev->word_files_lock);
}

/**
 * vmshm_ioctl_any_hold() - whether a file holds a word
 * @vdev: the device
 *
 * Return: true if a file does.
 */
bool vmshm_ioctl_any_hold(struct vmshm_dev *vdev)
{
	struct vmshm_word_file *wfile;
	bool any = false;

	spin_lock(&vdev->word_files_lock);
	list_for_each_entry(wfile, &vdev->word_files, node)
		any |= READ_ONCE(wfile->holding) >= 0;
	spin_unlock(&vdev->word_files_lock);
	return any;
}

/**
 * vmshm_ioctl_mark_held() - mark the objects of which a word is held
 * @vdev: the device, whose slots are paused
 *
 * The reset of the device ends the holds.
 */
void vmshm_ioctl_mark_held(struct vmshm_dev *vdev)
{
	struct vmshm_word_file *wfile;
	struct vmshm_vnode *vnode;

	spin_lock(&vdev->word_files_lock);
	list_for_each_entry(wfile, &vdev->word_files, node) {
		vnode = READ_ONCE(wfile->held);
		if (vnode)
			vnode->was_held = true;
	}
	spin_unlock(&vdev->word_files_lock);
}

/**
 * vmshm_ioctl_restore() - wake all files that poll: the device was reset
 * @vdev: the device
 *
 * The words of these files may have been woken meanwhile.
 */
void vmshm_ioctl_restore(struct vmshm_dev *vdev)
{
	struct vmshm_word_file *wfile;

	spin_lock(&vdev->word_files_lock);
	list_for_each_entry(wfile, &vdev->word_files, node)
		if (READ_ONCE(wfile->polling) >= 0)
			vmshm_slot_waiter_fire(vdev->slots, &wfile->waiter);
	spin_unlock(&vdev->word_files_lock);
}

/**
 * vmshm_ioctl_release() - free the state of words of a file that is closed
 * @wfile: of vmshm_ioctl_open()
 */
void vmshm_ioctl_release(struct vmshm_word_file *wfile)
{
	struct vmshm_dev *vdev = wfile->vdev;

	spin_lock(&vdev->word_files_lock);
	list_del(&wfile->node);
	spin_unlock(&vdev->word_files_lock);
	vmshm_poll_end(wfile);
	vmshm_hold_end(wfile);
	mutex_destroy(&wfile->lock);
	kfree(wfile);
}

static long vmshm_ioctl_begin(struct vmshm_word_file *wfile,
			      struct vmshm_vnode *vnode, void __user *arg,
			      int (*begin)(struct vmshm_word_file *wfile,
					   struct vmshm_word *word,
					   u32 expected))
{
	struct vmshm_ioc_word ioc;
	struct vmshm_word word;
	int err;

	if (copy_from_user(&ioc, arg, sizeof(ioc)))
		return -EFAULT;
	if (ioc.reserved)
		return -EINVAL;
	word.offset = ioc.offset;
	err = vmshm_word_get(wfile->vdev, vnode, &word, 1);
	if (err)
		return err;
	mutex_lock(&wfile->lock);
	err = begin(wfile, &word, ioc.expected);
	mutex_unlock(&wfile->lock);
	put_page(word.page);
	return err;
}

/*
 * Whether a file is open with the access that a request needs. A call that
 * compares the word with a value of the caller discloses the word, as a read
 * does.
 */
static bool vmshm_ioctl_may(struct file *file, unsigned int cmd)
{
	fmode_t needed = 0;

	if (cmd == VMSHM_IOC_WAIT || cmd == VMSHM_IOC_WAKE_WAIT ||
	    cmd == VMSHM_IOC_POLL)
		needed = FMODE_READ;
	else if (cmd == VMSHM_IOC_HOLD)
		needed = FMODE_READ | FMODE_WRITE;
	return (file->f_mode & needed) == needed;
}

/**
 * vmshm_ioctl_dispatch() - an ioctl on words
 * @wfile: of the file
 * @vnode: the object of the file, or NULL
 * @file: the file
 * @cmd: VMSHM_IOC_*
 * @arg: its argument
 *
 * Return: 0 or a negative errno; -EBADF if the file is not open for what the
 * request needs; -ENOTTY for another @cmd.
 */
long vmshm_ioctl_dispatch(struct vmshm_word_file *wfile,
			  struct vmshm_vnode *vnode, struct file *file,
			  unsigned int cmd, unsigned long arg)
{
	void __user *user = (void __user *)arg;

	if (!vmshm_ioctl_may(file, cmd))
		return -EBADF;
	switch (cmd) {
	case VMSHM_IOC_WAIT:
		return vmshm_wait_ioctl(wfile->vdev, vnode, user);
	case VMSHM_IOC_WAKE:
		return vmshm_wait_ioctl_wake(wfile->vdev, vnode, user);
	case VMSHM_IOC_WAKE_WAIT:
		return vmshm_wait_ioctl_wake_wait(wfile->vdev, vnode, user);
	case VMSHM_IOC_POLL:
		return vmshm_ioctl_begin(wfile, vnode, user, vmshm_poll_word);
	case VMSHM_IOC_HOLD:
		return vmshm_ioctl_begin(wfile, vnode, user, vmshm_hold_word);
	default:
		return -ENOTTY;
	}
}
