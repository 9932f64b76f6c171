// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm file system: attributes of inodes.
 */
#include <linux/fs.h>
#include <linux/spinlock.h>

#include "compat.h"
#include "inode.h"
#include "command.h"
#include "owner.h"
#include "vmshm.h"
#include "vnode.h"

/* Owner and group: of the mount, else the creator's, else those of the host. */
static void vmshm_fs_inode_owner(struct inode *inode,
				 const struct vmshm_stat *st, kuid_t *uid,
				 kgid_t *gid)
{
	struct vmshm_fs_sb *vsb = vmshm_fs_sb(inode->i_sb);

	if (!vmshm_owners_find(vsb->vdev->owners, st->ident,
			       vmshm_compat_inode_is_new(inode), uid, gid)) {
		*uid = make_kuid(&init_user_ns, st->uid);
		*gid = make_kgid(&init_user_ns, st->gid);
	}
	if (vsb->has_uid)
		*uid = vsb->uid;
	if (vsb->has_gid)
		*gid = vsb->gid;
}

/* The vnode is locked, so that an older report does not come later. */
static void vmshm_fs_inode_set_attr(struct inode *inode,
				    const struct vmshm_stat *st)
{
	struct vmshm_fs_sb *vsb = vmshm_fs_sb(inode->i_sb);
	struct inode *host = inode->i_mapping->host;
	kuid_t uid;
	kgid_t gid;

	vmshm_fs_inode_owner(inode, st, &uid, &gid);
	spin_lock(&inode->i_lock);
	/* Set-user-ID and similar bits of the host do not apply here. */
	inode->i_mode = S_IFREG | (vsb->has_mode ? vsb->mode : st->mode & 0777);
	inode->i_uid = uid;
	inode->i_gid = gid;
	inode->i_blocks = st->blocks;
	vmshm_compat_inode_set_times(inode, st->atime, st->mtime);
	i_size_write(inode, st->size);
	spin_unlock(&inode->i_lock);

	/* Helpers of the kernel read the size from the inode of the mapping. */
	spin_lock(&host->i_lock);
	i_size_write(host, st->size);
	spin_unlock(&host->i_lock);
}

/**
 * vmshm_fs_inode_update() - take over the attributes that the device reports
 * @inode: a file
 * @st: the report; if there is a newer one by now, that one is used
 */
void vmshm_fs_inode_update(struct inode *inode, const struct vmshm_stat *st)
{
	struct vmshm_vnode *vnode = vmshm_fs_inode_vnode(inode);

	vmshm_vnode_lock(vnode);
	vmshm_fs_inode_set_attr(inode, vmshm_vnode_latest(vnode, st));
	vmshm_vnode_unlock(vnode);
}

/**
 * vmshm_fs_inode_refresh() - update the attributes from the device
 * @inode: a file; it is not changed if the command fails
 *
 * Return: as vmshm_vnode_stat(). -EIO must reach the program: the device
 * reports only once that memory of the object was lost.
 */
int vmshm_fs_inode_refresh(struct inode *inode)
{
	struct vmshm_stat st;
	int err;

	err = vmshm_vnode_stat(vmshm_fs_inode_vnode(inode), &st);
	if (!err)
		vmshm_fs_inode_update(inode, &st);
	return err;
}
