// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm orphans: arenas whose device is gone while a page is in use.
 *
 * A page in a pipe, or in a transfer, cannot be taken back. The removal of a
 * PCI function must not wait for such a page, because the removal holds the
 * lock that every PCI hot-plug needs. The struct pages therefore outlive the
 * function, and a worker frees them when the last page is dropped. Until then
 * no other device must get these addresses: the worker reserves them.
 */
#include <linux/ioport.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <vmshm/regs.h>

#include "arena.h"
#include "extent.h"
#include "orphan.h"
#include "regs.h"
#include "vmshm.h"

/* The interval at which the pages are examined */
#define VMSHM_ORPHAN_INTERVAL (HZ / 10)

/**
 * struct vmshm_orphan - an arena without a device
 * @node: in vmshm_orphans
 * @vdev: the device that is gone; the orphan holds a reference
 * @pdev: its PCI function; the orphan holds a reference
 * @start: physical address of BAR4
 * @size: bytes of BAR4
 * @examined: the removal that made the orphan has ended
 * @reserved: the addresses are reserved
 * @extents: all extents of the arena; some have a page in use
 * @work: examines @extents
 */
struct vmshm_orphan {
	struct list_head node;
	struct vmshm_dev *vdev;
	struct pci_dev *pdev;
	resource_size_t start;
	resource_size_t size;
	bool examined;
	bool reserved;
	struct list_head extents;
	struct delayed_work work;
};

static LIST_HEAD(vmshm_orphans);
/* Protects vmshm_orphans; a spinlock, because a wait condition takes it */
static DEFINE_SPINLOCK(vmshm_orphan_lock);
static DECLARE_WAIT_QUEUE_HEAD(vmshm_orphan_queue);
static struct workqueue_struct *vmshm_orphan_wq;

/*
 * If the function is not only unbound but removed, its BARs are also released.
 * The lock makes this function wait for the removal, and precede any later
 * assignment of addresses.
 */
static void vmshm_orphan_reserve(struct vmshm_orphan *orphan)
{
	struct resource *bar = &orphan->pdev->resource[VMSHM_BAR_ARENA];

	if (orphan->reserved || (orphan->examined && READ_ONCE(bar->parent)))
		return;
	orphan->examined = true;
	pci_lock_rescan_remove();
	if (!bar->parent)
		orphan->reserved = request_mem_region(orphan->start,
						      orphan->size,
						      "vmshm (in use)");
	pci_unlock_rescan_remove();
}

/* Detaches the objects of a PCI function that was only unbound. */
static void vmshm_orphan_detach(struct vmshm_orphan *orphan)
{
	struct vmshm_dev *vdev = orphan->vdev;
	struct pci_dev *pdev = orphan->pdev;

	pci_lock_rescan_remove();
	device_lock(&pdev->dev);
	if (pdev->resource[VMSHM_BAR_REGS].parent && !pdev->dev.driver) {
		mutex_lock(&vdev->lock);
		vmshm_regs_release(vdev);
		mutex_unlock(&vdev->lock);
	}
	device_unlock(&pdev->dev);
	pci_unlock_rescan_remove();
}

static void vmshm_orphan_free(struct vmshm_orphan *orphan)
{
	struct vmshm_dev *vdev = orphan->vdev;

	vmshm_extent_free_all(&orphan->extents);
	vmshm_arena_stop(vdev->arena);
	if (orphan->reserved)
		release_mem_region(orphan->start, orphan->size);
	dev_info(&orphan->pdev->dev, "no page of BAR4 is in use any more\n");
	spin_lock(&vmshm_orphan_lock);
	list_del(&orphan->node);
	spin_unlock(&vmshm_orphan_lock);
	/* From here on the driver may be bound again. */
	wake_up_all(&vmshm_orphan_queue);
	vmshm_orphan_detach(orphan);
	pci_iounmap(orphan->pdev, vdev->name);
	pci_iounmap(orphan->pdev, vdev->regs);
	pci_dev_put(orphan->pdev);
	put_device(&vdev->dev);
	kfree(orphan);
}

static void vmshm_orphan_work(struct work_struct *work)
{
	struct vmshm_orphan *orphan =
		container_of(to_delayed_work(work), struct vmshm_orphan, work);

	vmshm_orphan_reserve(orphan);
	if (vmshm_extent_any_busy(&orphan->extents))
		queue_delayed_work(vmshm_orphan_wq, &orphan->work,
				   VMSHM_ORPHAN_INTERVAL);
	else
		vmshm_orphan_free(orphan);
}

/**
 * vmshm_orphan_add() - leave an arena to the worker
 * @vdev: a device that is gone
 * @pdev: its PCI function
 * @extents: all extents of the arena; the list is empty afterwards
 *
 * The worker also unmaps BAR0 and BAR2.
 */
void vmshm_orphan_add(struct vmshm_dev *vdev, struct pci_dev *pdev,
		      struct list_head *extents)
{
	struct vmshm_orphan *orphan;

	orphan = kzalloc(sizeof(*orphan), GFP_KERNEL | __GFP_NOFAIL);
	get_device(&vdev->dev);
	orphan->vdev = vdev;
	orphan->pdev = pci_dev_get(pdev);
	orphan->start = pci_resource_start(pdev, VMSHM_BAR_ARENA);
	orphan->size = pci_resource_len(pdev, VMSHM_BAR_ARENA);
	INIT_LIST_HEAD(&orphan->extents);
	list_splice_init(extents, &orphan->extents);
	INIT_DELAYED_WORK(&orphan->work, vmshm_orphan_work);
	spin_lock(&vmshm_orphan_lock);
	list_add(&orphan->node, &vmshm_orphans);
	spin_unlock(&vmshm_orphan_lock);
	queue_delayed_work(vmshm_orphan_wq, &orphan->work, 0);
}

static bool vmshm_orphan_has(phys_addr_t start, u64 size)
{
	struct vmshm_orphan *orphan;
	bool found = false;

	spin_lock(&vmshm_orphan_lock);
	list_for_each_entry(orphan, &vmshm_orphans, node)
		found |= start < orphan->start + orphan->size &&
			 orphan->start < start + size;
	spin_unlock(&vmshm_orphan_lock);
	return found;
}

/**
 * vmshm_orphan_wait_for() - wait for a short time until no orphan has these
 *	addresses
 * @start: physical address
 * @size: bytes
 *
 * Return: true if no orphan has them; else there can be no struct pages for
 * these addresses now.
 */
bool vmshm_orphan_wait_for(phys_addr_t start, u64 size)
{
	return wait_event_timeout(vmshm_orphan_queue,
				  !vmshm_orphan_has(start, size), HZ);
}

static bool vmshm_orphan_none(void)
{
	bool none;

	spin_lock(&vmshm_orphan_lock);
	none = list_empty(&vmshm_orphans);
	spin_unlock(&vmshm_orphan_lock);
	return none;
}

/**
 * vmshm_orphan_init() - prepare the module for orphans
 *
 * Return: 0 or -ENOMEM.
 */
int vmshm_orphan_init(void)
{
	vmshm_orphan_wq = alloc_workqueue("vmshm_orphan", WQ_UNBOUND, 0);
	return vmshm_orphan_wq ? 0 : -ENOMEM;
}

/**
 * vmshm_orphan_exit() - wait until there are no orphans, before the module goes
 */
void vmshm_orphan_exit(void)
{
	wait_event(vmshm_orphan_queue, vmshm_orphan_none());
	destroy_workqueue(vmshm_orphan_wq);
}
