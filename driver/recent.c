// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm recent attributes: the attributes that a listing has read.
 *
 * A process that lists a directory often asks about each name next. The listing
 * already has the attributes. They are used once for each name, for a few
 * seconds, by that process only, and not after this guest has changed an
 * object.
 */
#include <linux/hashtable.h>
#include <linux/jiffies.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/stringhash.h>
#include <linux/workqueue.h>

#include "command.h"
#include "compat.h"
#include "recent.h"
#include "vmshm.h"

/* The minimum time for which NFS caches attributes */
#define VMSHM_RECENT_LIFE (3 * HZ)

/**
 * struct vmshm_recent_entry - a name
 * @node: in the table
 * @st: its attributes
 * @name: "/" and the name
 */
struct vmshm_recent_entry {
	struct hlist_node node;
	struct vmshm_stat st;
	char name[];
};

/**
 * struct vmshm_recent - the names of a listing
 * @tgid: the process that lists
 * @until: the end of validity; jiffies
 * @changes: vdev->changes when the listing began
 * @asked: vdev->asked when the listing began
 * @table: the entries that were not used yet
 */
struct vmshm_recent {
	pid_t tgid;
	unsigned long until;
	int changes;
	u64 asked;
	DECLARE_HASHTABLE(table, 10);
};

static u32 vmshm_recent_hash(const char *name)
{
	return full_name_hash(NULL, name, strlen(name));
}

static void vmshm_recent_free(struct vmshm_recent *recent)
{
	struct vmshm_recent_entry *entry;
	struct hlist_node *next;
	int bucket;

	if (!recent)
		return;
	hash_for_each_safe(recent->table, bucket, next, entry, node)
		kfree(entry);
	kfree(recent);
}

/**
 * vmshm_recent_new() - begin to collect the attributes of a listing
 * @vdev: the device
 *
 * vmshm_recent_publish() ends the collection.
 *
 * Return: an empty collection; or NULL, which the other functions accept.
 */
struct vmshm_recent *vmshm_recent_new(struct vmshm_dev *vdev)
{
	struct vmshm_recent *recent;

	recent = kzalloc(sizeof(*recent), GFP_KERNEL_ACCOUNT);
	if (!recent)
		return NULL;
	recent->tgid = current->tgid;
	recent->changes = atomic_read(&vdev->changes);
	recent->asked = atomic64_inc_return(&vdev->asked);
	hash_init(recent->table);
	return recent;
}

/**
 * vmshm_recent_add() - add an entry of the listing
 * @recent: the collection, or NULL
 * @name: "/" and the name
 * @st: its attributes
 *
 * If memory runs out, the name is not added, and the device is asked later.
 */
void vmshm_recent_add(struct vmshm_recent *recent, const char *name,
		      const struct vmshm_stat *st)
{
	struct vmshm_recent_entry *entry;
	size_t size = strlen(name) + 1;

	if (!recent)
		return;
	entry = kmalloc(struct_size(entry, name, size), GFP_KERNEL_ACCOUNT);
	if (!entry)
		return;
	entry->st = *st;
	entry->st.asked = recent->asked;
	memcpy(entry->name, name, size);
	hash_add(recent->table, &entry->node, vmshm_recent_hash(name));
}

/**
 * vmshm_recent_publish() - use a collection from now on
 * @vdev: the device
 * @recent: the collection, or NULL
 */
void vmshm_recent_publish(struct vmshm_dev *vdev, struct vmshm_recent *recent)
{
	if (recent)
		recent->until = jiffies + VMSHM_RECENT_LIFE;
	mutex_lock(&vdev->recent_lock);
	swap(vdev->recent, recent);
	mutex_unlock(&vdev->recent_lock);
	vmshm_recent_free(recent);
	mod_delayed_work(system_percpu_wq, &vdev->recent_work,
			 VMSHM_RECENT_LIFE);
}

static bool vmshm_recent_valid(struct vmshm_dev *vdev)
{
	struct vmshm_recent *recent = vdev->recent;

	return recent && recent->tgid == current->tgid &&
	       time_before(jiffies, recent->until) &&
	       recent->changes == atomic_read(&vdev->changes);
}

/**
 * vmshm_recent_take() - use the attributes of a name
 * @vdev: the device
 * @name: "/" and the name
 * @st: the attributes
 *
 * Return: true; or false: the device has to be asked.
 */
bool vmshm_recent_take(struct vmshm_dev *vdev, const char *name,
		       struct vmshm_stat *st)
{
	struct vmshm_recent_entry *entry, *found = NULL;

	if (!READ_ONCE(vdev->recent))
		return false;
	mutex_lock(&vdev->recent_lock);
	if (vmshm_recent_valid(vdev)) {
		hash_for_each_possible(vdev->recent->table, entry, node,
				       vmshm_recent_hash(name)) {
			if (strcmp(entry->name, name))
				continue;
			found = entry;
			hash_del(&found->node);
			break;
		}
	}
	mutex_unlock(&vdev->recent_lock);
	if (!found)
		return false;
	*st = found->st;
	kfree(found);
	return true;
}

static void vmshm_recent_forget(struct work_struct *work)
{
	struct vmshm_dev *vdev = container_of(to_delayed_work(work),
					      struct vmshm_dev, recent_work);
	struct vmshm_recent *recent = NULL;

	mutex_lock(&vdev->recent_lock);
	swap(vdev->recent, recent);
	mutex_unlock(&vdev->recent_lock);
	vmshm_recent_free(recent);
}

/**
 * vmshm_recent_init() - prepare a new device
 * @vdev: the device
 */
void vmshm_recent_init(struct vmshm_dev *vdev)
{
	mutex_init(&vdev->recent_lock);
	INIT_DELAYED_WORK(&vdev->recent_work, vmshm_recent_forget);
}

/**
 * vmshm_recent_exit() - forget everything: the structure of the device ends
 * @vdev: the device
 */
void vmshm_recent_exit(struct vmshm_dev *vdev)
{
	cancel_delayed_work_sync(&vdev->recent_work);
	vmshm_recent_free(vdev->recent);
	mutex_destroy(&vdev->recent_lock);
}
