// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm holds: words that say that somebody is there. A slot stands for the
 * file on the host; when it ends, the host's kernel marks the word.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <uapi/linux/futex.h>

#include "hold.h"
#include "slot.h"
#include "vmshm.h"
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
	vdev->slots->slot[n].page = word->page;
	return 0;
}

/**
 * vmshm_hold_word() - begin to hold a word
 * @wfile: of the file, locked
 * @word: the word
 * @expected: the value it has to have
 *
 * Return: 0, or an error as <vmshm/ioctl.h> says.
 */
int vmshm_hold_word(struct vmshm_word_file *wfile, struct vmshm_word *word,
		    u32 expected)
{
	struct vmshm_dev *vdev = wfile->vdev;
	int n, err;

	if (wfile->holding >= 0)
		return -EBUSY;
	/* Most often so; it saves asking the device. */
	if (vmshm_word_read(word) != expected)
		return -EAGAIN;
	n = vmshm_slot_get(vdev->slots, VMSHM_SLOT_HOLDS, NULL);
	if (n < 0)
		return n;
	mutex_lock(&vdev->lock);
	err = vmshm_hold_begin(vdev, n, word, expected);
	mutex_unlock(&vdev->lock);
	wfile->holding = n;
	wfile->holder = current->files;
	if (err)
		vmshm_hold_end(wfile);
	return err;
}

/**
 * vmshm_hold_flush() - end a hold if its process closes the file
 * @wfile: of the file
 * @id: the open files of the process that closes
 *
 * Other processes may still have the file.
 */
void vmshm_hold_flush(struct vmshm_word_file *wfile, fl_owner_t id)
{
	mutex_lock(&wfile->lock);
	if (wfile->holding >= 0 && wfile->holder == id)
		vmshm_hold_end(wfile);
	mutex_unlock(&wfile->lock);
}

/**
 * vmshm_hold_end() - end a hold
 * @wfile: of the file
 */
void vmshm_hold_end(struct vmshm_word_file *wfile)
{
	if (wfile->holding < 0)
		return;
	vmshm_slot_stop(wfile->vdev, wfile->holding, false);
	vmshm_slot_put(wfile->vdev->slots, wfile->holding);
	wfile->holding = -1;
}
