// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm objects: what the arena shows or could show, one for each identity.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "vmshm.h"

/* What is attached at a time of an object that does not fit as a whole */
#define VMSHM_PIECE SZ_16M

/* As vmshm_object_get(), but all of it but the lists. */
static struct vmshm_object *vmshm_object_new(struct vmshm_dev *vdev,
					     const char *name, u64 ident)
{
	struct vmshm_object *object;
	struct inode *inode;

	object = kzalloc(sizeof(*object), GFP_KERNEL);
	if (!object)
		return ERR_PTR(-ENOMEM);
	inode = vmshm_inode_new();
	if (IS_ERR(inode)) {
		kfree(object);
		return ERR_CAST(inode);
	}
	get_device(&vdev->dev);
	object->vdev = vdev;
	object->refs = 1;
	object->ident = ident;
	object->inode = inode;
	vmshm_inode_allow_pmd(inode);
	mutex_init(&object->lock);
	INIT_LIST_HEAD(&object->extents);
	xa_init(&object->tail);
	strscpy(object->name, name, sizeof(object->name));
	return object;
}

static void vmshm_object_free(struct vmshm_object *object)
{
	struct vmshm_dev *vdev = object->vdev;

	iput(object->inode);
	mutex_destroy(&object->lock);
	kfree(object);
	put_device(&vdev->dev);
}

static struct vmshm_object *vmshm_object_find(struct vmshm_dev *vdev, u64 ident)
{
	struct vmshm_object *object;

	hash_for_each_possible(vdev->objects, object, node, ident)
		if (object->ident == ident)
			return object;
	return NULL;
}

/* With another reference, and @fresh as well, if there is none yet; or NULL. */
static struct vmshm_object *vmshm_object_share(struct vmshm_dev *vdev,
					       u64 ident,
					       struct vmshm_object *fresh)
{
	struct vmshm_object *object;

	mutex_lock(&vdev->objects_lock);
	object = vmshm_object_find(vdev, ident);
	if (READ_ONCE(vdev->gone)) {
		object = ERR_PTR(-ENODEV);
	} else if (object) {
		object->refs++;
	} else if (fresh) {
		object = fresh;
		hash_add(vdev->objects, &object->node, ident);
	}
	mutex_unlock(&vdev->objects_lock);
	return object;
}

/*
 * The object that the device has told @st about, whose name is @name. The
 * caller puts it. It is not attached yet.
 */
struct vmshm_object *vmshm_object_get(struct vmshm_dev *vdev, const char *name,
				      const struct vmshm_stat *st)
{
	struct vmshm_object *object, *fresh;

	object = vmshm_object_share(vdev, st->ident, NULL);
	if (!object) {
		/* Without the lock: to find memory, inodes may be dropped. */
		fresh = vmshm_object_new(vdev, name, st->ident);
		if (IS_ERR(fresh))
			return fresh;
		object = vmshm_object_share(vdev, st->ident, fresh);
		if (object != fresh)
			vmshm_object_free(fresh);
	}
	/* Of several names, one that is there now. */
	if (!IS_ERR(object))
		vmshm_object_renamed(object, name);
	return object;
}

/* For who knows that there is another reference. */
void vmshm_object_hold(struct vmshm_object *object)
{
	struct vmshm_dev *vdev = object->vdev;

	mutex_lock(&vdev->objects_lock);
	object->refs++;
	mutex_unlock(&vdev->objects_lock);
}

void vmshm_object_put(struct vmshm_object *object)
{
	struct vmshm_dev *vdev = object->vdev;
	bool last;

	mutex_lock(&vdev->objects_lock);
	last = !--object->refs;
	if (last)
		hash_del(&object->node);
	mutex_unlock(&vdev->objects_lock);
	if (last)
		vmshm_object_free(object);
}

/* What the device knows the object by; 0 if only its name will do. */
u32 vmshm_object_handle(struct vmshm_object *object)
{
	struct vmshm_extent *extent;

	if (object->held)
		return object->held;
	extent = list_first_entry_or_null(&object->extents, struct vmshm_extent,
					  node);
	return extent ? extent->handle : 0;
}

/*
 * An object without any extent needs a handle too: the name is often unlinked
 * before the first byte is there.
 */
int vmshm_object_keep(struct vmshm_object *object)
{
	struct vmshm_dev *vdev = object->vdev;
	u64 ident, size;
	int err;

	if (object->held)
		return 0;
	mutex_lock(&vdev->lock);
	err = vmshm_regs_hold(vdev, object->name, vmshm_object_handle(object),
			      object->readonly, &object->held, &ident, &size);
	if (!err && ident != object->ident) {
		err = vmshm_regs_detach(vdev, object->held) ?: -ESTALE;
		object->held = 0;
	}
	if (!err)
		object->size = size;
	mutex_unlock(&vdev->lock);
	return err;
}

/* The last user is gone. */
static void vmshm_object_detach(struct vmshm_object *object)
{
	struct vmshm_dev *vdev = object->vdev;
	struct vmshm_extent *extent, *next;
	unsigned long index;
	struct page *page;

	list_for_each_entry_safe(extent, next, &object->extents, node)
		vmshm_extent_release(extent);
	if (object->held) {
		mutex_lock(&vdev->lock);
		vmshm_regs_detach(vdev, object->held);
		mutex_unlock(&vdev->lock);
		object->held = 0;
	}
	xa_for_each(&object->tail, index, page)
		put_page(page);
	xa_destroy(&object->tail);
}

/* Asks the device, and takes over the size. */
static int vmshm_object_refresh(struct vmshm_object *object,
				struct vmshm_stat *st)
{
	struct vmshm_dev *vdev = object->vdev;
	int err;

	lockdep_assert_held(&object->lock);
	if (object->gone)
		return -ENODEV;
	mutex_lock(&vdev->lock);
	err = vmshm_regs_stat(vdev, object->name, vmshm_object_handle(object),
			      st);
	mutex_unlock(&vdev->lock);
	if (!err && st->ident != object->ident)
		err = -ESTALE;
	if (!err)
		object->size = st->size;
	return err;
}

int vmshm_object_stat(struct vmshm_object *object, struct vmshm_stat *st)
{
	int err;

	mutex_lock(&object->lock);
	err = vmshm_object_refresh(object, st);
	mutex_unlock(&object->lock);
	return err;
}

/* Makes room in the arena by what files have attached but do not use. */
static void vmshm_object_make_room(struct vmshm_object *self)
{
	struct vmshm_dev *vdev = self->vdev;
	struct vmshm_object *object;
	int bucket;

	vmshm_extent_reclaim(self);
	mutex_lock(&vdev->objects_lock);
	hash_for_each(vdev->objects, bucket, object, node) {
		/* It is the wrong order of locks; so only try. */
		if (object == self || list_empty(&object->extents) ||
		    !mutex_trylock(&object->lock))
			continue;
		vmshm_extent_reclaim(object);
		mutex_unlock(&object->lock);
	}
	mutex_unlock(&vdev->objects_lock);
}

/* The part without an extent around @offset: [*start, *end). */
static void vmshm_object_gap(struct vmshm_object *object, u64 offset,
			     u64 *start, u64 *end)
{
	struct vmshm_extent *extent;

	*start = 0;
	*end = PAGE_ALIGN(object->size);
	list_for_each_entry(extent, &object->extents, node) {
		if (extent->offset + extent->length <= offset)
			*start = max(*start, extent->offset + extent->length);
		else
			*end = min(*end, extent->offset);
	}
}

/*
 * Attaches what is at @offset: all of the gap there, or if that does not fit,
 * a piece of it, or if need be just the page.
 */
static int vmshm_object_attach(struct vmshm_object *object, u64 offset)
{
	static const u64 pieces[] = { VMSHM_PIECE, PMD_SIZE, PAGE_SIZE };
	u64 start, end;
	size_t i;
	int err;

	vmshm_object_gap(object, offset, &start, &end);
	err = vmshm_extent_attach(object, start, end - start);
	if (err != -ENOSPC)
		return err;
	vmshm_object_make_room(object);
	for (i = 0; i < ARRAY_SIZE(pieces) && err == -ENOSPC; i++) {
		u64 from, to;

		/* It may have given up extents of this object. */
		vmshm_object_gap(object, offset, &start, &end);
		from = max(start, offset & ~(pieces[i] - 1));
		to = min(end, (offset & ~(pieces[i] - 1)) + pieces[i]);
		err = vmshm_extent_attach(object, from, to - from);
	}
	return err;
}

/*
 * The page at @offset, which the caller puts. ERR_PTR: -EFAULT beyond the end;
 * -ENOSPC no room in the arena; -ENODEV; -ENOMEM; or what the device says.
 */
struct page *vmshm_object_page(struct vmshm_object *object, u64 offset)
{
	struct vmshm_extent *extent;
	struct vmshm_stat st;
	struct page *page;
	int err;

	lockdep_assert_held(&object->lock);
	if (object->gone)
		return ERR_PTR(-ENODEV);
	extent = vmshm_extent_find(object, offset);
	if (!extent && offset >= object->size) {
		err = vmshm_object_refresh(object, &st);
		if (err)
			return ERR_PTR(err);
	}
	if (offset >= PAGE_ALIGN(object->size))
		return ERR_PTR(-EFAULT);
	if (!extent) {
		err = vmshm_object_attach(object, offset);
		if (err)
			return ERR_PTR(err);
		extent = vmshm_extent_find(object, offset);
		if (WARN_ON_ONCE(!extent))
			return ERR_PTR(-EIO);
	}
	page = vmshm_extent_page(extent, offset);
	get_page(page);
	return page;
}

/*
 * A zero page behind the end, for mappings of 1 MiB of whatever is there. The
 * caller has the object's lock and does not put the page.
 */
struct page *vmshm_object_tail(struct vmshm_object *object, u64 offset)
{
	unsigned long index = offset >> PAGE_SHIFT;
	struct page *page = xa_load(&object->tail, index);
	int err;

	lockdep_assert_held(&object->lock);
	if (object->gone)
		return ERR_PTR(-ENODEV);
	if (page)
		return page;
	page = alloc_page(GFP_HIGHUSER | __GFP_ZERO);
	if (!page)
		return ERR_PTR(-ENOMEM);
	err = xa_err(xa_store(&object->tail, index, page, GFP_KERNEL));
	if (err) {
		put_page(page);
		return ERR_PTR(err);
	}
	return page;
}

/* Attaches all that the arena has room for. */
static int vmshm_object_attach_first(struct vmshm_object *object)
{
	int err;

	if (!object->size)
		return vmshm_object_keep(object);
	err = vmshm_object_attach(object, 0);
	/* There may be room by the time that somebody needs it. */
	return err == -ENOSPC ? vmshm_object_keep(object) : err;
}

/* The same, for reading only if nothing else is allowed. */
static int vmshm_object_attach_allowed(struct vmshm_object *object)
{
	int err = vmshm_object_attach_first(object);

	if (!object->readonly && (err == -EACCES || err == -EPERM)) {
		object->readonly = true;
		err = vmshm_object_attach_first(object);
	}
	return err;
}

/* The device was asked a moment ago, so @size is most probably right. */
static int vmshm_object_first_use(struct vmshm_object *object, u64 size)
{
	struct vmshm_stat st;
	int err;

	object->readonly = object->vdev->features & VMSHM_F_READONLY;
	object->size = size;
	err = vmshm_object_attach_allowed(object);
	/* It is smaller by now. */
	if (err == -ENODATA)
		err = vmshm_object_refresh(object, &st) ?:
		      vmshm_object_attach_allowed(object);
	return err;
}

/*
 * For each file that is opened; vmshm_object_close() ends it. @size is what the
 * device said last. -EACCES: it cannot be written. Other errors are the
 * device's.
 */
int vmshm_object_open(struct vmshm_object *object, u64 size, bool write)
{
	int err = 0;

	mutex_lock(&object->lock);
	if (object->gone)
		err = -ENODEV;
	else if (!object->users)
		err = vmshm_object_first_use(object, size);
	if (!err && write && object->readonly)
		err = -EACCES;
	if (!err)
		object->users++;
	else if (!object->users)
		vmshm_object_detach(object);
	mutex_unlock(&object->lock);
	return err;
}

void vmshm_object_close(struct vmshm_object *object)
{
	mutex_lock(&object->lock);
	if (!--object->users)
		vmshm_object_detach(object);
	mutex_unlock(&object->lock);
}

/*
 * The object was cut. The device has put other memory over what lies beyond
 * the new end of its extents, so they go; what is left comes back by need.
 */
static void vmshm_object_cut(struct vmshm_object *object)
{
	struct address_space *mapping = object->inode->i_mapping;
	u64 end = PAGE_ALIGN(object->size);
	struct vmshm_extent *extent, *next;

	list_for_each_entry_safe(extent, next, &object->extents, node) {
		if (extent->offset + extent->length <= end)
			continue;
		unmap_mapping_range(mapping, extent->offset, extent->length, 0);
		vmshm_extent_release(extent);
	}
	/* Of private copies only those beyond the end go. */
	unmap_mapping_range(mapping, end, 0, 1);
}

int vmshm_object_resize(struct vmshm_object *object, u64 size,
			struct vmshm_stat *st)
{
	struct vmshm_dev *vdev = object->vdev;
	int err;

	mutex_lock(&object->lock);
	if (!object->users)
		object->readonly = false;
	/* By name it could be another object by now. */
	err = object->gone ? -ENODEV : vmshm_object_keep(object);
	if (err)
		goto out;
	mutex_lock(&vdev->lock);
	err = vmshm_regs_resize(vdev, object->name, vmshm_object_handle(object),
				size, st);
	mutex_unlock(&vdev->lock);
	if (!err) {
		object->size = st->size;
		vmshm_object_cut(object);
	}
out:
	if (!object->users)
		vmshm_object_detach(object);
	mutex_unlock(&object->lock);
	return err;
}

int vmshm_object_allocate(struct vmshm_object *object, u64 offset, u64 length,
			  struct vmshm_stat *st)
{
	struct vmshm_dev *vdev = object->vdev;
	int err;

	mutex_lock(&object->lock);
	mutex_lock(&vdev->lock);
	err = vmshm_regs_allocate(vdev, object->name,
				  vmshm_object_handle(object), offset, length,
				  st);
	mutex_unlock(&vdev->lock);
	if (!err)
		object->size = st->size;
	mutex_unlock(&object->lock);
	return err;
}

void vmshm_object_renamed(struct vmshm_object *object, const char *name)
{
	mutex_lock(&object->lock);
	strscpy(object->name, name, sizeof(object->name));
	mutex_unlock(&object->lock);
}

/* Whether it still has the name; -ESTALE: another one has. */
int vmshm_object_stat_name(struct vmshm_object *object, const char *name,
			   struct vmshm_stat *st)
{
	struct vmshm_dev *vdev = object->vdev;
	int err;

	/* Of several names it keeps the one that was there last. */
	mutex_lock(&object->lock);
	mutex_lock(&vdev->lock);
	err = vmshm_regs_stat(vdev, name, 0, st);
	mutex_unlock(&vdev->lock);
	if (!err && st->ident != object->ident)
		err = -ESTALE;
	if (!err)
		strscpy(object->name, name, sizeof(object->name));
	mutex_unlock(&object->lock);
	return err;
}

/* RENAME and LINK */
int vmshm_object_second_name(struct vmshm_object *object, u32 command,
			     const char *from, const char *to, u32 flags)
{
	struct vmshm_dev *vdev = object->vdev;
	int err;

	mutex_lock(&object->lock);
	mutex_lock(&vdev->lock);
	err = vmshm_regs_second_name(vdev, command, from, to, flags);
	mutex_unlock(&vdev->lock);
	if (!err)
		strscpy(object->name, to, sizeof(object->name));
	mutex_unlock(&object->lock);
	return err;
}
