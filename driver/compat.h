/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Differences between the kernels that this driver supports. All other code
 * reads as if written for the newest kernel.
 */
#ifndef VMSHM_COMPAT_H
#define VMSHM_COMPAT_H

#include <linux/err.h>
#include <linux/fs.h>
#include <linux/ftrace.h>
#include <linux/futex.h>
#include <linux/io.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/set_memory.h>
#include <linux/splice.h>
#include <linux/version.h>
#include <linux/workqueue.h>
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
#include <linux/pfn_t.h>
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "vmshm needs Linux 6.1 or later"
#endif

/* The device counts objects and places in pages of this size. */
#if PAGE_SHIFT != 12
#error "vmshm needs a kernel with pages of 4 KiB, not of 16 or 64 KiB"
#endif

#if !defined(CONFIG_PCI) || !defined(CONFIG_MMU)
#error "vmshm needs a kernel with CONFIG_PCI and CONFIG_MMU"
#endif

/* The workqueue of schedule_work() */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
#define system_percpu_wq system_wq
#endif

/* There is no arena then; see vmshm_arena_new(). */
#ifndef CONFIG_ZONE_DEVICE
static inline void *memremap_pages(struct dev_pagemap *pgmap, int nid)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static inline void memunmap_pages(struct dev_pagemap *pgmap)
{
}
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
#define mnt_idmap user_namespace

static inline void vm_flags_set(struct vm_area_struct *vma, unsigned long flags)
{
	vma->vm_flags |= flags;
}
#endif

/* Checks the permission for an inode without regard to a mount's ID mapping. */
static inline int vmshm_compat_inode_permission(struct inode *inode, int mask)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
	return inode_permission(&init_user_ns, inode, mask);
#else
	return inode_permission(&nop_mnt_idmap, inode, mask);
#endif
}

/*
 * Whether this task has locked the inode for writing. The callers also work if
 * the result is false although the task has locked the inode.
 */
static inline bool vmshm_compat_inode_locked_here(struct inode *inode)
{
#ifdef CONFIG_PREEMPT_RT
	return false;
#else
	/* The low bits say that it is locked for reading, among others. */
	return (atomic_long_read(&inode->i_rwsem.owner) & ~2UL) ==
	       (long)current;
#endif
}

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
#define vmshm_compat_splice_read generic_file_splice_read
#else
#define vmshm_compat_splice_read copy_splice_read
#endif

static inline void
vmshm_compat_fillattr(struct mnt_idmap *idmap, u32 mask, struct inode *inode,
		      struct kstat *stat)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
	generic_fillattr(idmap, inode, stat);
#else
	generic_fillattr(idmap, mask, inode, stat);
#endif
}

static inline void vmshm_compat_inode_set_times(struct inode *inode,
						struct timespec64 atime,
						struct timespec64 mtime)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
	inode->i_atime = atime;
	inode->i_mtime = mtime;
	inode->i_ctime = mtime;
#else
	inode_set_atime_to_ts(inode, atime);
	inode_set_mtime_to_ts(inode, mtime);
	inode_set_ctime_to_ts(inode, mtime);
#endif
}

static inline void vmshm_compat_inode_set_times_now(struct inode *inode)
{
	struct timespec64 now = current_time(inode);

	vmshm_compat_inode_set_times(inode, now, now);
}

/* d_revalidate() got the directory and the name. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 14, 0)
#define VMSHM_D_REVALIDATE(fn)						\
static int vmshm_fs_d_revalidate(struct dentry *dentry, unsigned int flags) \
{									\
	return fn(dentry, flags);					\
}
#else
#define VMSHM_D_REVALIDATE(fn)						\
static int vmshm_fs_d_revalidate(struct inode *dir, const struct qstr *name, \
			      struct dentry *dentry, unsigned int flags) \
{									\
	return fn(dentry, flags);					\
}
#endif

/* create() lost "excl", which is set for mknod(2), the only caller. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 3, 0)
#define VMSHM_CREATE(fn)						\
static int vmshm_fs_create(struct mnt_idmap *idmap, struct inode *dir,	\
			   struct dentry *dentry, umode_t mode)		\
{									\
	return fn(dir, dentry, mode);					\
}
#else
#define VMSHM_CREATE(fn)						\
static int vmshm_fs_create(struct mnt_idmap *idmap, struct inode *dir,	\
			   struct dentry *dentry, umode_t mode,		\
			   bool excl)					\
{									\
	return fn(dir, dentry, mode);					\
}
#endif

static inline void
vmshm_compat_set_dentry_ops(struct super_block *sb,
			    const struct dentry_operations *ops)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
	sb->s_d_op = ops;
#else
	set_default_d_op(sb, ops);
#endif
}

static inline bool vmshm_compat_inode_is_new(struct inode *inode)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 19, 0)
	return inode->i_state & I_NEW;
#else
	return inode_state_read_once(inode) & I_NEW;
#endif
}

/* An unused inode without a dentry is not cached. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 18, 0)
#define vmshm_compat_drop_inode generic_delete_inode
#else
#define vmshm_compat_drop_inode inode_just_drop
#endif

static inline struct dev_pagemap *vmshm_compat_page_pgmap(struct page *page)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 14, 0)
	return page->pgmap;
#else
	return page_pgmap(page);
#endif
}

/*
 * Huge entries of page tables for pages of the arena. From 6.6 to 6.16 these
 * can be single pages. Older kernels regard such an entry as broken on
 * madvise(MADV_COLD) and MADV_PAGEOUT, and drop it while processors may still
 * use it. Newer kernels require one folio of that size, for an entry that
 * get_user_pages() can follow. The driver makes a folio of single pages from
 * 6.19 on. The kernel must not collapse a mapping of the folio.
 */
#if defined(CONFIG_TRANSPARENT_HUGEPAGE) && defined(CONFIG_ZONE_DEVICE)
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 2, 0) || \
	(LINUX_VERSION_CODE >= KERNEL_VERSION(6, 19, 0) && \
	 !defined(CONFIG_READ_ONLY_THP_FOR_FS))
#define VMSHM_HAS_PMD
#define VMSHM_HAS_BLOCKS
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0) && \
	LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0) && defined(CONFIG_FS_DAX)
#define VMSHM_HAS_PMD
#endif
#endif

#if defined(VMSHM_HAS_BLOCKS)
static inline bool vmshm_compat_pmd_is_huge(pmd_t pmd)
{
	return pmd_trans_huge(pmd);
}

static inline vm_fault_t vmshm_compat_insert_pmd(struct vm_fault *vmf,
						 struct page *page, bool write)
{
	struct folio *folio = page_folio(page);

	if (folio_order(folio) != PMD_ORDER)
		return VM_FAULT_FALLBACK;
	return vmf_insert_folio_pmd(vmf, folio, write);
}
#elif defined(VMSHM_HAS_PMD)
static inline bool vmshm_compat_pmd_is_huge(pmd_t pmd)
{
	return pmd_trans_huge(pmd) || pmd_devmap(pmd);
}

static inline vm_fault_t vmshm_compat_insert_pmd(struct vm_fault *vmf,
						 struct page *page, bool write)
{
	return vmf_insert_pfn_pmd(vmf, __pfn_to_pfn_t(page_to_pfn(page),
						      PFN_DEV | PFN_MAP),
				  write);
}
#else
static inline bool vmshm_compat_pmd_is_huge(pmd_t pmd)
{
	return false;
}
#endif

/*
 * Flags of a mapping of arena pages, which the kernel must not lock, merge or
 * migrate. VM_MIXEDMAP has this effect. With it, a kernel that has counted a
 * huge entry as a use of its folio does not count down when it splits the
 * entry. There, a shared mapping has VM_DROPPABLE instead: it has no anonymous
 * pages that could be dropped.
 */
static inline vm_flags_t vmshm_compat_vm_flags(const struct vm_area_struct *vma)
{
#ifdef VMSHM_HAS_BLOCKS
	if (vma->vm_flags & VM_MAYSHARE)
		return VM_DROPPABLE;
#endif
	return VM_MIXEDMAP;
}

/* vm_insert_page(), also for a mapping without VM_MIXEDMAP */
static inline int vmshm_compat_insert_page(struct vm_area_struct *vma,
					   unsigned long addr,
					   struct page *page)
{
#ifdef VMSHM_HAS_BLOCKS
	struct vm_fault vmf = { .vma = vma, .address = addr };
	vm_fault_t ret = vmf_insert_page_mkwrite(&vmf, page, false);

	if (ret & VM_FAULT_OOM)
		return -ENOMEM;
	return ret & VM_FAULT_ERROR ? -EFAULT : 0;
#else
	return vm_insert_page(vma, addr, page);
#endif
}

/*
 * Reads and writes do not block. Without this flag io_uring would first wait
 * for poll(2), which reports the state of a word.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 10, 0)
#define VMSHM_COMPAT_FOPS .owner = THIS_MODULE
#define VMSHM_COMPAT_FMODE_NOWAIT (FMODE_NOWAIT | FMODE_BUF_WASYNC)
#else
#define VMSHM_COMPAT_FOPS .owner = THIS_MODULE, .fop_flags = FOP_BUFFER_WASYNC
#define VMSHM_COMPAT_FMODE_NOWAIT FMODE_NOWAIT
#endif

/*
 * Bytes of physical address space for which the kernel's direct map has room.
 * Older kernels do not check this limit. With KASLR, they would map a BAR
 * beyond the limit over another mapping.
 */
static inline phys_addr_t vmshm_compat_direct_map_size(void)
{
#ifdef CONFIG_X86_64
	return VMALLOC_START - PAGE_OFFSET;
#else
	return PHYS_ADDR_MAX;
#endif
}

/*
 * Maps the memory in a BAR that starts at @offset, beside @regs, a mapping of
 * the whole BAR. Returns an address to which offsets into the BAR are added; or
 * NULL.
 *
 * The host caches this memory. On arm64, a mapping as a device would not be
 * coherent with the host's cache, and atomic instructions need not work on it.
 * On x86, both work with any type of mapping.
 */
static inline void __iomem *vmshm_compat_map_memory(void __iomem *regs,
						    phys_addr_t bar,
						    size_t offset, size_t end)
{
#ifdef CONFIG_ARM64
	void __iomem *memory = ioremap_cache(bar + offset, end - offset);

	return memory ? memory - offset : NULL;
#else
	return regs;
#endif
}

static inline void vmshm_compat_unmap_memory(void __iomem *memory,
					     size_t offset)
{
#ifdef CONFIG_ARM64
	if (memory)
		iounmap(memory + offset);
#endif
}

/* Whether the kernel's own mapping of a page is write-back */
static inline bool vmshm_compat_page_is_cached(struct page *page)
{
#ifdef CONFIG_X86_64
	unsigned int level;
	pte_t *pte = lookup_address((unsigned long)page_address(page), &level);

	return pte && !(pte_flags(*pte) & (_PAGE_PCD | _PAGE_PWT));
#else
	return true;
#endif
}

/*
 * futex.c needs an ftrace handler that sees arguments and can divert, and
 * system calls as x86 has them.
 */
#if defined(CONFIG_X86_64) && defined(CONFIG_DYNAMIC_FTRACE_WITH_ARGS) && \
	defined(CONFIG_KPROBES)
#define VMSHM_HAS_FUTEX

/* From 6.7 on there are futex_wait(2) and other system calls for one futex. */
#define VMSHM_COMPAT_HAS_FUTEX2 \
	(LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0))

/* Flags of kernel/futex/futex.h */
#if VMSHM_COMPAT_HAS_FUTEX2
#define VMSHM_COMPAT_FLAGS_SHARED 0x10
#define VMSHM_COMPAT_FLAGS_CLOCKRT 0x20
#define VMSHM_COMPAT_FLAGS_TIMEOUT 0x40
#else
#define VMSHM_COMPAT_FLAGS_SHARED 0x01
#define VMSHM_COMPAT_FLAGS_CLOCKRT 0x02
#define VMSHM_COMPAT_FLAGS_TIMEOUT 0x04
#endif

/*
 * From 7.2 on, FUTEX_WAKE can first unlock a robust mutex. For that,
 * futex_wake() and futex_unlock_pi() have another argument after the flags: the
 * address of the pending entry in the task's list of robust mutexes.
 */
#ifdef FUTEX_ROBUST_UNLOCK
#define VMSHM_COMPAT_HAS_ROBUST_UNLOCK true
#define VMSHM_COMPAT_FLAGS_ROBUST_UNLOCK 0x400
#define VMSHM_COMPAT_FLAGS_ROBUST_LIST32 0x800
#else
#define VMSHM_COMPAT_HAS_ROBUST_UNLOCK false
#define VMSHM_COMPAT_FLAGS_ROBUST_UNLOCK 0
#define VMSHM_COMPAT_FLAGS_ROBUST_LIST32 0
#endif

/* The argument of futex_requeue() that has the flags of the second word */
#define VMSHM_COMPAT_REQUEUE_FLAGS2 (VMSHM_COMPAT_HAS_FUTEX2 ? 3 : 1)

static inline unsigned long vmshm_compat_requeue_flags2(unsigned long arg1,
							unsigned long arg3)
{
	return VMSHM_COMPAT_HAS_FUTEX2 ? arg3 : arg1;
}

/*
 * The function that a kprobe found. With CONFIG_X86_KERNEL_IBT, the probe is
 * behind the instruction ENDBR, which the kernel may have replaced.
 */
static inline unsigned long vmshm_compat_function(unsigned long addr)
{
#ifdef CONFIG_X86_KERNEL_IBT
	u32 first = *(u32 *)(addr - ENDBR_INSN_SIZE);

	if (first == gen_endbr() || first == gen_endbr_poison())
		return addr - ENDBR_INSN_SIZE;
#endif
	return addr;
}

static inline unsigned long vmshm_compat_ftrace_arg(struct ftrace_regs *fregs,
						    unsigned int n)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
	return regs_get_kernel_argument(&fregs->regs, n);
#else
	return ftrace_regs_get_argument(fregs, n);
#endif
}

static inline void vmshm_compat_ftrace_set_ip(struct ftrace_regs *fregs,
					      unsigned long ip)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
	ftrace_instruction_pointer_set(fregs, ip);
#else
	ftrace_regs_set_instruction_pointer(fregs, ip);
#endif
}
#endif

/*
 * Makes the kernel's own mapping of device memory write-back, against the type
 * that the platform reported for the mapping; 0 or a negative errno.
 */
static inline int vmshm_compat_set_cached(struct page *page, int count)
{
#ifdef CONFIG_X86_64
	return set_memory_wb((unsigned long)page_address(page), count);
#else
	return -EOPNOTSUPP;
#endif
}

/* Undoes vmshm_compat_set_cached(): the reserved memory type is restored. */
static inline void vmshm_compat_set_uncached(phys_addr_t start, int count)
{
#ifdef CONFIG_X86_64
	set_memory_uc((unsigned long)__va(start), count);
#endif
}

/* Whether a page fault may drop its lock and be retried */
static inline bool vmshm_compat_fault_can_retry(struct vm_fault *vmf)
{
	return (vmf->flags & FAULT_FLAG_ALLOW_RETRY) &&
	       !(vmf->flags & FAULT_FLAG_RETRY_NOWAIT);
}

/* Drops the lock; the caller then has to return VM_FAULT_RETRY. */
static inline void vmshm_compat_fault_unlock(struct vm_fault *vmf)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
	if (vmf->flags & FAULT_FLAG_VMA_LOCK) {
		vma_end_read(vmf->vma);
		return;
	}
#endif
	mmap_read_unlock(vmf->vma->vm_mm);
}

#endif /* VMSHM_COMPAT_H */
