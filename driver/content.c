// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm content: the attached parts of an object, its size and its users.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include <vmshm/regs.h>

#include "anon.h"
#include "arena.h"
#include "command.h"
#include "content.h"
#include "extent.h"
#include "mailbox.h"
#include "pause.h"
#include "vmshm.h"
#include "vnode.h"

/* The time for which an access waits for room that pages in use take */
#define VMSHM_CONTENT_PATIENCE (HZ / 10)

/* Whether the arena or the device lacks a resource that reclaim may free */
static bool vmshm_content_is_short(int err)
{
	return err == -ENOSPC || err == -ENFILE || err == -EDQUOT;
}

/*
 * Whether the caller should try again after @err. -EDEADLK: another task had
 * the lock of its vnode, perhaps to take room itself, and waits for it in vain
 * while this task has a lock, too. -ENOSPC, until @end: a page may have been in
 * use for a moment only, as during a munmap(2), which drops its references
 * last. The vnode is unlocked meanwhile.
 */
static bool vmshm_content_again(struct vmshm_vnode *vnode, int err,
				unsigned long end)
{
	bool again = err == -EDEADLK ||
		     (err == -ENOSPC && time_before(jiffies, end));

	if (!again || fatal_signal_pending(current))
		return false;
	vmshm_vnode_unlock(vnode);
	usleep_range(100, 300);
	vmshm_vnode_lock(vnode);
	return true;
}

/* Detaches everything: the last user is gone. */
static void vmshm_content_detach(struct vmshm_vnode *vnode)
{
	struct vmshm_extent *extent, *next;
	unsigned long index;
	struct page *page;

	list_for_each_entry_safe(extent, next, &vnode->extents, node)
		vmshm_extent_release(extent);
	vmshm_vnode_put_handle(vnode);
	vnode->lost = false;
	xa_for_each(&vnode->tail, index, page)
		put_page(page);
	xa_destroy(&vnode->tail);
}

/*
 * Detaches extents that are not in use, the oldest first, until @wanted bytes
 * are free, and returns the number of freed bytes. The device has to know the
 * object afterwards, so the last extent is detached only if there is a handle
 * without an extent. The caller may hold vnodes_lock, so that
 * vmshm_extent_release(), which takes it, is not called.
 */
static u64 vmshm_content_reclaim(struct vmshm_vnode *vnode, u64 wanted)
{
	struct vmshm_extent *extent, *next;
	u64 freed = 0;

	list_for_each_entry_safe(extent, next, &vnode->extents, node) {
		u64 length = extent->range.length;

		if (freed >= wanted)
			break;
		if (!vmshm_extent_idle(extent))
			continue;
		if (list_is_singular(&vnode->extents) &&
		    vmshm_vnode_get_handle(vnode))
			break;
		/* get_user_pages_fast() may have taken a page meanwhile. */
		if (vmshm_extent_try_release(extent))
			freed += length;
	}
	return freed;
}

/*
 * Reclaims from all vnodes but @self, which is locked, or NULL. Sets @skipped
 * if another task had the lock of a vnode.
 */
static u64 vmshm_content_reclaim_others(struct vmshm_dev *vdev,
					struct vmshm_vnode *self, u64 wanted,
					bool *skipped)
{
	struct vmshm_vnode *vnode;
	u64 freed = 0;
	int bucket;

	mutex_lock(&vdev->vnodes_lock);
	hash_for_each(vdev->vnodes, bucket, vnode, node) {
		if (freed >= wanted)
			break;
		if (vnode == self)
			continue;
		/* The lock order is reversed here, hence trylock. */
		if (!vmshm_vnode_trylock(vnode)) {
			*skipped = true;
			continue;
		}
		freed += vmshm_content_reclaim(vnode, wanted - freed);
		vmshm_vnode_unlock(vnode);
	}
	mutex_unlock(&vdev->vnodes_lock);
	return freed;
}

/*
 * Reclaims from all vnodes. A mapping that is larger than the arena takes room
 * from itself first. @skipped: as vmshm_content_reclaim_others()
 */
static u64 vmshm_content_make_room(struct vmshm_vnode *self, u64 wanted,
				   bool *skipped)
{
	u64 freed = vmshm_content_reclaim(self, wanted);

	if (freed < wanted)
		freed += vmshm_content_reclaim_others(self->vdev, self,
						      wanted - freed, skipped);
	return freed;
}

/**
 * vmshm_content_spare() - detach an extent that is not in use, because the
 *	device has no attachment left
 * @vdev: the device
 *
 * Return: true if an extent was detached.
 */
bool vmshm_content_spare(struct vmshm_dev *vdev)
{
	bool skipped = false;

	return vmshm_content_reclaim_others(vdev, NULL, 1, &skipped);
}

/*
 * Gets a handle that depends on no extent, with @get. -EDEADLK: as
 * vmshm_content_attach(); else as @get
 */
static int vmshm_content_get(struct vmshm_vnode *vnode,
			     int (*get)(struct vmshm_vnode *vnode))
{
	bool skipped = false;
	int err = get(vnode);

	/* Attachments are short, not bytes: one detached extent is enough. */
	if (vmshm_content_is_short(err) &&
	    vmshm_content_make_room(vnode, 1, &skipped))
		err = get(vnode);
	return vmshm_content_is_short(err) && skipped ? -EDEADLK : err;
}

/* The part of the naturally aligned @piece at @offset that has no extent */
static void vmshm_content_gap(struct vmshm_vnode *vnode, u64 offset, u64 piece,
			      u64 *start, u64 *end)
{
	struct vmshm_extent *extent;

	*start = offset & ~(piece - 1);
	*end = min_t(u64, PAGE_ALIGN(vnode->size), *start + piece);
	list_for_each_entry(extent, &vnode->extents, node) {
		u64 extent_end = extent->range.offset + extent->range.length;

		if (extent_end <= offset)
			*start = max(*start, extent_end);
		else
			*end = min(*end, extent->range.offset);
	}
}

/*
 * Moves the extents before [*start, end) that the new extent replaces to the
 * list @merged. An object that grows page by page would otherwise need an
 * attachment for each page. An extent is replaced only if it is not longer than
 * the range behind it, so that a page moves to another place only a few times.
 */
static void vmshm_content_merge(struct vmshm_vnode *vnode, u64 piece,
				u64 *start, u64 end, struct list_head *merged)
{
	struct vmshm_extent *extent, *next;
	u64 first = *start & ~(piece - 1);
	bool found;

	do {
		found = false;
		list_for_each_entry_safe(extent, next, &vnode->extents, node) {
			struct vmshm_range *range = &extent->range;

			if (range->offset + range->length != *start ||
			    range->offset < first ||
			    range->length > end - *start)
				continue;
			*start = range->offset;
			list_move(&extent->node, merged);
			found = true;
			break;
		}
	} while (found);
}

/* Attaches a part that replaces @merged. */
static int vmshm_content_attach_part(struct vmshm_vnode *vnode, u64 start,
				     u64 end, struct list_head *merged)
{
	struct vmshm_extent *extent, *old, *next;
	u32 handle = vmshm_vnode_any_handle(vnode);
	int err;

	if (!handle && !list_empty(merged))
		handle = list_first_entry(merged, struct vmshm_extent, node)
				 ->handle;
	extent = vmshm_extent_new(vnode->vdev, vnode->inode, start, end - start,
				  vnode->readonly);
	if (IS_ERR(extent))
		return PTR_ERR(extent);
	err = vmshm_extent_attach(extent, vnode->name, handle, vnode->ident,
				  &vnode->size);
	if (err)
		return err;
	list_for_each_entry_safe(old, next, merged, node)
		vmshm_extent_release(old);
	list_add_tail(&extent->node, &vnode->extents);
	return 0;
}

/* Attaches the gap at @offset within @piece; its length is @length. */
static int vmshm_content_attach_gap(struct vmshm_vnode *vnode, u64 offset,
				    u64 piece, u64 *length)
{
	LIST_HEAD(merged);
	u64 start, end;
	int err;

	vmshm_content_gap(vnode, offset, piece, &start, &end);
	*length = end - start;
	vmshm_content_merge(vnode, piece, &start, end, &merged);
	err = vmshm_content_attach_part(vnode, start, end, &merged);
	list_splice(&merged, &vnode->extents);
	return err;
}

/*
 * Attaches the gap at @offset. If there is no room for the whole gap, a piece
 * of it is attached, at least the page. If @grow is true, -EAGAIN is returned
 * when the arena should grow. -EDEADLK: there may be room when other tasks have
 * unlocked their vnodes.
 */
static int vmshm_content_attach(struct vmshm_vnode *vnode, u64 offset,
				bool grow)
{
	struct vmshm_arena *arena = vnode->vdev->arena;
	u64 piece = vmshm_arena_piece(arena), length;
	bool skipped = false;
	int err;

	for (;;) {
		err = vmshm_content_attach_gap(vnode, offset, piece, &length);
		if (!vmshm_content_is_short(err))
			return err;
		if (grow && err == -ENOSPC &&
		    vmshm_arena_can_grow(arena, vnode->readonly))
			return -EAGAIN;
		if (vmshm_content_make_room(vnode, length, &skipped))
			continue;
		if (piece == PAGE_SIZE)
			return skipped ? -EDEADLK : err;
		piece = piece > PMD_SIZE ? PMD_SIZE : PAGE_SIZE;
	}
}

/* Attaches a page that may be beyond the end of the object as last reported. */
static int vmshm_content_try_page(struct vmshm_vnode *vnode, u64 offset,
				  bool grow)
{
	struct vmshm_stat st;
	int err = -ENODATA;

	if (offset < PAGE_ALIGN(vnode->size))
		err = vmshm_content_attach(vnode, offset, grow);
	/* The cached size was stale. */
	if (err == -ENODATA) {
		err = vmshm_vnode_refresh(vnode, &st);
		if (err)
			return err;
		if (offset >= PAGE_ALIGN(vnode->size))
			return -EFAULT;
		err = vmshm_content_attach(vnode, offset, grow);
	}
	return err;
}

/*
 * The device reports once that memory of the object was lost. The report is for
 * the next call, not for a page fault, so the attachment is tried again.
 */
static int vmshm_content_attach_page(struct vmshm_vnode *vnode, u64 offset,
				     bool grow)
{
	int err = vmshm_content_try_page(vnode, offset, grow);

	if (err == -EIO) {
		vnode->lost = true;
		err = vmshm_content_try_page(vnode, offset, grow);
	}
	return err;
}

/* Asks the device only if the page is beyond the end as last reported. */
static int vmshm_content_check_end(struct vmshm_vnode *vnode, u64 offset)
{
	struct vmshm_stat st;
	int err;

	if (offset < PAGE_ALIGN(vnode->size))
		return 0;
	err = vmshm_vnode_refresh(vnode, &st);
	if (err == -EIO) {
		vnode->lost = true;
		err = vmshm_vnode_refresh(vnode, &st);
	}
	if (err)
		return err;
	return offset < PAGE_ALIGN(vnode->size) ? 0 : -EFAULT;
}

/* As vmshm_content_page(); ERR_PTR(-EDEADLK): as vmshm_content_attach() */
static struct page *vmshm_content_try(struct vmshm_vnode *vnode, u64 offset,
				      bool grow, struct vmshm_extent **found)
{
	struct vmshm_extent *extent;
	struct page *page;
	int err;

	if (vnode->gone)
		return ERR_PTR(-ENODEV);
	extent = vmshm_extent_find(&vnode->extents, offset);
	if (!extent) {
		err = vmshm_content_attach_page(vnode, offset, grow);
		if (err)
			return ERR_PTR(err);
		extent = vmshm_extent_find(&vnode->extents, offset);
		/* The object was truncated during the attachment. */
		if (!extent)
			return ERR_PTR(-EFAULT);
	}
	/* The host can have made the object longer again. */
	err = vmshm_content_check_end(vnode, offset);
	if (err)
		return ERR_PTR(err);
	page = vmshm_extent_page(extent, offset);
	get_page(page);
	*found = extent;
	return page;
}

/**
 * vmshm_content_page() - the page at an offset
 * @vnode: a vnode with users, locked; it can be unlocked meanwhile
 * @offset: bytes into the object, a multiple of the page size
 * @grow: the caller can drop all locks and call vmshm_arena_grow()
 * @found: set to the extent of the page, unless there is an error
 *
 * Return: a page that the caller puts; or ERR_PTR(): -EAGAIN if the caller
 * should let the arena grow, and try again; -EFAULT beyond the end of the
 * object, -ENOSPC no room in the arena, -EINTR a signal ends this task,
 * -ENODEV, -ENOMEM, or the error of the device.
 */
struct page *vmshm_content_page(struct vmshm_vnode *vnode, u64 offset,
				bool grow, struct vmshm_extent **found)
{
	unsigned long end = jiffies + VMSHM_CONTENT_PATIENCE;
	struct page *page;

	lockdep_assert_held(&vnode->lock);
	do
		page = vmshm_content_try(vnode, offset, grow, found);
	while (IS_ERR(page) && vmshm_content_again(vnode, PTR_ERR(page), end));
	return page == ERR_PTR(-EDEADLK) ? ERR_PTR(-EINTR) : page;
}

/* Finds all of the pages, or none; -EDEADLK: as vmshm_content_attach() */
static int vmshm_content_try_pages(struct vmshm_vnode *vnode,
				   struct vmshm_content_at *at,
				   unsigned int count)
{
	struct vmshm_extent *extent;
	struct page *page;
	unsigned int i;

	for (i = 0; i < count; i++) {
		page = vmshm_content_try(vnode, at[i].offset, true, &extent);
		if (IS_ERR(page)) {
			while (i--)
				put_page(at[i].page);
			return PTR_ERR(page);
		}
		at[i].page = page;
		at[i].place = vmshm_extent_place(extent, at[i].offset);
	}
	return 0;
}

/**
 * vmshm_content_get_pages() - the pages at some offsets, for callers without
 *	locks
 * @vnode: a vnode with users
 * @at: the offsets, multiples of the page size; pages and places are filled in,
 *	and the caller puts the pages
 * @count: the number of them
 * @resets: vdev->resets, which shows a later reset of the device; or NULL
 *
 * A task that waits for the end of a reset has none of the pages, because the
 * reset waits until no page is in use.
 *
 * Return: 0; or the error of vmshm_content_page(), without -EAGAIN.
 */
int vmshm_content_get_pages(struct vmshm_vnode *vnode,
			    struct vmshm_content_at *at, unsigned int count,
			    unsigned int *resets)
{
	unsigned long end = jiffies + VMSHM_CONTENT_PATIENCE;
	int err;

	for (;;) {
		vmshm_vnode_lock(vnode);
		do {
			if (resets)
				*resets = vnode->vdev->resets;
			err = vmshm_content_try_pages(vnode, at, count);
		} while (vmshm_content_again(vnode, err, end));
		vmshm_vnode_unlock(vnode);
		if (err != -EAGAIN)
			return err == -EDEADLK ? -EINTR : err;
		vmshm_arena_grow(vnode->vdev->arena, vnode->readonly);
	}
}

/**
 * vmshm_content_tail() - a zero page behind the end
 * @vnode: a vnode with users, locked
 * @offset: bytes into the object, a multiple of the page size
 *
 * Such pages are for mappings of 1 MiB of a shorter object. All such mappings
 * of an object share these pages.
 *
 * Return: a page that the caller does not put; or ERR_PTR(-ENODEV),
 * ERR_PTR(-ENOMEM).
 */
struct page *vmshm_content_tail(struct vmshm_vnode *vnode, u64 offset)
{
	unsigned long index = offset >> PAGE_SHIFT;
	struct page *page = xa_load(&vnode->tail, index);
	int err;

	lockdep_assert_held(&vnode->lock);
	if (vnode->gone)
		return ERR_PTR(-ENODEV);
	if (page)
		return page;
	page = alloc_page(GFP_HIGHUSER | __GFP_ZERO | __GFP_ACCOUNT);
	if (!page)
		return ERR_PTR(-ENOMEM);
	err = xa_err(xa_store(&vnode->tail, index, page, GFP_KERNEL_ACCOUNT));
	if (err) {
		put_page(page);
		return ERR_PTR(err);
	}
	return page;
}

/*
 * Attaches the beginning of the object, if there is room for it. The rest is
 * attached on demand. If the beginning is not attached, a handle is needed, so
 * that the device knows the object.
 */
static int vmshm_content_attach_first(struct vmshm_vnode *vnode)
{
	u64 piece = vmshm_arena_piece(vnode->vdev->arena), length;
	int err = -ENOSPC;

	if (vnode->size)
		err = vmshm_content_attach_gap(vnode, 0, piece, &length);
	if (vmshm_content_is_short(err))
		err = vmshm_content_get(vnode, vmshm_vnode_get_handle);
	return err;
}

/* Attaches the beginning; read-only if the host does not allow writing. */
static int vmshm_content_attach_allowed(struct vmshm_vnode *vnode)
{
	int err = vmshm_content_attach_first(vnode);

	if (!vnode->readonly && (err == -EACCES || err == -EPERM)) {
		vnode->readonly = true;
		err = vmshm_content_attach_first(vnode);
	}
	return err;
}

/* Attaches the object. @size is recent, but the host may have changed it. */
static int vmshm_content_first_use(struct vmshm_vnode *vnode, u64 size)
{
	struct vmshm_stat st;
	int err;

	/* The object was attached by its lookup or creation. */
	if (vmshm_vnode_any_handle(vnode))
		return 0;
	vnode->readonly = vnode->vdev->features & VMSHM_F_READONLY;
	vnode->size = size;
	err = vmshm_content_attach_allowed(vnode);
	/* The object is smaller by now. */
	if (err == -ENODATA)
		err = vmshm_vnode_refresh(vnode, &st) ?:
			      vmshm_content_attach_allowed(vnode);
	return err;
}

static bool vmshm_content_used(struct vmshm_vnode *vnode)
{
	return refcount_read(&vnode->users);
}

/*
 * Attaches an object for writing that was attached for reading only, because
 * the host may allow it by now. Page faults and calls then attach its parts
 * again, in the writable span.
 */
static int vmshm_content_make_writable(struct vmshm_vnode *vnode)
{
	struct vmshm_extent *extent, *next;
	int err;

	if (!vnode->readonly || vnode->vdev->features & VMSHM_F_READONLY)
		return 0;
	err = vmshm_content_get(vnode, vmshm_vnode_get_writable);
	/* The device cannot open an object that has lost its name. */
	if (err == -EPERM || err == -ENOENT || err == -ESTALE)
		return -EACCES;
	if (err)
		return err;
	list_for_each_entry_safe(extent, next, &vnode->extents, node)
		vmshm_extent_release(extent);
	return 0;
}

/* As vmshm_content_open(), for a locked vnode that has no new user yet */
static int vmshm_content_try_open(struct vmshm_vnode *vnode, u64 size,
				  bool write, bool *first)
{
	int err = 0;

	*first = !vmshm_content_used(vnode);
	if (vnode->gone)
		err = -ENODEV;
	else if (*first)
		err = vmshm_content_first_use(vnode, size);
	else if (write)
		err = vmshm_content_make_writable(vnode);
	if (!err && write && vnode->readonly)
		err = -EACCES;
	if (err && !vmshm_content_used(vnode))
		vmshm_content_detach(vnode);
	return err;
}

/**
 * vmshm_content_open() - begin to use a vnode, for a file that is opened
 * @vnode: a vnode
 * @size: bytes of the object, as the device reported last
 * @write: the file is open for writing
 * @first: set to whether the vnode had no users, so that this call attached the
 *	object
 *
 * vmshm_content_close() ends the use.
 *
 * Return: 0; -EACCES if @write and the object can only be read; or the error of
 * the device.
 */
int vmshm_content_open(struct vmshm_vnode *vnode, u64 size, bool write,
		       bool *first)
{
	int err;

	vmshm_vnode_lock(vnode);
	do
		err = vmshm_content_try_open(vnode, size, write, first);
	while (vmshm_content_again(vnode, err, jiffies));
	if (!err && !refcount_inc_not_zero(&vnode->users))
		refcount_set(&vnode->users, 1);
	vmshm_vnode_unlock(vnode);
	return err == -EDEADLK ? -EINTR : err;
}

/**
 * vmshm_content_close() - end what vmshm_content_open() began
 * @vnode: a vnode; the last user detaches it
 */
void vmshm_content_close(struct vmshm_vnode *vnode)
{
	vmshm_vnode_lock(vnode);
	if (refcount_dec_and_test(&vnode->users))
		vmshm_content_detach(vnode);
	vmshm_vnode_unlock(vnode);
}

/**
 * vmshm_content_give() - use an extent for the open that follows
 * @vnode: a vnode, of the object that the extent shows
 * @extent: of vmshm_extent_attach_named(); the vnode takes it over, or it is
 *	detached
 *
 * If the object is not opened, vmshm_content_detach_unused() has to follow.
 */
void vmshm_content_give(struct vmshm_vnode *vnode, struct vmshm_extent *extent)
{
	bool taken;

	vmshm_vnode_lock(vnode);
	/* A reset of the device has ended an attachment of before. */
	taken = !vnode->gone && !vmshm_content_used(vnode) &&
		!vmshm_vnode_any_handle(vnode) &&
		extent->resets == vnode->vdev->resets;
	if (taken) {
		vnode->readonly = extent->range.readonly;
		vnode->size = extent->seen.size;
	}
	if (taken && extent->range.length) {
		extent->inode = vnode->inode;
		list_add_tail(&extent->node, &vnode->extents);
		extent = NULL;
	} else if (taken) {
		vnode->handle = extent->handle;
		vnode->seen = extent->seen;
		vnode->has_seen = true;
	}
	vmshm_vnode_unlock(vnode);
	if (!taken)
		vmshm_extent_detach(extent);
	else if (extent)
		vmshm_extent_free(extent);
}

/**
 * vmshm_content_detach_unused() - detach a vnode that was not opened
 * @vnode: a vnode; nothing happens if it has users
 */
void vmshm_content_detach_unused(struct vmshm_vnode *vnode)
{
	vmshm_vnode_lock(vnode);
	if (!vmshm_content_used(vnode))
		vmshm_content_detach(vnode);
	vmshm_vnode_unlock(vnode);
}

/*
 * The object was truncated. The device shows other memory beyond the new end,
 * so the extents that reach beyond it are detached. Their remaining parts are
 * attached again on demand.
 */
static void vmshm_content_cut(struct vmshm_vnode *vnode)
{
	u64 end = PAGE_ALIGN(vnode->size);
	struct vmshm_extent *extent, *next;

	list_for_each_entry_safe(extent, next, &vnode->extents, node) {
		struct vmshm_range *range = &extent->range;

		if (range->offset + range->length <= end)
			continue;
		vmshm_extent_release(extent);
	}
	/* Private copies are removed only beyond the new end. */
	vmshm_anon_unmap(vnode->vdev, vnode->inode, end, 0, true);
}

/* As vmshm_content_resize(), for a locked vnode */
static int vmshm_content_try_resize(struct vmshm_vnode *vnode, u64 size,
				    struct vmshm_stat *st)
{
	int err = 0;

	if (vnode->gone)
		err = -ENODEV;
	else if (vmshm_content_used(vnode))
		err = vmshm_content_make_writable(vnode);
	else
		vnode->readonly = false;
	/* The name could belong to another object by now. */
	err = err ?: vmshm_content_get(vnode, vmshm_vnode_get_handle);
	if (!err)
		err = vmshm_request_resize(vnode->vdev, vnode->name,
					   vmshm_vnode_any_handle(vnode), size,
					   st);
	if (!err) {
		vmshm_vnode_record(vnode, st);
		vmshm_content_cut(vnode);
	}
	if (!vmshm_content_used(vnode))
		vmshm_content_detach(vnode);
	return err;
}

/**
 * vmshm_content_resize() - set the size of an object
 * @vnode: a vnode
 * @size: bytes
 * @st: what the device reports afterwards
 *
 * Return: 0; -ENODEV; -ESTALE if the name belongs to another object by now;
 * -EACCES if the object is in use, and can only be read; -EINTR if a signal
 * ends this task; or the error of the device.
 */
int vmshm_content_resize(struct vmshm_vnode *vnode, u64 size,
			 struct vmshm_stat *st)
{
	int err;

	vmshm_vnode_lock(vnode);
	do
		err = vmshm_content_try_resize(vnode, size, st);
	while (vmshm_content_again(vnode, err, jiffies));
	vmshm_vnode_unlock(vnode);
	return err == -EDEADLK ? -EINTR : err;
}

/* As vmshm_content_setattr(), for a locked vnode */
static int vmshm_content_try_setattr(struct vmshm_vnode *vnode,
				     const struct vmshm_attr *attr,
				     struct vmshm_stat *st)
{
	int err;

	/* A read-only handle is enough to set attributes. */
	if (!vmshm_content_used(vnode))
		vnode->readonly = true;
	/* The name could belong to another object by now. */
	err = vnode->gone ? -ENODEV :
			    vmshm_content_get(vnode, vmshm_vnode_get_handle);
	if (!err)
		err = vmshm_request_setattr(vnode->vdev,
					    vmshm_vnode_any_handle(vnode), attr,
					    st);
	if (!err)
		vmshm_vnode_record(vnode, st);
	if (!vmshm_content_used(vnode))
		vmshm_content_detach(vnode);
	return err;
}

/**
 * vmshm_content_setattr() - change attributes of an object
 * @vnode: a vnode
 * @attr: the attributes
 * @st: what the device reports afterwards
 *
 * Return: as vmshm_content_resize(); -EACCES if QEMU may not open the object.
 */
int vmshm_content_setattr(struct vmshm_vnode *vnode,
			  const struct vmshm_attr *attr, struct vmshm_stat *st)
{
	int err;

	vmshm_vnode_lock(vnode);
	do
		err = vmshm_content_try_setattr(vnode, attr, st);
	while (vmshm_content_again(vnode, err, jiffies));
	vmshm_vnode_unlock(vnode);
	return err == -EDEADLK ? -EINTR : err;
}

/**
 * vmshm_content_allocate() - have the host allocate a part of an object
 * @vnode: a vnode with users
 * @offset: bytes into the object
 * @length: bytes, at most VMSHM_ALLOCATE_MAX; the object grows if necessary
 * @st: what the device reports afterwards
 *
 * Return: 0, or the error of the device.
 */
int vmshm_content_allocate(struct vmshm_vnode *vnode, u64 offset, u64 length,
			   struct vmshm_stat *st)
{
	struct vmshm_dev *vdev = vnode->vdev;
	int err;

	vmshm_vnode_lock(vnode);
	err = -ENODEV;
	if (!vnode->gone)
		err = vmshm_request_allocate(vdev, vnode->name,
					     vmshm_vnode_any_handle(vnode),
					     offset, length, st);
	if (!err)
		vmshm_vnode_record(vnode, st);
	vmshm_vnode_unlock(vnode);
	return err;
}

/* Takes all extents from all vnodes; a later fault gets SIGBUS. */
static void vmshm_content_take(struct vmshm_dev *vdev, struct list_head *taken)
{
	struct vmshm_vnode *vnode;
	struct hlist_node *next;
	int bucket;

	mutex_lock(&vdev->vnodes_lock);
	hash_for_each(vdev->vnodes, bucket, vnode, node)
		vmshm_vnode_get(vnode);
	mutex_unlock(&vdev->vnodes_lock);

	/* The table is stable: each vnode has a reference, and gone is set. */
	hash_for_each_safe(vdev->vnodes, bucket, next, vnode, node) {
		struct vmshm_extent *extent;

		vmshm_vnode_lock(vnode);
		vnode->gone = true;
		/* The pages of the extents still name the inode. */
		list_for_each_entry(extent, &vnode->extents, node)
			ihold(extent->inode);
		list_splice_tail_init(&vnode->extents, taken);
		vmshm_vnode_unlock(vnode);
		vmshm_anon_unmap(vdev, vnode->inode, 0, 0, true);
		vmshm_vnode_put(vnode);
	}
}

/**
 * vmshm_content_stop() - give up all pages: the device is gone
 * @vdev: a device with an arena; gone is set
 *
 * If a page stays in use, vdev->lingering has all extents afterwards.
 */
void vmshm_content_stop(struct vmshm_dev *vdev)
{
	LIST_HEAD(taken);

	vmshm_content_take(vdev, &taken);
	vmshm_extent_stop(vdev, &taken);
}

/**
 * vmshm_content_can_restore() - whether attachments can be restored after a
 *	reset of the device
 * @vdev: the device
 *
 * Return: false if the buffer shows an object, or an object that no file has
 * open has a page in use.
 */
bool vmshm_content_can_restore(struct vmshm_dev *vdev)
{
	bool can;

	/* The worker is not frozen, and a sleep ends its handles. */
	flush_delayed_work(&vdev->linger_work);
	mutex_lock(&vdev->vnodes_lock);
	can = !vdev->buffer && list_empty(&vdev->lingering);
	mutex_unlock(&vdev->vnodes_lock);
	return can;
}

/*
 * Attaches all extents again, the first extent by the name. An extent beyond
 * the current end of the object is released. A later fault then asks the device
 * for the size.
 */
static int vmshm_content_attach_again(struct vmshm_vnode *vnode)
{
	struct vmshm_extent *extent, *next;
	bool had_handle = vnode->handle;
	int err = 0;

	vnode->handle = 0;
	vnode->has_seen = false;
	list_for_each_entry(extent, &vnode->extents, node)
		extent->handle = 0;
	list_for_each_entry_safe(extent, next, &vnode->extents, node) {
		err = vmshm_extent_attach_again(extent, vnode->name,
						vmshm_vnode_any_handle(vnode),
						vnode->ident, &vnode->size);
		if (err == -ENODATA)
			vmshm_extent_release(extent);
		else if (err)
			return err;
	}
	if (had_handle || (vmshm_content_used(vnode) &&
			   list_empty(&vnode->extents)))
		err = vmshm_vnode_get_handle(vnode);
	else
		err = 0;
	return err;
}

/* The object no longer exists: its users get SIGBUS and ENODEV. */
static void vmshm_content_lose(struct vmshm_vnode *vnode)
{
	struct vmshm_dev *vdev = vnode->vdev;
	struct vmshm_extent *extent, *next;

	vnode->gone = true;
	list_for_each_entry_safe(extent, next, &vnode->extents, node)
		vmshm_extent_release(extent);
	/* Zero pages behind the end are mapped, too. */
	vmshm_anon_unmap(vdev, vnode->inode, 0, 0, false);
	vmshm_vnode_put_handle(vnode);
	/* The identity can become that of another object. */
	mutex_lock(&vdev->vnodes_lock);
	hash_del(&vnode->node);
	mutex_unlock(&vdev->vnodes_lock);
}

static void vmshm_content_explain_loss(struct vmshm_vnode *vnode, int err)
{
	struct device *dev = &vnode->vdev->dev;

	if (err == -EOWNERDEAD)
		dev_warn(dev,
			 "a word was held in a reset, which ended the hold: open the object again\n");
	else if (err == -ENODEV)
		dev_warn(dev,
			 "the device was reset, but not by the kernel: open the object again\n");
	else
		dev_warn(dev,
			 "an object was not found again after a sleep or a reset (error %d)\n",
			 err);
}

static void vmshm_content_give_up(struct vmshm_vnode *vnode, int err)
{
	vmshm_content_explain_loss(vnode, err);
	vmshm_content_lose(vnode);
}

/*
 * Restores a vnode by its last known name. If the object does not have that
 * name any more, it may have another one, and *@searched is set.
 */
static void vmshm_content_restore_vnode(struct vmshm_vnode *vnode, void *arg)
{
	bool *searched = arg;
	int err = 0;

	vmshm_vnode_lock(vnode);
	if (vnode->was_held) {
		vnode->handle = 0;
		err = -EOWNERDEAD;
	} else if (vnode->handle || !list_empty(&vnode->extents)) {
		err = vmshm_content_attach_again(vnode);
	}
	vnode->searched = err == -ENOENT || err == -ESTALE;
	if (vnode->searched)
		*searched = true;
	else if (err)
		vmshm_content_give_up(vnode, err);
	vmshm_vnode_unlock(vnode);
}

/* Restores a vnode whose name was searched for. */
static void vmshm_content_restore_found(struct vmshm_vnode *vnode, void *unused)
{
	int err = 0;

	vmshm_vnode_lock(vnode);
	if (vnode->searched)
		err = vmshm_content_attach_again(vnode);
	vnode->searched = false;
	if (err)
		vmshm_content_give_up(vnode, err);
	vmshm_vnode_unlock(vnode);
}

/* An entry of the device's list may be the name that is searched for. */
static int vmshm_content_found(void *arg, const char *name,
			       const struct vmshm_stat *st)
{
	vmshm_vnode_found(arg, name, st->ident);
	return 0;
}

static const struct vmshm_list_ops vmshm_content_search_ops = {
	.entry = vmshm_content_found,
};

/*
 * A vnode that is to be visited, with a reference, or NULL. The buckets before
 * @bucket have none; it is updated.
 */
static struct vmshm_vnode *vmshm_content_next_visit(struct vmshm_dev *vdev,
						    unsigned int *bucket)
{
	struct vmshm_vnode *vnode;

	lockdep_assert_held(&vdev->vnodes_lock);
	for (; *bucket < HASH_SIZE(vdev->vnodes); ++*bucket)
		hlist_for_each_entry(vnode, &vdev->vnodes[*bucket], node) {
			if (!vnode->visit)
				continue;
			vnode->visit = false;
			vmshm_vnode_get(vnode);
			return vnode;
		}
	return NULL;
}

/*
 * Calls @visit for each vnode, without a lock. One walk is in progress at a
 * time: that of the task that resets, or the one after a sleep.
 */
static void vmshm_content_walk(struct vmshm_dev *vdev,
			       void (*visit)(struct vmshm_vnode *vnode,
					     void *arg),
			       void *arg)
{
	unsigned int next = 0;
	struct vmshm_vnode *vnode;
	int bucket;

	mutex_lock(&vdev->vnodes_lock);
	hash_for_each(vdev->vnodes, bucket, vnode, node)
		vnode->visit = true;
	while ((vnode = vmshm_content_next_visit(vdev, &next))) {
		mutex_unlock(&vdev->vnodes_lock);
		visit(vnode, arg);
		vmshm_vnode_put(vnode);
		mutex_lock(&vdev->vnodes_lock);
	}
	mutex_unlock(&vdev->vnodes_lock);
}

static void vmshm_content_wait_unlocked(struct vmshm_vnode *vnode, void *end)
{
	while (!vmshm_vnode_trylock(vnode)) {
		if (time_after(jiffies, *(unsigned long *)end))
			vmshm_mailboxes_hurry(vnode->vdev);
		usleep_range(1000, 2000);
	}
	vmshm_vnode_unlock(vnode);
}

/**
 * vmshm_content_pause() - let no other task use vnodes
 * @vdev: a device that will be reset
 * @end: jiffies after which commands that the host executes slowly fail
 *
 * A pause has begun. A task that has the lock of a vnode gives it back before
 * this function returns.
 */
void vmshm_content_pause(struct vmshm_dev *vdev, unsigned long end)
{
	vmshm_content_walk(vdev, vmshm_content_wait_unlocked, &end);
}

static void vmshm_content_idle_vnode(struct vmshm_vnode *vnode, void *arg)
{
	struct vmshm_extent *extent;
	bool *idle = arg;

	vmshm_vnode_lock(vnode);
	list_for_each_entry(extent, &vnode->extents, node)
		if (!vmshm_extent_idle(extent))
			*idle = false;
	vmshm_vnode_unlock(vnode);
}

/**
 * vmshm_content_idle() - whether no page is in use
 * @vdev: a device whose vnodes are paused; all mappings are removed
 *
 * Return: true if no page is in use.
 */
bool vmshm_content_idle(struct vmshm_dev *vdev)
{
	bool idle;

	mutex_lock(&vdev->vnodes_lock);
	idle = list_empty(&vdev->lingering);
	mutex_unlock(&vdev->vnodes_lock);
	vmshm_content_walk(vdev, vmshm_content_idle_vnode, &idle);
	return idle;
}

static void vmshm_content_warn_vnode(struct vmshm_vnode *vnode, void *unused)
{
	vmshm_vnode_lock(vnode);
	vmshm_extent_warn_busy(&vnode->extents);
	vmshm_vnode_unlock(vnode);
}

/**
 * vmshm_content_warn() - log the users of pages that are in use
 * @vdev: a device whose vnodes are paused
 */
void vmshm_content_warn(struct vmshm_dev *vdev)
{
	vmshm_content_walk(vdev, vmshm_content_warn_vnode, NULL);
	mutex_lock(&vdev->vnodes_lock);
	vmshm_extent_warn_busy(&vdev->lingering);
	mutex_unlock(&vdev->vnodes_lock);
}

/**
 * vmshm_content_restore() - attach all objects again: the device was reset
 * @vdev: a device for which vmshm_content_can_restore() was true, or whose
 *	vnodes are paused
 *
 * Each part of an object is shown where it was. If the last known name of an
 * object belongs to another object or to none by now, the device's list shows
 * whether the object has another name. An object that has no name, or a word of
 * which was held, is lost: SIGBUS and ENODEV.
 */
void vmshm_content_restore(struct vmshm_dev *vdev)
{
	bool searched = false;

	vmshm_content_walk(vdev, vmshm_content_restore_vnode, &searched);
	if (!searched)
		return;
	/* Registers do not report identities with the names. */
	if (vdev->mailboxes)
		vmshm_request_list(vdev, &vmshm_content_search_ops, vdev);
	vmshm_content_walk(vdev, vmshm_content_restore_found, NULL);
}

static void vmshm_content_lose_vnode(struct vmshm_vnode *vnode, void *unused)
{
	vmshm_vnode_lock(vnode);
	if (vnode->handle || !list_empty(&vnode->extents)) {
		/* The device does not know the handle any more. */
		vnode->handle = 0;
		vmshm_content_give_up(vnode, -ENODEV);
	}
	vmshm_vnode_unlock(vnode);
}

/**
 * vmshm_content_lose_all() - give up all objects that are attached
 * @vdev: a device whose vnodes are paused, or the system was asleep
 *
 * As for an object that vmshm_content_restore() does not find.
 */
void vmshm_content_lose_all(struct vmshm_dev *vdev)
{
	vmshm_content_walk(vdev, vmshm_content_lose_vnode, NULL);
}
