/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm watch: resets of which the kernel does not tell the driver.
 */
#ifndef VMSHM_WATCH_H
#define VMSHM_WATCH_H

struct vmshm_dev;

void vmshm_watch_init(struct vmshm_dev *vdev,
		      void (*found)(struct vmshm_dev *vdev));
void vmshm_watch_start(struct vmshm_dev *vdev);
void vmshm_watch_stop(struct vmshm_dev *vdev);
int vmshm_watch_queue_new(void);
void vmshm_watch_queue_free(void);

#endif /* VMSHM_WATCH_H */
