// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm inodes: address spaces of the driver, to which user mappings belong.
 *
 * The inode of a device node is not suitable. There may be several nodes for
 * one device, and a node may outlive its device.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mount.h>
#include <linux/pseudo_fs.h>

#include <vmshm/regs.h>

#include "anon.h"
#include "vmshm.h"

static struct vfsmount *vmshm_anon_mount;

static int vmshm_anon_init_fs_context(struct fs_context *fc)
{
	return init_pseudo(fc, VMSHM_FS_MAGIC) ? 0 : -ENOMEM;
}

/* No .owner: the driver's own mount would keep the module from unloading. */
static struct file_system_type vmshm_anon_fs = {
	.name = "vmshm_inode",
	.init_fs_context = vmshm_anon_init_fs_context,
	.kill_sb = kill_anon_super,
};

/**
 * vmshm_anon_new() - make an inode with an address space
 *
 * Return: an inode for iput(), or ERR_PTR().
 */
struct inode *vmshm_anon_new(void)
{
	return alloc_anon_inode(vmshm_anon_mount->mnt_sb);
}

/**
 * vmshm_anon_init() - prepare for vmshm_anon_new()
 *
 * Return: 0 or a negative errno.
 */
int vmshm_anon_init(void)
{
	vmshm_anon_mount = kern_mount(&vmshm_anon_fs);
	return PTR_ERR_OR_ZERO(vmshm_anon_mount);
}

/**
 * vmshm_anon_exit() - undo vmshm_anon_init()
 */
void vmshm_anon_exit(void)
{
	kern_unmount(vmshm_anon_mount);
}

/**
 * vmshm_anon_unmap() - remove an object's pages from user mappings
 * @vdev: the device
 * @inode: of the object
 * @offset: bytes into the object
 * @length: bytes; 0: all that follows
 * @even_cows: also private copies
 *
 * Mappings of the character device belong to another inode, because a file's
 * mapping must not change when it attaches an object. That inode is the same
 * for all objects. The mappings of other objects get their entries again by
 * page faults.
 */
void vmshm_anon_unmap(struct vmshm_dev *vdev, struct inode *inode, u64 offset,
		      u64 length, bool even_cows)
{
	unmap_mapping_range(inode->i_mapping, offset, length, even_cows);
	if (offset < VMSHM_BUFFER_SIZE)
		unmap_mapping_range(vdev->inode->i_mapping, offset, length,
				    even_cows);
}
