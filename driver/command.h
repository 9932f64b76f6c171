/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm commands: the requests of the driver to the device.
 */
#ifndef VMSHM_COMMAND_H
#define VMSHM_COMMAND_H

#include <linux/types.h>

#include "request.h"

struct vmshm_dev;

int vmshm_request_stat(struct vmshm_dev *vdev, const char *name, u32 handle,
		       struct vmshm_stat *st);
int vmshm_request_attach(struct vmshm_dev *vdev, const char *name, u32 handle,
			 const struct vmshm_range *range,
			 struct vmshm_reply *reply);
int vmshm_request_get_handle(struct vmshm_dev *vdev, const char *name,
			     u32 handle, bool readonly,
			     struct vmshm_reply *reply);
int vmshm_request_detach(struct vmshm_dev *vdev, u32 handle);
int vmshm_request_list(struct vmshm_dev *vdev, const struct vmshm_list_ops *ops,
		       void *arg);
int vmshm_request_create(struct vmshm_dev *vdev, const char *name, u32 mode,
			 bool keep, struct vmshm_reply *reply);
int vmshm_request_unlink(struct vmshm_dev *vdev, const char *name);
int vmshm_request_second_name(struct vmshm_dev *vdev, u32 command,
			      const char *from, const char *to, u32 flags);
int vmshm_request_resize(struct vmshm_dev *vdev, const char *name, u32 handle,
			 u64 size, struct vmshm_stat *st);
int vmshm_request_allocate(struct vmshm_dev *vdev, const char *name, u32 handle,
			   u64 offset, u64 length, struct vmshm_stat *st);
int vmshm_request_setattr(struct vmshm_dev *vdev, u32 handle,
			  const struct vmshm_attr *attr,
			  struct vmshm_stat *st);
int vmshm_request_statfs(struct vmshm_dev *vdev, u64 *total, u64 *free);

#endif /* VMSHM_COMMAND_H */
