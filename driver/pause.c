// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm pauses: nothing uses the device while its PCI function is reset.
 *
 * The pause begins with the vnodes: a task that has the lock of a vnode ends
 * its command, and no other task gets such a lock. Then commands pause. A task
 * that waits for the end of a pause has no lock that the restoration takes.
 */
#include <linux/sched.h>
#include <linux/wait.h>

#include "pause.h"
#include "vmshm.h"

/**
 * vmshm_pause_init() - prepare a new device
 * @vdev: the device
 */
void vmshm_pause_init(struct vmshm_dev *vdev)
{
	init_waitqueue_head(&vdev->pause_ends);
}

/**
 * vmshm_pause_set() - begin a pause, or its next part
 * @vdev: the device
 * @pause: how far the pause comes; it does not concern this task
 *
 * The caller then waits for tasks that have not seen the pause.
 */
void vmshm_pause_set(struct vmshm_dev *vdev, enum vmshm_pause pause)
{
	WRITE_ONCE(vdev->pauser, current);
	/*
	 * Another task sees the pause after it has taken a lock or a mailbox,
	 * or this task sees the lock or the mailbox after this.
	 */
	smp_store_mb(vdev->pause, pause);
}

/**
 * vmshm_pause_end() - end the pause
 * @vdev: the device
 */
void vmshm_pause_end(struct vmshm_dev *vdev)
{
	WRITE_ONCE(vdev->hurry, false);
	/* Pairs with vmshm_pause_concerns(): what was restored is visible. */
	smp_store_release(&vdev->pause, VMSHM_PAUSE_NONE);
	WRITE_ONCE(vdev->pauser, NULL);
	wake_up_all(&vdev->pause_ends);
}

/**
 * vmshm_pause_concerns() - whether this task has to wait
 * @vdev: the device
 * @pause: how far the pause has to have come
 *
 * Return: true if it has to.
 */
bool vmshm_pause_concerns(struct vmshm_dev *vdev, enum vmshm_pause pause)
{
	/* If the device is gone after the reset, commands fail at once. */
	if (pause == VMSHM_PAUSE_COMMANDS && READ_ONCE(vdev->gone))
		return false;
	/* Pairs with vmshm_pause_end() */
	return smp_load_acquire(&vdev->pause) >= pause &&
	       READ_ONCE(vdev->pauser) != current;
}

/**
 * vmshm_pause_wait() - wait as long as there is a pause
 * @vdev: the device
 * @pause: how far the pause has to have come
 *
 * Context: sleeps, without the lock of a vnode. A reset takes a few seconds at
 * most.
 */
void vmshm_pause_wait(struct vmshm_dev *vdev, enum vmshm_pause pause)
{
	wait_event(vdev->pause_ends, !vmshm_pause_concerns(vdev, pause));
}
