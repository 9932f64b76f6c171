/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm mailboxes: commands through memory, on devices with command memory.
 */
#ifndef VMSHM_MAILBOX_H
#define VMSHM_MAILBOX_H

#include <linux/types.h>

struct pci_dev;
struct vmshm_dev;
struct vmshm_list_ops;
struct vmshm_mailboxes;
struct vmshm_reply;
struct vmshm_request;

int vmshm_mailbox_execute(struct vmshm_dev *vdev,
			  const struct vmshm_request *rq,
			  struct vmshm_reply *reply);
int vmshm_mailbox_list(struct vmshm_dev *vdev, const struct vmshm_list_ops *ops,
		       void *arg);
void vmshm_mailboxes_new(struct vmshm_dev *vdev, struct pci_dev *pdev);
void vmshm_mailboxes_begin_epoch(struct vmshm_dev *vdev);
bool vmshm_mailboxes_lost(struct vmshm_dev *vdev);
void vmshm_mailboxes_request_irq(struct vmshm_dev *vdev, struct pci_dev *pdev);
void vmshm_mailboxes_stop(struct vmshm_dev *vdev);
void vmshm_mailboxes_hurry(struct vmshm_dev *vdev);
void vmshm_mailboxes_pause(struct vmshm_dev *vdev, unsigned long end);
void vmshm_mailboxes_free_irq(struct vmshm_dev *vdev);

#endif /* VMSHM_MAILBOX_H */
