/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm vnodes: the driver's records of objects of the host.
 */
#ifndef VMSHM_VNODE_H
#define VMSHM_VNODE_H

#include <linux/kref.h>
#include <linux/limits.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/types.h>
#include <linux/xarray.h>

#include "command.h"

struct inode;
struct task_struct;
struct vmshm_dev;

/**
 * struct vmshm_vnode - an object of the host, as the driver sees it
 * @vdev: the device; the vnode holds a reference
 * @node: in vdev->vnodes
 * @kref: the last reference is dropped under vdev->vnodes_lock
 * @ident: identity of the object
 * @inode: pages and user mappings belong to its i_mapping
 * @look_skip: number of further waits for words of the object that do not
 *	busy-poll (back-off)
 * @look_next_skip: initial value of @look_skip after the last busy-polling
 * @gone: the device is gone, and with it the pages; or a reset of the device
 *	has ended the attachments, and the object was not found again
 * @visit: a walk over all vnodes has not come here; under vdev->vnodes_lock
 * @searched: a reset of the device has ended the attachments, and the object
 *	does not have its last known name any more; for the task that resets
 * @was_held: a reset of the device has ended the hold of a word; for the task
 *	that resets
 * @users: number of open files; the last one detaches the extents
 * @readonly: attached for reading only; valid while there are @users
 * @size: bytes, as the device reported last
 * @handle: a handle without an extent, or 0
 * @extents: struct vmshm_extent
 * @lost: the host had no memory for a part of the object, or has truncated it;
 *	the next call has to report it
 * @seen: the object, as the device reported it with @extents or @handle; valid
 *	if @has_seen
 * @latest: the newest report about the object
 * @latest_at: vdev->asked when vmshm_vnode_record() was called last
 * @fresh_for: the task for which the attributes of the inode are fresh
 * @fresh_call: the system call for which the attributes are fresh
 * @fresh_until: the time until which the attributes are fresh; jiffies
 * @tail: zero pages behind the end, for mappings that reach beyond it
 * @name: "/" and one of the object's names
 *
 * There is one vnode for each identity, regardless of how the object is opened.
 * So all users of an object share one address space, and a futex in the object
 * is the same for all of them.
 */
struct vmshm_vnode {
	struct vmshm_dev *vdev;
	struct hlist_node node;
	struct kref kref;
	u64 ident;
	struct inode *inode;
	unsigned int look_skip;
	unsigned int look_next_skip;
	bool visit;
	bool searched;
	bool was_held;

	/**
	 * @lock: protects all members below; taken by vmshm_vnode_lock()
	 */
	struct mutex lock;
	bool gone;
	refcount_t users;
	bool readonly;
	u64 size;
	u32 handle;
	struct list_head extents;
	struct xarray tail;
	bool lost;
	struct vmshm_stat seen;
	bool has_seen;
	struct vmshm_stat latest;
	u64 latest_at;
	struct task_struct *fresh_for;
	int fresh_call;
	unsigned long fresh_until;
	char name[NAME_MAX + 2];
};

struct vmshm_vnode *vmshm_vnode_lookup(struct vmshm_dev *vdev, const char *name,
				       const struct vmshm_stat *st);
void vmshm_vnode_found(struct vmshm_dev *vdev, const char *name, u64 ident);
void vmshm_vnode_get(struct vmshm_vnode *vnode);
void vmshm_vnode_lock(struct vmshm_vnode *vnode);
bool vmshm_vnode_trylock(struct vmshm_vnode *vnode);
void vmshm_vnode_unlock(struct vmshm_vnode *vnode);
bool vmshm_vnode_is_lost(struct vmshm_vnode *vnode);
void vmshm_vnode_put(struct vmshm_vnode *vnode);
void vmshm_vnode_set_fresh(struct vmshm_vnode *vnode);
bool vmshm_vnode_take_fresh(struct vmshm_vnode *vnode);
bool vmshm_vnode_seen(struct vmshm_vnode *vnode, struct vmshm_stat *st);
bool vmshm_vnode_is_detached(struct vmshm_vnode *vnode, const char *name);
u32 vmshm_vnode_any_handle(struct vmshm_vnode *vnode);
int vmshm_vnode_get_handle(struct vmshm_vnode *vnode);
int vmshm_vnode_get_writable(struct vmshm_vnode *vnode);
void vmshm_vnode_give_handle(struct vmshm_vnode *vnode,
			     const struct vmshm_reply *reply);
void vmshm_vnode_put_handle(struct vmshm_vnode *vnode);
void vmshm_vnode_record(struct vmshm_vnode *vnode, const struct vmshm_stat *st);
const struct vmshm_stat *vmshm_vnode_latest(struct vmshm_vnode *vnode,
					    const struct vmshm_stat *st);
int vmshm_vnode_refresh(struct vmshm_vnode *vnode, struct vmshm_stat *st);
int vmshm_vnode_stat(struct vmshm_vnode *vnode, struct vmshm_stat *st);
int vmshm_vnode_stat_name(struct vmshm_vnode *vnode, const char *name,
			  struct vmshm_stat *st);
int vmshm_vnode_second_name(struct vmshm_vnode *vnode, u32 command,
			    const char *from, const char *to, u32 flags);

#endif /* VMSHM_VNODE_H */
