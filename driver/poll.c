// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm words for event loops: a slot waits for a file as long as it polls.
 */
#include <linux/mm.h>
#include <linux/poll.h>

#include "word.h"

static int vmshm_poll_arm(struct vmshm_words *words, struct vmshm_word *word,
			  u32 expected)
{
	struct vmshm_dev *vdev = words->vdev;
	int err = 0;

	mutex_lock(&vdev->lock);
	if (vdev->gone) {
		err = -ENODEV;
	} else {
		vmshm_slot_start(vdev, words->polling, word->place,
				 VMSHM_SLOT_ARM | expected);
		get_page(word->page);
		vdev->waits->slot[words->polling].page = word->page;
	}
	mutex_unlock(&vdev->lock);
	return err;
}

/*
 * A wake-up that this file got and nobody here knows of is another waiter's.
 * When the file is closed that may be so even after poll() has told epoll.
 */
static void vmshm_poll_disarm(struct vmshm_words *words, bool closed)
{
	if (words->armed)
		vmshm_slot_stop(words->vdev, words->polling,
				closed || !READ_ONCE(words->waiter.seen));
	words->armed = false;
}

static void vmshm_poll_set_ready(struct vmshm_words *words, bool ready)
{
	struct vmshm_waits *waits = words->vdev->waits;

	spin_lock_irq(&waits->lock);
	WRITE_ONCE(words->waiter.fired, ready);
	words->waiter.seen = false;
	spin_unlock_irq(&waits->lock);
	if (ready)
		wake_up_poll(&words->waiter.wait, EPOLLIN | EPOLLRDNORM);
}

int vmshm_poll_word(struct vmshm_words *words, struct vmshm_word *word,
		    u32 expected)
{
	bool ready = vmshm_word_read(word) != expected;
	int err;

	if (words->polling < 0) {
		int n = vmshm_slot_get(words->vdev->waits, VMSHM_SLOT_POLLS,
				       &words->waiter);

		if (n < 0)
			return n;
		WRITE_ONCE(words->polling, n);
	}
	vmshm_poll_disarm(words, false);
	vmshm_poll_set_ready(words, ready);
	if (ready)
		return 0;
	err = vmshm_poll_arm(words, word, expected);
	words->armed = !err;
	return err;
}

void vmshm_poll_end(struct vmshm_words *words)
{
	if (words->polling < 0)
		return;
	vmshm_poll_disarm(words, true);
	vmshm_slot_put(words->vdev->waits, words->polling);
	words->polling = -1;
}

__poll_t vmshm_words_poll(struct vmshm_words *words, struct file *file,
			  struct poll_table_struct *wait)
{
	struct vmshm_waits *waits = words->vdev->waits;
	bool gone = READ_ONCE(words->vdev->gone);
	__poll_t mask = gone ? EPOLLERR | EPOLLHUP : 0;

	poll_wait(file, &words->waiter.wait, wait);
	if (READ_ONCE(words->polling) < 0)
		return gone ? mask : DEFAULT_POLLMASK;
	spin_lock_irq(&waits->lock);
	if (words->waiter.fired) {
		words->waiter.seen = true;
		mask |= EPOLLIN | EPOLLRDNORM;
	}
	spin_unlock_irq(&waits->lock);
	return mask;
}
