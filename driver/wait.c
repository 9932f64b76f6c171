// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm waiting and waking: futex(2) on words of objects.
 *
 * A waiter busy-polls the word for a short time before it sleeps, if
 * busy-polling has succeeded lately: falling asleep and waking up take longer
 * than most responses. During busy-polling the waiter is in no queue, as if its
 * call had come a little later.
 */
#include <linux/err.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/sched/clock.h>
#include <linux/sched/signal.h>
#include <linux/sched/stat.h>
#include <linux/uaccess.h>

#include <vmshm/ioctl.h>

#include "pause.h"
#include "queue.h"
#include "slot.h"
#include "vmshm.h"
#include "vnode.h"
#include "wait.h"
#include "word.h"

/* Back-off: maximum number of waits without busy-polling after it has failed */
#define VMSHM_WAIT_SKIP_MOST 63

static unsigned int vmshm_wait_look_us = 50;
module_param_named(look_us, vmshm_wait_look_us, uint, 0644);
MODULE_PARM_DESC(look_us,
		 "Microseconds to busy-poll before sleeping, at most; 0: never");

/* Whether the processor has no other task, and no event ends the wait */
static bool vmshm_wait_may_look(struct vmshm_dev *vdev)
{
	return single_task_running() && !need_resched() &&
	       !signal_pending(current) && !READ_ONCE(vdev->gone) &&
	       !READ_ONCE(vdev->pause);
}

/* Maximum duration of busy-polling, in nanoseconds */
static u64 vmshm_wait_look_most(const struct vmshm_queue_deadline *deadline)
{
	s64 most = (s64)READ_ONCE(vmshm_wait_look_us) * NSEC_PER_USEC;
	ktime_t now;

	if (deadline->none)
		return most;
	now = deadline->clock == CLOCK_REALTIME ? ktime_get_real() :
						  ktime_get();
	return clamp_t(s64, ktime_sub(deadline->time, now), 0, most);
}

/* Whether the word differs from @expected within @most nanoseconds */
static bool vmshm_wait_look(struct vmshm_word *word, u32 expected, u64 most)
{
	u64 end = local_clock() + most;

	while (vmshm_wait_may_look(word->vnode->vdev) && local_clock() < end) {
		if (vmshm_word_read(word) != expected)
			return true;
		cpu_relax();
	}
	return false;
}

/*
 * Busy-polls, if that has succeeded lately for waiters of this object, and
 * otherwise from time to time to find out if it succeeds again (back-off). A
 * race between two updates of the counters is harmless. The wake-up in @wake is
 * executed first, because the word may only change after it.
 */
static bool vmshm_wait_look_perhaps(struct vmshm_word *word, u32 expected,
				    const struct vmshm_queue_deadline *deadline,
				    struct vmshm_slot_wake *wake)
{
	struct vmshm_vnode *vnode = word->vnode;
	unsigned int skip = READ_ONCE(vnode->look_skip);
	bool found;
	u64 most;

	if (skip) {
		WRITE_ONCE(vnode->look_skip, skip - 1);
		return false;
	}
	most = vmshm_wait_look_most(deadline);
	if (!most || !vmshm_wait_may_look(vnode->vdev))
		return false;
	if (wake && vmshm_queue_wake_others(vnode->vdev->queue, wake))
		return false;
	found = vmshm_wait_look(word, expected, most);
	skip = found ? 0 :
		       min_t(unsigned int, VMSHM_WAIT_SKIP_MOST,
			     2 * READ_ONCE(vnode->look_next_skip) + 1);
	WRITE_ONCE(vnode->look_next_skip, skip);
	WRITE_ONCE(vnode->look_skip, skip);
	return found;
}

/* Executes the wake-up in @wake, which may be NULL, before the task sleeps. */
static int vmshm_wait_on_word(struct vmshm_word *word, u32 expected,
			      const struct vmshm_queue_deadline *deadline,
			      struct vmshm_slot_wake *wake)
{
	struct vmshm_queue *queue = word->vnode->vdev->queue;
	int err = -EAGAIN, gone = 0;

	if (vmshm_word_read(word) == expected &&
	    !vmshm_wait_look_perhaps(word, expected, deadline, wake))
		err = vmshm_queue_wait(queue, word, expected, deadline, wake);
	/* If the task has neither busy-polled nor waited in the queue */
	if (wake)
		gone = vmshm_queue_wake_others(queue, wake);
	return gone ?: err;
}

/*
 * Returns the result of a wait that has ended with @err. A reset of the device
 * wakes all waiters. If the reset has ended the use of the object, the call
 * fails, so that its program does not use the memory. The caller has no page.
 */
static int vmshm_wait_end(struct vmshm_dev *vdev, struct vmshm_vnode *vnode,
			  int err)
{
	if (err)
		return err;
	vmshm_pause_wait(vdev, VMSHM_PAUSE_VNODES);
	return READ_ONCE(vnode->gone) ? -ENODEV : 0;
}

/**
 * vmshm_wait_on() - wait until a word is woken, in the guest or on the host
 * @vdev: the device
 * @vnode: the object, or NULL
 * @offset: of the word; bytes into the object
 * @expected: the value that the word has to have
 * @deadline: when to give up
 *
 * Return: as vmshm_queue_wait(), or another error as <vmshm/ioctl.h> says.
 */
int vmshm_wait_on(struct vmshm_dev *vdev, struct vmshm_vnode *vnode, u64 offset,
		  u32 expected, const struct vmshm_queue_deadline *deadline)
{
	struct vmshm_word word = { .offset = offset };
	int err;

	err = vmshm_word_get(vdev, vnode, &word, 1);
	if (err)
		return err;
	err = vmshm_wait_on_word(&word, expected, deadline, NULL);
	put_page(word.page);
	return vmshm_wait_end(vdev, vnode, err);
}

/* A count that means all to the device means all to the queue, too. */
static u32 vmshm_wait_count(u32 count)
{
	return count < 0xffff ? count : U32_MAX;
}

/**
 * vmshm_wait_wake() - wake waiters of a word
 * @vdev: the device
 * @vnode: the object, or NULL
 * @offset: of the word; bytes into the object
 * @count: how many at most; 0xffff and more: all
 *
 * Return: how many waiters of this guest were woken, at most INT_MAX; or an
 * error as <vmshm/ioctl.h> says. How many others were woken is not known.
 */
int vmshm_wait_wake(struct vmshm_dev *vdev, struct vmshm_vnode *vnode,
		    u64 offset, u32 count)
{
	struct vmshm_word word = { .offset = offset };
	struct vmshm_slot_wake wake;
	int ret;

	ret = vmshm_word_get(vdev, vnode, &word, 1);
	if (ret)
		return ret;
	ret = vmshm_queue_wake_here(vdev->queue, &word, vmshm_wait_count(count),
				    &wake);
	ret = vmshm_queue_wake_others(vdev->queue, &wake) ?: ret;
	put_page(word.page);
	return ret;
}

static struct vmshm_queue_deadline vmshm_wait_until(s64 deadline)
{
	return (struct vmshm_queue_deadline){
		.none = deadline < 0,
		.clock = CLOCK_MONOTONIC,
		.time = deadline,
	};
}

/**
 * vmshm_wait_ioctl() - VMSHM_IOC_WAIT
 * @vdev: the device
 * @vnode: the object of the file, or NULL
 * @arg: struct vmshm_ioc_wait of the user
 *
 * Return: 0 or a negative errno.
 */
long vmshm_wait_ioctl(struct vmshm_dev *vdev, struct vmshm_vnode *vnode,
		      void __user *arg)
{
	struct vmshm_queue_deadline until;
	struct vmshm_ioc_wait wait;

	if (copy_from_user(&wait, arg, sizeof(wait)))
		return -EFAULT;
	if (wait.reserved)
		return -EINVAL;
	until = vmshm_wait_until(wait.deadline);
	return vmshm_wait_on(vdev, vnode, wait.offset, wait.expected, &until);
}

/* Wakes, and then waits. The references to the pages keep both places. */
static int vmshm_wait_after_wake(struct vmshm_word *word,
				 struct vmshm_word *wake_word,
				 const struct vmshm_ioc_wake_wait *arg)
{
	struct vmshm_queue_deadline until = vmshm_wait_until(arg->deadline);
	struct vmshm_slot_wake wake;

	vmshm_queue_wake_here(word->vnode->vdev->queue, wake_word,
			      vmshm_wait_count(arg->count), &wake);
	return vmshm_wait_on_word(word, arg->expected, &until, &wake);
}

/**
 * vmshm_wait_ioctl_wake_wait() - VMSHM_IOC_WAKE_WAIT
 * @vdev: the device
 * @vnode: the object of the file, or NULL
 * @arg: struct vmshm_ioc_wake_wait of the user
 *
 * Return: 0 or a negative errno.
 */
long vmshm_wait_ioctl_wake_wait(struct vmshm_dev *vdev,
				struct vmshm_vnode *vnode, void __user *arg)
{
	struct vmshm_ioc_wake_wait both;
	struct vmshm_word words[2];
	int err;

	if (copy_from_user(&both, arg, sizeof(both)))
		return -EFAULT;
	words[0].offset = both.offset;
	words[1].offset = both.wake;
	/* At once: a task that waits for a pause must not have a page. */
	err = vmshm_word_get(vdev, vnode, words, 2);
	if (err)
		return err;
	err = vmshm_wait_after_wake(&words[0], &words[1], &both);
	put_page(words[1].page);
	put_page(words[0].page);
	return vmshm_wait_end(vdev, vnode, err);
}

/**
 * vmshm_wait_ioctl_wake() - VMSHM_IOC_WAKE
 * @vdev: the device
 * @vnode: the object of the file, or NULL
 * @arg: struct vmshm_ioc_wake of the user
 *
 * Return: 0 or a negative errno.
 */
long vmshm_wait_ioctl_wake(struct vmshm_dev *vdev, struct vmshm_vnode *vnode,
			   void __user *arg)
{
	struct vmshm_ioc_wake wake;
	int ret;

	if (copy_from_user(&wake, arg, sizeof(wake)))
		return -EFAULT;
	if (wake.reserved)
		return -EINVAL;
	ret = vmshm_wait_wake(vdev, vnode, wake.offset, wake.count);
	return min(ret, 0);
}
