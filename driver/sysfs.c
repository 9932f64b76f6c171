// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm in sysfs: read-only attributes of a device in
 * /sys/class/vmshm/vmshmN. They are removed before the device is gone.
 */
#include <linux/device.h>
#include <linux/sysfs.h>

#include "arena.h"
#include "sysfs.h"
#include "vmshm.h"

static struct vmshm_dev *vmshm_sysfs_dev(struct device *dev)
{
	return container_of(dev, struct vmshm_dev, dev);
}

/* The limit of attached bytes */
static ssize_t arena_size_show(struct device *dev,
			       struct device_attribute *attr, char *buf)
{
	struct vmshm_arena *arena = vmshm_sysfs_dev(dev)->arena;

	return sysfs_emit(buf, "%llu\n", arena ? vmshm_arena_size(arena) : 0);
}
static DEVICE_ATTR_RO(arena_size);

static ssize_t arena_free_show(struct device *dev,
			       struct device_attribute *attr, char *buf)
{
	struct vmshm_arena *arena = vmshm_sysfs_dev(dev)->arena;

	return sysfs_emit(buf, "%llu\n", arena ? vmshm_arena_avail(arena) : 0);
}
static DEVICE_ATTR_RO(arena_free);

/* VMSHM_F_* of <vmshm/regs.h> */
static ssize_t features_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	return sysfs_emit(buf, "0x%x\n", vmshm_sysfs_dev(dev)->features);
}
static DEVICE_ATTR_RO(features);

/*
 * The memory type that the platform allows for the arena, as found when the
 * kernel made its own mapping. All page table entries are write-back. If the
 * processor obeys the MTRRs, "uncached" means that it does not cache the arena.
 */
static ssize_t memory_type_show(struct device *dev,
				struct device_attribute *attr, char *buf)
{
	if (vmshm_arena_is_cached(vmshm_sysfs_dev(dev)->arena))
		return sysfs_emit(buf, "write-back\n");
	return sysfs_emit(buf, "uncached\n");
}
static DEVICE_ATTR_RO(memory_type);

static struct attribute *vmshm_sysfs_attributes[] = {
	&dev_attr_arena_size.attr, &dev_attr_arena_free.attr,
	&dev_attr_features.attr, &dev_attr_memory_type.attr, NULL
};

/* The memory type of BAR1 is not known. */
static umode_t vmshm_sysfs_is_visible(struct kobject *kobj,
				      struct attribute *attr, int index)
{
	if (attr == &dev_attr_memory_type.attr &&
	    !vmshm_sysfs_dev(kobj_to_dev(kobj))->arena)
		return 0;
	return attr->mode;
}

static const struct attribute_group vmshm_sysfs_group = {
	.attrs = vmshm_sysfs_attributes,
	.is_visible = vmshm_sysfs_is_visible,
};

const struct attribute_group *vmshm_sysfs_groups[] = { &vmshm_sysfs_group,
						       NULL };
