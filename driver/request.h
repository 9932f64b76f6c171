/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm requests: a command, its arguments and its results.
 */
#ifndef VMSHM_REQUEST_H
#define VMSHM_REQUEST_H

#include <linux/time64.h>
#include <linux/types.h>

/**
 * struct vmshm_stat - the attributes of an object that the device reports
 * @ident: identity, different after unlink and create
 * @size: bytes, at most MAX_LFS_FILESIZE
 * @blocks: 512-byte blocks of host memory
 * @atime: time of the last access; registers do not report it
 * @mtime: time of the last change
 * @mode: permission bits
 * @uid: owner on the host
 * @gid: group on the host
 * @asked: vdev->asked when the device was asked
 */
struct vmshm_stat {
	u64 ident;
	u64 size;
	u64 blocks;
	struct timespec64 atime;
	struct timespec64 mtime;
	u32 mode;
	u32 uid;
	u32 gid;
	u64 asked;
};

/**
 * struct vmshm_attr - the attributes that SETATTR changes
 * @flags: VMSHM_RQ_MODE, VMSHM_RQ_ATIME, VMSHM_RQ_MTIME
 * @mode: permission bits
 * @atime: time of the last access; with VMSHM_TIME_NOW in tv_nsec, the current
 *	time of the host
 * @mtime: time of the last change; VMSHM_TIME_NOW as in @atime
 */
struct vmshm_attr {
	u32 flags;
	u32 mode;
	struct timespec64 atime;
	struct timespec64 mtime;
};

/**
 * struct vmshm_range - the part of an object that ATTACH shows
 * @offset: bytes into the object
 * @length: bytes
 * @place: bytes into BAR4
 * @readonly: attach for reading only
 * @limit: if the object is shorter, attach less, or only get a handle
 */
struct vmshm_range {
	u64 offset;
	u64 length;
	u64 place;
	bool readonly;
	bool limit;
};

/**
 * struct vmshm_request - a command with its arguments
 * @command: VMSHM_CMD_*
 * @flags: VMSHM_RQ_*
 * @handle: a handle of the object, or 0: then @name is used
 * @mode: permission bits
 * @offset: bytes into the object
 * @length: bytes
 * @place: bytes into BAR4
 * @atime: for VMSHM_RQ_ATIME
 * @mtime: for VMSHM_RQ_MTIME
 * @name: "/" and the name, or NULL
 * @second: the new name of RENAME and LINK, or NULL
 */
struct vmshm_request {
	u32 command;
	u32 flags;
	u32 handle;
	u32 mode;
	u64 offset;
	u64 length;
	u64 place;
	struct timespec64 atime;
	struct timespec64 mtime;
	const char *name;
	const char *second;
};

/**
 * struct vmshm_reply - the results of a command
 * @handle: the new handle of ATTACH, HOLD, and CREATE with VMSHM_RQ_HOLD
 * @resets: vdev->resets, for which @handle is valid
 * @st: the object; ATTACH and HOLD by registers set ident and size only
 * @has_attr: all of @st is valid
 * @total: of STATFS; bytes
 * @free: of STATFS; bytes
 */
struct vmshm_reply {
	u32 handle;
	unsigned int resets;
	struct vmshm_stat st;
	bool has_attr;
	u64 total;
	u64 free;
};

/**
 * struct vmshm_list_ops - the receiver of a list
 * @names: takes @count names, each with its NUL, in @size bytes; not validated
 * @entry: takes a name with its attributes
 *
 * Each function returns 0; or a negative errno, which ends the list.
 */
struct vmshm_list_ops {
	int (*names)(void *arg, const char *names, size_t size,
		     unsigned int count);
	int (*entry)(void *arg, const char *name, const struct vmshm_stat *st);
};

#endif /* VMSHM_REQUEST_H */
