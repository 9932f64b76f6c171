/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Differences between the kernels that this driver supports. The code itself
 * reads as if written for the newest one.
 */
#ifndef VMSHM_COMPAT_H
#define VMSHM_COMPAT_H

#include <linux/mm.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "vmshm needs Linux 6.1 or later"
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static inline void vm_flags_set(struct vm_area_struct *vma, unsigned long flags)
{
	vma->vm_flags |= flags;
}
#endif

#endif /* VMSHM_COMPAT_H */
