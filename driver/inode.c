// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm file system: attributes of inodes.
 */
#include <linux/fs.h>
#include <linux/spinlock.h>

#include "compat.h"
#include "inode.h"
#include "command.h"
#include "vnode.h"

/**
 * vmshm_fs_inode_update() - take over what the device reports
 * @inode: a file
 * @st: the report
 */
void vmshm_fs_inode_update(struct inode *inode, const struct vmshm_stat *st)
{
	struct vmshm_fs_sb *vsb = vmshm_fs_sb(inode->i_sb);
	struct inode *host = inode->i_mapping->host;

	spin_lock(&inode->i_lock);
	/* The host's programs with other rights are not this system's. */
	inode->i_mode = S_IFREG | (vsb->has_mode ? vsb->mode : st->mode & 0777);
	inode->i_uid = vsb->has_uid ? vsb->uid :
				      make_kuid(&init_user_ns, st->uid);
	inode->i_gid = vsb->has_gid ? vsb->gid :
				      make_kgid(&init_user_ns, st->gid);
	inode->i_blocks = st->blocks;
	vmshm_compat_inode_set_times(inode, st->mtime);
	i_size_write(inode, st->size);
	spin_unlock(&inode->i_lock);

	/* The kernel's helpers ask the inode of the mapping for the size. */
	spin_lock(&host->i_lock);
	i_size_write(host, st->size);
	spin_unlock(&host->i_lock);
}

/**
 * vmshm_fs_inode_refresh() - ask the device, and take over what it reports
 * @inode: a file; it stays as it is if the device reports nothing
 */
void vmshm_fs_inode_refresh(struct inode *inode)
{
	struct vmshm_stat st;

	if (!vmshm_vnode_stat(vmshm_fs_inode_vnode(inode), &st))
		vmshm_fs_inode_update(inode, &st);
}
