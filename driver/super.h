/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm file system: its registration.
 */
#ifndef VMSHM_SUPER_H
#define VMSHM_SUPER_H

int vmshm_fs_init(void);
void vmshm_fs_exit(void);

#endif /* VMSHM_SUPER_H */
