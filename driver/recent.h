/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm recent attributes: the attributes that a listing has read.
 */
#ifndef VMSHM_RECENT_H
#define VMSHM_RECENT_H

#include <linux/types.h>

struct vmshm_dev;
struct vmshm_recent;
struct vmshm_stat;

struct vmshm_recent *vmshm_recent_new(struct vmshm_dev *vdev);
void vmshm_recent_add(struct vmshm_recent *recent, const char *name,
		      const struct vmshm_stat *st);
void vmshm_recent_publish(struct vmshm_dev *vdev, struct vmshm_recent *recent);
bool vmshm_recent_take(struct vmshm_dev *vdev, const char *name,
		       struct vmshm_stat *st);
void vmshm_recent_init(struct vmshm_dev *vdev);
void vmshm_recent_exit(struct vmshm_dev *vdev);

#endif /* VMSHM_RECENT_H */
