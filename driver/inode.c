// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm inodes: address spaces of our own for user mappings to hang on.
 *
 * A device node's inode will not do. There may be several nodes for one
 * device, and one node may outlive the device it belonged to.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/mount.h>
#include <linux/pseudo_fs.h>

#include "vmshm.h"

static struct vfsmount *vmshm_mount;

static int vmshm_init_fs_context(struct fs_context *fc)
{
	return init_pseudo(fc, VMSHM_FS_MAGIC) ? 0 : -ENOMEM;
}

/* No .owner: the mount is ours and would keep the module from unloading. */
static struct file_system_type vmshm_inode_fs = {
	.name = "vmshm_inode",
	.init_fs_context = vmshm_init_fs_context,
	.kill_sb = kill_anon_super,
};

struct inode *vmshm_inode_new(void)
{
	return alloc_anon_inode(vmshm_mount->mnt_sb);
}

int vmshm_inode_init(void)
{
	vmshm_mount = kern_mount(&vmshm_inode_fs);
	return PTR_ERR_OR_ZERO(vmshm_mount);
}

void vmshm_inode_exit(void)
{
	kern_unmount(vmshm_mount);
}
