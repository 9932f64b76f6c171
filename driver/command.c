// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm commands: the requests of the driver to the device.
 *
 * A device with command memory takes commands of several tasks at the same
 * time, with one register access each. Other devices take commands one by one,
 * through registers. No lock is held here that another command needs.
 */
#include <linux/errno.h>
#include <linux/mutex.h>

#include <vmshm/regs.h>

#include "command.h"
#include "mailbox.h"
#include "regs.h"
#include "vmshm.h"

/* Whether the command changes attributes of objects */
static bool vmshm_request_changes(u32 command)
{
	switch (command) {
	case VMSHM_CMD_STAT:
	case VMSHM_CMD_ATTACH:
	case VMSHM_CMD_HOLD:
	case VMSHM_CMD_DETACH:
	case VMSHM_CMD_STATFS:
		return false;
	default:
		return true;
	}
}

static int vmshm_request_execute(struct vmshm_dev *vdev,
				 const struct vmshm_request *rq,
				 struct vmshm_reply *reply)
{
	u64 asked = atomic64_inc_return(&vdev->asked);
	int err;

	if (vmshm_request_changes(rq->command))
		atomic_inc(&vdev->changes);
	if (vdev->mailboxes) {
		err = vmshm_mailbox_execute(vdev, rq, reply);
	} else {
		vmshm_regs_lock(vdev);
		err = vmshm_regs_execute(vdev, rq, reply);
		mutex_unlock(&vdev->lock);
	}
	if (!err && reply)
		reply->st.asked = asked;
	return err;
}

static int vmshm_request_execute_stat(struct vmshm_dev *vdev,
				      const struct vmshm_request *rq,
				      struct vmshm_stat *st)
{
	struct vmshm_reply reply;
	int err = vmshm_request_execute(vdev, rq, &reply);

	if (!err)
		*st = reply.st;
	return err;
}

/**
 * vmshm_request_stat() - ask about an object
 * @vdev: the device
 * @name: "/" and the name
 * @handle: a handle of the object, or 0: then @name is used
 * @st: the answer
 *
 * Return: 0; -ENODEV; -ENAMETOOLONG; or the error of the device.
 */
int vmshm_request_stat(struct vmshm_dev *vdev, const char *name, u32 handle,
		       struct vmshm_stat *st)
{
	struct vmshm_request rq = {
		.command = VMSHM_CMD_STAT,
		.name = name,
		.handle = handle,
	};

	return vmshm_request_execute_stat(vdev, &rq, st);
}

/**
 * vmshm_request_attach() - show a part of an object in the arena
 * @vdev: the device
 * @name: "/" and the name
 * @handle: a handle of the object, or 0: then @name is used
 * @range: the part and its place
 * @reply: the new handle, to be detached; and the object
 *
 * Return: as vmshm_request_stat().
 */
int vmshm_request_attach(struct vmshm_dev *vdev, const char *name, u32 handle,
			 const struct vmshm_range *range,
			 struct vmshm_reply *reply)
{
	struct vmshm_request rq = {
		.command = VMSHM_CMD_ATTACH,
		.flags = (range->readonly ? VMSHM_RQ_READONLY : 0) |
			 (range->limit ? VMSHM_RQ_LIMIT : 0),
		.name = name,
		.handle = handle,
		.offset = range->offset,
		.length = range->length,
		.place = range->place,
	};

	return vmshm_request_execute(vdev, &rq, reply);
}

/**
 * vmshm_request_get_handle() - get a handle without an extent
 * @vdev: the device
 * @name: "/" and the name
 * @handle: a handle of the object, or 0: then @name is used
 * @readonly: open the object for reading only
 * @reply: the new handle, to be detached; and the object
 *
 * Return: as vmshm_request_stat().
 */
int vmshm_request_get_handle(struct vmshm_dev *vdev, const char *name,
			     u32 handle, bool readonly,
			     struct vmshm_reply *reply)
{
	struct vmshm_request rq = {
		.command = VMSHM_CMD_HOLD,
		.flags = readonly ? VMSHM_RQ_READONLY : 0,
		.name = name,
		.handle = handle,
	};

	return vmshm_request_execute(vdev, &rq, reply);
}

/**
 * vmshm_request_detach() - give back a handle
 * @vdev: the device
 * @handle: of vmshm_request_attach(), _get_handle() or _create()
 *
 * Return: 0; -ENODEV; or the error of the device.
 */
int vmshm_request_detach(struct vmshm_dev *vdev, u32 handle)
{
	struct vmshm_request rq = {
		.command = VMSHM_CMD_DETACH,
		.handle = handle,
	};

	return vmshm_request_execute(vdev, &rq, NULL);
}

/**
 * vmshm_request_list() - read the names of all objects
 * @vdev: the device
 * @ops: takes the names
 * @arg: of @ops
 *
 * Return: 0; -EINTR; -ENOMEM; what @ops returns; or as vmshm_request_stat().
 */
int vmshm_request_list(struct vmshm_dev *vdev, const struct vmshm_list_ops *ops,
		       void *arg)
{
	return vdev->mailboxes ? vmshm_mailbox_list(vdev, ops, arg) :
				 vmshm_regs_list(vdev, ops, arg);
}

/**
 * vmshm_request_create() - create an object
 * @vdev: the device
 * @name: "/" and the name
 * @mode: permission bits
 * @keep: get a handle as well, if the device gives one
 * @reply: the new object; and its handle, to be detached, or 0
 *
 * Return: 0; -EEXIST; or as vmshm_request_stat().
 */
int vmshm_request_create(struct vmshm_dev *vdev, const char *name, u32 mode,
			 bool keep, struct vmshm_reply *reply)
{
	struct vmshm_request rq = {
		.command = VMSHM_CMD_CREATE,
		.flags = keep && vdev->mailboxes ? VMSHM_RQ_HOLD : 0,
		.name = name,
		.mode = mode,
	};
	int err = vmshm_request_execute(vdev, &rq, reply);

	if (!err && !rq.flags)
		reply->handle = 0;
	return err;
}

/**
 * vmshm_request_unlink() - remove a name
 * @vdev: the device
 * @name: "/" and the name
 *
 * Return: as vmshm_request_stat().
 */
int vmshm_request_unlink(struct vmshm_dev *vdev, const char *name)
{
	struct vmshm_request rq = {
		.command = VMSHM_CMD_UNLINK,
		.name = name,
	};

	return vmshm_request_execute(vdev, &rq, NULL);
}

/**
 * vmshm_request_second_name() - rename or link an object
 * @vdev: the device
 * @command: VMSHM_CMD_RENAME or VMSHM_CMD_LINK
 * @from: "/" and the name
 * @to: "/" and the new name
 * @flags: VMSHM_RQ_NOREPLACE or 0
 *
 * Return: as vmshm_request_stat().
 */
int vmshm_request_second_name(struct vmshm_dev *vdev, u32 command,
			      const char *from, const char *to, u32 flags)
{
	struct vmshm_request rq = {
		.command = command,
		.flags = flags,
		.name = from,
		.second = to,
	};

	return vmshm_request_execute(vdev, &rq, NULL);
}

/**
 * vmshm_request_resize() - set the size of an object
 * @vdev: the device
 * @name: "/" and the name
 * @handle: a handle of the object, or 0: then @name is used
 * @size: bytes
 * @st: what the device reports afterwards
 *
 * Return: as vmshm_request_stat().
 */
int vmshm_request_resize(struct vmshm_dev *vdev, const char *name, u32 handle,
			 u64 size, struct vmshm_stat *st)
{
	struct vmshm_request rq = {
		.command = VMSHM_CMD_RESIZE,
		.name = name,
		.handle = handle,
		.length = size,
	};

	return vmshm_request_execute_stat(vdev, &rq, st);
}

/**
 * vmshm_request_allocate() - have the host allocate a part of an object
 * @vdev: the device
 * @name: "/" and the name
 * @handle: a handle of the object, or 0: then @name is used
 * @offset: bytes into the object
 * @length: bytes, at most VMSHM_ALLOCATE_MAX
 * @st: what the device reports afterwards
 *
 * The object grows if it has to, and never shrinks.
 *
 * Return: as vmshm_request_stat().
 */
int vmshm_request_allocate(struct vmshm_dev *vdev, const char *name, u32 handle,
			   u64 offset, u64 length, struct vmshm_stat *st)
{
	struct vmshm_request rq = {
		.command = VMSHM_CMD_ALLOCATE,
		.name = name,
		.handle = handle,
		.offset = offset,
		.length = length,
	};

	return vmshm_request_execute_stat(vdev, &rq, st);
}

/**
 * vmshm_request_setattr() - change attributes of an object
 * @vdev: the device
 * @handle: a handle of the object
 * @attr: the attributes
 * @st: what the device reports afterwards
 *
 * Return: as vmshm_request_stat(); -EPERM also if the device has no command
 * memory, which this command needs.
 */
int vmshm_request_setattr(struct vmshm_dev *vdev, u32 handle,
			  const struct vmshm_attr *attr, struct vmshm_stat *st)
{
	struct vmshm_request rq = {
		.command = VMSHM_CMD_SETATTR,
		.flags = attr->flags,
		.handle = handle,
		.mode = attr->mode,
		.atime = attr->atime,
		.mtime = attr->mtime,
	};

	return vdev->mailboxes ? vmshm_request_execute_stat(vdev, &rq, st) :
				 -EPERM;
}

/**
 * vmshm_request_statfs() - ask about the host's file system
 * @vdev: the device
 * @total: bytes; 0 if there is no limit
 * @free: bytes
 *
 * Return: as vmshm_request_stat(); -EOPNOTSUPP if the device has no command
 * memory, which this command needs.
 */
int vmshm_request_statfs(struct vmshm_dev *vdev, u64 *total, u64 *free)
{
	struct vmshm_request rq = { .command = VMSHM_CMD_STATFS };
	struct vmshm_reply reply;
	int err = -EOPNOTSUPP;

	if (vdev->mailboxes)
		err = vmshm_request_execute(vdev, &rq, &reply);
	if (!err) {
		*total = reply.total;
		*free = reply.free;
	}
	return err;
}
