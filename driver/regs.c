// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm registers: the contract of <vmshm/regs.h>, and nothing else.
 */
#include <linux/errno.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/lockdep.h>
#include <linux/string.h>

#include <vmshm/regs.h>

#include "regs.h"
#include "vmshm.h"

/*
 * Registers give a positive errno. From ERESTARTSYS on the numbers mean
 * something inside this kernel and must not come from outside.
 */
#define VMSHM_ERRNO_END 512

static int vmshm_regs_errno(u32 value)
{
	return value < VMSHM_ERRNO_END ? -(int)value : -EIO;
}

/*
 * The device checks the name; here it only has to fit. Each access leaves the
 * virtual machine, so they are as large as the contract allows.
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

/* What the command is about: @handle, or where that is 0, @name. */
static int vmshm_regs_target(struct vmshm_dev *vdev, const char *name,
			     u32 handle, u32 flags)
{
	lockdep_assert_held(&vdev->lock);
	if (vdev->gone)
		return -ENODEV;
	vmshm_regs_write(vdev, VMSHM_REG_FLAGS,
			 flags | (handle ? VMSHM_RQ_HANDLE : 0));
	if (!handle)
		return vmshm_regs_name(vdev, name, 0, VMSHM_NAME_SIZE);
	vmshm_regs_write(vdev, VMSHM_REG_HANDLE, handle);
	return 0;
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
	/* From outside: keep what the rest of the kernel relies on. */
	st->size = min_t(u64, st->size, MAX_LFS_FILESIZE);
	st->mtime.tv_nsec = min_t(long, st->mtime.tv_nsec, NSEC_PER_SEC - 1);
}

static void vmshm_regs_answer(struct vmshm_dev *vdev,
			      struct vmshm_handle *answer)
{
	u64 size;

	answer->handle = vmshm_regs_read(vdev, VMSHM_REG_RES_HANDLE);
	answer->ident = vmshm_regs_read64(vdev, VMSHM_REG_RES_IDENT_LO);
	size = vmshm_regs_read64(vdev, VMSHM_REG_RES_SIZE_LO);
	answer->size = min_t(u64, size, MAX_LFS_FILESIZE);
}

/**
 * vmshm_regs_stat() - ask about an object
 * @vdev: the device, locked
 * @name: "/" and the name
 * @handle: a handle of the object, or 0: then @name is used
 * @st: the answer
 *
 * Return: 0; -ENODEV; -ENAMETOOLONG; or the error of the device.
 */
int vmshm_regs_stat(struct vmshm_dev *vdev, const char *name, u32 handle,
		    struct vmshm_stat *st)
{
	int err = vmshm_regs_target(vdev, name, handle, 0);

	if (!err)
		err = vmshm_regs_command(vdev, VMSHM_CMD_STAT);
	if (!err)
		vmshm_regs_result(vdev, st);
	return err;
}

/**
 * vmshm_regs_attach() - show a part of an object in the arena
 * @vdev: the device, locked
 * @name: "/" and the name
 * @handle: a handle of the object, or 0: then @name is used
 * @range: the part and its place
 * @answer: the new handle, to be detached
 *
 * Return: as vmshm_regs_stat().
 */
int vmshm_regs_attach(struct vmshm_dev *vdev, const char *name, u32 handle,
		      const struct vmshm_range *range,
		      struct vmshm_handle *answer)
{
	int err = vmshm_regs_target(vdev, name, handle,
				    range->readonly ? VMSHM_RQ_READONLY : 0);

	if (err)
		return err;
	vmshm_regs_write64(vdev, VMSHM_REG_OFFSET_LO, range->offset);
	vmshm_regs_write64(vdev, VMSHM_REG_LENGTH_LO, range->length);
	vmshm_regs_write64(vdev, VMSHM_REG_PLACE_LO, range->place);
	err = vmshm_regs_command(vdev, VMSHM_CMD_ATTACH);
	if (!err)
		vmshm_regs_answer(vdev, answer);
	return err;
}

/**
 * vmshm_regs_get_handle() - get a handle without an extent
 * @vdev: the device, locked
 * @name: "/" and the name
 * @handle: a handle of the object, or 0: then @name is used
 * @readonly: open the object for reading only
 * @answer: the new handle, to be detached
 *
 * Return: as vmshm_regs_stat().
 */
int vmshm_regs_get_handle(struct vmshm_dev *vdev, const char *name, u32 handle,
			  bool readonly, struct vmshm_handle *answer)
{
	int err = vmshm_regs_target(vdev, name, handle,
				    readonly ? VMSHM_RQ_READONLY : 0);

	if (!err)
		err = vmshm_regs_command(vdev, VMSHM_CMD_HOLD);
	if (!err)
		vmshm_regs_answer(vdev, answer);
	return err;
}

/**
 * vmshm_regs_detach() - give back a handle
 * @vdev: the device, locked
 * @handle: of vmshm_regs_attach() or vmshm_regs_get_handle()
 *
 * Return: 0; -ENODEV; or the error of the device.
 */
int vmshm_regs_detach(struct vmshm_dev *vdev, u32 handle)
{
	lockdep_assert_held(&vdev->lock);
	if (vdev->gone)
		return -ENODEV;
	vmshm_regs_write(vdev, VMSHM_REG_HANDLE, handle);
	return vmshm_regs_command(vdev, VMSHM_CMD_DETACH);
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

/**
 * vmshm_regs_list() - read a part of the list of names
 * @vdev: the device, locked
 * @first: number of the first name
 * @names: VMSHM_NAME_SIZE bytes; names, each with its NUL, not validated
 *
 * Return: number of names, 0 at the end; or a negative errno.
 */
int vmshm_regs_list(struct vmshm_dev *vdev, u64 first, char *names)
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

/**
 * vmshm_regs_create() - create an object
 * @vdev: the device, locked
 * @name: "/" and the name
 * @mode: permission bits
 * @st: what the device reports about the new object
 *
 * Return: 0; -EEXIST; or as vmshm_regs_stat().
 */
int vmshm_regs_create(struct vmshm_dev *vdev, const char *name, u32 mode,
		      struct vmshm_stat *st)
{
	int err = vmshm_regs_target(vdev, name, 0, 0);

	if (err)
		return err;
	vmshm_regs_write(vdev, VMSHM_REG_MODE, mode);
	err = vmshm_regs_command(vdev, VMSHM_CMD_CREATE);
	if (!err)
		vmshm_regs_result(vdev, st);
	return err;
}

/**
 * vmshm_regs_unlink() - remove a name
 * @vdev: the device, locked
 * @name: "/" and the name
 *
 * Return: as vmshm_regs_stat().
 */
int vmshm_regs_unlink(struct vmshm_dev *vdev, const char *name)
{
	return vmshm_regs_target(vdev, name, 0, 0) ?:
		       vmshm_regs_command(vdev, VMSHM_CMD_UNLINK);
}

/**
 * vmshm_regs_second_name() - rename or link an object
 * @vdev: the device, locked
 * @command: VMSHM_CMD_RENAME or VMSHM_CMD_LINK
 * @from: "/" and the name
 * @to: "/" and the new name
 * @flags: VMSHM_RQ_NOREPLACE or 0
 *
 * Return: as vmshm_regs_stat().
 */
int vmshm_regs_second_name(struct vmshm_dev *vdev, u32 command,
			   const char *from, const char *to, u32 flags)
{
	int err = vmshm_regs_target(vdev, from, 0, flags);

	if (!err && strlen(from) >= VMSHM_NAME_SECOND)
		err = -ENAMETOOLONG;
	if (!err)
		err = vmshm_regs_name(vdev, to, VMSHM_NAME_SECOND,
				      VMSHM_NAME_SIZE - VMSHM_NAME_SECOND);
	return err ?: vmshm_regs_command(vdev, command);
}

/**
 * vmshm_regs_resize() - set the size of an object
 * @vdev: the device, locked
 * @name: "/" and the name
 * @handle: a handle of the object, or 0: then @name is used
 * @size: bytes
 * @st: what the device reports afterwards
 *
 * Return: as vmshm_regs_stat().
 */
int vmshm_regs_resize(struct vmshm_dev *vdev, const char *name, u32 handle,
		      u64 size, struct vmshm_stat *st)
{
	int err = vmshm_regs_target(vdev, name, handle, 0);

	if (err)
		return err;
	vmshm_regs_write64(vdev, VMSHM_REG_LENGTH_LO, size);
	err = vmshm_regs_command(vdev, VMSHM_CMD_RESIZE);
	if (!err)
		vmshm_regs_result(vdev, st);
	return err;
}

/**
 * vmshm_regs_allocate() - have the host allocate a part of an object
 * @vdev: the device, locked
 * @name: "/" and the name
 * @handle: a handle of the object, or 0: then @name is used
 * @offset: bytes into the object
 * @length: bytes, at most VMSHM_ALLOCATE_MAX
 * @st: what the device reports afterwards
 *
 * The object grows if it has to, and never shrinks.
 *
 * Return: as vmshm_regs_stat().
 */
int vmshm_regs_allocate(struct vmshm_dev *vdev, const char *name, u32 handle,
			u64 offset, u64 length, struct vmshm_stat *st)
{
	int err = vmshm_regs_target(vdev, name, handle, 0);

	if (err)
		return err;
	vmshm_regs_write64(vdev, VMSHM_REG_OFFSET_LO, offset);
	vmshm_regs_write64(vdev, VMSHM_REG_LENGTH_LO, length);
	err = vmshm_regs_command(vdev, VMSHM_CMD_ALLOCATE);
	if (!err)
		vmshm_regs_result(vdev, st);
	return err;
}
