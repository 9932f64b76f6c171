// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm holds: words that say that somebody is there. A slot stands for the
 * file on the host; when it ends, the host's kernel marks the word.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <uapi/linux/futex.h>

#include "word.h"

/*
 * The slot holds the word before the word says so, and the device does not go
 * between the two: nobody would mark the word.
 */
static int vmshm_hold_begin(struct vmshm_dev *vdev, unsigned int n,
			    struct vmshm_word *word, u32 expected)
{
	u64 control;
	u32 owner;

	lockdep_assert_held(&vdev->lock);
	if (vdev->gone)
		return -ENODEV;
	vmshm_slot_start(vdev, n, word->place, VMSHM_SLOT_HOLD);
	control = vmshm_slot_control(vdev, n);
	if ((u32)control != VMSHM_SLOT_IS_HELD)
		return -ENOSPC;
	owner = control >> VMSHM_SLOT_OWNER_SHIFT;
	if (!owner || owner & ~FUTEX_TID_MASK)
		return -EIO;
	if (vmshm_word_exchange(word, expected, owner | FUTEX_WAITERS) !=
	    expected)
		return -EAGAIN;
	get_page(word->page);
	vdev->waits->slot[n].page = word->page;
	return 0;
}

int vmshm_hold_word(struct vmshm_words *words, struct vmshm_word *word,
		    u32 expected)
{
	struct vmshm_dev *vdev = words->vdev;
	int n, err;

	if (words->holding >= 0)
		return -EBUSY;
	/* Most often so; it saves asking the device. */
	if (vmshm_word_read(word) != expected)
		return -EAGAIN;
	n = vmshm_slot_get(vdev->waits, VMSHM_SLOT_HOLDS, NULL);
	if (n < 0)
		return n;
	mutex_lock(&vdev->lock);
	err = vmshm_hold_begin(vdev, n, word, expected);
	mutex_unlock(&vdev->lock);
	words->holding = n;
	words->holder = current->files;
	if (err)
		vmshm_hold_end(words);
	return err;
}

/* Its process closes the file, or ends; others may have the file still. */
void vmshm_words_flush(struct vmshm_words *words, fl_owner_t id)
{
	mutex_lock(&words->lock);
	if (words->holding >= 0 && words->holder == id)
		vmshm_hold_end(words);
	mutex_unlock(&words->lock);
}

void vmshm_hold_end(struct vmshm_words *words)
{
	if (words->holding < 0)
		return;
	vmshm_slot_stop(words->vdev, words->holding, false);
	vmshm_slot_put(words->vdev->waits, words->holding);
	words->holding = -1;
}
