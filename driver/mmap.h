/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm user mappings of the arena.
 */
#ifndef VMSHM_MMAP_H
#define VMSHM_MMAP_H

struct vm_area_struct;
struct vmshm_vnode;

void vmshm_mmap_vnode(struct vmshm_vnode *vnode, struct vm_area_struct *vma);
void vmshm_mmap_vnode_buffer(struct vmshm_vnode *vnode,
			     struct vm_area_struct *vma);

#endif /* VMSHM_MMAP_H */
