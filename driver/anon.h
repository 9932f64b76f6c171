/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm anonymous inodes: address spaces for user mappings.
 */
#ifndef VMSHM_ANON_H
#define VMSHM_ANON_H

struct inode;

struct inode *vmshm_anon_new(void);
int vmshm_anon_init(void);
void vmshm_anon_exit(void);

#endif /* VMSHM_ANON_H */
