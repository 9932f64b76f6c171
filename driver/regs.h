/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm registers: the commands of the register contract.
 */
#ifndef VMSHM_DRIVER_REGS_H
#define VMSHM_DRIVER_REGS_H

#include <linux/time64.h>
#include <linux/types.h>

struct vmshm_dev;

/**
 * struct vmshm_stat - what the device reports about an object
 * @ident: identity, different after unlink and create
 * @size: bytes, at most MAX_LFS_FILESIZE
 * @blocks: 512-byte blocks of host memory
 * @mtime: time of the last change
 * @mode: permission bits
 * @uid: owner on the host
 * @gid: group on the host
 */
struct vmshm_stat {
	u64 ident;
	u64 size;
	u64 blocks;
	struct timespec64 mtime;
	u32 mode;
	u32 uid;
	u32 gid;
};

/**
 * struct vmshm_range - the part of an object that ATTACH shows
 * @offset: bytes into the object
 * @length: bytes
 * @place: bytes into BAR4
 * @readonly: attach for reading only
 */
struct vmshm_range {
	u64 offset;
	u64 length;
	u64 place;
	bool readonly;
};

/**
 * struct vmshm_handle - the answer to ATTACH and HOLD
 * @handle: names the attachment in later commands
 * @ident: identity of the object
 * @size: bytes of the object
 */
struct vmshm_handle {
	u32 handle;
	u64 ident;
	u64 size;
};

int vmshm_regs_open(struct vmshm_dev *vdev, const char *name);
void vmshm_regs_close(struct vmshm_dev *vdev);
void vmshm_regs_release(struct vmshm_dev *vdev);
u32 vmshm_regs_read(struct vmshm_dev *vdev, unsigned int reg);
u64 vmshm_regs_read64(struct vmshm_dev *vdev, unsigned int reg);
int vmshm_regs_stat(struct vmshm_dev *vdev, const char *name, u32 handle,
		    struct vmshm_stat *st);
int vmshm_regs_attach(struct vmshm_dev *vdev, const char *name, u32 handle,
		      const struct vmshm_range *range,
		      struct vmshm_handle *answer);
int vmshm_regs_get_handle(struct vmshm_dev *vdev, const char *name, u32 handle,
			  bool readonly, struct vmshm_handle *answer);
int vmshm_regs_detach(struct vmshm_dev *vdev, u32 handle);
int vmshm_regs_list(struct vmshm_dev *vdev, u64 first, char *names);
int vmshm_regs_create(struct vmshm_dev *vdev, const char *name, u32 mode,
		      struct vmshm_stat *st);
int vmshm_regs_unlink(struct vmshm_dev *vdev, const char *name);
int vmshm_regs_second_name(struct vmshm_dev *vdev, u32 command,
			   const char *from, const char *to, u32 flags);
int vmshm_regs_resize(struct vmshm_dev *vdev, const char *name, u32 handle,
		      u64 size, struct vmshm_stat *st);
int vmshm_regs_allocate(struct vmshm_dev *vdev, const char *name, u32 handle,
			u64 offset, u64 length, struct vmshm_stat *st);

#endif /* VMSHM_DRIVER_REGS_H */
