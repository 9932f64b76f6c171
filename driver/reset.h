/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm resets: the use of the device goes on after it was reset.
 */
#ifndef VMSHM_RESET_H
#define VMSHM_RESET_H

struct vmshm_dev;

void vmshm_reset_expect(struct vmshm_dev *vdev);
void vmshm_reset_begin(struct vmshm_dev *vdev);
void vmshm_reset_restore(struct vmshm_dev *vdev);
void vmshm_reset_end(struct vmshm_dev *vdev);

#endif /* VMSHM_RESET_H */
