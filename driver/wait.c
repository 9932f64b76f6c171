// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm waiting and waking: futex(2) on the host, by slots of the device.
 *
 * A slot waits on the host for one waiter here. Who gives up looks once more
 * whether the slot has fired; if it has, the wake-up was for this waiter, and
 * if it has not, the device passes on what comes too late.
 *
 * Before that, where it has helped lately, the waiter looks for a while: to
 * fall asleep and to wake up takes longer than most answers do. It is in no
 * queue then, as if its call had come a little later.
 */
#include <linux/err.h>
#include <linux/hrtimer.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/sched/clock.h>
#include <linux/sched/signal.h>
#include <linux/sched/stat.h>
#include <linux/uaccess.h>

#include <vmshm/ioctl.h>

#include "slot.h"
#include "vmshm.h"
#include "wait.h"
#include "word.h"

/* How long to wait for a slot before the program is to look again */
#define VMSHM_WAIT_FOR_SLOT_MS 10
/* After looks in vain: waits without one, at most, until it is tried again */
#define VMSHM_LOOK_SKIP_MOST 63

static unsigned int vmshm_wait_look_us = 50;
module_param_named(look_us, vmshm_wait_look_us, uint, 0644);
MODULE_PARM_DESC(look_us,
		 "Microseconds to look for a change before sleeping, at most; 0: never");

/* From now to a deadline of CLOCK_MONOTONIC; negative: there is none. */
static ktime_t vmshm_wait_time_left(s64 deadline)
{
	if (deadline < 0)
		return KTIME_MAX;
	return max_t(s64, deadline - ktime_get_ns(), 0);
}

/* What a wait with a time limit says, as our callers say it */
static int vmshm_wait_error(int err)
{
	if (err == -ETIME)
		return -ETIMEDOUT;
	/* With a deadline, not a duration, the call can simply be made anew. */
	return err ? -ERESTARTSYS : 0;
}

/* No need to wait: there is a slot, or no device. */
static bool vmshm_wait_try(struct vmshm_dev *vdev,
			   struct vmshm_slot_waiter *waiter, int *n)
{
	*n = vmshm_slot_get(vdev->slots, VMSHM_SLOT_WAITS, waiter);
	return *n >= 0 || READ_ONCE(vdev->gone);
}

/*
 * The number of a slot that is free now, or soon. Else -EAGAIN: who waits here
 * is in no queue, and those who have the slots may wait for what it does next.
 */
static int vmshm_wait_for_slot(struct vmshm_dev *vdev,
			       struct vmshm_slot_waiter *waiter, s64 deadline)
{
	const ktime_t most = ms_to_ktime(VMSHM_WAIT_FOR_SLOT_MS);
	ktime_t left = vmshm_wait_time_left(deadline);
	int n, err;

	err = wait_event_interruptible_hrtimeout(vdev->slots->room,
						 vmshm_wait_try(vdev, waiter,
								&n),
						 min(left, most));
	if (err == -ETIME && left > most)
		return -EAGAIN;
	if (err)
		return vmshm_wait_error(err);
	return n < 0 ? -ENODEV : n;
}

static int vmshm_wait_arm(struct vmshm_dev *vdev, unsigned int n, u64 place,
			  u32 expected)
{
	int err = 0;

	mutex_lock(&vdev->lock);
	if (vdev->gone)
		err = -ENODEV;
	else
		vmshm_slot_start(vdev, n, place, VMSHM_SLOT_ARM | expected);
	mutex_unlock(&vdev->lock);
	return err;
}

static bool vmshm_wait_done(struct vmshm_dev *vdev,
			    struct vmshm_slot_waiter *waiter)
{
	return READ_ONCE(waiter->fired) || READ_ONCE(vdev->gone);
}

/* Sleeps until the slot fires. */
static int vmshm_wait_sleep(struct vmshm_dev *vdev,
			    struct vmshm_slot_waiter *waiter, s64 deadline)
{
	ktime_t left = vmshm_wait_time_left(deadline);
	int err;

	err = wait_event_interruptible_hrtimeout(waiter->wait,
						 vmshm_wait_done(vdev, waiter),
						 left);
	return vmshm_wait_error(err);
}

static int vmshm_wait_at(struct vmshm_dev *vdev, u64 place, u32 expected,
			 s64 deadline)
{
	struct vmshm_slot_waiter waiter;
	int n, err;

	vmshm_slot_waiter_init(&waiter);
	n = vmshm_wait_for_slot(vdev, &waiter, deadline);
	if (n < 0)
		return n == -EAGAIN ? 0 : n;
	err = vmshm_wait_arm(vdev, n, place, expected);
	if (!err) {
		err = vmshm_wait_sleep(vdev, &waiter, deadline);
		if (err && vmshm_slot_stop(vdev, n, false))
			err = 0;
	}
	vmshm_slot_put(vdev->slots, n);
	if (!err && READ_ONCE(vdev->gone) && !READ_ONCE(waiter.fired))
		err = -ENODEV;
	return err;
}

/* A processor that has nothing better to do, nor been told to stop */
static bool vmshm_wait_may_look(struct vmshm_dev *vdev)
{
	return single_task_running() && !need_resched() &&
	       !signal_pending(current) && !READ_ONCE(vdev->gone);
}

/* How long it may take, nanoseconds */
static u64 vmshm_wait_look_most(s64 deadline)
{
	u64 most = (u64)READ_ONCE(vmshm_wait_look_us) * NSEC_PER_USEC;

	if (deadline < 0)
		return most;
	return min_t(u64, most, vmshm_wait_time_left(deadline));
}

/* Whether the word has another value than @expected within that time */
static bool vmshm_wait_look(struct vmshm_dev *vdev, struct vmshm_word *word,
			    u32 expected, u64 most)
{
	u64 end = local_clock() + most;

	while (vmshm_wait_may_look(vdev) && local_clock() < end) {
		if (vmshm_word_read(word) != expected)
			return true;
		cpu_relax();
	}
	return false;
}

/*
 * The same, if it has paid off for this file lately, and now and then to see
 * if it does. Two who count at the same time do no harm.
 */
static bool vmshm_wait_look_perhaps(struct vmshm_word_file *wfile,
				    struct vmshm_word *word, u32 expected,
				    s64 deadline)
{
	unsigned int skip = READ_ONCE(wfile->skip);
	bool found;
	u64 most;

	if (skip) {
		WRITE_ONCE(wfile->skip, skip - 1);
		return false;
	}
	most = vmshm_wait_look_most(deadline);
	if (!most || !vmshm_wait_may_look(wfile->vdev))
		return false;
	found = vmshm_wait_look(wfile->vdev, word, expected, most);
	skip = found ? 0 :
		       min_t(unsigned int, VMSHM_LOOK_SKIP_MOST,
			     2 * READ_ONCE(wfile->next_skip) + 1);
	WRITE_ONCE(wfile->next_skip, skip);
	WRITE_ONCE(wfile->skip, skip);
	return found;
}

/*
 * Waits until somebody wakes the word at @offset of the object, on this side of
 * the border or on the other, if it is @expected. @deadline: CLOCK_MONOTONIC,
 * nanoseconds; negative: none. Errors: see <vmshm/ioctl.h>.
 */
static int vmshm_wait_word(struct vmshm_word_file *wfile,
			   struct vmshm_vnode *vnode, u64 offset, u32 expected,
			   s64 deadline)
{
	struct vmshm_dev *vdev = wfile->vdev;
	struct vmshm_word word;
	int err;

	err = vmshm_word_get(vdev, vnode, offset, &word);
	if (err)
		return err;
	if (vmshm_word_read(&word) != expected ||
	    vmshm_wait_look_perhaps(wfile, &word, expected, deadline))
		err = -EAGAIN;
	/* The page holds the place of the word. */
	if (!err)
		err = vmshm_wait_at(vdev, word.place, expected, deadline);
	put_page(word.page);
	return err;
}

/* Wakes up to @count waiters, 0xffff and more: all. */
static int vmshm_wait_wake(struct vmshm_dev *vdev, struct vmshm_vnode *vnode,
			   u64 offset, u32 count)
{
	struct vmshm_word word;
	int err;

	err = vmshm_word_get(vdev, vnode, offset, &word);
	if (err)
		return err;
	mutex_lock(&vdev->lock);
	if (vdev->gone)
		err = -ENODEV;
	else
		vmshm_slot_wake(vdev, word.place, count);
	mutex_unlock(&vdev->lock);
	put_page(word.page);
	return err;
}

/**
 * vmshm_wait_ioctl() - VMSHM_IOC_WAIT
 * @wfile: of the file
 * @vnode: the object of the file, or NULL
 * @arg: struct vmshm_ioc_wait of the user
 *
 * Return: 0 or a negative errno.
 */
long vmshm_wait_ioctl(struct vmshm_word_file *wfile, struct vmshm_vnode *vnode,
		      void __user *arg)
{
	struct vmshm_ioc_wait wait;

	if (copy_from_user(&wait, arg, sizeof(wait)))
		return -EFAULT;
	if (wait.reserved)
		return -EINVAL;
	return vmshm_wait_word(wfile, vnode, wait.offset, wait.expected,
			       wait.deadline);
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

	if (copy_from_user(&wake, arg, sizeof(wake)))
		return -EFAULT;
	if (wake.reserved)
		return -EINVAL;
	return vmshm_wait_wake(vdev, vnode, wake.offset, wake.count);
}
