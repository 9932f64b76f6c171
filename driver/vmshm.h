/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the parts of the VMShm driver share.
 */
#ifndef VMSHM_H
#define VMSHM_H

#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/mutex.h>
#include <linux/types.h>

#include <vmshm/regs.h>

#include "compat.h"

struct inode;
struct vm_area_struct;

/*
 * A device. It lives on after its PCI function is gone, until the last file
 * that was opened through it is closed.
 */
struct vmshm_dev {
	struct device dev;
	struct cdev cdev;
	/* All user mappings hang on its i_mapping. */
	struct inode *inode;

	/* BAR0, BAR1 and BAR2; not to be used when gone */
	void __iomem *regs;
	unsigned long buffer_pfn;
	void __iomem *name;

	/*
	 * Protects the registers and all below. Never held across an access to
	 * user memory, because vmshm_fault() takes it.
	 */
	struct mutex lock;
	/* The PCI function is not ours any more. */
	bool gone;
	/* What the buffer shows, or NULL */
	struct vmshm_object *object;
};

/* A host object that somebody uses; users are open files. */
struct vmshm_object {
	unsigned int users;
	char name[VMSHM_NAME_SIZE];
};

/* An open file, with the object it asked for or NULL (under vdev->lock) */
struct vmshm_file {
	struct vmshm_dev *vdev;
	struct vmshm_object *object;
};

/* regs.c: the register contract; all return 0 or -errno */
int vmshm_regs_open(struct vmshm_dev *vdev, const char *name);
void vmshm_regs_close(struct vmshm_dev *vdev);

/* object.c: sharing of objects; vdev->lock is held */
struct vmshm_object *vmshm_object_get(struct vmshm_dev *vdev, const char *name);
void vmshm_object_put(struct vmshm_dev *vdev, struct vmshm_object *object);

/* buffer.c: BAR1 in user mappings */
int vmshm_buffer_mmap(struct vmshm_file *vfile, struct vm_area_struct *vma);

/* chardev.c: /dev/vmshmN */
void vmshm_chardev_init(struct cdev *cdev);

/* inode.c: an inode, hence an address space, of our own */
struct inode *vmshm_inode_new(void);
int vmshm_inode_init(void);
void vmshm_inode_exit(void);

/* dev.c: life of struct vmshm_dev */
struct vmshm_dev *vmshm_dev_new(struct device *parent);
int vmshm_dev_add(struct vmshm_dev *vdev);
void vmshm_dev_del(struct vmshm_dev *vdev);
void vmshm_dev_stop(struct vmshm_dev *vdev);
int vmshm_dev_init(void);
void vmshm_dev_exit(void);

#endif /* VMSHM_H */
