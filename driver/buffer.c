// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm buffer: BAR1, which shows one object to all, and its user mappings.
 * Only for devices without an arena.
 *
 * No struct pages: memremap_pages() takes multiples of 2 MiB, BAR1 is 1 MiB
 * and the rest of its 2 MiB may be other devices' registers. So the driver maps
 * raw page frames. As a consequence, a shared futex, O_DIRECT and vmsplice(2)
 * fail with EFAULT. The arena (BAR4) does not have this limit.
 *
 * Memory type: write-back. Behind BAR1 is the host's memory. The usual
 * helpers (vmf_insert_pfn, remap_pfn_range) would follow the MTRRs, which mark
 * all device space below 4 GiB uncached. If the processor obeys the guest's
 * page tables (AMD, TDX), each access would then be 50 to 80 times slower.
 * The driver therefore makes these page table entries itself. The kernel has no
 * other mapping of BAR1, so no alias of another type exists. If the processor
 * obeys the MTRRs, they take precedence, so no memory is cached against the
 * platform's setting.
 * Write-combining is not an option: it lets a store that releases a lock pass
 * the stores that the lock protects.
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "buffer.h"
#include "compat.h"
#include "regs.h"
#include "vmshm.h"

struct vmshm_buffer_frames {
	struct mm_struct *mm;
	unsigned long pfn;
	pgprot_t prot;
};

static int vmshm_buffer_set_pte(pte_t *pte, unsigned long addr, void *data)
{
	struct vmshm_buffer_frames *frames = data;

	if (pte_none(ptep_get(pte)))
		set_pte_at(frames->mm, addr, pte,
			   pte_mkspecial(pfn_pte(frames->pfn, frames->prot)));
	frames->pfn++;
	return 0;
}

/* One fault fills the whole mapping: it is at most 1 MiB. */
static vm_fault_t vmshm_buffer_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct vmshm_dev *vdev = vma->vm_private_data;
	struct vmshm_buffer_frames frames = {
		.mm = vma->vm_mm,
		.pfn = vdev->buffer_pfn + vma->vm_pgoff,
		/* host memory, hence never encrypted with a guest's key */
		.prot = pgprot_decrypted(vma->vm_page_prot),
	};
	unsigned long size = vma->vm_end - vma->vm_start;
	vm_fault_t ret = VM_FAULT_NOPAGE;

	mutex_lock(&vdev->lock);
	if (vdev->gone)
		ret = VM_FAULT_SIGBUS;
	else if (apply_to_page_range(vma->vm_mm, vma->vm_start, size,
				     vmshm_buffer_set_pte, &frames))
		ret = VM_FAULT_OOM;
	mutex_unlock(&vdev->lock);
	return ret;
}

static const struct vm_operations_struct vmshm_buffer_vm_ops = {
	.fault = vmshm_buffer_fault,
};

/**
 * vmshm_buffer_mmap() - map BAR1
 * @vdev: the device
 * @vma: a mapping of a part of the 1 MiB
 *
 * The mapping holds the file, which holds the buffer.
 */
void vmshm_buffer_mmap(struct vmshm_dev *vdev, struct vm_area_struct *vma)
{
	vm_flags_set(vma, VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_private_data = vdev;
	vma->vm_ops = &vmshm_buffer_vm_ops;
}

/* The buffer shows one object: the same name shares it, another gets -EBUSY. */
static struct vmshm_buffer *vmshm_buffer_share(struct vmshm_buffer *buffer,
					       const char *name)
{
	if (strcmp(buffer->name, name))
		return ERR_PTR(-EBUSY);
	refcount_inc(&buffer->users);
	return buffer;
}

static struct vmshm_buffer *vmshm_buffer_show(struct vmshm_dev *vdev,
					      const char *name,
					      struct vmshm_buffer *fresh)
{
	int err;

	if (vdev->gone)
		return ERR_PTR(-ENODEV);
	if (vdev->buffer)
		return vmshm_buffer_share(vdev->buffer, name);
	err = vmshm_regs_open(vdev, name);
	if (err)
		return ERR_PTR(err);
	refcount_set(&fresh->users, 1);
	strscpy(fresh->name, name, sizeof(fresh->name));
	vdev->buffer = fresh;
	return fresh;
}

/**
 * vmshm_buffer_get() - show an object in BAR1
 * @vdev: the device
 * @name: "/" and the name
 *
 * A file keeps the buffer until its last reference is dropped, and each mapping
 * holds a reference to its file. So fork(2), close(2) before munmap(2) and
 * SIGKILL need no code here.
 *
 * Return: the buffer; or ERR_PTR(): -EBUSY if BAR1 shows another object,
 * -ENODEV, -ENOMEM, or the error of the device.
 */
struct vmshm_buffer *vmshm_buffer_get(struct vmshm_dev *vdev, const char *name)
{
	/* Without the lock: an allocation may evict inodes. */
	struct vmshm_buffer *fresh =
		kzalloc(sizeof(*fresh), GFP_KERNEL_ACCOUNT);
	struct vmshm_buffer *buffer;

	if (!fresh)
		return ERR_PTR(-ENOMEM);
	mutex_lock(&vdev->lock);
	buffer = vmshm_buffer_show(vdev, name, fresh);
	mutex_unlock(&vdev->lock);
	if (buffer != fresh)
		kfree(fresh);
	return buffer;
}

/**
 * vmshm_buffer_put() - give back the buffer
 * @vdev: the device
 * @buffer: of vmshm_buffer_get()
 */
void vmshm_buffer_put(struct vmshm_dev *vdev, struct vmshm_buffer *buffer)
{
	mutex_lock(&vdev->lock);
	if (refcount_dec_and_test(&buffer->users)) {
		if (!vdev->gone)
			vmshm_regs_close(vdev);
		vdev->buffer = NULL;
		kfree(buffer);
	}
	mutex_unlock(&vdev->lock);
}
