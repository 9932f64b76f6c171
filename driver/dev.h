/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm devices: their life.
 */
#ifndef VMSHM_DEV_H
#define VMSHM_DEV_H

struct device;
struct vmshm_dev;

struct vmshm_dev *vmshm_dev_new(struct device *parent);
struct vmshm_dev *vmshm_dev_find(const char *name);
int vmshm_dev_add(struct vmshm_dev *vdev);
void vmshm_dev_del(struct vmshm_dev *vdev);
void vmshm_dev_stop(struct vmshm_dev *vdev);
void vmshm_dev_shutdown(struct vmshm_dev *vdev);
int vmshm_dev_init(void);
void vmshm_dev_exit(void);

#endif /* VMSHM_DEV_H */
