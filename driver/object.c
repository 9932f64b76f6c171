// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm objects: one attachment, however many files use it.
 *
 * A file keeps its object until its last reference is dropped, and each
 * mapping holds one. So fork(), close() before munmap() and kill -9 need no
 * code here: the object is released after the last of them.
 */
#include <linux/err.h>
#include <linux/lockdep.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "vmshm.h"

/* The buffer shows one object: its name again shares it, another is busy. */
static struct vmshm_object *vmshm_object_share(struct vmshm_object *object,
					       const char *name)
{
	if (strcmp(object->name, name))
		return ERR_PTR(-EBUSY);
	object->users++;
	return object;
}

struct vmshm_object *vmshm_object_get(struct vmshm_dev *vdev, const char *name)
{
	struct vmshm_object *object;
	int err;

	lockdep_assert_held(&vdev->lock);
	if (vdev->gone)
		return ERR_PTR(-ENODEV);
	if (vdev->object)
		return vmshm_object_share(vdev->object, name);

	object = kzalloc(sizeof(*object), GFP_KERNEL);
	if (!object)
		return ERR_PTR(-ENOMEM);
	err = vmshm_regs_open(vdev, name);
	if (err) {
		kfree(object);
		return ERR_PTR(err);
	}
	object->users = 1;
	strscpy(object->name, name, sizeof(object->name));
	vdev->object = object;
	return object;
}

void vmshm_object_put(struct vmshm_dev *vdev, struct vmshm_object *object)
{
	lockdep_assert_held(&vdev->lock);
	if (--object->users)
		return;
	if (!vdev->gone)
		vmshm_regs_close(vdev);
	vdev->object = NULL;
	kfree(object);
}
