/*
 * VMShm: the interrupts, MSI-X vectors
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_IRQ_H
#define VMSHM_IRQ_H

typedef struct VMShmIrq VMShmIrq;

/*
 * Called at realize; there are @vectors, VMSHM_VECTORS_MAX at most. The caller
 * calls vmshm_irq_update() whenever the guest masks or unmasks one.
 * @pending(@opaque) says, under the big lock, whether there is still a reason
 * for the interrupt. NULL: the machine has no MSI-X.
 */
VMShmIrq *vmshm_irq_new(PCIDevice *pci, unsigned vectors,
                        bool (*pending)(void *opaque), void *opaque);

unsigned vmshm_irq_vectors(const VMShmIrq *irq);

/*
 * Raises an interrupt. Any thread without locks of other parts can call this.
 * The interrupt is dropped if it is no longer pending when QEMU handles it. A
 * @vector that does not exist stands for the first one.
 */
void vmshm_irq_raise(VMShmIrq *irq, unsigned vector);

/* As vmshm_irq_raise(), with any locks held: the main loop raises it. */
void vmshm_irq_raise_later(VMShmIrq *irq, unsigned vector);

/* Under the big lock: raises it, pending or not. */
void vmshm_irq_notify(VMShmIrq *irq, unsigned vector);

/* Configuration space or the vector's mask was written. */
void vmshm_irq_update(VMShmIrq *irq);

/* At unplug: from now on, to raise an interrupt has no effect. */
void vmshm_irq_exit(VMShmIrq *irq);

/* After vmshm_irq_exit(), when no thread can raise it any more. */
void vmshm_irq_free(VMShmIrq *irq);

#endif /* VMSHM_IRQ_H */
