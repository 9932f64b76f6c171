/*
 * VMShm: the interrupt, one MSI-X vector
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_IRQ_H
#define VMSHM_IRQ_H

#include "qemu/event_notifier.h"

/*
 * Setting the notifier raises the interrupt; any thread can. Where KVM can do
 * that, it raises it then and there; else the main loop does.
 */
typedef struct VMShmIrq {
    EventNotifier notifier;
    bool direct;            /* KVM has the notifier, */
    int route;              /* with this route */
} VMShmIrq;

/* The device that the interrupt is of calls it at realize; 0 or -errno. */
int vmshm_irq_init(VMShmIrq *irq, PCIDevice *pci);

/* Configuration space was written. */
void vmshm_irq_update(VMShmIrq *irq, PCIDevice *pci);

/* At unplug; nobody sets the notifier any more. */
void vmshm_irq_exit(VMShmIrq *irq, PCIDevice *pci);

#endif /* VMSHM_IRQ_H */
