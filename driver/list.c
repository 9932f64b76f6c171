// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm file system: reading the directory.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/stringhash.h>

#include <vmshm/regs.h>

#include "inode.h"
#include "list.h"
#include "regs.h"
#include "vmshm.h"

/* What one answer of LIST had: names, each with its NUL */
struct vmshm_fs_list_part {
	struct list_head node;
	unsigned int count;
	char names[];
};

/* What an open directory has got: all names, as they were at one time */
struct vmshm_fs_list {
	struct list_head parts;
	/* Some may have none. */
	bool read;
};

/* Far more than there can be files; no device fills the memory. */
#define VMSHM_FS_LIST_PARTS (SZ_32M / VMSHM_NAME_SIZE)

static void vmshm_fs_list_forget(struct vmshm_fs_list *list)
{
	struct vmshm_fs_list_part *part, *next;

	list_for_each_entry_safe(part, next, &list->parts, node)
		kfree(part);
	INIT_LIST_HEAD(&list->parts);
	list->read = false;
}

/* Bytes of so many names in a buffer of VMSHM_NAME_SIZE; 0: it is nonsense. */
static size_t vmshm_fs_names_size(const char *names, unsigned int count)
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
static int vmshm_fs_list_read_part(struct vmshm_dev *vdev,
				   struct vmshm_fs_list *list, u64 first,
				   char *names)
{
	struct vmshm_fs_list_part *part;
	size_t size;
	int count;

	mutex_lock(&vdev->lock);
	count = vmshm_regs_list(vdev, first, names);
	mutex_unlock(&vdev->lock);
	if (count <= 0)
		return count;
	size = vmshm_fs_names_size(names, count);
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

static int vmshm_fs_list_read_parts(struct vmshm_dev *vdev,
				    struct vmshm_fs_list *list, char *names)
{
	unsigned int parts = 0;
	u64 first = 0;
	int count;

	do {
		count = vmshm_fs_list_read_part(vdev, list, first, names);
		first += max(count, 0);
		if (fatal_signal_pending(current))
			return -EINTR;
		if (++parts > VMSHM_FS_LIST_PARTS)
			return -EIO;
		cond_resched();
	} while (count > 0);
	return count;
}

/* The device keeps one list, for whoever began one last: one after the other */
static int vmshm_fs_list_read(struct vmshm_dev *vdev,
			      struct vmshm_fs_list *list)
{
	char *names = kmalloc(VMSHM_NAME_SIZE, GFP_KERNEL);
	int err;

	if (!names)
		return -ENOMEM;
	vmshm_fs_list_forget(list);
	err = mutex_lock_killable(&vdev->list_lock);
	if (!err) {
		err = vmshm_fs_list_read_parts(vdev, list, names);
		mutex_unlock(&vdev->list_lock);
	}
	list->read = !err;
	kfree(names);
	return err;
}

/* Hands out the names of one answer; false when the reader has no more room. */
static bool vmshm_fs_emit(struct dir_context *ctx,
			  struct vmshm_fs_list_part *part, u64 number)
{
	const char *name = part->names;
	unsigned int i;

	for (i = 0; i < part->count; i++, number++) {
		size_t size = strlen(name);

		/* The identity would cost a command for each name. */
		if (number == ctx->pos - 2) {
			if (!dir_emit(ctx, name + 1, size - 1,
				      full_name_hash(NULL, name + 1, size - 1) |
					      1,
				      DT_REG))
				return false;
			ctx->pos++;
		}
		name += size + 1;
	}
	return true;
}

static int vmshm_fs_iterate(struct file *file, struct dir_context *ctx)
{
	struct vmshm_dev *vdev = vmshm_fs_sb(file_inode(file)->i_sb)->vdev;
	struct vmshm_fs_list *list = file->private_data;
	struct vmshm_fs_list_part *part;
	u64 number = 0;
	int err = 0;

	if (!dir_emit_dots(file, ctx))
		return 0;
	if (ctx->pos == 2 || !list->read)
		err = vmshm_fs_list_read(vdev, list);
	if (err)
		return err;
	list_for_each_entry(part, &list->parts, node) {
		if (number + part->count > ctx->pos - 2 &&
		    !vmshm_fs_emit(ctx, part, number))
			break;
		number += part->count;
	}
	return 0;
}

static int vmshm_fs_dir_open(struct inode *inode, struct file *file)
{
	struct vmshm_fs_list *list = kzalloc(sizeof(*list), GFP_KERNEL);

	if (!list)
		return -ENOMEM;
	INIT_LIST_HEAD(&list->parts);
	file->private_data = list;
	return 0;
}

static int vmshm_fs_dir_release(struct inode *inode, struct file *file)
{
	struct vmshm_fs_list *list = file->private_data;

	vmshm_fs_list_forget(list);
	kfree(list);
	return 0;
}

const struct file_operations vmshm_fs_dir_ops = {
	.open = vmshm_fs_dir_open,
	.release = vmshm_fs_dir_release,
	.llseek = generic_file_llseek,
	.read = generic_read_dir,
	.iterate_shared = vmshm_fs_iterate,
	.fsync = noop_fsync,
};
