// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm extents: parts of objects that are attached to the arena.
 *
 * A page of an extent can be in use although no process maps it: in a pipe
 * after vmsplice(2), or as the buffer of a transfer. The reference count of the
 * page shows such a use. The extent then lingers: it stays attached until the
 * last page is dropped. Only then can another object get its place.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "anon.h"
#include "arena.h"
#include "block.h"
#include "compat.h"
#include "extent.h"
#include "vmshm.h"

/* The interval at which lingering extents are examined */
#define VMSHM_EXTENT_LINGER (HZ / 10)
/* At removal: the time for which the driver waits for pages in use */
#define VMSHM_EXTENT_GRACE HZ
/* Maximum length of a process in the log; its name includes the NUL */
#define VMSHM_EXTENT_USER_TEXT (TASK_COMM_LEN + sizeof("[4194304], "))

static struct page *vmshm_extent_nth(struct vmshm_extent *extent,
				     unsigned long n)
{
	return vmshm_arena_page(extent->vdev->arena,
				extent->range.place + ((u64)n << PAGE_SHIFT));
}

/* Any use of a page, a mapping too, holds a reference beside the pagemap's. */
static bool vmshm_extent_busy(struct vmshm_extent *extent)
{
	unsigned long n;

	for (n = extent->touched_first; n < extent->touched_end; n++)
		if (page_count(vmshm_extent_nth(extent, n)) > 1)
			return true;
	return false;
}

/* The pages, which are not in use, no longer name the inode. */
static void vmshm_extent_forget(struct vmshm_extent *extent)
{
	unsigned long n;

	for (n = extent->touched_first; n < extent->touched_end; n++) {
		struct page *page = vmshm_extent_nth(extent, n);

		vmshm_block_split(page);
		page->mapping = NULL;
	}
}

/**
 * vmshm_extent_free() - give back the place of an extent that is not attached
 * @extent: an extent in no list
 */
void vmshm_extent_free(struct vmshm_extent *extent)
{
	vmshm_arena_free(extent->vdev->arena, extent->range.place,
			 extent->range.length);
	kfree(extent);
}

/* Whether the device has not been reset since it attached the extent */
static bool vmshm_extent_is_attached(struct vmshm_extent *extent)
{
	return extent->handle &&
	       extent->resets == READ_ONCE(extent->vdev->resets);
}

/*
 * Frees an extent after DETACH. If the device could not detach it, its place
 * stays allocated. A device that is gone, or is being reset, gives up all its
 * attachments, and the places have to be free for that.
 */
static void vmshm_extent_detached(struct vmshm_extent *extent, int err)
{
	if (!err || err == -ENODEV || READ_ONCE(extent->vdev->hurry) ||
	    !vmshm_extent_is_attached(extent)) {
		vmshm_extent_free(extent);
		return;
	}
	dev_warn(&extent->vdev->dev, "cannot detach handle %u: error %d\n",
		 extent->handle, err);
	kfree(extent);
}

/* Removes all mappings but private copies. */
static void vmshm_extent_unmap(struct vmshm_extent *extent)
{
	if (extent->touched_end)
		vmshm_anon_unmap(extent->vdev, extent->inode,
				 extent->range.offset, extent->range.length,
				 false);
}

/**
 * vmshm_extent_detach() - detach and free an extent
 * @extent: an extent in no list, no page of which is in use
 */
void vmshm_extent_detach(struct vmshm_extent *extent)
{
	struct vmshm_dev *vdev = extent->vdev;
	int err = 0;

	vmshm_extent_forget(extent);
	if (vmshm_extent_is_attached(extent))
		err = vmshm_request_detach(vdev, extent->handle);
	vmshm_extent_detached(extent, err);
}

/**
 * vmshm_extent_used_here() - remember that this process uses an extent
 * @extent: an extent; its vnode is locked, or no other task knows the extent
 *
 * The log names the processes if a page is in use when the device is removed.
 */
void vmshm_extent_used_here(struct vmshm_extent *extent)
{
	struct vmshm_extent_user *users = extent->users;
	pid_t pid = task_tgid_nr(current);
	int i;

	if (users->pid == pid)
		return;
	for (i = 0; i < VMSHM_EXTENT_USERS - 1; i++)
		if (users[i].pid == pid)
			break;
	memmove(users + 1, users, i * sizeof(*users));
	users->pid = pid;
	get_task_comm(users->comm, current);
}

/**
 * vmshm_extent_new() - find a place for a part of an object
 * @vdev: the device
 * @inode: the pages will belong to its i_mapping
 * @offset: bytes into the object, a multiple of the page size
 * @length: bytes, a multiple of the page size
 * @readonly: attach for reading only
 *
 * Return: an extent, which is not attached yet; or ERR_PTR(): -ENOSPC no room
 * in the arena, -ENOMEM.
 */
struct vmshm_extent *vmshm_extent_new(struct vmshm_dev *vdev,
				      struct inode *inode, u64 offset,
				      u64 length, bool readonly)
{
	struct vmshm_extent *extent;
	int err;

	extent = kzalloc(sizeof(*extent), GFP_KERNEL_ACCOUNT);
	if (!extent)
		return ERR_PTR(-ENOMEM);
	extent->vdev = vdev;
	extent->inode = inode;
	extent->range.offset = offset;
	extent->range.length = length;
	extent->range.readonly = readonly;
	vmshm_extent_used_here(extent);
	err = vmshm_arena_alloc(vdev->arena, length, readonly,
				&extent->range.place);
	if (err) {
		kfree(extent);
		return ERR_PTR(err);
	}
	return extent;
}

/**
 * vmshm_extent_attach() - have the device show the extent
 * @extent: an extent of vmshm_extent_new(); a failure frees it
 * @name: a name of the object
 * @handle: a handle of the object, or 0: then @name is used
 * @ident: identity of the object
 * @size: bytes of the object, updated
 *
 * Return: 0; -ESTALE if @name belongs to another object by now; or the error of
 * the device.
 */
int vmshm_extent_attach(struct vmshm_extent *extent, const char *name,
			u32 handle, u64 ident, u64 *size)
{
	struct vmshm_dev *vdev = extent->vdev;
	struct vmshm_reply reply;
	int err;

	err = vmshm_request_attach(vdev, name, handle, &extent->range, &reply);
	if (err) {
		vmshm_extent_free(extent);
		return err;
	}
	extent->handle = reply.handle;
	extent->resets = reply.resets;
	extent->seen = reply.st;
	extent->has_seen = reply.has_attr;
	if (reply.st.ident != ident) {
		vmshm_extent_detach(extent);
		return -ESTALE;
	}
	*size = reply.st.size;
	return 0;
}

/* Maximum length of the place for an object whose size is not known yet */
static u64 vmshm_extent_limit(struct vmshm_dev *vdev)
{
	return min_t(u64, PMD_SIZE, vmshm_arena_piece(vdev->arena) / 8);
}

/**
 * vmshm_extent_attach_named() - attach the beginning of an object by its name
 * @vdev: a device with command memory
 * @name: "/" and the name
 * @readonly: attach for reading only
 *
 * The driver need not know the object before. The report of the device is in
 * extent->seen. The rest of a longer object is attached on demand.
 *
 * Return: an extent, which belongs to no inode yet; its length is 0 if the
 * object is empty; or ERR_PTR(): -ENOSPC no room in the arena, -ENOMEM, or the
 * error of the device.
 */
struct vmshm_extent *vmshm_extent_attach_named(struct vmshm_dev *vdev,
					       const char *name, bool readonly)
{
	u64 limit = vmshm_extent_limit(vdev), length;
	struct vmshm_extent *extent;
	struct vmshm_reply reply;
	int err;

	extent = vmshm_extent_new(vdev, NULL, 0, limit, readonly);
	if (IS_ERR(extent))
		return extent;
	extent->range.limit = true;
	err = vmshm_request_attach(vdev, name, 0, &extent->range, &reply);
	if (err) {
		vmshm_extent_free(extent);
		return ERR_PTR(err);
	}
	extent->range.limit = false;
	extent->handle = reply.handle;
	extent->resets = reply.resets;
	extent->seen = reply.st;
	extent->has_seen = true;
	length = min(limit, PAGE_ALIGN(reply.st.size));
	if (length < limit)
		vmshm_arena_free(vdev->arena, extent->range.place + length,
				 limit - length);
	extent->range.length = length;
	return extent;
}

/**
 * vmshm_extent_attach_again() - have the device show an extent after its reset
 * @extent: an extent that was attached
 * @name: a name of the object
 * @handle: a handle of the object, or 0: then @name is used
 * @ident: identity of the object
 * @size: bytes of the object, updated
 *
 * The pages stay where they are, and so do their mappings.
 *
 * Return: as vmshm_extent_attach(); after a failure the extent is not freed.
 */
int vmshm_extent_attach_again(struct vmshm_extent *extent, const char *name,
			      u32 handle, u64 ident, u64 *size)
{
	struct vmshm_dev *vdev = extent->vdev;
	struct vmshm_reply reply;
	int err;

	extent->handle = 0;
	extent->has_seen = false;
	err = vmshm_request_attach(vdev, name, handle, &extent->range, &reply);
	if (err)
		return err;
	extent->handle = reply.handle;
	extent->resets = reply.resets;
	if (reply.st.ident != ident) {
		/* If this fails, the release of the extent tries it again. */
		if (!vmshm_request_detach(vdev, reply.handle))
			extent->handle = 0;
		return -ESTALE;
	}
	*size = reply.st.size;
	return 0;
}

/**
 * vmshm_extent_idle() - whether no page of an extent is in use
 * @extent: an extent that may be mapped; the mappings are removed
 *
 * A page fault restores the mappings. Private copies are not removed, because
 * they exist nowhere else.
 *
 * Return: true if the extent can be detached now.
 */
bool vmshm_extent_idle(struct vmshm_extent *extent)
{
	vmshm_extent_unmap(extent);
	return !vmshm_extent_busy(extent);
}

/**
 * vmshm_extent_try_release() - detach an extent if no page of it is in use
 * @extent: an extent; it is taken from its list, and its mappings are removed
 *
 * Takes no lock but those of commands.
 *
 * Return: true; or false: a page is in use, and the extent stays in its list.
 */
bool vmshm_extent_try_release(struct vmshm_extent *extent)
{
	if (!vmshm_extent_idle(extent))
		return false;
	list_del(&extent->node);
	vmshm_extent_detach(extent);
	return true;
}

/**
 * vmshm_extent_release() - detach an extent, now or when its last page is
 *	dropped
 * @extent: an extent; it is taken from its list, and its mappings are removed
 */
void vmshm_extent_release(struct vmshm_extent *extent)
{
	struct vmshm_dev *vdev = extent->vdev;

	if (vmshm_extent_try_release(extent))
		return;
	list_del(&extent->node);
	/* The pages of the extent still name the inode. */
	ihold(extent->inode);
	mutex_lock(&vdev->vnodes_lock);
	list_add_tail(&extent->node, &vdev->lingering);
	mutex_unlock(&vdev->vnodes_lock);
	schedule_delayed_work(&vdev->linger_work, VMSHM_EXTENT_LINGER);
}

/**
 * vmshm_extent_find() - the extent at an offset
 * @extents: extents of one object
 * @offset: bytes into the object
 *
 * Return: the extent, or NULL.
 */
struct vmshm_extent *vmshm_extent_find(struct list_head *extents, u64 offset)
{
	struct vmshm_extent *extent;

	list_for_each_entry(extent, extents, node)
		if (offset >= extent->range.offset &&
		    offset - extent->range.offset < extent->range.length)
			return extent;
	return NULL;
}

/**
 * vmshm_extent_place() - where the arena shows an offset
 * @extent: an extent
 * @offset: bytes into the object, in the extent
 *
 * Return: bytes into BAR4.
 */
u64 vmshm_extent_place(struct vmshm_extent *extent, u64 offset)
{
	return extent->range.place + (offset - extent->range.offset);
}

/* Records that @count pages from the page @n on may be in use. */
static void vmshm_extent_touch(struct vmshm_extent *extent, unsigned long n,
			       unsigned long count)
{
	if (extent->touched_end == 0)
		extent->touched_first = n;
	extent->touched_first = min(extent->touched_first, n);
	extent->touched_end = max(extent->touched_end, n + count);
}

/*
 * Makes the block of page @n a folio, so that a huge entry can map it. The
 * whole block has to be in the extent. Its alignment in the object is that in
 * the arena, because the kernel expects that of a folio.
 */
static void vmshm_extent_join(struct vmshm_extent *extent, unsigned long n)
{
	const struct vmshm_range *range = &extent->range;
	u64 place = range->place + ((u64)n << PAGE_SHIFT);
	u64 first = ALIGN_DOWN(place, PMD_SIZE);

	if (first < range->place ||
	    first + PMD_SIZE > range->place + range->length ||
	    !IS_ALIGNED(range->offset - range->place, PMD_SIZE))
		return;
	n = PHYS_PFN(first - range->place);
	if (vmshm_block_join(vmshm_extent_nth(extent, n)))
		vmshm_extent_touch(extent, n, PHYS_PFN(PMD_SIZE));
}

/**
 * vmshm_extent_page() - the page of an extent at an offset
 * @extent: an extent
 * @offset: bytes into the object, in the extent
 *
 * Return: the page; its reference count is not changed.
 */
struct page *vmshm_extent_page(struct vmshm_extent *extent, u64 offset)
{
	unsigned long n = (offset - extent->range.offset) >> PAGE_SHIFT;
	struct page *page = vmshm_extent_nth(extent, n);
	struct folio *folio = page_folio(page);

	if (!folio->mapping) {
		vmshm_extent_join(extent, n);
		folio = page_folio(page);
		folio->mapping = extent->inode->i_mapping;
		folio->index = PHYS_PFN(offset) - folio_page_idx(folio, page);
	}
	vmshm_extent_touch(extent, n, 1);
	return page;
}

/**
 * vmshm_extent_huge_page() - the first page for a huge entry
 * @extent: an extent
 * @offset: bytes into the object; PMD_SIZE bytes from here are in the extent
 *
 * On older kernels a huge entry holds no references, so vmshm_extent_idle()
 * removes it first.
 *
 * Return: the page; its reference count is not changed.
 */
struct page *vmshm_extent_huge_page(struct vmshm_extent *extent, u64 offset)
{
	u64 next;

	for (next = offset; next < offset + PMD_SIZE; next += PAGE_SIZE)
		vmshm_extent_page(extent, next);
	return vmshm_extent_page(extent, offset);
}

/* Detaches lingering extents whose pages are no longer in use. */
static void vmshm_extent_linger_work(struct work_struct *work)
{
	struct vmshm_dev *vdev = container_of(to_delayed_work(work),
					      struct vmshm_dev, linger_work);
	struct vmshm_extent *extent, *next;
	LIST_HEAD(done);
	bool more;

	mutex_lock(&vdev->vnodes_lock);
	list_for_each_entry_safe(extent, next, &vdev->lingering, node)
		if (!vmshm_extent_busy(extent))
			list_move(&extent->node, &done);
	more = !list_empty(&vdev->lingering);
	mutex_unlock(&vdev->vnodes_lock);

	list_for_each_entry_safe(extent, next, &done, node) {
		struct inode *inode = extent->inode;

		list_del(&extent->node);
		vmshm_extent_detach(extent);
		iput(inode);
	}
	if (more)
		schedule_delayed_work(&vdev->linger_work, VMSHM_EXTENT_LINGER);
}

/**
 * vmshm_extent_init() - prepare a new device
 * @vdev: the device
 */
void vmshm_extent_init(struct vmshm_dev *vdev)
{
	INIT_LIST_HEAD(&vdev->lingering);
	INIT_DELAYED_WORK(&vdev->linger_work, vmshm_extent_linger_work);
}

/**
 * vmshm_extent_any_busy() - whether a page is in use
 * @extents: extents whose device is gone; their mappings are removed
 *
 * A page fault that was in progress may have mapped a page after the mappings
 * were removed, so they are removed again.
 *
 * Return: true if a page is in use.
 */
bool vmshm_extent_any_busy(struct list_head *extents)
{
	struct vmshm_extent *extent;

	list_for_each_entry(extent, extents, node) {
		if (!vmshm_extent_busy(extent))
			continue;
		vmshm_anon_unmap(extent->vdev, extent->inode, 0, 0, true);
		if (vmshm_extent_busy(extent))
			return true;
	}
	return false;
}

/**
 * vmshm_extent_free_all() - free extents whose pages are not in use
 * @extents: extents whose device is gone, each with a reference to its inode
 */
void vmshm_extent_free_all(struct list_head *extents)
{
	struct vmshm_extent *extent, *next;

	list_for_each_entry_safe(extent, next, extents, node) {
		struct inode *inode = extent->inode;

		list_del(&extent->node);
		vmshm_extent_forget(extent);
		vmshm_extent_free(extent);
		iput(inode);
	}
}

static void vmshm_extent_warn(struct vmshm_extent *extent)
{
	char users[VMSHM_EXTENT_USERS * VMSHM_EXTENT_USER_TEXT];
	int i, n = 0;

	for (i = 0; i < VMSHM_EXTENT_USERS && extent->users[i].pid; i++)
		n += scnprintf(users + n, sizeof(users) - n, "%s%s[%d]",
			       i ? ", " : "", extent->users[i].comm,
			       extent->users[i].pid);
	dev_warn(&extent->vdev->dev,
		 "a pipe or a transfer has a page of an object that %s used\n",
		 users);
}

/**
 * vmshm_extent_warn_busy() - log the users of pages that are in use
 * @extents: the extents
 */
void vmshm_extent_warn_busy(struct list_head *extents)
{
	struct vmshm_extent *extent;

	list_for_each_entry(extent, extents, node)
		if (vmshm_extent_busy(extent))
			vmshm_extent_warn(extent);
}

/**
 * vmshm_extent_stop() - wait a moment until no page of the arena is in use
 * @vdev: a device that is gone
 * @taken: its extents, each with a reference to its inode
 *
 * The extents are freed. If a page is still in use, all of them are in
 * vdev->lingering instead.
 */
void vmshm_extent_stop(struct vmshm_dev *vdev, struct list_head *taken)
{
	unsigned long end = jiffies + VMSHM_EXTENT_GRACE;

	/* From here on no further extent begins to linger. */
	cancel_delayed_work_sync(&vdev->linger_work);
	mutex_lock(&vdev->vnodes_lock);
	list_splice_tail_init(&vdev->lingering, taken);
	mutex_unlock(&vdev->vnodes_lock);

	while (vmshm_extent_any_busy(taken)) {
		if (time_after(jiffies, end)) {
			vmshm_extent_warn_busy(taken);
			list_splice_init(taken, &vdev->lingering);
			return;
		}
		msleep(20);
	}
	vmshm_extent_free_all(taken);
}
