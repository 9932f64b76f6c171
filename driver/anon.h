/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm anonymous inodes: address spaces for user mappings.
 */
#ifndef VMSHM_ANON_H
#define VMSHM_ANON_H

#include <linux/types.h>

struct inode;
struct vmshm_dev;

struct inode *vmshm_anon_new(void);
int vmshm_anon_init(void);
void vmshm_anon_exit(void);
void vmshm_anon_unmap(struct vmshm_dev *vdev, struct inode *inode, u64 offset,
		      u64 length, bool even_cows);

#endif /* VMSHM_ANON_H */
