/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm content: the pages and the size of a vnode.
 */
#ifndef VMSHM_CONTENT_H
#define VMSHM_CONTENT_H

#include <linux/types.h>

struct page;
struct vmshm_attr;
struct vmshm_dev;
struct vmshm_extent;
struct vmshm_stat;
struct vmshm_vnode;

/**
 * struct vmshm_content_at - a page of an object
 * @offset: bytes into the object
 * @page: the page
 * @place: bytes into BAR4
 */
struct vmshm_content_at {
	u64 offset;
	struct page *page;
	u64 place;
};

int vmshm_content_open(struct vmshm_vnode *vnode, u64 size, bool write,
		       bool *first);
void vmshm_content_close(struct vmshm_vnode *vnode);
void vmshm_content_give(struct vmshm_vnode *vnode, struct vmshm_extent *extent);
void vmshm_content_detach_unused(struct vmshm_vnode *vnode);
int vmshm_content_resize(struct vmshm_vnode *vnode, u64 size,
			 struct vmshm_stat *st);
int vmshm_content_setattr(struct vmshm_vnode *vnode,
			  const struct vmshm_attr *attr,
			  struct vmshm_stat *st);
int vmshm_content_allocate(struct vmshm_vnode *vnode, u64 offset, u64 length,
			   struct vmshm_stat *st);
bool vmshm_content_spare(struct vmshm_dev *vdev);
struct page *vmshm_content_page(struct vmshm_vnode *vnode, u64 offset,
				bool grow, struct vmshm_extent **found);
int vmshm_content_get_pages(struct vmshm_vnode *vnode,
			    struct vmshm_content_at *at, unsigned int count,
			    unsigned int *resets);
struct page *vmshm_content_tail(struct vmshm_vnode *vnode, u64 offset);
void vmshm_content_stop(struct vmshm_dev *vdev);
void vmshm_content_pause(struct vmshm_dev *vdev, unsigned long end);
bool vmshm_content_idle(struct vmshm_dev *vdev);
void vmshm_content_warn(struct vmshm_dev *vdev);
bool vmshm_content_can_restore(struct vmshm_dev *vdev);
void vmshm_content_restore(struct vmshm_dev *vdev);
void vmshm_content_lose_all(struct vmshm_dev *vdev);

#endif /* VMSHM_CONTENT_H */
