// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm words for event loops: a slot waits for as long as its file polls.
 */
#include <linux/mm.h>
#include <linux/poll.h>

#include "poll.h"
#include "slot.h"
#include "vmshm.h"
#include "word.h"

static int vmshm_poll_set(struct vmshm_word_file *wfile,
			  struct vmshm_word *word, u32 expected)
{
	struct vmshm_slots *slots = wfile->vdev->slots;

	if (!vmshm_slots_enter(slots))
		return -ENODEV;
	vmshm_slot_arm(slots, wfile->polling, word->place, expected, NULL);
	vmshm_slot_keep(slots, wfile->polling, word->page);
	vmshm_slots_leave(slots);
	return 0;
}

/*
 * If the slot of this file has consumed a wake-up that no program has seen,
 * another waiter gets the wake-up. When the file is closed, a program may not
 * have seen the wake-up even if poll() has reported it to epoll.
 */
static void vmshm_poll_disarm(struct vmshm_word_file *wfile, bool closed)
{
	if (wfile->armed)
		vmshm_slot_stop(wfile->vdev->slots, wfile->polling,
				closed || !READ_ONCE(wfile->waiter.seen));
	wfile->armed = false;
}

static void vmshm_poll_set_ready(struct vmshm_word_file *wfile, bool ready)
{
	struct vmshm_slots *slots = wfile->vdev->slots;

	spin_lock_irq(&slots->lock);
	WRITE_ONCE(wfile->waiter.fired, ready);
	wfile->waiter.seen = false;
	spin_unlock_irq(&slots->lock);
	if (ready)
		wake_up_poll(&wfile->waiter.wait, EPOLLIN | EPOLLRDNORM);
}

/**
 * vmshm_poll_word() - begin to poll a word
 * @wfile: of the file, locked
 * @word: the word
 * @expected: the value that the word has to have
 *
 * Return: 0; -ENOSPC if no slot is free for this user; -ENODEV.
 */
int vmshm_poll_word(struct vmshm_word_file *wfile, struct vmshm_word *word,
		    u32 expected)
{
	bool ready = vmshm_word_read(word) != expected;
	int err;

	if (wfile->polling < 0) {
		int n = vmshm_slot_get(wfile->vdev->slots, VMSHM_SLOT_POLLS,
				       word->place, vmshm_slot_user(),
				       &wfile->waiter);

		if (n < 0)
			return n;
		WRITE_ONCE(wfile->polling, n);
	}
	vmshm_poll_disarm(wfile, false);
	vmshm_poll_set_ready(wfile, ready);
	if (ready)
		return 0;
	err = vmshm_poll_set(wfile, word, expected);
	wfile->armed = !err;
	return err;
}

/**
 * vmshm_poll_end() - end polling, because the file is closed
 * @wfile: of the file
 */
void vmshm_poll_end(struct vmshm_word_file *wfile)
{
	if (wfile->polling < 0)
		return;
	vmshm_poll_disarm(wfile, true);
	vmshm_slot_put(wfile->vdev->slots, wfile->polling);
	wfile->polling = -1;
}

/**
 * vmshm_poll_mask() - poll(2) for a file
 * @wfile: of the file
 * @file: the file
 * @wait: for poll_wait()
 *
 * Return: EPOLL*.
 */
__poll_t vmshm_poll_mask(struct vmshm_word_file *wfile, struct file *file,
			 struct poll_table_struct *wait)
{
	struct vmshm_slots *slots = wfile->vdev->slots;
	__poll_t mask;
	bool gone;

	poll_wait(file, &wfile->waiter.wait, wait);
	/* After poll_wait(), because vmshm_ioctl_gone() wakes only once */
	gone = READ_ONCE(wfile->vdev->gone);
	mask = gone ? EPOLLERR | EPOLLHUP : 0;
	if (READ_ONCE(wfile->polling) < 0)
		return gone ? mask : DEFAULT_POLLMASK;
	spin_lock_irq(&slots->lock);
	if (wfile->waiter.fired) {
		wfile->waiter.seen = true;
		mask |= EPOLLIN | EPOLLRDNORM;
	}
	spin_unlock_irq(&slots->lock);
	return mask;
}
