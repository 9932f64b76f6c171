/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm pauses: nothing uses the device while its PCI function is reset.
 */
#ifndef VMSHM_PAUSE_H
#define VMSHM_PAUSE_H

#include <linux/types.h>

#include "vmshm.h"

void vmshm_pause_init(struct vmshm_dev *vdev);
void vmshm_pause_set(struct vmshm_dev *vdev, enum vmshm_pause pause);
void vmshm_pause_end(struct vmshm_dev *vdev);
bool vmshm_pause_concerns(struct vmshm_dev *vdev, enum vmshm_pause pause);
void vmshm_pause_wait(struct vmshm_dev *vdev, enum vmshm_pause pause);

#endif /* VMSHM_PAUSE_H */
