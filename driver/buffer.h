/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm buffer: BAR1, for devices without an arena.
 */
#ifndef VMSHM_BUFFER_H
#define VMSHM_BUFFER_H

#include <linux/refcount.h>

#include <vmshm/regs.h>

struct vm_area_struct;
struct vmshm_dev;

/**
 * struct vmshm_buffer - the object that BAR1 shows
 * @users: open files that have attached the object
 * @name: name of the object
 */
struct vmshm_buffer {
	refcount_t users;
	char name[VMSHM_NAME_SIZE];
};

struct vmshm_buffer *vmshm_buffer_get(struct vmshm_dev *vdev, const char *name);
void vmshm_buffer_put(struct vmshm_dev *vdev, struct vmshm_buffer *buffer);
void vmshm_buffer_mmap(struct vmshm_dev *vdev, struct vm_area_struct *vma);

#endif /* VMSHM_BUFFER_H */
