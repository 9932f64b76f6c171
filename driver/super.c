// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm file system: mount -t vmshm vmshm0 DIR
 */
#include <linux/err.h>
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/statfs.h>

#include "arena.h"
#include "command.h"
#include "compat.h"
#include "dev.h"
#include "dir.h"
#include "inode.h"
#include "super.h"
#include "vmshm.h"
#include "vnode.h"

enum { Opt_uid, Opt_gid, Opt_mode };

static const struct fs_parameter_spec vmshm_fs_parameters[] = {
	fsparam_u32("uid", Opt_uid),
	fsparam_u32("gid", Opt_gid),
	fsparam_u32oct("mode", Opt_mode),
	{}
};

static int vmshm_fs_parse_param(struct fs_context *fc,
				struct fs_parameter *param)
{
	struct vmshm_fs_sb *vsb = fc->s_fs_info;
	struct fs_parse_result result;
	int opt;

	opt = fs_parse(fc, vmshm_fs_parameters, param, &result);
	if (opt < 0)
		return opt;
	switch (opt) {
	case Opt_uid:
		vsb->uid = make_kuid(fc->user_ns, result.uint_32);
		if (!uid_valid(vsb->uid))
			return invalf(fc, "vmshm: bad uid");
		vsb->has_uid = true;
		break;
	case Opt_gid:
		vsb->gid = make_kgid(fc->user_ns, result.uint_32);
		if (!gid_valid(vsb->gid))
			return invalf(fc, "vmshm: bad gid");
		vsb->has_gid = true;
		break;
	case Opt_mode:
		if (result.uint_32 & ~0777)
			return invalf(fc, "vmshm: mode is 0 to 0777");
		vsb->mode = result.uint_32;
		vsb->has_mode = true;
		break;
	}
	return 0;
}

static void vmshm_fs_evict_inode(struct inode *inode)
{
	truncate_inode_pages_final(&inode->i_data);
	clear_inode(inode);
	if (inode->i_private)
		vmshm_vnode_put(inode->i_private);
}

/* Reduces @total and @free to the memory that the host has for objects. */
static int vmshm_fs_limit_to_host(struct vmshm_dev *vdev, u64 *total, u64 *free)
{
	u64 host_total, host_free;
	int err = vmshm_request_statfs(vdev, &host_total, &host_free);

	/* Contract 1.0 has no such command; a tmpfs may have no limit. */
	if (err == -EOPNOTSUPP || (!err && !host_total))
		return 0;
	if (err)
		return err;
	*total = min(*total, host_total);
	*free = min(*free, host_free);
	return 0;
}

static int vmshm_fs_statfs(struct dentry *dentry, struct kstatfs *buf)
{
	struct vmshm_dev *vdev = vmshm_fs_sb(dentry->d_sb)->vdev;
	u64 total, free;
	int err = 0;

	/* The memory that can be attached at the same time */
	mutex_lock(&vdev->lock);
	if (vdev->gone) {
		err = -ENODEV;
	} else {
		total = vmshm_arena_size(vdev->arena);
		free = vmshm_arena_avail(vdev->arena);
	}
	mutex_unlock(&vdev->lock);
	err = err ?: vmshm_fs_limit_to_host(vdev, &total, &free);
	if (err)
		return err;
	buf->f_type = VMSHM_FS_MAGIC;
	buf->f_namelen = NAME_MAX;
	buf->f_bsize = PAGE_SIZE;
	buf->f_blocks = total >> PAGE_SHIFT;
	buf->f_bfree = free >> PAGE_SHIFT;
	buf->f_bavail = buf->f_bfree;
	return 0;
}

static int vmshm_fs_show_options(struct seq_file *m, struct dentry *root)
{
	struct vmshm_fs_sb *vsb = vmshm_fs_sb(root->d_sb);

	if (vsb->has_uid)
		seq_printf(m, ",uid=%u",
			   from_kuid_munged(&init_user_ns, vsb->uid));
	if (vsb->has_gid)
		seq_printf(m, ",gid=%u",
			   from_kgid_munged(&init_user_ns, vsb->gid));
	if (vsb->has_mode)
		seq_printf(m, ",mode=%03o", vsb->mode);
	return 0;
}

static const struct super_operations vmshm_fs_super_ops = {
	.drop_inode = vmshm_compat_drop_inode,
	.evict_inode = vmshm_fs_evict_inode,
	.statfs = vmshm_fs_statfs,
	.show_options = vmshm_fs_show_options,
};

static int vmshm_fs_fill_super(struct super_block *sb, struct fs_context *fc)
{
	struct inode *root;

	sb->s_magic = VMSHM_FS_MAGIC;
	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	sb->s_maxbytes = MAX_LFS_FILESIZE;
	sb->s_time_gran = 1;
	sb->s_flags |= SB_NOATIME;
	sb->s_iflags |= SB_I_NODEV;
	sb->s_op = &vmshm_fs_super_ops;
	vmshm_compat_set_dentry_ops(sb, &vmshm_fs_dentry_ops);
	root = vmshm_fs_root_new(sb);
	if (!root)
		return -ENOMEM;
	sb->s_root = d_make_root(root);
	return sb->s_root ? 0 : -ENOMEM;
}

static int vmshm_fs_get_tree(struct fs_context *fc)
{
	struct vmshm_fs_sb *vsb = fc->s_fs_info;

	if (!fc->source)
		return invalf(fc, "vmshm: no device given, such as vmshm0");
	if (!vsb->vdev)
		vsb->vdev = vmshm_dev_find(kbasename(fc->source));
	if (!vsb->vdev || READ_ONCE(vsb->vdev->gone))
		return invalf(fc, "vmshm: no device of that name");
	if (!vsb->vdev->arena) {
		errorf(fc, "vmshm: the device has no arena");
		return -EOPNOTSUPP;
	}
	return get_tree_nodev(fc, vmshm_fs_fill_super);
}

/* A remount cannot change options. The same options are accepted. */
static int vmshm_fs_reconfigure(struct fs_context *fc)
{
	struct vmshm_fs_sb *new = fc->s_fs_info;
	struct vmshm_fs_sb *vsb = vmshm_fs_sb(fc->root->d_sb);

	if (new->has_uid && !(vsb->has_uid && uid_eq(new->uid, vsb->uid)))
		return invalf(fc, "vmshm: uid cannot change");
	if (new->has_gid && !(vsb->has_gid && gid_eq(new->gid, vsb->gid)))
		return invalf(fc, "vmshm: gid cannot change");
	if (new->has_mode && !(vsb->has_mode && new->mode == vsb->mode))
		return invalf(fc, "vmshm: mode cannot change");
	return 0;
}

static void vmshm_fs_sb_free(struct vmshm_fs_sb *vsb)
{
	if (vsb && vsb->vdev)
		put_device(&vsb->vdev->dev);
	kfree(vsb);
}

static void vmshm_fs_free_fc(struct fs_context *fc)
{
	vmshm_fs_sb_free(fc->s_fs_info);
}

static const struct fs_context_operations vmshm_fs_context_ops = {
	.parse_param = vmshm_fs_parse_param,
	.get_tree = vmshm_fs_get_tree,
	.reconfigure = vmshm_fs_reconfigure,
	.free = vmshm_fs_free_fc,
};

static int vmshm_fs_init_fs_context(struct fs_context *fc)
{
	struct vmshm_fs_sb *vsb = kzalloc(sizeof(*vsb), GFP_KERNEL_ACCOUNT);

	if (!vsb)
		return -ENOMEM;
	fc->s_fs_info = vsb;
	fc->ops = &vmshm_fs_context_ops;
	return 0;
}

static void vmshm_fs_kill_sb(struct super_block *sb)
{
	struct vmshm_fs_sb *vsb = vmshm_fs_sb(sb);

	kill_anon_super(sb);
	vmshm_fs_sb_free(vsb);
}

static struct file_system_type vmshm_fs_type = {
	.owner = THIS_MODULE,
	.name = "vmshm",
	.init_fs_context = vmshm_fs_init_fs_context,
	.parameters = vmshm_fs_parameters,
	.kill_sb = vmshm_fs_kill_sb,
};
MODULE_ALIAS_FS("vmshm");

/**
 * vmshm_fs_init() - register the file system
 *
 * Return: 0 or a negative errno.
 */
int vmshm_fs_init(void)
{
	return register_filesystem(&vmshm_fs_type);
}

/**
 * vmshm_fs_exit() - undo vmshm_fs_init()
 */
void vmshm_fs_exit(void)
{
	unregister_filesystem(&vmshm_fs_type);
}
