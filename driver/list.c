// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm file system: reading the directory.
 */
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/stringhash.h>

#include "command.h"
#include "inode.h"
#include "list.h"
#include "recent.h"
#include "vmshm.h"

/* The names of one reply of the device, each with its NUL */
struct vmshm_fs_list_part {
	struct list_head node;
	unsigned int count;
	char names[];
};

/* The names that an open directory has read, all at the same time */
struct vmshm_fs_list {
	struct list_head parts;
	/* While it is read: attributes of the names, or NULL */
	struct vmshm_recent *recent;
	/* The names were read; a directory may have none. */
	bool read;
};

static void vmshm_fs_list_forget(struct vmshm_fs_list *list)
{
	struct vmshm_fs_list_part *part, *next;

	list_for_each_entry_safe(part, next, &list->parts, node)
		kfree(part);
	INIT_LIST_HEAD(&list->parts);
	list->read = false;
}

/* Bytes of @count names in a buffer of @room bytes; 0 if a name is invalid. */
static size_t vmshm_fs_names_size(const char *names, size_t room,
				  unsigned int count)
{
	size_t at = 0;

	while (count--) {
		size_t left = room - at;
		size_t size = strnlen(names + at, left);

		if (size < 2 || size == left)
			return 0;
		at += size + 1;
	}
	return at;
}

static int vmshm_fs_list_add_names(void *arg, const char *names, size_t room,
				   unsigned int count)
{
	size_t size = vmshm_fs_names_size(names, room, count);
	struct vmshm_fs_list *list = arg;
	struct vmshm_fs_list_part *part;

	if (!size)
		return -EIO;
	part = kmalloc(struct_size(part, names, size), GFP_KERNEL_ACCOUNT);
	if (!part)
		return -ENOMEM;
	part->count = count;
	memcpy(part->names, names, size);
	list_add_tail(&part->node, &list->parts);
	return 0;
}

static int vmshm_fs_list_add_entry(void *arg, const char *name,
				   const struct vmshm_stat *st)
{
	struct vmshm_fs_list *list = arg;

	vmshm_recent_add(list->recent, name, st);
	return vmshm_fs_list_add_names(arg, name, strlen(name) + 1, 1);
}

static const struct vmshm_list_ops vmshm_fs_list_ops = {
	.names = vmshm_fs_list_add_names,
	.entry = vmshm_fs_list_add_entry,
};

static int vmshm_fs_list_read(struct vmshm_dev *vdev,
			      struct vmshm_fs_list *list)
{
	int err;

	vmshm_fs_list_forget(list);
	list->recent = vmshm_recent_new(vdev);
	err = vmshm_request_list(vdev, &vmshm_fs_list_ops, list);
	vmshm_recent_publish(vdev, list->recent);
	list->recent = NULL;
	list->read = !err;
	return err;
}

/* Emits the names of one reply; false when the reader has no more room. */
static bool vmshm_fs_emit(struct dir_context *ctx,
			  struct vmshm_fs_list_part *part, u64 number)
{
	const char *name = part->names;
	unsigned int i;

	for (i = 0; i < part->count; i++, number++) {
		size_t size = strlen(name);

		/* As d_ino, the identity would need a command per name. */
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
	struct vmshm_fs_list *list;

	list = kzalloc(sizeof(*list), GFP_KERNEL_ACCOUNT);
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
