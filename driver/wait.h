/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm waiting and waking: VMSHM_IOC_WAIT and VMSHM_IOC_WAKE.
 */
#ifndef VMSHM_WAIT_H
#define VMSHM_WAIT_H

#include <linux/compiler_types.h>

struct vmshm_dev;
struct vmshm_vnode;
struct vmshm_word_file;

long vmshm_wait_ioctl(struct vmshm_word_file *wfile, struct vmshm_vnode *vnode,
		      void __user *arg);
long vmshm_wait_ioctl_wake(struct vmshm_dev *vdev, struct vmshm_vnode *vnode,
			   void __user *arg);

#endif /* VMSHM_WAIT_H */
