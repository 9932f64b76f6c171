// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm words: 32-bit words of objects, and the ioctls of files on them.
 */
#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <vmshm/ioctl.h>

#include "word.h"

int vmshm_word_get(struct vmshm_dev *vdev, struct vmshm_object *object,
		   u64 offset, struct vmshm_word *word)
{
	struct vmshm_extent *extent;
	struct page *page;

	if (!vdev->waits)
		return -EOPNOTSUPP;
	if (!object)
		return -ENXIO;
	if (READ_ONCE(vdev->gone))
		return -ENODEV;
	if (offset % sizeof(u32))
		return -EINVAL;
	mutex_lock(&object->lock);
	page = vmshm_object_page(object, offset & PAGE_MASK);
	if (!IS_ERR(page)) {
		extent = vmshm_extent_find(object, offset);
		word->page = page;
		word->index = offset_in_page(offset) / sizeof(u32);
		word->place = extent->place + (offset - extent->offset);
	}
	mutex_unlock(&object->lock);
	return PTR_ERR_OR_ZERO(page);
}

u32 vmshm_word_read(struct vmshm_word *word)
{
	u32 *kaddr = kmap_local_page(word->page);
	u32 value = READ_ONCE(kaddr[word->index]);

	kunmap_local(kaddr);
	return value;
}

u32 vmshm_word_exchange(struct vmshm_word *word, u32 old, u32 new)
{
	u32 *kaddr = kmap_local_page(word->page);
	u32 was = cmpxchg(&kaddr[word->index], old, new);

	kunmap_local(kaddr);
	return was;
}

/* For a file that was opened; NULL: there is no memory. */
struct vmshm_words *vmshm_words_new(struct vmshm_dev *vdev)
{
	struct vmshm_words *words = kzalloc(sizeof(*words), GFP_KERNEL);

	if (!words)
		return NULL;
	words->vdev = vdev;
	mutex_init(&words->lock);
	words->polling = -1;
	words->holding = -1;
	vmshm_waiter_init(&words->waiter);
	spin_lock(&vdev->words_lock);
	list_add(&words->node, &vdev->words);
	spin_unlock(&vdev->words_lock);
	return words;
}

/* Whoever polls hears of it. */
void vmshm_words_gone(struct vmshm_dev *vdev)
{
	struct vmshm_words *words;

	spin_lock(&vdev->words_lock);
	list_for_each_entry(words, &vdev->words, node)
		wake_up_all(&words->waiter.wait);
	spin_unlock(&vdev->words_lock);
}

/* The file is closed. */
void vmshm_words_free(struct vmshm_words *words)
{
	struct vmshm_dev *vdev = words->vdev;

	spin_lock(&vdev->words_lock);
	list_del(&words->node);
	spin_unlock(&vdev->words_lock);
	vmshm_poll_end(words);
	vmshm_hold_end(words);
	mutex_destroy(&words->lock);
	kfree(words);
}

static long vmshm_ioctl_word(struct vmshm_words *words,
			     struct vmshm_object *object, void __user *arg,
			     int (*begin)(struct vmshm_words *words,
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
	err = vmshm_word_get(words->vdev, object, ioc.offset, &word);
	if (err)
		return err;
	mutex_lock(&words->lock);
	err = begin(words, &word, ioc.expected);
	mutex_unlock(&words->lock);
	put_page(word.page);
	return err;
}

/* Of a file of the object, if it has one, whatever kind of file it is */
long vmshm_words_ioctl(struct vmshm_words *words, struct vmshm_object *object,
		       struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *user = (void __user *)arg;

	switch (cmd) {
	case VMSHM_IOC_WAIT:
		return vmshm_ioctl_wait(words, object, user);
	case VMSHM_IOC_WAKE:
		return vmshm_ioctl_wake(words->vdev, object, user);
	case VMSHM_IOC_POLL:
		return vmshm_ioctl_word(words, object, user, vmshm_poll_word);
	case VMSHM_IOC_HOLD:
		if (!(file->f_mode & FMODE_WRITE))
			return -EBADF;
		return vmshm_ioctl_word(words, object, user, vmshm_hold_word);
	default:
		return -ENOTTY;
	}
}
