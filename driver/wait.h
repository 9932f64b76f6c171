/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm waiting and waking: futex(2) on words of objects.
 */
#ifndef VMSHM_WAIT_H
#define VMSHM_WAIT_H

#include <linux/compiler_types.h>
#include <linux/types.h>

struct vmshm_dev;
struct vmshm_queue_deadline;
struct vmshm_vnode;

int vmshm_wait_on(struct vmshm_dev *vdev, struct vmshm_vnode *vnode, u64 offset,
		  u32 expected, const struct vmshm_queue_deadline *deadline);
int vmshm_wait_wake(struct vmshm_dev *vdev, struct vmshm_vnode *vnode,
		    u64 offset, u32 count);
long vmshm_wait_ioctl(struct vmshm_dev *vdev, struct vmshm_vnode *vnode,
		      void __user *arg);
long vmshm_wait_ioctl_wake_wait(struct vmshm_dev *vdev,
				struct vmshm_vnode *vnode, void __user *arg);
long vmshm_wait_ioctl_wake(struct vmshm_dev *vdev, struct vmshm_vnode *vnode,
			   void __user *arg);

#endif /* VMSHM_WAIT_H */
