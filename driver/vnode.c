// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm vnodes: their lifetime, and the device's reports about their objects.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/lockdep.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <asm/syscall.h>

#include "anon.h"
#include "extent.h"
#include "mailbox.h"
#include "pause.h"
#include "vmshm.h"
#include "vnode.h"

/* The time for which the attributes of a lookup are valid */
#define VMSHM_VNODE_FRESH (HZ / 20)

/* Whether the vnode was locked; false: there is a pause */
static bool vmshm_vnode_lock_unpaused(struct vmshm_vnode *vnode)
{
	mutex_lock(&vnode->lock);
	if (!vmshm_pause_concerns(vnode->vdev, VMSHM_PAUSE_VNODES))
		return true;
	mutex_unlock(&vnode->lock);
	return false;
}

/**
 * vmshm_vnode_lock() - lock a vnode
 * @vnode: a vnode
 *
 * Waits until a reset of the device, if one is in progress, has ended.
 */
void vmshm_vnode_lock(struct vmshm_vnode *vnode)
{
	while (!vmshm_vnode_lock_unpaused(vnode))
		vmshm_pause_wait(vnode->vdev, VMSHM_PAUSE_VNODES);
}

/**
 * vmshm_vnode_trylock() - lock a vnode without a wait
 * @vnode: a vnode
 *
 * Return: true if the vnode is locked now.
 */
bool vmshm_vnode_trylock(struct vmshm_vnode *vnode)
{
	if (!mutex_trylock(&vnode->lock))
		return false;
	if (!vmshm_pause_concerns(vnode->vdev, VMSHM_PAUSE_VNODES))
		return true;
	mutex_unlock(&vnode->lock);
	return false;
}

/**
 * vmshm_vnode_unlock() - unlock a vnode
 * @vnode: a vnode that this task has locked
 */
void vmshm_vnode_unlock(struct vmshm_vnode *vnode)
{
	mutex_unlock(&vnode->lock);
}

/**
 * vmshm_vnode_is_lost() - whether the pages may not be those of the object
 * @vnode: a vnode
 *
 * Return: true if the vnode is gone, or will be: the device was reset, and the
 * driver does not know it yet.
 */
bool vmshm_vnode_is_lost(struct vmshm_vnode *vnode)
{
	bool lost;

	/* A reset that the driver knows does not happen with the lock taken. */
	vmshm_vnode_lock(vnode);
	lost = vnode->gone || vmshm_mailboxes_lost(vnode->vdev);
	vmshm_vnode_unlock(vnode);
	return lost;
}

/* As vmshm_vnode_lookup(), but the vnode is in no list yet. */
static struct vmshm_vnode *vmshm_vnode_new(struct vmshm_dev *vdev,
					   const char *name, u64 ident)
{
	struct vmshm_vnode *vnode;
	struct inode *inode;

	vnode = kzalloc(sizeof(*vnode), GFP_KERNEL_ACCOUNT);
	if (!vnode)
		return ERR_PTR(-ENOMEM);
	inode = vmshm_anon_new();
	if (IS_ERR(inode)) {
		kfree(vnode);
		return ERR_CAST(inode);
	}
	get_device(&vdev->dev);
	vnode->vdev = vdev;
	kref_init(&vnode->kref);
	vnode->ident = ident;
	vnode->inode = inode;
	mutex_init(&vnode->lock);
	INIT_LIST_HEAD(&vnode->extents);
	xa_init_flags(&vnode->tail, XA_FLAGS_ACCOUNT);
	strscpy(vnode->name, name, sizeof(vnode->name));
	return vnode;
}

static void vmshm_vnode_free(struct vmshm_vnode *vnode)
{
	struct vmshm_dev *vdev = vnode->vdev;

	if (vnode->handle)
		vmshm_request_detach(vdev, vnode->handle);
	iput(vnode->inode);
	mutex_destroy(&vnode->lock);
	kfree(vnode);
	put_device(&vdev->dev);
}

static struct vmshm_vnode *vmshm_vnode_find(struct vmshm_dev *vdev, u64 ident)
{
	struct vmshm_vnode *vnode;

	hash_for_each_possible(vdev->vnodes, vnode, node, ident)
		if (vnode->ident == ident)
			return vnode;
	return NULL;
}

/*
 * Finds the vnode with the identity @ident and takes a reference. If there is
 * no such vnode, @fresh is added and returned; it may be NULL.
 */
static struct vmshm_vnode *vmshm_vnode_share(struct vmshm_dev *vdev, u64 ident,
					     struct vmshm_vnode *fresh)
{
	struct vmshm_vnode *vnode;

	mutex_lock(&vdev->vnodes_lock);
	vnode = vmshm_vnode_find(vdev, ident);
	if (READ_ONCE(vdev->gone)) {
		vnode = ERR_PTR(-ENODEV);
	} else if (vnode) {
		kref_get(&vnode->kref);
	} else if (fresh) {
		vnode = fresh;
		hash_add(vdev->vnodes, &vnode->node, ident);
	}
	mutex_unlock(&vdev->vnodes_lock);
	return vnode;
}

static void vmshm_vnode_set_name(struct vmshm_vnode *vnode, const char *name)
{
	vmshm_vnode_lock(vnode);
	strscpy(vnode->name, name, sizeof(vnode->name));
	vmshm_vnode_unlock(vnode);
}

/**
 * vmshm_vnode_lookup() - find or make the vnode of an object
 * @vdev: the device
 * @name: a name that the object has now
 * @st: what the device reports about the object
 *
 * Nothing is attached yet.
 *
 * Return: a vnode, which vmshm_vnode_put() gives back; or ERR_PTR(-ENODEV),
 * ERR_PTR(-ENOMEM).
 */
struct vmshm_vnode *vmshm_vnode_lookup(struct vmshm_dev *vdev, const char *name,
				       const struct vmshm_stat *st)
{
	struct vmshm_vnode *vnode, *fresh;

	vnode = vmshm_vnode_share(vdev, st->ident, NULL);
	if (!vnode) {
		/* Without the lock: an allocation may evict inodes. */
		fresh = vmshm_vnode_new(vdev, name, st->ident);
		if (IS_ERR(fresh))
			return fresh;
		vnode = vmshm_vnode_share(vdev, st->ident, fresh);
		if (vnode != fresh)
			vmshm_vnode_free(fresh);
	}
	/* An object with several names is known by the latest one. */
	if (!IS_ERR(vnode))
		vmshm_vnode_set_name(vnode, name);
	return vnode;
}

/**
 * vmshm_vnode_found() - take a name if it is searched for
 * @vdev: the device, which restores its vnodes
 * @name: "/" and the name
 * @ident: identity of the object that has the name
 */
void vmshm_vnode_found(struct vmshm_dev *vdev, const char *name, u64 ident)
{
	struct vmshm_vnode *vnode = vmshm_vnode_share(vdev, ident, NULL);

	if (IS_ERR_OR_NULL(vnode))
		return;
	if (vnode->searched)
		vmshm_vnode_set_name(vnode, name);
	vmshm_vnode_put(vnode);
}

/**
 * vmshm_vnode_get() - take another reference
 * @vnode: a vnode that the caller has a reference to
 */
void vmshm_vnode_get(struct vmshm_vnode *vnode)
{
	kref_get(&vnode->kref);
}

static void vmshm_vnode_release(struct kref *kref)
{
	struct vmshm_vnode *vnode =
		container_of(kref, struct vmshm_vnode, kref);
	struct vmshm_dev *vdev = vnode->vdev;

	hash_del(&vnode->node);
	mutex_unlock(&vdev->vnodes_lock);
	vmshm_vnode_free(vnode);
}

/**
 * vmshm_vnode_put() - give back a reference
 * @vnode: a vnode; the last reference frees it
 */
void vmshm_vnode_put(struct vmshm_vnode *vnode)
{
	kref_put_mutex(&vnode->kref, vmshm_vnode_release,
		       &vnode->vdev->vnodes_lock);
}

/* The number of the system call that this task is in, or -1 */
static int vmshm_vnode_call(void)
{
	if (current->flags & PF_KTHREAD)
		return -1;
	return syscall_get_nr(current, task_pt_regs(current));
}

/**
 * vmshm_vnode_set_fresh() - note that the device has just reported the
 *	attributes of the inode
 * @vnode: a vnode
 */
void vmshm_vnode_set_fresh(struct vmshm_vnode *vnode)
{
	vmshm_vnode_lock(vnode);
	vnode->fresh_for = current;
	vnode->fresh_call = vmshm_vnode_call();
	vnode->fresh_until = jiffies + VMSHM_VNODE_FRESH;
	vmshm_vnode_unlock(vnode);
}

/**
 * vmshm_vnode_take_fresh() - whether the attributes of the inode are current
 * @vnode: a vnode
 *
 * A system call such as stat(2) or open(2) looks up the name, which asks the
 * device, and then uses the attributes. They are used without another request
 * once, for VMSHM_VNODE_FRESH, by the same task, in a system call of the same
 * number.
 *
 * Return: true if the device need not be asked again.
 */
bool vmshm_vnode_take_fresh(struct vmshm_vnode *vnode)
{
	bool fresh;

	vmshm_vnode_lock(vnode);
	fresh = vnode->fresh_for == current &&
		vnode->fresh_call == vmshm_vnode_call() &&
		vnode->fresh_call >= 0 &&
		time_before(jiffies, vnode->fresh_until);
	/* The mark of another task is not changed. */
	if (vnode->fresh_for == current)
		vnode->fresh_for = NULL;
	vmshm_vnode_unlock(vnode);
	return fresh;
}

/**
 * vmshm_vnode_seen() - what the device reported when a vnode was opened
 * @vnode: a vnode with users
 * @st: the object at that time
 *
 * Return: true, or false if the device reports less.
 */
bool vmshm_vnode_seen(struct vmshm_vnode *vnode, struct vmshm_stat *st)
{
	struct vmshm_extent *extent;
	bool seen;

	vmshm_vnode_lock(vnode);
	extent = list_first_entry_or_null(&vnode->extents, struct vmshm_extent,
					  node);
	seen = extent ? extent->has_seen : vnode->handle && vnode->has_seen;
	if (seen)
		*st = extent ? extent->seen : vnode->seen;
	vmshm_vnode_unlock(vnode);
	return seen;
}

/**
 * vmshm_vnode_is_detached() - whether an open will attach the object by a name
 * @vnode: a vnode, whose attributes are no longer regarded as current
 * @name: "/" and a name
 *
 * The first user of a vnode attaches the object by its name, and the device
 * then reports the identity of the object. So the lookup need not ask the
 * device.
 *
 * Return: true; or false: the vnode is gone, has users or a handle, or has
 * another name.
 */
bool vmshm_vnode_is_detached(struct vmshm_vnode *vnode, const char *name)
{
	bool detached;

	vmshm_vnode_lock(vnode);
	/* An earlier open of this task failed before it used them. */
	if (vnode->fresh_for == current)
		vnode->fresh_for = NULL;
	detached = !vnode->gone && !refcount_read(&vnode->users) &&
		   !vmshm_vnode_any_handle(vnode) &&
		   !strcmp(vnode->name, name);
	vmshm_vnode_unlock(vnode);
	return detached;
}

/**
 * vmshm_vnode_any_handle() - a handle by which the device knows the object
 * @vnode: a vnode, locked
 *
 * Return: the handle; 0 if the device knows the object by its name only.
 */
u32 vmshm_vnode_any_handle(struct vmshm_vnode *vnode)
{
	struct vmshm_extent *extent;

	lockdep_assert_held(&vnode->lock);
	if (vnode->handle)
		return vnode->handle;
	extent = list_first_entry_or_null(&vnode->extents, struct vmshm_extent,
					  node);
	return extent ? extent->handle : 0;
}

/* Gets a handle that depends on no extent, by the name or from @handle. */
static int vmshm_vnode_request_handle(struct vmshm_vnode *vnode, u32 handle,
				      bool readonly)
{
	struct vmshm_dev *vdev = vnode->vdev;
	struct vmshm_reply reply;
	int err;

	err = vmshm_request_get_handle(vdev, vnode->name, handle, readonly,
				       &reply);
	if (!err && reply.st.ident != vnode->ident)
		err = vmshm_request_detach(vdev, reply.handle) ?: -ESTALE;
	if (err)
		return err;
	vnode->handle = reply.handle;
	/* Registers do not report the attributes of an attached object. */
	if (reply.has_attr)
		vmshm_vnode_record(vnode, &reply.st);
	vnode->size = reply.st.size;
	vnode->seen = reply.st;
	vnode->has_seen = reply.has_attr;
	return 0;
}

/**
 * vmshm_vnode_get_handle() - get a handle that depends on no extent
 * @vnode: a vnode, locked
 *
 * An object without an extent needs such a handle: its name is often unlinked
 * before its first byte exists.
 *
 * Return: 0, also if the vnode already had such a handle; -ESTALE if the name
 * belongs to another object by now; or the error of the device.
 */
int vmshm_vnode_get_handle(struct vmshm_vnode *vnode)
{
	lockdep_assert_held(&vnode->lock);
	if (vnode->handle)
		return 0;
	return vmshm_vnode_request_handle(vnode, vmshm_vnode_any_handle(vnode),
					  vnode->readonly);
}

/**
 * vmshm_vnode_get_writable() - get a writable handle by the name
 * @vnode: a vnode that is attached for reading only, locked; it is writable
 *	afterwards
 *
 * The extents stay attached for reading only.
 *
 * Return: as vmshm_vnode_get_handle(); the vnode is not changed by a failure.
 */
int vmshm_vnode_get_writable(struct vmshm_vnode *vnode)
{
	u32 old = vnode->handle;
	int err;

	lockdep_assert_held(&vnode->lock);
	err = vmshm_vnode_request_handle(vnode, 0, false);
	if (err)
		return err;
	vnode->readonly = false;
	if (old)
		vmshm_request_detach(vnode->vdev, old);
	return 0;
}

/**
 * vmshm_vnode_give_handle() - keep a handle for the next user
 * @vnode: a vnode
 * @reply: has a writable handle without an extent; the vnode takes it over, or
 *	it is detached
 *
 * The handle of a new object is writable, whatever the permission bits are. If
 * the object is not opened, vmshm_content_detach_unused() has to follow.
 */
void vmshm_vnode_give_handle(struct vmshm_vnode *vnode,
			     const struct vmshm_reply *reply)
{
	u32 handle = reply->handle;

	vmshm_vnode_lock(vnode);
	/* A reset of the device has ended a handle of before. */
	if (reply->resets != vnode->vdev->resets) {
		handle = 0;
	} else if (!vnode->gone && !vnode->handle &&
		   list_empty(&vnode->extents)) {
		vnode->handle = handle;
		vnode->has_seen = false;
		vnode->readonly = false;
		vnode->size = 0;
		handle = 0;
	}
	vmshm_vnode_unlock(vnode);
	if (handle)
		vmshm_request_detach(vnode->vdev, handle);
}

/**
 * vmshm_vnode_put_handle() - give back what vmshm_vnode_get_handle() got
 * @vnode: a vnode, locked
 */
void vmshm_vnode_put_handle(struct vmshm_vnode *vnode)
{
	struct vmshm_dev *vdev = vnode->vdev;

	lockdep_assert_held(&vnode->lock);
	if (!vnode->handle)
		return;
	vmshm_request_detach(vdev, vnode->handle);
	vnode->handle = 0;
}

/**
 * vmshm_vnode_record() - record a report of a command that was executed with
 *	the lock
 * @vnode: a vnode, locked since before the command
 * @st: the report
 *
 * Such reports are in the order of their commands.
 */
void vmshm_vnode_record(struct vmshm_vnode *vnode, const struct vmshm_stat *st)
{
	lockdep_assert_held(&vnode->lock);
	vnode->size = st->size;
	vnode->latest = *st;
	vnode->latest_at = atomic64_inc_return(&vnode->vdev->asked);
}

/**
 * vmshm_vnode_latest() - the newest of a report and those recorded
 * @vnode: a vnode, locked
 * @st: a report, of a command that may have been executed without the lock; it
 *	loses if another one was recorded after the device was asked
 *
 * Return: the report to use, valid while the lock is held.
 */
const struct vmshm_stat *vmshm_vnode_latest(struct vmshm_vnode *vnode,
					    const struct vmshm_stat *st)
{
	lockdep_assert_held(&vnode->lock);
	if (st->asked > vnode->latest_at && st->asked > vnode->latest.asked)
		vnode->latest = *st;
	return &vnode->latest;
}

/**
 * vmshm_vnode_refresh() - ask the device about a locked vnode
 * @vnode: a vnode, locked; its size is updated
 * @st: the answer
 *
 * Return: 0; -ENODEV; -ESTALE if the name belongs to another object by now; or
 * the error of the device.
 */
int vmshm_vnode_refresh(struct vmshm_vnode *vnode, struct vmshm_stat *st)
{
	struct vmshm_dev *vdev = vnode->vdev;
	int err;

	lockdep_assert_held(&vnode->lock);
	if (vnode->gone)
		return -ENODEV;
	err = vmshm_request_stat(vdev, vnode->name,
				 vmshm_vnode_any_handle(vnode), st);
	if (!err && st->ident != vnode->ident)
		err = -ESTALE;
	if (!err)
		vmshm_vnode_record(vnode, st);
	return err;
}

/**
 * vmshm_vnode_stat() - ask the device about a vnode, for a call
 * @vnode: a vnode; its size is updated
 * @st: the answer
 *
 * Return: as vmshm_vnode_refresh(); -EIO also if a page fault has seen that
 * memory of the object was lost.
 */
int vmshm_vnode_stat(struct vmshm_vnode *vnode, struct vmshm_stat *st)
{
	int err;

	vmshm_vnode_lock(vnode);
	err = vnode->lost ? -EIO : vmshm_vnode_refresh(vnode, st);
	vnode->lost = false;
	vmshm_vnode_unlock(vnode);
	return err;
}

/**
 * vmshm_vnode_stat_name() - ask the device about a name of a vnode
 * @vnode: a vnode
 * @name: the name
 * @st: the answer
 *
 * Return: 0 if the object has that name; -ESTALE if another object has it; or
 * the error of the device.
 */
int vmshm_vnode_stat_name(struct vmshm_vnode *vnode, const char *name,
			  struct vmshm_stat *st)
{
	struct vmshm_dev *vdev = vnode->vdev;
	int err;

	/* The lock keeps vnode->name in step with renames of this guest. */
	vmshm_vnode_lock(vnode);
	err = vmshm_request_stat(vdev, name, 0, st);
	/* After a system sleep, the object may need a new vnode. */
	if (!err && (vnode->gone || st->ident != vnode->ident))
		err = -ESTALE;
	if (!err) {
		strscpy(vnode->name, name, sizeof(vnode->name));
		vmshm_vnode_record(vnode, st);
	}
	vmshm_vnode_unlock(vnode);
	return err;
}

/**
 * vmshm_vnode_second_name() - rename or link an object
 * @vnode: a vnode
 * @command: VMSHM_CMD_RENAME or VMSHM_CMD_LINK
 * @from: the name it has
 * @to: the new name
 * @flags: VMSHM_RQ_NOREPLACE or 0
 *
 * Return: 0, or the error of the device.
 */
int vmshm_vnode_second_name(struct vmshm_vnode *vnode, u32 command,
			    const char *from, const char *to, u32 flags)
{
	struct vmshm_dev *vdev = vnode->vdev;
	int err;

	vmshm_vnode_lock(vnode);
	err = vmshm_request_second_name(vdev, command, from, to, flags);
	if (!err)
		strscpy(vnode->name, to, sizeof(vnode->name));
	vmshm_vnode_unlock(vnode);
	return err;
}
