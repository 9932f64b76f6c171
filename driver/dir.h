/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm file system: the directory.
 */
#ifndef VMSHM_DIR_H
#define VMSHM_DIR_H

#include <linux/dcache.h>

struct inode;
struct super_block;

struct inode *vmshm_fs_root_new(struct super_block *sb);

extern const struct dentry_operations vmshm_fs_dentry_ops;

#endif /* VMSHM_DIR_H */
