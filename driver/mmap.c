// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm user mappings of the arena: write-back memory with struct pages.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/sizes.h>

#include "vmshm.h"

/* One fault maps the naturally aligned pages around it as well; bytes. */
#define VMSHM_FAULT_AROUND SZ_64K

static vm_fault_t vmshm_fault_errno(long err)
{
	return err == -ENOMEM ? VM_FAULT_OOM : VM_FAULT_SIGBUS;
}

/*
 * Maps the neighbours of the page at vmf->address that are attached. A fault
 * costs much more than an entry. What is mapped already stays as it is.
 */
static void vmshm_fault_around(struct vmshm_object *object,
			       struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long here = vmf->address & PAGE_MASK;
	unsigned long start = here & ~(VMSHM_FAULT_AROUND - 1);
	unsigned long end = start + VMSHM_FAULT_AROUND;
	unsigned long addr;

	start = max(start, vma->vm_start);
	end = min(end, vma->vm_end);
	for (addr = start; addr < end; addr += PAGE_SIZE) {
		u64 offset = ((u64)vma->vm_pgoff << PAGE_SHIFT) +
			     (addr - vma->vm_start);
		struct vmshm_extent *extent;
		struct page *page;

		if (addr == here || offset >= object->size)
			continue;
		extent = vmshm_extent_find(object, offset);
		if (!extent)
			continue;
		page = vmshm_extent_page(extent, offset);
		if (vm_insert_page(vma, addr, page) == -ENOMEM)
			break;
	}
}

/* A private copy is to be made, or userfaultfd has left a marker. */
static bool vmshm_fault_is_special(struct vm_fault *vmf)
{
	if ((vmf->flags & FAULT_FLAG_WRITE) &&
	    !(vmf->vma->vm_flags & VM_SHARED))
		return true;
	return (vmf->flags & FAULT_FLAG_ORIG_PTE_VALID) &&
	       !pte_none(vmf->orig_pte);
}

/*
 * Maps @page, whose reference it takes over, or says what error it is, while
 * the object's lock is held: who cuts the object, and takes its pages out of
 * all mappings, must not miss one. Only what is special the kernel does itself.
 */
static vm_fault_t vmshm_fault_finish(struct vm_fault *vmf, struct page *page)
{
	int err = 0;

	if (IS_ERR(page))
		return vmshm_fault_errno(PTR_ERR(page));
	if (vmshm_fault_is_special(vmf)) {
		vmf->page = page;
		return 0;
	}
	/* Somebody may have made a huge entry while we waited for the lock. */
	if (!vmshm_pmd_is_huge(*vmf->pmd))
		err = vm_insert_page(vmf->vma, vmf->address & PAGE_MASK, page);
	put_page(page);
	/* EBUSY: another thread was faster. */
	if (err && err != -EBUSY)
		return vmshm_fault_errno(err);
	return VM_FAULT_NOPAGE;
}

static vm_fault_t vmshm_object_fault(struct vm_fault *vmf)
{
	struct vmshm_object *object = vmf->vma->vm_private_data;
	struct page *page;
	vm_fault_t ret;

	mutex_lock(&object->lock);
	page = vmshm_object_page(object, (u64)vmf->pgoff << PAGE_SHIFT);
	if (!IS_ERR(page))
		vmshm_fault_around(object, vmf);
	ret = vmshm_fault_finish(vmf, page);
	mutex_unlock(&object->lock);
	return ret;
}

#ifdef VMSHM_HAS_PMD
/*
 * The page to begin a huge entry with that maps the object at vmf->address, or
 * NULL if there can be none: all of it has to be in the mapping, in the object
 * and in one extent, equally aligned. The extent has been told.
 */
static struct page *vmshm_huge_page(struct vmshm_object *object,
				    struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long start = vmf->address & PMD_MASK;
	struct vmshm_extent *extent;
	u64 offset;

	/* Somebody may have made single ones while we waited for the lock. */
	if (!pmd_none(*vmf->pmd) && !vmshm_pmd_is_huge(*vmf->pmd))
		return NULL;
	if (object->gone ||
	    !vmshm_arena_allows_pmd(object->vdev->arena) ||
	    !(vma->vm_flags & VM_SHARED) ||
	    start < vma->vm_start || start + PMD_SIZE > vma->vm_end)
		return NULL;
	offset = ((u64)vma->vm_pgoff << PAGE_SHIFT) + (start - vma->vm_start);
	extent = vmshm_extent_find(object, offset);
	if (!extent || offset + PMD_SIZE > object->size ||
	    offset + PMD_SIZE > extent->offset + extent->length ||
	    !IS_ALIGNED(extent->place + (offset - extent->offset), PMD_SIZE))
		return NULL;
	return vmshm_extent_huge_page(extent, offset);
}

static vm_fault_t vmshm_object_huge_fault(struct vm_fault *vmf,
					  vmshm_fault_order order)
{
	struct vmshm_object *object = vmf->vma->vm_private_data;
	vm_fault_t ret = VM_FAULT_FALLBACK;
	struct page *page;

	if (order != VMSHM_FAULT_PMD)
		return VM_FAULT_FALLBACK;
	mutex_lock(&object->lock);
	page = vmshm_huge_page(object, vmf);
	if (page)
		ret = vmshm_insert_pmd(vmf, page,
				       vmf->flags & FAULT_FLAG_WRITE);
	mutex_unlock(&object->lock);
	return ret;
}
#endif

static const struct vm_operations_struct vmshm_object_vm_ops = {
	.fault = vmshm_object_fault,
#ifdef VMSHM_HAS_PMD
	.huge_fault = vmshm_object_huge_fault,
#endif
};

/*
 * For the contract of 2010: behind the object there is zero memory up to 1 MiB,
 * the same for all who map the object so.
 */
static vm_fault_t vmshm_buffer_fault(struct vm_fault *vmf)
{
	struct vmshm_object *object = vmf->vma->vm_private_data;
	u64 offset = (u64)vmf->pgoff << PAGE_SHIFT;
	struct page *page;
	vm_fault_t ret;

	mutex_lock(&object->lock);
	page = vmshm_object_page(object, offset);
	if (!IS_ERR(page)) {
		vmshm_fault_around(object, vmf);
	} else if (PTR_ERR(page) == -EFAULT) {
		page = vmshm_object_tail(object, offset);
		if (!IS_ERR(page))
			get_page(page);
	}
	ret = vmshm_fault_finish(vmf, page);
	mutex_unlock(&object->lock);
	return ret;
}

static const struct vm_operations_struct vmshm_buffer_vm_ops = {
	.fault = vmshm_buffer_fault,
};

/*
 * The mapping holds its file, which holds the object. VM_MIXEDMAP: these are
 * pages, but not of the kind that the kernel may lock, merge or move.
 */
void vmshm_object_mmap(struct vmshm_object *object, struct vm_area_struct *vma)
{
	vm_flags_set(vma, VM_MIXEDMAP);
	vma->vm_private_data = object;
	vma->vm_ops = &vmshm_object_vm_ops;
}

/* The same for a part of the first 1 MiB; it cannot grow. */
void vmshm_object_mmap_buffer(struct vmshm_object *object,
			      struct vm_area_struct *vma)
{
	vm_flags_set(vma, VM_MIXEDMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_private_data = object;
	vma->vm_ops = &vmshm_buffer_vm_ops;
}
