/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm orphans: arenas whose device is gone while a page is in use.
 */
#ifndef VMSHM_ORPHAN_H
#define VMSHM_ORPHAN_H

#include <linux/types.h>

struct list_head;
struct pci_dev;
struct vmshm_dev;

void vmshm_orphan_add(struct vmshm_dev *vdev, struct pci_dev *pdev,
		      struct list_head *extents);
bool vmshm_orphan_wait_for(phys_addr_t start, u64 size);
int vmshm_orphan_init(void);
void vmshm_orphan_exit(void);

#endif /* VMSHM_ORPHAN_H */
