/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm file system: mounts and inodes.
 */
#ifndef VMSHM_INODE_H
#define VMSHM_INODE_H

#include <linux/fs.h>
#include <linux/uidgid.h>

struct vmshm_dev;
struct vmshm_stat;
struct vmshm_vnode;

/**
 * struct vmshm_fs_sb - a mount
 * @vdev: the device; the mount holds a reference
 * @uid: owner of all files, if @has_uid
 * @gid: group of all files, if @has_gid
 * @mode: permission bits of all files, if @has_mode
 * @has_uid: the option was given
 * @has_gid: the option was given
 * @has_mode: the option was given
 *
 * Attributes that no option gives are those of the host's object.
 */
struct vmshm_fs_sb {
	struct vmshm_dev *vdev;
	kuid_t uid;
	kgid_t gid;
	umode_t mode;
	bool has_uid;
	bool has_gid;
	bool has_mode;
};

static inline struct vmshm_fs_sb *vmshm_fs_sb(struct super_block *sb)
{
	return sb->s_fs_info;
}

/* The vnode of a file's inode; the directory has none. */
static inline struct vmshm_vnode *vmshm_fs_inode_vnode(struct inode *inode)
{
	return inode->i_private;
}

void vmshm_fs_inode_update(struct inode *inode, const struct vmshm_stat *st);
int vmshm_fs_inode_refresh(struct inode *inode);

#endif /* VMSHM_INODE_H */
