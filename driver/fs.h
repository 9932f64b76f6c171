/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the parts of the file system share.
 */
#ifndef VMSHM_FS_H
#define VMSHM_FS_H

#include <linux/fs.h>
#include <linux/uidgid.h>

#include "vmshm.h"

/* A mount. What is not given by an option comes from the host's object. */
struct vmshm_sb {
	struct vmshm_dev *vdev;
	kuid_t uid;
	kgid_t gid;
	umode_t mode;
	bool has_uid;
	bool has_gid;
	bool has_mode;
};

static inline struct vmshm_sb *vmshm_sb(struct super_block *sb)
{
	return sb->s_fs_info;
}

/* The object of a file's inode; the directory has none. */
static inline struct vmshm_object *vmshm_inode_object(struct inode *inode)
{
	return inode->i_private;
}

/* "/" and the file's name, in @name of VMSHM_NAME_SIZE bytes. */
int vmshm_dentry_name(struct dentry *dentry, char *name);

/* Takes over what the device says of the inode's object. */
void vmshm_inode_update(struct inode *inode, const struct vmshm_stat *st);

/* The same after asking it. An object that cannot be asked stays as it was. */
void vmshm_inode_refresh(struct inode *inode);

/* The inode of an object on this mount. */
struct inode *vmshm_inode_get(struct super_block *sb, const char *name,
			      const struct vmshm_stat *st);

struct inode *vmshm_root_new(struct super_block *sb);

extern const struct dentry_operations vmshm_dentry_ops;
extern const struct inode_operations vmshm_file_inode_ops;
extern const struct file_operations vmshm_file_ops;

#endif /* VMSHM_FS_H */
