// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm extents: parts of objects that are attached to the arena.
 *
 * A page of an extent can be in use when nothing maps it any more: in a pipe
 * after vmsplice(), or as the buffer of a transfer. Its count tells. Such an
 * extent lingers, attached as it was, until the last page is dropped; only
 * then its place can become another object's.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/slab.h>

#include "vmshm.h"

/* How often to look whether a lingering extent is free. */
#define VMSHM_LINGER_DELAY (HZ / 10)

static struct page *vmshm_extent_nth(struct vmshm_extent *extent,
				     unsigned long n)
{
	return vmshm_arena_page(extent->object->vdev->arena,
				extent->place + ((u64)n << PAGE_SHIFT));
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

/* The pages forget the object; nobody uses them any more. */
static void vmshm_extent_forget(struct vmshm_extent *extent)
{
	unsigned long n;

	for (n = extent->touched_first; n < extent->touched_end; n++)
		vmshm_extent_nth(extent, n)->mapping = NULL;
}

/* Detaches a part that is not busy. */
static void vmshm_extent_detach(struct vmshm_extent *extent)
{
	struct vmshm_dev *vdev = extent->object->vdev;
	int err;

	vmshm_extent_forget(extent);
	mutex_lock(&vdev->lock);
	err = vmshm_regs_detach(vdev, extent->handle);
	mutex_unlock(&vdev->lock);
	/*
	 * What the device could not detach is a place that stays taken. A
	 * device that is gone gives up all soon, and its places have to be free
	 * for that.
	 */
	if (err && err != -ENODEV)
		dev_warn(&vdev->dev, "cannot detach %s: error %d\n",
			 extent->object->name, err);
	else
		vmshm_arena_free(vdev->arena, extent->place, extent->length);
	kfree(extent);
}

int vmshm_extent_attach(struct vmshm_object *object, u64 offset, u64 length)
{
	struct vmshm_dev *vdev = object->vdev;
	struct vmshm_extent *extent;
	u64 ident, size;
	int err;

	extent = kzalloc(sizeof(*extent), GFP_KERNEL);
	if (!extent)
		return -ENOMEM;
	extent->object = object;
	extent->offset = offset;
	extent->length = length;
	extent->readonly = object->readonly;
	err = vmshm_arena_alloc(vdev->arena, length, extent->readonly,
				&extent->place);
	if (err)
		goto err_free;

	mutex_lock(&vdev->lock);
	err = vmshm_regs_attach(vdev, object->name, vmshm_object_handle(object),
				extent, &ident, &size);
	if (!err && ident != object->ident) {
		/* The name is another object's by now. */
		err = vmshm_regs_detach(vdev, extent->handle) ?: -ESTALE;
	}
	mutex_unlock(&vdev->lock);
	if (err)
		goto err_place;
	list_add_tail(&extent->node, &object->extents);
	object->size = size;
	return 0;

err_place:
	vmshm_arena_free(vdev->arena, extent->place, length);
err_free:
	kfree(extent);
	return err;
}

/* Detaches it, now or when its last page is dropped. It maps nowhere. */
void vmshm_extent_release(struct vmshm_extent *extent)
{
	struct vmshm_object *object = extent->object;
	struct vmshm_dev *vdev = object->vdev;

	list_del(&extent->node);
	if (!vmshm_extent_busy(extent)) {
		vmshm_extent_detach(extent);
		return;
	}
	/* Its pages still name the object's address space. */
	vmshm_object_hold(object);
	mutex_lock(&vdev->objects_lock);
	list_add_tail(&extent->node, &vdev->lingering);
	mutex_unlock(&vdev->objects_lock);
	schedule_delayed_work(&vdev->linger_work, VMSHM_LINGER_DELAY);
}

struct vmshm_extent *vmshm_extent_find(struct vmshm_object *object, u64 offset)
{
	struct vmshm_extent *extent;

	list_for_each_entry(extent, &object->extents, node)
		if (offset >= extent->offset &&
		    offset - extent->offset < extent->length)
			return extent;
	return NULL;
}

/* The page of the object at @offset, which is in the extent. */
struct page *vmshm_extent_page(struct vmshm_extent *extent, u64 offset)
{
	unsigned long n = (offset - extent->offset) >> PAGE_SHIFT;
	struct page *page = vmshm_extent_nth(extent, n);

	if (!page->mapping) {
		page->mapping = extent->object->inode->i_mapping;
		vmshm_page_set_index(page, offset >> PAGE_SHIFT);
	}
	if (extent->touched_end == 0) {
		extent->touched_first = n;
		extent->touched_end = n + 1;
	} else {
		extent->touched_first = min(extent->touched_first, n);
		extent->touched_end = max(extent->touched_end, n + 1);
	}
	return page;
}

/*
 * The first of the PMD_SIZE bytes of pages at @offset, which are all in the
 * extent, for a huge entry. That holds no references; see busy_mapped().
 */
struct page *vmshm_extent_huge_page(struct vmshm_extent *extent, u64 offset)
{
	u64 next;

	for (next = offset; next < offset + PMD_SIZE; next += PAGE_SIZE)
		vmshm_extent_page(extent, next);
	extent->huge = true;
	return vmshm_extent_page(extent, offset);
}

/*
 * Whether a part that may be mapped is in use. Huge entries do not show in the
 * counts of pages, so such mappings go first; who needs them comes again. (Not
 * private copies, which are nowhere else.)
 */
static bool vmshm_extent_busy_mapped(struct vmshm_extent *extent)
{
	if (!extent->huge)
		return vmshm_extent_busy(extent);
	unmap_mapping_range(extent->object->inode->i_mapping, extent->offset,
			    extent->length, 0);
	extent->huge = false;
	return vmshm_extent_busy(extent);
}

/*
 * Detaches what nobody uses now. So that the device still knows the object
 * then, it gets a handle that shows nothing; without one, one extent stays.
 */
void vmshm_extent_reclaim(struct vmshm_object *object)
{
	struct vmshm_extent *extent, *next;

	list_for_each_entry_safe(extent, next, &object->extents, node) {
		if (vmshm_extent_busy_mapped(extent))
			continue;
		if (list_is_singular(&object->extents) &&
		    vmshm_object_keep(object))
			break;
		list_del(&extent->node);
		vmshm_extent_detach(extent);
	}
}

/* Takes what is free by now off the list of lingering extents. */
static void vmshm_linger_work(struct work_struct *work)
{
	struct vmshm_dev *vdev = container_of(to_delayed_work(work),
					      struct vmshm_dev, linger_work);
	struct vmshm_extent *extent, *next;
	LIST_HEAD(done);
	bool more;

	mutex_lock(&vdev->objects_lock);
	list_for_each_entry_safe(extent, next, &vdev->lingering, node)
		if (!vmshm_extent_busy(extent))
			list_move(&extent->node, &done);
	more = !list_empty(&vdev->lingering);
	mutex_unlock(&vdev->objects_lock);

	list_for_each_entry_safe(extent, next, &done, node) {
		struct vmshm_object *object = extent->object;

		list_del(&extent->node);
		vmshm_extent_detach(extent);
		vmshm_object_put(object);
	}
	if (more)
		schedule_delayed_work(&vdev->linger_work, VMSHM_LINGER_DELAY);
}

void vmshm_extents_init(struct vmshm_dev *vdev)
{
	INIT_LIST_HEAD(&vdev->lingering);
	INIT_DELAYED_WORK(&vdev->linger_work, vmshm_linger_work);
}

/* Takes all extents from all objects; a fault that comes later is SIGBUS. */
static void vmshm_extents_take(struct vmshm_dev *vdev, struct list_head *taken)
{
	struct vmshm_object *object;
	struct hlist_node *next;
	int bucket;

	mutex_lock(&vdev->objects_lock);
	hash_for_each(vdev->objects, bucket, object, node)
		object->refs++;
	mutex_unlock(&vdev->objects_lock);

	/* No object comes or goes: each has our reference, and gone is set. */
	hash_for_each_safe(vdev->objects, bucket, next, object, node) {
		struct vmshm_extent *extent;

		mutex_lock(&object->lock);
		object->gone = true;
		list_for_each_entry(extent, &object->extents, node)
			vmshm_object_hold(object);
		list_splice_tail_init(&object->extents, taken);
		mutex_unlock(&object->lock);
		unmap_mapping_range(object->inode->i_mapping, 0, 0, 1);
		vmshm_object_put(object);
	}

	/* Nothing begins to linger any more. */
	cancel_delayed_work_sync(&vdev->linger_work);
	mutex_lock(&vdev->objects_lock);
	list_splice_tail_init(&vdev->lingering, taken);
	mutex_unlock(&vdev->objects_lock);
}

/* A fault that was under way may have mapped a page after the first look. */
static bool vmshm_extents_busy(struct list_head *taken)
{
	struct vmshm_extent *extent;

	list_for_each_entry(extent, taken, node) {
		if (!vmshm_extent_busy(extent))
			continue;
		unmap_mapping_range(extent->object->inode->i_mapping, 0, 0, 1);
		if (vmshm_extent_busy(extent))
			return true;
	}
	return false;
}

/*
 * The device is gone. Waits until no page of the arena is in use: its struct
 * pages go away, and its addresses may become another device's.
 */
void vmshm_extents_stop(struct vmshm_dev *vdev)
{
	unsigned long warn = jiffies + 5 * HZ;
	struct vmshm_extent *extent, *next;
	LIST_HEAD(taken);

	vmshm_extents_take(vdev, &taken);
	while (vmshm_extents_busy(&taken)) {
		if (time_after(jiffies, warn)) {
			dev_warn(&vdev->dev, "waiting for pages in use by pipes or transfers\n");
			warn = jiffies + 60 * HZ;
		}
		msleep(20);
	}
	list_for_each_entry_safe(extent, next, &taken, node) {
		struct vmshm_object *object = extent->object;

		vmshm_extent_forget(extent);
		vmshm_arena_free(vdev->arena, extent->place, extent->length);
		kfree(extent);
		vmshm_object_put(object);
	}
}
