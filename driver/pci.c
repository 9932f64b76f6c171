// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm PCI part: probe, remove, reset and sleep.
 *
 * Only the three BARs of 2010 are required. A reset of the function detaches
 * all objects. After the reset, and after a system sleep, the driver attaches
 * them again. If the driver could not restore the state of the device, it
 * refuses the sleep. A reset cannot be refused. For a device without an arena,
 * the driver treats the reset as the removal of the function.
 */
#include <linux/err.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/pm.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include <vmshm/regs.h>

#include "arena.h"
#include "compat.h"
#include "content.h"
#include "dev.h"
#include "futex.h"
#include "ioctl.h"
#include "mailbox.h"
#include "orphan.h"
#include "queue.h"
#include "regs.h"
#include "reset.h"
#include "slot.h"
#include "super.h"
#include "vmshm.h"
#include "watch.h"

/* The BARs of 2010, which are required */
#define VMSHM_PCI_BARS \
	(BIT(VMSHM_BAR_REGS) | BIT(VMSHM_BAR_BUFFER) | BIT(VMSHM_BAR_NAME))

static int vmshm_pci_check_bar(struct pci_dev *pdev, int bar,
			       resource_size_t size)
{
	if ((pci_resource_flags(pdev, bar) & IORESOURCE_MEM) &&
	    pci_resource_len(pdev, bar) >= size)
		return 0;
	dev_err(&pdev->dev, "BAR%d: not %pa bytes of memory\n", bar, &size);
	return -ENODEV;
}

static int vmshm_pci_check_bars(struct pci_dev *pdev)
{
	int err;

	/* A device of 2010 may have fewer than VMSHM_REGS_SIZE bytes. */
	err = vmshm_pci_check_bar(pdev, VMSHM_BAR_REGS,
				  VMSHM_REG_CLOSE + sizeof(u32));
	if (!err)
		err = vmshm_pci_check_bar(pdev, VMSHM_BAR_BUFFER,
					  VMSHM_BUFFER_SIZE);
	if (!err)
		err = vmshm_pci_check_bar(pdev, VMSHM_BAR_NAME,
					  VMSHM_NAME_SIZE);
	return err;
}

static void vmshm_pci_explain(struct pci_dev *pdev, int err)
{
	if (err == -EOPNOTSUPP)
		dev_warn(&pdev->dev,
			 "this kernel has no ZONE_DEVICE, so there is only the 1 MiB buffer\n");
	else
		dev_warn(&pdev->dev,
			 "no pages for BAR4 (error %d), so there is only the 1 MiB buffer\n",
			 err);
}

/*
 * The arena is optional. Without its pages the driver uses the buffer, as on a
 * device of 2010.
 */
static void vmshm_pci_find_arena(struct vmshm_dev *vdev, struct pci_dev *pdev)
{
	struct vmshm_arena *arena;
	u64 rw_size, ro_size;

	if (pci_resource_len(pdev, VMSHM_BAR_REGS) < VMSHM_REGS_SIZE ||
	    vmshm_regs_read(vdev, VMSHM_REG_ID) != VMSHM_ID ||
	    vmshm_regs_read(vdev, VMSHM_REG_VERSION) >> 16 !=
		    VMSHM_VERSION_MAJOR)
		return;
	vdev->features = vmshm_regs_read(vdev, VMSHM_REG_FEATURES);
	rw_size = vmshm_regs_read64(vdev, VMSHM_REG_RW_SIZE_LO);
	ro_size = vmshm_regs_read64(vdev, VMSHM_REG_RO_SIZE_LO);
	if (!(vdev->features & VMSHM_F_ARENA) || !rw_size ||
	    !IS_ALIGNED(rw_size | ro_size, SZ_2M) || rw_size > SIZE_MAX / 2 ||
	    ro_size > SIZE_MAX / 2)
		return;
	if (!pci_resource_start(pdev, VMSHM_BAR_ARENA) ||
	    pci_resource_len(pdev, VMSHM_BAR_ARENA) < rw_size + ro_size) {
		dev_warn(&pdev->dev,
			 "BAR4 has no address, so there is only the 1 MiB buffer; give the bridge a larger pref64-reserve, or the device a smaller arena\n");
		return;
	}
	if (!vmshm_orphan_wait_for(pci_resource_start(pdev, VMSHM_BAR_ARENA),
				   pci_resource_len(pdev, VMSHM_BAR_ARENA))) {
		dev_warn(&pdev->dev,
			 "a page of BAR4 is in use since the device was unbound, so there is only the 1 MiB buffer\n");
		return;
	}
	if (pci_request_region(pdev, VMSHM_BAR_ARENA, "vmshm")) {
		dev_warn(&pdev->dev,
			 "BAR4 overlaps another resource, so there is only the 1 MiB buffer; give the device a smaller arena\n");
		return;
	}
	arena = vmshm_arena_new(&pdev->dev,
				pci_resource_start(pdev, VMSHM_BAR_ARENA),
				rw_size, ro_size);
	if (IS_ERR(arena)) {
		vmshm_pci_explain(pdev, PTR_ERR(arena));
		pci_release_region(pdev, VMSHM_BAR_ARENA);
	} else {
		vdev->arena = arena;
	}
}

/* Without command memory, commands go through registers. */
static void vmshm_pci_map_memory(struct vmshm_dev *vdev, struct pci_dev *pdev)
{
	resource_size_t start = pci_resource_start(pdev, VMSHM_BAR_REGS);

	if (pci_resource_len(pdev, VMSHM_BAR_REGS) >= VMSHM_BAR0_SIZE)
		vdev->memory = vmshm_compat_map_memory(vdev->regs, start,
						       VMSHM_REGS_SIZE,
						       VMSHM_BAR0_SIZE);
}

static int vmshm_pci_map_bars(struct vmshm_dev *vdev, struct pci_dev *pdev)
{
	resource_size_t buffer = pci_resource_start(pdev, VMSHM_BAR_BUFFER);

	vdev->buffer_pfn = buffer >> PAGE_SHIFT;
	vdev->regs = pci_iomap(pdev, VMSHM_BAR_REGS, 0);
	if (!vdev->regs)
		return -ENOMEM;
	vdev->name = pci_iomap(pdev, VMSHM_BAR_NAME, 0);
	if (!vdev->name) {
		pci_iounmap(pdev, vdev->regs);
		return -ENOMEM;
	}
	vmshm_pci_map_memory(vdev, pdev);
	return 0;
}

/* Gives up the BARs; a worker does so later if a page is in use. */
static void vmshm_pci_release_bars(struct vmshm_dev *vdev, struct pci_dev *pdev)
{
	vmshm_compat_unmap_memory(vdev->memory, VMSHM_REGS_SIZE);
	if (!list_empty(&vdev->lingering)) {
		vmshm_orphan_add(vdev, pdev, &vdev->lingering);
	} else {
		if (vdev->arena)
			vmshm_arena_stop(vdev->arena);
		pci_iounmap(pdev, vdev->name);
		pci_iounmap(pdev, vdev->regs);
	}
	if (vdev->arena)
		pci_release_region(pdev, VMSHM_BAR_ARENA);
}

/* Without slots, only waiting is not supported. */
static void vmshm_pci_find_slots(struct vmshm_dev *vdev, struct pci_dev *pdev)
{
	struct vmshm_slots *slots;

	if (!vdev->arena || !(vdev->features & VMSHM_F_FUTEX))
		return;
	slots = vmshm_slots_new(pdev, vdev->regs,
				vdev->mailboxes ? vdev->memory : NULL);
	if (!slots)
		return;
	vdev->queue = vmshm_queue_new(slots);
	if (!vdev->queue) {
		vmshm_slots_exit(slots);
		kvfree(slots);
		return;
	}
	vdev->slots = slots;
}

/* A kernel that crashed may have left objects attached. */
static void vmshm_pci_release_stale(struct vmshm_dev *vdev)
{
	mutex_lock(&vdev->lock);
	vmshm_regs_release(vdev);
	mutex_unlock(&vdev->lock);
}

static void vmshm_pci_found_reset(struct vmshm_dev *vdev);

static int vmshm_pci_start(struct pci_dev *pdev)
{
	struct vmshm_dev *vdev;
	int err;

	err = vmshm_pci_check_bars(pdev);
	if (err)
		return err;
	err = pci_enable_device_mem(pdev);
	if (err)
		return err;
	err = pci_request_selected_regions(pdev, VMSHM_PCI_BARS, "vmshm");
	if (err)
		goto err_disable;
	vdev = vmshm_dev_new(&pdev->dev);
	if (IS_ERR(vdev)) {
		err = PTR_ERR(vdev);
		goto err_regions;
	}
	err = vmshm_pci_map_bars(vdev, pdev);
	if (err)
		goto err_put;
	vmshm_pci_find_arena(vdev, pdev);
	vmshm_pci_release_stale(vdev);
	vmshm_mailboxes_new(vdev, pdev);
	vmshm_pci_find_slots(vdev, pdev);
	vmshm_mailboxes_request_irq(vdev, pdev);
	pci_set_drvdata(pdev, vdev);
	pci_save_state(pdev);
	vdev->pci_state = pci_store_saved_state(pdev);
	vmshm_watch_init(vdev, vmshm_pci_found_reset);
	err = vmshm_dev_add(vdev);
	if (err)
		goto err_stop;
	vmshm_watch_start(vdev);
	return 0;

err_stop:
	/* After a reset, the PCI core does not clear the driver data. */
	pci_set_drvdata(pdev, NULL);
	/* A mount may have found the device already. */
	vmshm_dev_stop(vdev);
	vmshm_mailboxes_free_irq(vdev);
	if (vdev->slots)
		vmshm_slots_exit(vdev->slots);
	vmshm_pci_release_bars(vdev, pdev);
err_put:
	put_device(&vdev->dev);
err_regions:
	pci_release_selected_regions(pdev, VMSHM_PCI_BARS);
err_disable:
	pci_disable_device(pdev);
	return err;
}

static void vmshm_pci_stop(struct pci_dev *pdev)
{
	struct vmshm_dev *vdev = pci_get_drvdata(pdev);

	/* NULL if the device could not be started after a reset */
	if (!vdev)
		return;
	pci_set_drvdata(pdev, NULL);
	vmshm_dev_del(vdev);
	vmshm_dev_stop(vdev);
	vmshm_mailboxes_free_irq(vdev);
	if (vdev->slots)
		vmshm_slots_exit(vdev->slots);
	vmshm_pci_release_bars(vdev, pdev);
	put_device(&vdev->dev);
	pci_release_selected_regions(pdev, VMSHM_PCI_BARS);
	pci_disable_device(pdev);
}

static int vmshm_pci_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	return vmshm_pci_start(pdev);
}

static void vmshm_pci_remove(struct pci_dev *pdev)
{
	struct vmshm_dev *vdev = pci_get_drvdata(pdev);

	if (vdev)
		vmshm_watch_stop(vdev);
	vmshm_pci_stop(pdev);
}

/* Before kexec and power-off: the next kernel finds the device closed. */
static void vmshm_pci_shutdown(struct pci_dev *pdev)
{
	struct vmshm_dev *vdev = pci_get_drvdata(pdev);

	if (vdev)
		vmshm_dev_shutdown(vdev);
}

/*
 * Prepares a reset of the function or of its bus. Without an arena, objects
 * have no identity by which they could be restored. The users of the object get
 * SIGBUS and ENODEV, so that they do not use private memory unnoticed.
 */
static void vmshm_pci_reset_prepare(struct pci_dev *pdev)
{
	struct vmshm_dev *vdev = pci_get_drvdata(pdev);

	if (!vdev)
		return;
	vmshm_watch_stop(vdev);
	if (vdev->arena) {
		vmshm_reset_begin(vdev);
		return;
	}
	if (vdev->buffer)
		dev_warn(&pdev->dev,
			 "reset while an object is attached: open it again\n");
	vmshm_pci_stop(pdev);
}

/* Whether the device answers; a reset may have failed. */
static bool vmshm_pci_answers(struct vmshm_dev *vdev)
{
	return vmshm_regs_read(vdev, VMSHM_REG_ID) == VMSHM_ID;
}

/* Ends the pause of vmshm_reset_begin(); true: the device is in use again */
static bool vmshm_pci_reset_restore(struct pci_dev *pdev,
				    struct vmshm_dev *vdev)
{
	bool answers = vmshm_pci_answers(vdev);

	get_device(&vdev->dev);
	if (answers)
		vmshm_reset_restore(vdev);
	else
		vmshm_pci_stop(pdev);
	vmshm_reset_end(vdev);
	put_device(&vdev->dev);
	return answers;
}

static void vmshm_pci_reset_done(struct pci_dev *pdev)
{
	struct vmshm_dev *vdev = pci_get_drvdata(pdev);
	int err;

	if (vdev && vmshm_pci_reset_restore(pdev, vdev)) {
		vmshm_watch_start(vdev);
		return;
	}
	err = vmshm_pci_start(pdev);
	if (err)
		dev_err(&pdev->dev, "not usable after a reset (error %d)\n",
			err);
}

/*
 * The function was reset without a call of vmshm_pci_reset_prepare(). Its
 * configuration, too, may have been reset.
 */
static void vmshm_pci_found_reset(struct vmshm_dev *vdev)
{
	struct pci_dev *pdev = to_pci_dev(vdev->dev.parent);

	vmshm_reset_begin(vdev);
	if (!vmshm_pci_answers(vdev) &&
	    !pci_load_saved_state(pdev, vdev->pci_state))
		pci_restore_state(pdev);
	if (!vmshm_pci_reset_restore(pdev, vdev))
		dev_err(&pdev->dev, "the device does not answer\n");
}

static const struct pci_error_handlers vmshm_pci_err_handlers = {
	.reset_prepare = vmshm_pci_reset_prepare,
	.reset_done = vmshm_pci_reset_done,
};

/*
 * All tasks are frozen: no object is attached or detached meanwhile, and no
 * task waits for a word. The reset of a device ends holds, and the host then
 * marks the held words, which cannot be undone.
 */
static int vmshm_pci_suspend(struct device *dev)
{
	struct vmshm_dev *vdev = dev_get_drvdata(dev);

	if (!vdev)
		return 0;
	if (!vmshm_content_can_restore(vdev)) {
		dev_err(dev,
			"an object is attached that a sleep would detach: close it first\n");
		return -EBUSY;
	}
	if (vmshm_ioctl_any_hold(vdev)) {
		dev_err(dev,
			"a word is held, such as by a channel, which a sleep would end: close it first\n");
		return -EBUSY;
	}
	vmshm_reset_expect(vdev);
	return 0;
}

/* The device may have been reset, so all objects are attached again. */
static int vmshm_pci_resume(struct device *dev)
{
	struct vmshm_dev *vdev = dev_get_drvdata(dev);

	if (!vdev)
		return 0;
	if (vdev->arena)
		vmshm_reset_restore(vdev);
	else
		vmshm_pci_release_stale(vdev);
	return 0;
}

/* Sleep, and the snapshot and the restored kernel of hibernation */
static const struct dev_pm_ops vmshm_pci_pm_ops = {
	.suspend = pm_sleep_ptr(vmshm_pci_suspend),
	.resume = pm_sleep_ptr(vmshm_pci_resume),
	.freeze = pm_sleep_ptr(vmshm_pci_suspend),
	.restore = pm_sleep_ptr(vmshm_pci_resume),
};

static const struct pci_device_id vmshm_pci_ids[] = {
	{ PCI_DEVICE(VMSHM_PCI_VENDOR_ID, VMSHM_PCI_DEVICE_ID) },
	{}
};
MODULE_DEVICE_TABLE(pci, vmshm_pci_ids);

static struct pci_driver vmshm_pci_driver = {
	.name = "vmshm",
	.id_table = vmshm_pci_ids,
	.probe = vmshm_pci_probe,
	.remove = vmshm_pci_remove,
	.shutdown = vmshm_pci_shutdown,
	.err_handler = &vmshm_pci_err_handlers,
	.driver.pm = &vmshm_pci_pm_ops,
};

static int __init vmshm_module_init(void)
{
	int err;

	err = vmshm_watch_queue_new();
	if (err)
		return err;
	err = vmshm_orphan_init();
	if (err)
		goto err_watch;
	err = vmshm_dev_init();
	if (err)
		goto err_orphan;
	err = vmshm_fs_init();
	if (err)
		goto err_dev;
	err = pci_register_driver(&vmshm_pci_driver);
	if (err)
		goto err_super;
	vmshm_futex_init();
	return 0;

err_super:
	vmshm_fs_exit();
err_dev:
	vmshm_dev_exit();
err_orphan:
	vmshm_orphan_exit();
err_watch:
	vmshm_watch_queue_free();
	return err;
}
module_init(vmshm_module_init);

static void __exit vmshm_module_exit(void)
{
	vmshm_futex_exit();
	pci_unregister_driver(&vmshm_pci_driver);
	vmshm_fs_exit();
	/* vmshm_orphan_exit() may release the last device. */
	vmshm_orphan_exit();
	vmshm_dev_exit();
	vmshm_watch_queue_free();
}
module_exit(vmshm_module_exit);

MODULE_DESCRIPTION("VMShm: POSIX shared memory of the host");
MODULE_AUTHOR("The VMShm authors");
MODULE_LICENSE("GPL");
MODULE_VERSION(VMSHM_MODULE_VERSION);
