/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm file system: reading the directory.
 */
#ifndef VMSHM_LIST_H
#define VMSHM_LIST_H

#include <linux/fs.h>

extern const struct file_operations vmshm_fs_dir_ops;

#endif /* VMSHM_LIST_H */
