/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm file system: files.
 */
#ifndef VMSHM_FILE_H
#define VMSHM_FILE_H

#include <linux/fs.h>

extern const struct inode_operations vmshm_fs_file_inode_ops;
extern const struct file_operations vmshm_fs_file_ops;

#endif /* VMSHM_FILE_H */
