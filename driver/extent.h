/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm extents: parts of objects that are attached to the arena.
 */
#ifndef VMSHM_EXTENT_H
#define VMSHM_EXTENT_H

#include <linux/list.h>
#include <linux/sched.h>
#include <linux/types.h>

#include "command.h"

struct inode;
struct page;
struct vmshm_dev;

/* Number of processes that are remembered */
#define VMSHM_EXTENT_USERS 4

/**
 * struct vmshm_extent_user - a process that has used an extent
 * @pid: its number; 0: none
 * @comm: name of the thread
 */
struct vmshm_extent_user {
	pid_t pid;
	char comm[TASK_COMM_LEN];
};

/**
 * struct vmshm_extent - a part of an object that the arena shows
 * @node: in the list of the vnode, or in vdev->lingering
 * @vdev: the device
 * @inode: the pages belong to its i_mapping
 * @range: whole pages of the object, and their place
 * @handle: names the attachment in commands, or 0: it is not attached
 * @resets: vdev->resets, for which @handle is valid
 * @seen: the object, as the device reported it when it was attached; valid if
 *	@has_seen
 * @users: the process that attached the extent, and processes that mapped it;
 *	the latest is the first
 * @touched_first: index in the extent of the first page that was ever used
 * @touched_end: index behind the last page that was ever used
 */
struct vmshm_extent {
	struct list_head node;
	struct vmshm_dev *vdev;
	struct inode *inode;
	struct vmshm_range range;
	u32 handle;
	unsigned int resets;
	bool has_seen;
	struct vmshm_stat seen;
	struct vmshm_extent_user users[VMSHM_EXTENT_USERS];
	unsigned long touched_first;
	unsigned long touched_end;
};

struct vmshm_extent *vmshm_extent_new(struct vmshm_dev *vdev,
				      struct inode *inode, u64 offset,
				      u64 length, bool readonly);
void vmshm_extent_free(struct vmshm_extent *extent);
int vmshm_extent_attach(struct vmshm_extent *extent, const char *name,
			u32 handle, u64 ident, u64 *size);
int vmshm_extent_attach_again(struct vmshm_extent *extent, const char *name,
			      u32 handle, u64 ident, u64 *size);
struct vmshm_extent *vmshm_extent_attach_named(struct vmshm_dev *vdev,
					       const char *name, bool readonly);
void vmshm_extent_detach(struct vmshm_extent *extent);
bool vmshm_extent_try_release(struct vmshm_extent *extent);
void vmshm_extent_release(struct vmshm_extent *extent);
bool vmshm_extent_idle(struct vmshm_extent *extent);
struct vmshm_extent *vmshm_extent_find(struct list_head *extents, u64 offset);
struct page *vmshm_extent_page(struct vmshm_extent *extent, u64 offset);
struct page *vmshm_extent_huge_page(struct vmshm_extent *extent, u64 offset);
u64 vmshm_extent_place(struct vmshm_extent *extent, u64 offset);
void vmshm_extent_used_here(struct vmshm_extent *extent);
bool vmshm_extent_any_busy(struct list_head *extents);
void vmshm_extent_warn_busy(struct list_head *extents);
void vmshm_extent_free_all(struct list_head *extents);
void vmshm_extent_init(struct vmshm_dev *vdev);
void vmshm_extent_stop(struct vmshm_dev *vdev, struct list_head *taken);

#endif /* VMSHM_EXTENT_H */
