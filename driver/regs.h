/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm registers: the register contract.
 */
#ifndef VMSHM_DRIVER_REGS_H
#define VMSHM_DRIVER_REGS_H

#include <linux/types.h>

struct vmshm_dev;
struct vmshm_list_ops;
struct vmshm_reply;
struct vmshm_request;

int vmshm_regs_errno(u32 value);
int vmshm_regs_open(struct vmshm_dev *vdev, const char *name);
void vmshm_regs_close(struct vmshm_dev *vdev);
void vmshm_regs_release(struct vmshm_dev *vdev);
u32 vmshm_regs_read(struct vmshm_dev *vdev, unsigned int reg);
u64 vmshm_regs_read64(struct vmshm_dev *vdev, unsigned int reg);
void vmshm_regs_lock(struct vmshm_dev *vdev);
int vmshm_regs_execute(struct vmshm_dev *vdev, const struct vmshm_request *rq,
		       struct vmshm_reply *reply);
int vmshm_regs_list(struct vmshm_dev *vdev, const struct vmshm_list_ops *ops,
		    void *arg);

#endif /* VMSHM_DRIVER_REGS_H */
