// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm holds: words that show that their owner lives. A slot represents the
 * file on the host. When the hold of the slot ends, the host kernel marks the
 * word.
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
 * The slot holds the word before the word names the owner. The caller has
 * entered the slots, so the device cannot go between the two steps. Otherwise
 * the word would never be marked.
 */
static int vmshm_hold_begin(struct vmshm_word_file *wfile, unsigned int n,
			    struct vmshm_word *word, u32 expected)
{
	struct vmshm_slots *slots = wfile->vdev->slots;
	u64 control;
	u32 owner;

	control = vmshm_slot_hold(slots, n, word->place);
	if ((u32)control != VMSHM_SLOT_IS_HELD)
		return -ENOSPC;
	owner = control >> VMSHM_SLOT_OWNER_SHIFT;
	if (!owner || owner & ~FUTEX_TID_MASK)
		return -EIO;
	if (vmshm_word_exchange(word, expected, owner | FUTEX_WAITERS) !=
	    expected)
		return -EAGAIN;
	vmshm_slot_keep(slots, n, word->page);
	WRITE_ONCE(wfile->held, word->vnode);
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
	struct vmshm_slots *slots = wfile->vdev->slots;
	int n, err = -ENODEV;

	if (wfile->holding >= 0)
		return -EBUSY;
	/* A wrong value is mostly found here, without a register access. */
	if (vmshm_word_read(word) != expected)
		return -EAGAIN;
	n = vmshm_slot_get(slots, VMSHM_SLOT_HOLDS, word->place,
			   vmshm_slot_user(), NULL);
	if (n < 0)
		return n;
	if (vmshm_slots_enter(slots)) {
		err = vmshm_hold_begin(wfile, n, word, expected);
		vmshm_slots_leave(slots);
	}
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
	/* A reset from here on ends the hold as this function does. */
	WRITE_ONCE(wfile->held, NULL);
	vmshm_slot_stop(wfile->vdev->slots, wfile->holding, false);
	vmshm_slot_put(wfile->vdev->slots, wfile->holding);
	wfile->holding = -1;
}
