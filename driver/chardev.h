/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm character device: /dev/vmshmN.
 */
#ifndef VMSHM_CHARDEV_H
#define VMSHM_CHARDEV_H

struct cdev;

void vmshm_chardev_init(struct cdev *cdev);

#endif /* VMSHM_CHARDEV_H */
