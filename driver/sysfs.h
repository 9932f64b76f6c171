/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm in sysfs: /sys/class/vmshm/vmshmN.
 */
#ifndef VMSHM_SYSFS_H
#define VMSHM_SYSFS_H

struct attribute_group;

extern const struct attribute_group *vmshm_sysfs_groups[];

#endif /* VMSHM_SYSFS_H */
