// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm registers: the contract of <vmshm/regs.h>, and nothing else.
 */
#include <linux/errno.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/lockdep.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <vmshm/regs.h>

#include "request.h"
#include "pause.h"
#include "regs.h"
#include "vmshm.h"

/*
 * Registers contain a positive errno. Numbers from ERESTARTSYS on are internal
 * to the kernel and must not be accepted from the device.
 */
#define VMSHM_ERRNO_END 512

/* Limit of parts of a list, so that no device can exhaust the memory */
#define VMSHM_REGS_LIST_PARTS (SZ_32M / VMSHM_NAME_SIZE)

/**
 * vmshm_regs_errno() - convert a status of the device to an errno of the kernel
 * @value: 0 or a positive errno; not validated
 *
 * Return: 0 or a negative errno.
 */
int vmshm_regs_errno(u32 value)
{
	return value < VMSHM_ERRNO_END ? -(int)value : -EIO;
}

/*
 * The device checks the name; the driver only checks its length. Each access
 * causes a VM exit, so the accesses are as large as the contract allows.
 */
static int vmshm_regs_name(struct vmshm_dev *vdev, const char *name,
			   unsigned int at, size_t room)
{
	size_t size = strlen(name) + 1, i;

	if (size > room)
		return -ENAMETOOLONG;
	for (i = 0; i < size; i += sizeof(__le64)) {
		__le64 part = 0;

		memcpy(&part, name + i, min(size - i, sizeof(part)));
		writeq(le64_to_cpu(part), vdev->name + at + i);
	}
	return 0;
}

/**
 * vmshm_regs_open() - show an object in the buffer
 * @vdev: the device, locked
 * @name: "/" and the name
 *
 * Return: 0; -ENAMETOOLONG; or the error of the device.
 */
int vmshm_regs_open(struct vmshm_dev *vdev, const char *name)
{
	int err;

	lockdep_assert_held(&vdev->lock);
	err = vmshm_regs_name(vdev, name, 0, VMSHM_NAME_SIZE);
	return err ?: vmshm_regs_errno(ioread32(vdev->regs + VMSHM_REG_OPEN));
}

/**
 * vmshm_regs_close() - show nothing in the buffer
 * @vdev: the device, locked
 */
void vmshm_regs_close(struct vmshm_dev *vdev)
{
	lockdep_assert_held(&vdev->lock);
	ioread32(vdev->regs + VMSHM_REG_CLOSE);
}

/**
 * vmshm_regs_read() - read a register of 32 bits
 * @vdev: the device
 * @reg: VMSHM_REG_*
 *
 * Return: the value.
 */
u32 vmshm_regs_read(struct vmshm_dev *vdev, unsigned int reg)
{
	return ioread32(vdev->regs + reg);
}

/**
 * vmshm_regs_read64() - read a pair of registers
 * @vdev: the device
 * @reg: VMSHM_REG_*_LO
 *
 * Return: the value.
 */
u64 vmshm_regs_read64(struct vmshm_dev *vdev, unsigned int reg)
{
	return vmshm_regs_read(vdev, reg) | (u64)vmshm_regs_read(vdev, reg + 4)
						    << 32;
}

static void vmshm_regs_write(struct vmshm_dev *vdev, unsigned int reg, u32 v)
{
	iowrite32(v, vdev->regs + reg);
}

static void vmshm_regs_write64(struct vmshm_dev *vdev, unsigned int reg, u64 v)
{
	vmshm_regs_write(vdev, reg, v);
	vmshm_regs_write(vdev, reg + 4, v >> 32);
}

static int vmshm_regs_command(struct vmshm_dev *vdev, u32 command)
{
	vmshm_regs_write(vdev, VMSHM_REG_COMMAND, command);
	return vmshm_regs_errno(vmshm_regs_read(vdev, VMSHM_REG_STATUS));
}

static void vmshm_regs_result(struct vmshm_dev *vdev, struct vmshm_stat *st)
{
	st->mode = vmshm_regs_read(vdev, VMSHM_REG_RES_MODE);
	st->size = vmshm_regs_read64(vdev, VMSHM_REG_RES_SIZE_LO);
	st->ident = vmshm_regs_read64(vdev, VMSHM_REG_RES_IDENT_LO);
	st->uid = vmshm_regs_read(vdev, VMSHM_REG_RES_UID);
	st->gid = vmshm_regs_read(vdev, VMSHM_REG_RES_GID);
	st->mtime.tv_sec = vmshm_regs_read64(vdev, VMSHM_REG_RES_MTIME_LO);
	st->mtime.tv_nsec = vmshm_regs_read(vdev, VMSHM_REG_RES_MTIME_NS);
	st->blocks = vmshm_regs_read64(vdev, VMSHM_REG_RES_BLOCKS_LO);
	/* Not trusted: keep the invariants of the rest of the kernel. */
	st->size = min_t(u64, st->size, MAX_LFS_FILESIZE);
	st->mtime.tv_nsec = min_t(long, st->mtime.tv_nsec, NSEC_PER_SEC - 1);
	st->atime = st->mtime;
}

/* ATTACH and HOLD are frequent, so only the results in use are read. */
static void vmshm_regs_answer(struct vmshm_dev *vdev, struct vmshm_reply *reply)
{
	u64 size;

	reply->handle = vmshm_regs_read(vdev, VMSHM_REG_RES_HANDLE);
	reply->st.ident = vmshm_regs_read64(vdev, VMSHM_REG_RES_IDENT_LO);
	size = vmshm_regs_read64(vdev, VMSHM_REG_RES_SIZE_LO);
	reply->st.size = min_t(u64, size, MAX_LFS_FILESIZE);
}

static int vmshm_regs_put_names(struct vmshm_dev *vdev,
				const struct vmshm_request *rq)
{
	int err;

	if (!rq->name || rq->handle)
		return 0;
	err = vmshm_regs_name(vdev, rq->name, 0, VMSHM_NAME_SIZE);
	if (err || !rq->second)
		return err;
	if (strlen(rq->name) >= VMSHM_NAME_SECOND)
		return -ENAMETOOLONG;
	return vmshm_regs_name(vdev, rq->second, VMSHM_NAME_SECOND,
			       VMSHM_NAME_SIZE - VMSHM_NAME_SECOND);
}

/* Writes only the arguments of the command: each access causes a VM exit. */
static void vmshm_regs_put_numbers(struct vmshm_dev *vdev,
				   const struct vmshm_request *rq)
{
	u32 flags = rq->flags | (rq->handle ? VMSHM_RQ_HANDLE : 0);

	if (rq->command != VMSHM_CMD_DETACH)
		vmshm_regs_write(vdev, VMSHM_REG_FLAGS, flags);
	if (rq->handle)
		vmshm_regs_write(vdev, VMSHM_REG_HANDLE, rq->handle);
	switch (rq->command) {
	case VMSHM_CMD_ATTACH:
		vmshm_regs_write64(vdev, VMSHM_REG_PLACE_LO, rq->place);
		fallthrough;
	case VMSHM_CMD_ALLOCATE:
		vmshm_regs_write64(vdev, VMSHM_REG_OFFSET_LO, rq->offset);
		fallthrough;
	case VMSHM_CMD_RESIZE:
		vmshm_regs_write64(vdev, VMSHM_REG_LENGTH_LO, rq->length);
		break;
	case VMSHM_CMD_CREATE:
		vmshm_regs_write(vdev, VMSHM_REG_MODE, rq->mode);
		break;
	}
}

static void vmshm_regs_get_reply(struct vmshm_dev *vdev, u32 command,
				 struct vmshm_reply *reply)
{
	reply->has_attr = false;
	reply->resets = vdev->resets;
	switch (command) {
	case VMSHM_CMD_ATTACH:
	case VMSHM_CMD_HOLD:
		vmshm_regs_answer(vdev, reply);
		break;
	case VMSHM_CMD_STAT:
	case VMSHM_CMD_CREATE:
	case VMSHM_CMD_RESIZE:
	case VMSHM_CMD_ALLOCATE:
		vmshm_regs_result(vdev, &reply->st);
		reply->has_attr = true;
		break;
	}
}

/**
 * vmshm_regs_lock() - lock the device for commands through registers
 * @vdev: the device; mutex_unlock(&vdev->lock) unlocks it
 *
 * Waits until a reset of the device, if one is in progress, has ended.
 */
void vmshm_regs_lock(struct vmshm_dev *vdev)
{
	for (;;) {
		mutex_lock(&vdev->lock);
		if (!vmshm_pause_concerns(vdev, VMSHM_PAUSE_COMMANDS))
			return;
		mutex_unlock(&vdev->lock);
		vmshm_pause_wait(vdev, VMSHM_PAUSE_COMMANDS);
	}
}

/**
 * vmshm_regs_execute() - do a command
 * @vdev: the device, locked
 * @rq: the command, one of contract 1.0, but not LIST or RELEASE
 * @reply: its results, or NULL
 *
 * Return: 0; -ENODEV; -ENAMETOOLONG; or the error of the device.
 */
int vmshm_regs_execute(struct vmshm_dev *vdev, const struct vmshm_request *rq,
		       struct vmshm_reply *reply)
{
	int err;

	lockdep_assert_held(&vdev->lock);
	if (vdev->gone)
		return -ENODEV;
	err = vmshm_regs_put_names(vdev, rq);
	if (err)
		return err;
	vmshm_regs_put_numbers(vdev, rq);
	err = vmshm_regs_command(vdev, rq->command);
	if (!err && reply)
		vmshm_regs_get_reply(vdev, rq->command, reply);
	return err;
}

/**
 * vmshm_regs_release() - detach everything, also when gone is set
 * @vdev: the device, locked
 */
void vmshm_regs_release(struct vmshm_dev *vdev)
{
	lockdep_assert_held(&vdev->lock);
	if (vdev->arena)
		vmshm_regs_command(vdev, VMSHM_CMD_RELEASE);
	else
		vmshm_regs_close(vdev);
}

/* Reads names from number @first on; their count, 0 at the end, or -errno. */
static int vmshm_regs_list_part(struct vmshm_dev *vdev, u64 first, char *names)
{
	u32 count;
	int err;

	lockdep_assert_held(&vdev->lock);
	if (vdev->gone)
		return -ENODEV;
	vmshm_regs_write64(vdev, VMSHM_REG_OFFSET_LO, first);
	err = vmshm_regs_command(vdev, VMSHM_CMD_LIST);
	if (err)
		return err;
	count = vmshm_regs_read(vdev, VMSHM_REG_RES_COUNT);
	if (!count)
		return 0;
	memcpy_fromio(names, vdev->name, VMSHM_NAME_SIZE);
	return min_t(u32, count, VMSHM_NAME_SIZE);
}

static int vmshm_regs_list_parts(struct vmshm_dev *vdev, char *names,
				 const struct vmshm_list_ops *ops, void *arg)
{
	unsigned int parts = 0;
	u64 first = 0;
	int count;

	do {
		int err;

		vmshm_regs_lock(vdev);
		count = vmshm_regs_list_part(vdev, first, names);
		mutex_unlock(&vdev->lock);
		if (count <= 0)
			return count;
		err = ops->names(arg, names, VMSHM_NAME_SIZE, count);
		if (err)
			return err;
		first += count;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	} while (++parts <= VMSHM_REGS_LIST_PARTS);
	return -EIO;
}

/**
 * vmshm_regs_list() - read all names
 * @vdev: the device, not locked
 * @ops: takes the names
 * @arg: of @ops
 *
 * Return: 0; -EINTR; -ENOMEM; or as vmshm_regs_execute().
 */
int vmshm_regs_list(struct vmshm_dev *vdev, const struct vmshm_list_ops *ops,
		    void *arg)
{
	char *names = kmalloc(VMSHM_NAME_SIZE, GFP_KERNEL_ACCOUNT);
	int err;

	if (!names)
		return -ENOMEM;
	/* The device keeps only one list, which was begun last. */
	err = mutex_lock_killable(&vdev->list_lock);
	if (!err) {
		err = vmshm_regs_list_parts(vdev, names, ops, arg);
		mutex_unlock(&vdev->list_lock);
	}
	kfree(names);
	return err;
}
