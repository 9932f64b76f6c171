// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm user mappings of the arena: write-back memory with struct pages.
 */
#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hash.h>
#include <linux/mm.h>
#include <linux/sizes.h>

#include "arena.h"
#include "compat.h"
#include "content.h"
#include "extent.h"
#include "mmap.h"
#include "vmshm.h"
#include "vnode.h"

/* Size and alignment of the range that one fault maps (fault-around), bytes */
#define VMSHM_MMAP_AROUND SZ_64K

static vm_fault_t vmshm_mmap_errno(long err)
{
	return err == -ENOMEM ? VM_FAULT_OOM : VM_FAULT_SIGBUS;
}

/*
 * Maps the attached neighbours of the page at vmf->address. A fault costs much
 * more than an entry. Existing entries are not changed.
 */
static void vmshm_mmap_around(struct vmshm_vnode *vnode, struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long here = vmf->address & PAGE_MASK;
	unsigned long start = here & ~(VMSHM_MMAP_AROUND - 1);
	unsigned long end = start + VMSHM_MMAP_AROUND;
	unsigned long addr;

	start = max(start, vma->vm_start);
	end = min(end, vma->vm_end);
	for (addr = start; addr < end; addr += PAGE_SIZE) {
		u64 offset = ((u64)vma->vm_pgoff << PAGE_SHIFT) +
			     (addr - vma->vm_start);
		struct vmshm_extent *extent;
		struct page *page;

		if (addr == here || offset >= vnode->size)
			continue;
		extent = vmshm_extent_find(&vnode->extents, offset);
		if (!extent)
			continue;
		page = vmshm_extent_page(extent, offset);
		if (vmshm_compat_insert_page(vma, addr, page) == -ENOMEM)
			break;
	}
}

/*
 * The page at the fault, and a reference to it; or an error. The log will name
 * this process if the page is in use when the device is removed.
 */
static struct page *vmshm_mmap_page(struct vmshm_vnode *vnode,
				    struct vm_fault *vmf)
{
	struct vmshm_extent *extent;
	struct page *page;

	page = vmshm_content_page(vnode, (u64)vmf->pgoff << PAGE_SHIFT,
				  vmshm_compat_fault_can_retry(vmf), &extent);
	if (!IS_ERR(page))
		vmshm_extent_used_here(extent);
	return page;
}

/* Whether the fault makes a private copy, or userfaultfd has left a marker */
static bool vmshm_mmap_is_special(struct vm_fault *vmf)
{
	if ((vmf->flags & FAULT_FLAG_WRITE) &&
	    !(vmf->vma->vm_flags & VM_SHARED))
		return true;
	return (vmf->flags & FAULT_FLAG_ORIG_PTE_VALID) &&
	       !pte_none(vmf->orig_pte);
}

/*
 * Maps @page, or reports an error, and takes over the reference to the page.
 * The lock of the object is held, because a truncation, which removes pages
 * from all mappings, must not miss this page. Special faults are left to the
 * kernel.
 */
static vm_fault_t vmshm_mmap_finish(struct vm_fault *vmf, struct page *page)
{
	int err = 0;

	if (IS_ERR(page))
		return vmshm_mmap_errno(PTR_ERR(page));
	if (vmshm_mmap_is_special(vmf)) {
		vmf->page = page;
		return 0;
	}
	/* A huge entry may have been made during the wait for the lock. */
	if (!vmshm_compat_pmd_is_huge(*vmf->pmd))
		err = vmshm_compat_insert_page(vmf->vma,
					       vmf->address & PAGE_MASK, page);
	put_page(page);
	/* EBUSY: another thread was faster. */
	if (err && err != -EBUSY)
		return vmshm_mmap_errno(err);
	return VM_FAULT_NOPAGE;
}

/*
 * Lets the arena grow without the lock of the address space, and has the fault
 * retried. The reference to the file keeps the vnode meanwhile.
 */
static vm_fault_t vmshm_mmap_grow(struct vm_fault *vmf,
				  struct vmshm_vnode *vnode)
{
	struct file *file = get_file(vmf->vma->vm_file);

	vmshm_compat_fault_unlock(vmf);
	vmshm_arena_grow(vnode->vdev->arena, vnode->readonly);
	fput(file);
	return VM_FAULT_RETRY;
}

#ifdef VMSHM_HAS_PMD
/*
 * The first page of a huge entry that maps the object at vmf->address, or NULL
 * if no huge entry is possible. The whole range has to be in the mapping, in
 * the object and in one extent, with the same alignment. The extent has
 * recorded the use of the pages.
 */
static struct page *vmshm_mmap_huge_page(struct vmshm_vnode *vnode,
					 struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long start = vmf->address & PMD_MASK;
	struct vmshm_extent *extent;
	u64 offset;

	/* Single entries may have been made during the wait for the lock. */
	if (!pmd_none(*vmf->pmd) && !vmshm_compat_pmd_is_huge(*vmf->pmd))
		return NULL;
	if (vnode->gone || !vmshm_arena_is_cached(vnode->vdev->arena) ||
	    !(vma->vm_flags & VM_SHARED) || start < vma->vm_start ||
	    start + PMD_SIZE > vma->vm_end)
		return NULL;
	offset = ((u64)vma->vm_pgoff << PAGE_SHIFT) + (start - vma->vm_start);
	extent = vmshm_extent_find(&vnode->extents, offset);
	if (!extent || offset + PMD_SIZE > vnode->size ||
	    offset + PMD_SIZE > extent->range.offset + extent->range.length ||
	    !IS_ALIGNED(vmshm_extent_place(extent, offset), PMD_SIZE))
		return NULL;
	vmshm_extent_used_here(extent);
	return vmshm_extent_huge_page(extent, offset);
}

/* Makes a huge entry; else VM_FAULT_FALLBACK. The vnode is locked. */
static vm_fault_t vmshm_mmap_huge(struct vmshm_vnode *vnode,
				  struct vm_fault *vmf)
{
	struct page *page = vmshm_mmap_huge_page(vnode, vmf);

	if (!page)
		return VM_FAULT_FALLBACK;
	return vmshm_compat_insert_pmd(vmf, page,
				       vmf->flags & FAULT_FLAG_WRITE);
}

static vm_fault_t vmshm_mmap_huge_fault(struct vm_fault *vmf,
					unsigned int order)
{
	struct vmshm_vnode *vnode = vmf->vma->vm_private_data;
	vm_fault_t ret;

	if (order != PMD_ORDER)
		return VM_FAULT_FALLBACK;
	vmshm_vnode_lock(vnode);
	ret = vmshm_mmap_huge(vnode, vmf);
	vmshm_vnode_unlock(vnode);
	return ret;
}
#else
static vm_fault_t vmshm_mmap_huge(struct vmshm_vnode *vnode,
				  struct vm_fault *vmf)
{
	return VM_FAULT_FALLBACK;
}
#endif

/*
 * A huge entry is also tried here: the kernel calls ->huge_fault() depending on
 * its setting of transparent huge pages, which is meant for its own memory.
 */
static vm_fault_t vmshm_mmap_fault(struct vm_fault *vmf)
{
	struct vmshm_vnode *vnode = vmf->vma->vm_private_data;
	struct page *page;
	vm_fault_t ret;

	vmshm_vnode_lock(vnode);
	page = vmshm_mmap_page(vnode, vmf);
	ret = IS_ERR(page) ? VM_FAULT_FALLBACK : vmshm_mmap_huge(vnode, vmf);
	if (ret & VM_FAULT_FALLBACK) {
		if (!IS_ERR(page))
			vmshm_mmap_around(vnode, vmf);
		ret = vmshm_mmap_finish(vmf, page);
	} else {
		put_page(page);
	}
	vmshm_vnode_unlock(vnode);
	return page == ERR_PTR(-EAGAIN) ? vmshm_mmap_grow(vmf, vnode) : ret;
}

/*
 * Number of mappings of objects in the address spaces whose mm_struct has the
 * same hash. The kernel does not merge mappings with these flags, so
 * ->close(), which also prevents a merge, has no further cost.
 */
#define VMSHM_MMAP_MM_BITS 14
static atomic_t vmshm_mmap_mms[1 << VMSHM_MMAP_MM_BITS];

static atomic_t *vmshm_mmap_count(struct mm_struct *mm)
{
	return &vmshm_mmap_mms[hash_ptr(mm, VMSHM_MMAP_MM_BITS)];
}

static void vmshm_mmap_open(struct vm_area_struct *vma)
{
	atomic_inc(vmshm_mmap_count(vma->vm_mm));
}

static void vmshm_mmap_close(struct vm_area_struct *vma)
{
	atomic_dec(vmshm_mmap_count(vma->vm_mm));
}

/**
 * vmshm_mmap_may_be_in() - whether an address space may have mappings
 * @mm: the address space
 *
 * Context: any.
 * Return: false if it has none; true if it, or another address space with the
 * same hash, has mappings.
 */
bool vmshm_mmap_may_be_in(struct mm_struct *mm)
{
	return atomic_read(vmshm_mmap_count(mm));
}

static const struct vm_operations_struct vmshm_mmap_vm_ops = {
	.open = vmshm_mmap_open,
	.close = vmshm_mmap_close,
	.fault = vmshm_mmap_fault,
#ifdef VMSHM_HAS_PMD
	.huge_fault = vmshm_mmap_huge_fault,
#endif
};

/*
 * For the contract of 2010: behind the object there is zero memory up to 1 MiB.
 * All such mappings of the object share this memory.
 */
static vm_fault_t vmshm_mmap_buffer_fault(struct vm_fault *vmf)
{
	struct vmshm_vnode *vnode = vmf->vma->vm_private_data;
	u64 offset = (u64)vmf->pgoff << PAGE_SHIFT;
	struct page *page;
	vm_fault_t ret;

	vmshm_vnode_lock(vnode);
	page = vmshm_mmap_page(vnode, vmf);
	if (!IS_ERR(page)) {
		vmshm_mmap_around(vnode, vmf);
	} else if (PTR_ERR(page) == -EFAULT) {
		page = vmshm_content_tail(vnode, offset);
		if (!IS_ERR(page))
			get_page(page);
	}
	ret = vmshm_mmap_finish(vmf, page);
	vmshm_vnode_unlock(vnode);
	return page == ERR_PTR(-EAGAIN) ? vmshm_mmap_grow(vmf, vnode) : ret;
}

static const struct vm_operations_struct vmshm_mmap_buffer_vm_ops = {
	.open = vmshm_mmap_open,
	.close = vmshm_mmap_close,
	.fault = vmshm_mmap_buffer_fault,
};

/**
 * vmshm_mmap_vnode() - map an object of any size
 * @vnode: of the file that is mapped
 * @vma: the mapping
 *
 * The mapping holds its file, which holds the vnode.
 */
void vmshm_mmap_vnode(struct vmshm_vnode *vnode, struct vm_area_struct *vma)
{
	vm_flags_set(vma, vmshm_compat_vm_flags(vma));
	vma->vm_private_data = vnode;
	vma->vm_ops = &vmshm_mmap_vm_ops;
	vmshm_mmap_open(vma);
}

/**
 * vmshm_mmap_vnode_buffer() - map a part of the first 1 MiB of an object
 * @vnode: of the file that is mapped
 * @vma: the mapping; it cannot grow
 */
void vmshm_mmap_vnode_buffer(struct vmshm_vnode *vnode,
			     struct vm_area_struct *vma)
{
	vm_flags_set(vma, VM_MIXEDMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_private_data = vnode;
	vma->vm_ops = &vmshm_mmap_buffer_vm_ops;
	vmshm_mmap_open(vma);
}

static bool vmshm_mmap_is_ours(struct vm_area_struct *vma)
{
	/* A read-only mapping has VM_MAYSHARE only. */
	return (vma->vm_flags & VM_MAYSHARE) &&
	       (vma->vm_ops == &vmshm_mmap_vm_ops ||
		vma->vm_ops == &vmshm_mmap_buffer_vm_ops);
}

/**
 * vmshm_mmap_find() - find the object that an address of this task maps
 * @addr: the address
 * @word: is filled in
 *
 * Context: sleeps; takes mmap_lock.
 * Return: true, and vmshm_mmap_put() has to follow; or false: the address is
 * in no shared mapping of an object.
 */
bool vmshm_mmap_find(unsigned long addr, struct vmshm_mmap_word *word)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	bool found;

	mmap_read_lock(mm);
	vma = vma_lookup(mm, addr);
	found = vma && vmshm_mmap_is_ours(vma);
	if (found) {
		word->file = get_file(vma->vm_file);
		word->vnode = vma->vm_private_data;
		word->offset = ((u64)vma->vm_pgoff << PAGE_SHIFT) +
			       (addr - vma->vm_start);
	}
	mmap_read_unlock(mm);
	return found;
}

/**
 * vmshm_mmap_put() - give back what vmshm_mmap_find() found
 * @word: the result of vmshm_mmap_find()
 */
void vmshm_mmap_put(struct vmshm_mmap_word *word)
{
	fput(word->file);
}
