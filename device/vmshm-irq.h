/*
 * VMShm: the interrupt, one MSI-X vector
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_IRQ_H
#define VMSHM_IRQ_H

typedef struct VMShmIrq VMShmIrq;

/* At realize. NULL: the machine has no MSI-X. */
VMShmIrq *vmshm_irq_new(PCIDevice *pci);

/*
 * Any thread can raise it that holds no lock of others, as long as a slot of
 * the device has fired; when that is over by the time it could be, it is not.
 */
void vmshm_irq_raise(VMShmIrq *irq);

/* The same, whatever locks are held: the main loop raises it. */
void vmshm_irq_raise_later(VMShmIrq *irq);

/* Configuration space was written. */
void vmshm_irq_update(VMShmIrq *irq);

/* At unplug: to raise it has no effect any more. */
void vmshm_irq_exit(VMShmIrq *irq);

/* After that, when nobody raises it any more. */
void vmshm_irq_free(VMShmIrq *irq);

#endif /* VMSHM_IRQ_H */
