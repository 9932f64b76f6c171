// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm content: which parts of an object are attached, its size, its users.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/sizes.h>

#include <vmshm/regs.h>

#include "arena.h"
#include "content.h"
#include "extent.h"
#include "vmshm.h"
#include "vnode.h"

/* Bytes to attach at once of an object that does not fit as a whole */
#define VMSHM_CONTENT_PIECE SZ_16M

/* Attaches a part. -ENOSPC: the arena has no room for it. */
static int vmshm_content_attach_part(struct vmshm_vnode *vnode, u64 offset,
				     u64 length)
{
	struct vmshm_extent *extent;
	int err;

	extent = vmshm_extent_new(vnode->vdev, vnode->inode, offset, length,
				  vnode->readonly);
	if (IS_ERR(extent))
		return PTR_ERR(extent);
	err = vmshm_extent_attach(extent, vnode->name,
				  vmshm_vnode_any_handle(vnode), vnode->ident,
				  &vnode->size);
	if (err)
		vmshm_extent_free(extent);
	else
		list_add_tail(&extent->node, &vnode->extents);
	return err;
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
	xa_for_each(&vnode->tail, index, page)
		put_page(page);
	xa_destroy(&vnode->tail);
}

/*
 * Detaches the extents that are not in use. The device has to know the object
 * afterwards, so the last extent goes only if there is a handle without one.
 */
static void vmshm_content_reclaim(struct vmshm_vnode *vnode)
{
	struct vmshm_extent *extent, *next;

	list_for_each_entry_safe(extent, next, &vnode->extents, node) {
		if (!vmshm_extent_idle(extent))
			continue;
		if (list_is_singular(&vnode->extents) &&
		    vmshm_vnode_get_handle(vnode))
			break;
		vmshm_extent_release(extent);
	}
}

/* Reclaims from all vnodes; the lock of @self is held. */
static void vmshm_content_make_room(struct vmshm_vnode *self)
{
	struct vmshm_dev *vdev = self->vdev;
	struct vmshm_vnode *vnode;
	int bucket;

	vmshm_content_reclaim(self);
	mutex_lock(&vdev->vnodes_lock);
	hash_for_each(vdev->vnodes, bucket, vnode, node) {
		/* The order of the locks is wrong, so only try. */
		if (vnode == self || list_empty(&vnode->extents) ||
		    !mutex_trylock(&vnode->lock))
			continue;
		vmshm_content_reclaim(vnode);
		mutex_unlock(&vnode->lock);
	}
	mutex_unlock(&vdev->vnodes_lock);
}

/* The part without an extent around @offset: [*start, *end). */
static void vmshm_content_gap(struct vmshm_vnode *vnode, u64 offset, u64 *start,
			      u64 *end)
{
	struct vmshm_extent *extent;

	*start = 0;
	*end = PAGE_ALIGN(vnode->size);
	list_for_each_entry(extent, &vnode->extents, node) {
		u64 extent_end = extent->range.offset + extent->range.length;

		if (extent_end <= offset)
			*start = max(*start, extent_end);
		else
			*end = min(*end, extent->range.offset);
	}
}

/*
 * Attaches the gap at @offset. If the arena has no room for it, a piece of the
 * gap is attached, or at least the page.
 */
static int vmshm_content_attach(struct vmshm_vnode *vnode, u64 offset)
{
	static const u64 pieces[] = { VMSHM_CONTENT_PIECE, PMD_SIZE,
				      PAGE_SIZE };
	u64 start, end;
	size_t i;
	int err;

	vmshm_content_gap(vnode, offset, &start, &end);
	err = vmshm_content_attach_part(vnode, start, end - start);
	if (err != -ENOSPC)
		return err;
	vmshm_content_make_room(vnode);
	for (i = 0; i < ARRAY_SIZE(pieces) && err == -ENOSPC; i++) {
		u64 from, to;

		/* Extents of this vnode may have gone. */
		vmshm_content_gap(vnode, offset, &start, &end);
		from = max(start, offset & ~(pieces[i] - 1));
		to = min(end, (offset & ~(pieces[i] - 1)) + pieces[i]);
		err = vmshm_content_attach_part(vnode, from, to - from);
	}
	return err;
}

/**
 * vmshm_content_page() - the page at an offset
 * @vnode: a vnode with users, locked
 * @offset: bytes into the object, a multiple of the page size
 *
 * Return: a page that the caller puts; or ERR_PTR(): -EFAULT beyond the end of
 * the object, -ENOSPC no room in the arena, -ENODEV, -ENOMEM, or the error of
 * the device.
 */
struct page *vmshm_content_page(struct vmshm_vnode *vnode, u64 offset)
{
	struct vmshm_extent *extent;
	struct vmshm_stat st;
	struct page *page;
	int err;

	lockdep_assert_held(&vnode->lock);
	if (vnode->gone)
		return ERR_PTR(-ENODEV);
	extent = vmshm_extent_find(&vnode->extents, offset);
	if (!extent && offset >= vnode->size) {
		err = vmshm_vnode_refresh(vnode, &st);
		if (err)
			return ERR_PTR(err);
	}
	if (offset >= PAGE_ALIGN(vnode->size))
		return ERR_PTR(-EFAULT);
	if (!extent) {
		err = vmshm_content_attach(vnode, offset);
		if (err)
			return ERR_PTR(err);
		extent = vmshm_extent_find(&vnode->extents, offset);
		if (WARN_ON_ONCE(!extent))
			return ERR_PTR(-EIO);
	}
	page = vmshm_extent_page(extent, offset);
	get_page(page);
	return page;
}

/**
 * vmshm_content_tail() - a zero page behind the end
 * @vnode: a vnode with users, locked
 * @offset: bytes into the object, a multiple of the page size
 *
 * For mappings of 1 MiB of objects that are shorter. All such mappings of an
 * object share these pages.
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
	page = alloc_page(GFP_HIGHUSER | __GFP_ZERO);
	if (!page)
		return ERR_PTR(-ENOMEM);
	err = xa_err(xa_store(&vnode->tail, index, page, GFP_KERNEL));
	if (err) {
		put_page(page);
		return ERR_PTR(err);
	}
	return page;
}

/* Attaches as much as the arena has room for. */
static int vmshm_content_attach_first(struct vmshm_vnode *vnode)
{
	int err;

	if (!vnode->size)
		return vmshm_vnode_get_handle(vnode);
	err = vmshm_content_attach(vnode, 0);
	/* There may be room when the first page is needed. */
	return err == -ENOSPC ? vmshm_vnode_get_handle(vnode) : err;
}

/* The same, for reading only if nothing else is allowed. */
static int vmshm_content_attach_allowed(struct vmshm_vnode *vnode)
{
	int err = vmshm_content_attach_first(vnode);

	if (!vnode->readonly && (err == -EACCES || err == -EPERM)) {
		vnode->readonly = true;
		err = vmshm_content_attach_first(vnode);
	}
	return err;
}

/* The device was asked a moment ago, so @size is most probably right. */
static int vmshm_content_first_use(struct vmshm_vnode *vnode, u64 size)
{
	struct vmshm_stat st;
	int err;

	vnode->readonly = vnode->vdev->features & VMSHM_F_READONLY;
	vnode->size = size;
	err = vmshm_content_attach_allowed(vnode);
	/* It is smaller by now. */
	if (err == -ENODATA)
		err = vmshm_vnode_refresh(vnode, &st) ?:
			      vmshm_content_attach_allowed(vnode);
	return err;
}

static bool vmshm_content_used(struct vmshm_vnode *vnode)
{
	return refcount_read(&vnode->users);
}

/**
 * vmshm_content_open() - begin to use a vnode, for a file that is opened
 * @vnode: a vnode
 * @size: bytes of the object, as the device reported last
 * @write: the file is open for writing
 *
 * vmshm_content_close() ends the use.
 *
 * Return: 0; -EACCES if @write and the object can only be read; or the error of
 * the device.
 */
int vmshm_content_open(struct vmshm_vnode *vnode, u64 size, bool write)
{
	int err = 0;

	mutex_lock(&vnode->lock);
	if (vnode->gone)
		err = -ENODEV;
	else if (!vmshm_content_used(vnode))
		err = vmshm_content_first_use(vnode, size);
	if (!err && write && vnode->readonly)
		err = -EACCES;
	if (err && !vmshm_content_used(vnode))
		vmshm_content_detach(vnode);
	else if (!err && !refcount_inc_not_zero(&vnode->users))
		refcount_set(&vnode->users, 1);
	mutex_unlock(&vnode->lock);
	return err;
}

/**
 * vmshm_content_close() - end what vmshm_content_open() began
 * @vnode: a vnode; the last user detaches it
 */
void vmshm_content_close(struct vmshm_vnode *vnode)
{
	mutex_lock(&vnode->lock);
	if (refcount_dec_and_test(&vnode->users))
		vmshm_content_detach(vnode);
	mutex_unlock(&vnode->lock);
}

/*
 * The object was cut. The device shows other memory beyond the new end, so the
 * extents that reach beyond it are detached; the rest is attached on demand.
 */
static void vmshm_content_cut(struct vmshm_vnode *vnode)
{
	struct address_space *mapping = vnode->inode->i_mapping;
	u64 end = PAGE_ALIGN(vnode->size);
	struct vmshm_extent *extent, *next;

	list_for_each_entry_safe(extent, next, &vnode->extents, node) {
		struct vmshm_range *range = &extent->range;

		if (range->offset + range->length <= end)
			continue;
		unmap_mapping_range(mapping, range->offset, range->length, 0);
		vmshm_extent_release(extent);
	}
	/* Of private copies only those beyond the end go. */
	unmap_mapping_range(mapping, end, 0, 1);
}

/**
 * vmshm_content_resize() - set the size of an object
 * @vnode: a vnode
 * @size: bytes
 * @st: what the device reports afterwards
 *
 * Return: 0; -ENODEV; -ESTALE if the name belongs to another object by now; or
 * the error of the device.
 */
int vmshm_content_resize(struct vmshm_vnode *vnode, u64 size,
			 struct vmshm_stat *st)
{
	struct vmshm_dev *vdev = vnode->vdev;
	int err;

	mutex_lock(&vnode->lock);
	if (!vmshm_content_used(vnode))
		vnode->readonly = false;
	/* The name could belong to another object by now. */
	err = vnode->gone ? -ENODEV : vmshm_vnode_get_handle(vnode);
	if (err)
		goto out;
	err = vmshm_command_resize(vdev, vnode->name,
				   vmshm_vnode_any_handle(vnode), size, st);
	if (!err) {
		vnode->size = st->size;
		vmshm_content_cut(vnode);
	}
out:
	if (!vmshm_content_used(vnode))
		vmshm_content_detach(vnode);
	mutex_unlock(&vnode->lock);
	return err;
}

/**
 * vmshm_content_allocate() - have the host allocate a part of an object
 * @vnode: a vnode with users
 * @offset: bytes into the object
 * @length: bytes, at most VMSHM_ALLOCATE_MAX; the object grows if it has to
 * @st: what the device reports afterwards
 *
 * Return: 0, or the error of the device.
 */
int vmshm_content_allocate(struct vmshm_vnode *vnode, u64 offset, u64 length,
			   struct vmshm_stat *st)
{
	struct vmshm_dev *vdev = vnode->vdev;
	int err;

	mutex_lock(&vnode->lock);
	err = vmshm_command_allocate(vdev, vnode->name,
				     vmshm_vnode_any_handle(vnode), offset,
				     length, st);
	if (!err)
		vnode->size = st->size;
	mutex_unlock(&vnode->lock);
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

	/* The list is stable: each vnode has a reference, and gone is set. */
	hash_for_each_safe(vdev->vnodes, bucket, next, vnode, node) {
		struct vmshm_extent *extent;

		mutex_lock(&vnode->lock);
		vnode->gone = true;
		/* Their pages still name the inode. */
		list_for_each_entry(extent, &vnode->extents, node)
			ihold(extent->inode);
		list_splice_tail_init(&vnode->extents, taken);
		mutex_unlock(&vnode->lock);
		unmap_mapping_range(vnode->inode->i_mapping, 0, 0, 1);
		vmshm_vnode_put(vnode);
	}
}

/**
 * vmshm_content_stop() - give up all pages: the device is gone
 * @vdev: a device with an arena; gone is set
 *
 * Waits until no page of the arena is in use.
 */
void vmshm_content_stop(struct vmshm_dev *vdev)
{
	LIST_HEAD(taken);

	vmshm_content_take(vdev, &taken);
	vmshm_extent_stop(vdev, &taken);
}

/**
 * vmshm_content_is_attached() - whether a reset of the device would lose content
 * @vdev: the device
 *
 * Return: true if an object is attached, or a page of one is in use.
 */
bool vmshm_content_is_attached(struct vmshm_dev *vdev)
{
	struct vmshm_vnode *vnode;
	bool attached;
	int i;

	mutex_lock(&vdev->vnodes_lock);
	attached = vdev->buffer || !list_empty(&vdev->lingering);
	hash_for_each(vdev->vnodes, i, vnode, node)
		attached |= vnode->handle || !list_empty(&vnode->extents);
	mutex_unlock(&vdev->vnodes_lock);
	return attached;
}
