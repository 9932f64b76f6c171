/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm user mappings of the arena.
 */
#ifndef VMSHM_MMAP_H
#define VMSHM_MMAP_H

#include <linux/types.h>

struct file;
struct mm_struct;
struct vm_area_struct;
struct vmshm_vnode;

/**
 * struct vmshm_mmap_word - the object and offset that a user address maps
 * @file: the file that is mapped; its reference keeps @vnode
 * @vnode: the object
 * @offset: bytes into the object
 */
struct vmshm_mmap_word {
	struct file *file;
	struct vmshm_vnode *vnode;
	u64 offset;
};

bool vmshm_mmap_may_be_in(struct mm_struct *mm);
bool vmshm_mmap_find(unsigned long addr, struct vmshm_mmap_word *word);
void vmshm_mmap_put(struct vmshm_mmap_word *word);
void vmshm_mmap_vnode(struct vmshm_vnode *vnode, struct vm_area_struct *vma);
void vmshm_mmap_vnode_buffer(struct vmshm_vnode *vnode,
			     struct vm_area_struct *vma);

#endif /* VMSHM_MMAP_H */
