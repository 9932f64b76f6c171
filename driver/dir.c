// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm file system: the one directory, and what the files in it are.
 *
 * The host makes, removes and replaces objects at any time. So nothing that is
 * known of a name is believed without asking the device again. What is kept of
 * an object that nobody uses is only memory of this kernel, which takes it back
 * when it has a better use for it; to make it anew is a third of an open().
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/namei.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/stringhash.h>

#include "fs.h"

#define VMSHM_ROOT_INO 1

int vmshm_dentry_name(struct dentry *dentry, char *name)
{
	int err = 0;

	spin_lock(&dentry->d_lock);
	if (dentry->d_name.len + 2 > VMSHM_NAME_SIZE) {
		err = -ENAMETOOLONG;
	} else {
		name[0] = '/';
		memcpy(name + 1, dentry->d_name.name, dentry->d_name.len + 1);
	}
	spin_unlock(&dentry->d_lock);
	return err;
}

void vmshm_inode_update(struct inode *inode, const struct vmshm_stat *st)
{
	struct vmshm_sb *vsb = vmshm_sb(inode->i_sb);
	struct inode *host = inode->i_mapping->host;

	spin_lock(&inode->i_lock);
	/* The host's programs with other rights are not this system's. */
	inode->i_mode = S_IFREG | (vsb->has_mode ? vsb->mode : st->mode & 0777);
	inode->i_uid = vsb->has_uid ? vsb->uid
				    : make_kuid(&init_user_ns, st->uid);
	inode->i_gid = vsb->has_gid ? vsb->gid
				    : make_kgid(&init_user_ns, st->gid);
	inode->i_blocks = st->blocks;
	vmshm_inode_set_times(inode, st->mtime);
	i_size_write(inode, st->size);
	spin_unlock(&inode->i_lock);

	/* The kernel's helpers ask the inode of the mapping for the size. */
	spin_lock(&host->i_lock);
	i_size_write(host, st->size);
	spin_unlock(&host->i_lock);
}

void vmshm_inode_refresh(struct inode *inode)
{
	struct vmshm_stat st;

	if (!vmshm_object_stat(vmshm_inode_object(inode), &st))
		vmshm_inode_update(inode, &st);
}

/* The device has just found it by a name. */
static void vmshm_inode_named(struct inode *inode, const struct vmshm_stat *st)
{
	/* Of those that were removed here, the host has made others. */
	if (!inode->i_nlink)
		set_nlink(inode, 1);
	vmshm_inode_update(inode, st);
}

static int vmshm_inode_test(struct inode *inode, void *object)
{
	return inode->i_private == object;
}

/* The inode takes over the caller's reference. */
static int vmshm_inode_set(struct inode *inode, void *object)
{
	inode->i_private = object;
	return 0;
}

struct inode *vmshm_inode_get(struct super_block *sb, const char *name,
			      const struct vmshm_stat *st)
{
	struct vmshm_object *object;
	struct inode *inode;

	object = vmshm_object_get(vmshm_sb(sb)->vdev, name, st);
	if (IS_ERR(object))
		return ERR_CAST(object);
	inode = iget5_locked(sb, st->ident, vmshm_inode_test, vmshm_inode_set,
			     object);
	if (!inode) {
		vmshm_object_put(object);
		return ERR_PTR(-ENOMEM);
	}
	if (!vmshm_inode_is_new(inode)) {
		vmshm_object_put(object);
		vmshm_inode_named(inode, st);
		return inode;
	}
	inode->i_ino = st->ident;
	inode->i_flags |= S_NOATIME | S_NOCMTIME;
	inode->i_op = &vmshm_file_inode_ops;
	inode->i_fop = &vmshm_file_ops;
	inode->i_mapping = object->inode->i_mapping;
	vmshm_inode_update(inode, st);
	unlock_new_inode(inode);
	return inode;
}

static int vmshm_stat_name(struct super_block *sb, const char *name,
			   struct vmshm_stat *st)
{
	struct vmshm_dev *vdev = vmshm_sb(sb)->vdev;
	int err;

	mutex_lock(&vdev->lock);
	err = vmshm_regs_stat(vdev, name, 0, st);
	mutex_unlock(&vdev->lock);
	return err;
}

static struct dentry *vmshm_lookup(struct inode *dir, struct dentry *dentry,
				   unsigned int flags)
{
	char name[NAME_MAX + 2];
	struct inode *inode = NULL;
	struct vmshm_stat st;
	int err;

	if (dentry->d_name.len > NAME_MAX)
		return ERR_PTR(-ENAMETOOLONG);
	err = vmshm_dentry_name(dentry, name);
	if (!err)
		err = vmshm_stat_name(dir->i_sb, name, &st);
	if (err && err != -ENOENT)
		return ERR_PTR(err);
	if (!err)
		inode = vmshm_inode_get(dir->i_sb, name, &st);
	return d_splice_alias(inode, dentry);
}

static int vmshm_revalidate(struct dentry *dentry, unsigned int flags)
{
	char name[NAME_MAX + 2];
	struct inode *inode;
	struct vmshm_stat st;

	if (flags & LOOKUP_RCU)
		return -ECHILD;
	inode = d_inode(dentry);
	if (!inode)
		return 0;
	/* A folder of the root's kind, that is the root itself. */
	if (!inode->i_private)
		return 1;
	if (vmshm_dentry_name(dentry, name) ||
	    vmshm_object_stat_name(vmshm_inode_object(inode), name, &st))
		return 0;
	vmshm_inode_named(inode, &st);
	return 1;
}

VMSHM_D_REVALIDATE(vmshm_revalidate)

/*
 * What is not worth keeping when nobody uses it: a name without an object, and
 * an inode whose names were counted here, as the host changes them, too.
 */
static int vmshm_dentry_delete(const struct dentry *dentry)
{
	return d_really_is_negative(dentry) || d_inode(dentry)->i_nlink != 1;
}

const struct dentry_operations vmshm_dentry_ops = {
	.d_revalidate = vmshm_d_revalidate,
	.d_delete = vmshm_dentry_delete,
};

/* What the host has under that name by now, or just after we made it. */
static int vmshm_instantiate(struct inode *dir, struct dentry *dentry,
			     const char *name, const struct vmshm_stat *st)
{
	struct inode *inode = vmshm_inode_get(dir->i_sb, name, st);

	if (IS_ERR(inode))
		return PTR_ERR(inode);
	d_instantiate(dentry, inode);
	return 0;
}

static int vmshm_create_excl(struct inode *dir, struct dentry *dentry,
			     umode_t mode, bool excl)
{
	struct vmshm_dev *vdev = vmshm_sb(dir->i_sb)->vdev;
	char name[NAME_MAX + 2];
	struct vmshm_stat st;
	int err;

	if (dentry->d_name.len > NAME_MAX)
		return -ENAMETOOLONG;
	err = vmshm_dentry_name(dentry, name);
	if (err)
		return err;
	mutex_lock(&vdev->lock);
	err = vmshm_regs_create(vdev, name, mode & 0777, &st);
	if (err == -EEXIST && !excl)
		err = vmshm_regs_stat(vdev, name, 0, &st);
	mutex_unlock(&vdev->lock);
	return err ?: vmshm_instantiate(dir, dentry, name, &st);
}

VMSHM_CREATE(vmshm_create_excl)

static int vmshm_unlink(struct inode *dir, struct dentry *dentry)
{
	struct vmshm_dev *vdev = vmshm_sb(dir->i_sb)->vdev;
	char name[NAME_MAX + 2];
	int err;

	err = vmshm_dentry_name(dentry, name);
	if (err)
		return err;
	mutex_lock(&vdev->lock);
	err = vmshm_regs_unlink(vdev, name);
	mutex_unlock(&vdev->lock);
	if (!err && d_inode(dentry)->i_nlink)
		drop_nlink(d_inode(dentry));
	return err;
}

static int vmshm_second_name(struct dentry *from, struct dentry *to,
			     u32 command, u32 flags)
{
	char from_name[NAME_MAX + 2], to_name[NAME_MAX + 2];
	int err;

	if (to->d_name.len > NAME_MAX)
		return -ENAMETOOLONG;
	err = vmshm_dentry_name(from, from_name) ?:
	      vmshm_dentry_name(to, to_name);
	if (err)
		return err;
	return vmshm_object_second_name(vmshm_inode_object(d_inode(from)),
					command, from_name, to_name, flags);
}

static int vmshm_rename(struct mnt_idmap *idmap, struct inode *dir,
			struct dentry *from, struct inode *to_dir,
			struct dentry *to, unsigned int flags)
{
	int err;

	if (flags & ~RENAME_NOREPLACE)
		return -EINVAL;
	err = vmshm_second_name(from, to, VMSHM_CMD_RENAME,
				flags & RENAME_NOREPLACE ? VMSHM_RQ_NOREPLACE
							 : 0);
	if (!err && d_inode(to) && d_inode(to)->i_nlink)
		drop_nlink(d_inode(to));
	return err;
}

static int vmshm_link(struct dentry *from, struct inode *dir,
		      struct dentry *to)
{
	struct inode *inode = d_inode(from);
	int err;

	err = vmshm_second_name(from, to, VMSHM_CMD_LINK, 0);
	if (err)
		return err;
	inc_nlink(inode);
	ihold(inode);
	d_instantiate(to, inode);
	return 0;
}

static const struct inode_operations vmshm_dir_inode_ops = {
	.lookup = vmshm_lookup,
	.create = vmshm_create,
	.unlink = vmshm_unlink,
	.rename = vmshm_rename,
	.link = vmshm_link,
};

/* What one answer of LIST had: names, each with its NUL */
struct vmshm_part {
	struct list_head node;
	unsigned int count;
	char names[];
};

/* What an open directory has got: all names, as they were at one time */
struct vmshm_list {
	struct list_head parts;
	/* Some may have none. */
	bool read;
};

/* Far more than there can be files; no device fills the memory. */
#define VMSHM_PARTS_MOST (SZ_32M / VMSHM_NAME_SIZE)

static void vmshm_list_forget(struct vmshm_list *list)
{
	struct vmshm_part *part, *next;

	list_for_each_entry_safe(part, next, &list->parts, node)
		kfree(part);
	INIT_LIST_HEAD(&list->parts);
	list->read = false;
}

/* Bytes of so many names in a buffer of VMSHM_NAME_SIZE; 0: it is nonsense. */
static size_t vmshm_names_size(const char *names, unsigned int count)
{
	size_t at = 0;

	while (count--) {
		size_t left = VMSHM_NAME_SIZE - at;
		size_t size = strnlen(names + at, left);

		if (size < 2 || size == left)
			return 0;
		at += size + 1;
	}
	return at;
}

/* Names from number @first on; how many, 0 at the end, or -errno. */
static int vmshm_list_read_part(struct vmshm_dev *vdev, struct vmshm_list *list,
				u64 first, char *names)
{
	struct vmshm_part *part;
	size_t size;
	int count;

	mutex_lock(&vdev->lock);
	count = vmshm_regs_list(vdev, first, names);
	mutex_unlock(&vdev->lock);
	if (count <= 0)
		return count;
	size = vmshm_names_size(names, count);
	if (!size)
		return -EIO;
	part = kmalloc(struct_size(part, names, size), GFP_KERNEL_ACCOUNT);
	if (!part)
		return -ENOMEM;
	part->count = count;
	memcpy(part->names, names, size);
	list_add_tail(&part->node, &list->parts);
	return count;
}

static int vmshm_list_read_parts(struct vmshm_dev *vdev,
				 struct vmshm_list *list, char *names)
{
	unsigned int parts = 0;
	u64 first = 0;
	int count;

	do {
		count = vmshm_list_read_part(vdev, list, first, names);
		first += max(count, 0);
		if (fatal_signal_pending(current))
			return -EINTR;
		if (++parts > VMSHM_PARTS_MOST)
			return -EIO;
		cond_resched();
	} while (count > 0);
	return count;
}

/* The device keeps one list, for whoever began one last: one after the other */
static int vmshm_list_read(struct vmshm_dev *vdev, struct vmshm_list *list)
{
	char *names = kmalloc(VMSHM_NAME_SIZE, GFP_KERNEL);
	int err;

	if (!names)
		return -ENOMEM;
	vmshm_list_forget(list);
	err = mutex_lock_killable(&vdev->list_lock);
	if (!err) {
		err = vmshm_list_read_parts(vdev, list, names);
		mutex_unlock(&vdev->list_lock);
	}
	list->read = !err;
	kfree(names);
	return err;
}

/* Hands out the names of one answer; false when the reader has no more room. */
static bool vmshm_emit(struct dir_context *ctx, struct vmshm_part *part,
		       u64 number)
{
	const char *name = part->names;
	unsigned int i;

	for (i = 0; i < part->count; i++, number++) {
		size_t size = strlen(name);

		/* The identity would cost a command for each name. */
		if (number == ctx->pos - 2) {
			if (!dir_emit(ctx, name + 1, size - 1,
				      full_name_hash(NULL, name + 1, size - 1) |
				      1, DT_REG))
				return false;
			ctx->pos++;
		}
		name += size + 1;
	}
	return true;
}

static int vmshm_iterate(struct file *file, struct dir_context *ctx)
{
	struct vmshm_dev *vdev = vmshm_sb(file_inode(file)->i_sb)->vdev;
	struct vmshm_list *list = file->private_data;
	struct vmshm_part *part;
	u64 number = 0;
	int err = 0;

	if (!dir_emit_dots(file, ctx))
		return 0;
	if (ctx->pos == 2 || !list->read)
		err = vmshm_list_read(vdev, list);
	if (err)
		return err;
	list_for_each_entry(part, &list->parts, node) {
		if (number + part->count > ctx->pos - 2 &&
		    !vmshm_emit(ctx, part, number))
			break;
		number += part->count;
	}
	return 0;
}

static int vmshm_dir_open(struct inode *inode, struct file *file)
{
	struct vmshm_list *list = kzalloc(sizeof(*list), GFP_KERNEL);

	if (!list)
		return -ENOMEM;
	INIT_LIST_HEAD(&list->parts);
	file->private_data = list;
	return 0;
}

static int vmshm_dir_release(struct inode *inode, struct file *file)
{
	struct vmshm_list *list = file->private_data;

	vmshm_list_forget(list);
	kfree(list);
	return 0;
}

static const struct file_operations vmshm_dir_ops = {
	.open = vmshm_dir_open,
	.release = vmshm_dir_release,
	.llseek = generic_file_llseek,
	.read = generic_read_dir,
	.iterate_shared = vmshm_iterate,
	.fsync = noop_fsync,
};

struct inode *vmshm_root_new(struct super_block *sb)
{
	struct vmshm_sb *vsb = vmshm_sb(sb);
	struct inode *inode = new_inode(sb);

	if (!inode)
		return NULL;
	inode->i_ino = VMSHM_ROOT_INO;
	/* As /dev/shm; who may what is the device's and the host's to say. */
	inode->i_mode = S_IFDIR | S_ISVTX | 0777;
	inode->i_uid = vsb->has_uid ? vsb->uid : GLOBAL_ROOT_UID;
	inode->i_gid = vsb->has_gid ? vsb->gid : GLOBAL_ROOT_GID;
	vmshm_inode_set_times_now(inode);
	inode->i_op = &vmshm_dir_inode_ops;
	inode->i_fop = &vmshm_dir_ops;
	set_nlink(inode, 2);
	return inode;
}
