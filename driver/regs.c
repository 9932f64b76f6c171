// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm registers: the contract of <vmshm/regs.h>, and nothing else.
 */
#include <linux/errno.h>
#include <linux/io.h>
#include <linux/lockdep.h>
#include <linux/string.h>

#include "vmshm.h"

/*
 * Registers give a positive errno. From ERESTARTSYS on the numbers mean
 * something inside this kernel and must not come from outside.
 */
#define VMSHM_ERRNO_END 512

static int vmshm_errno(u32 value)
{
	return value < VMSHM_ERRNO_END ? -(int)value : -EIO;
}

/* The device checks the name; here it only has to fit. */
int vmshm_regs_open(struct vmshm_dev *vdev, const char *name)
{
	size_t size = strlen(name) + 1;

	lockdep_assert_held(&vdev->lock);
	if (size > VMSHM_NAME_SIZE)
		return -ENAMETOOLONG;
	memcpy_toio(vdev->name, name, size);
	return vmshm_errno(ioread32(vdev->regs + VMSHM_REG_OPEN));
}

void vmshm_regs_close(struct vmshm_dev *vdev)
{
	lockdep_assert_held(&vdev->lock);
	ioread32(vdev->regs + VMSHM_REG_CLOSE);
}
