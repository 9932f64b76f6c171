/*
 * VMShm: the interrupt, one MSI-X vector
 *
 * As long as KVM can interrupt the guest, it watches an eventfd, and whoever
 * sets that interrupts the guest. While the vector is masked, and without KVM's
 * interrupt controller, QEMU has to do it, under the big lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "hw/pci/msi.h"
#include "vmshm-compat.h"
#include "vmshm-irq.h"
#include "vmshm/regs.h"

#define VECTOR 0

struct VMShmIrq {
    PCIDevice *pci;         /* NULL when it is gone; under the big lock */
    bool (*pending)(void *opaque);
    void *opaque;           /* of pending */
    EventNotifier notifier;
    bool direct;            /* atomic: KVM has the notifier, */
    int route;              /* with this route */
};

/*
 * Under the big lock. By now the guest may have released the device, and then
 * has nobody who takes an interrupt.
 */
static void irq_notify(VMShmIrq *irq)
{
    if (irq->pci && irq->pending(irq->opaque)) {
        msix_notify(irq->pci, VECTOR);
    }
}

/* In the main loop */
static void irq_notified(EventNotifier *e)
{
    VMShmIrq *irq = container_of(e, VMShmIrq, notifier);

    if (event_notifier_test_and_clear(e)) {
        irq_notify(irq);
    }
}

void vmshm_irq_raise_later(VMShmIrq *irq)
{
    event_notifier_set(&irq->notifier);
}

void vmshm_irq_raise(VMShmIrq *irq)
{
    if (qatomic_read(&irq->direct)) {
        /* If KVM has it no more by now, the main loop does. */
        event_notifier_set(&irq->notifier);
        return;
    }
    vmshm_compat_lock();
    irq_notify(irq);
    vmshm_compat_unlock();
}

/* What was set before and not looked at yet, KVM looks at when it comes. */
static void irq_direct(VMShmIrq *irq)
{
    event_notifier_set_handler(&irq->notifier, NULL);
    irq->route = vmshm_compat_irqfd_add(&irq->notifier, irq->pci, VECTOR);
    if (irq->route >= 0) {
        qatomic_set(&irq->direct, true);
    } else {
        event_notifier_set_handler(&irq->notifier, irq_notified);
    }
}

static void irq_by_qemu(VMShmIrq *irq)
{
    qatomic_set(&irq->direct, false);
    vmshm_compat_irqfd_remove(&irq->notifier, irq->route);
    event_notifier_set_handler(&irq->notifier, irq_notified);
}

void vmshm_irq_update(VMShmIrq *irq)
{
    bool direct = vmshm_compat_irqfd_enabled() && msix_enabled(irq->pci) &&
                  !msix_is_masked(irq->pci, VECTOR);

    if (direct && !irq->direct) {
        irq_direct(irq);
    } else if (!direct && irq->direct) {
        irq_by_qemu(irq);
    }
}

VMShmIrq *vmshm_irq_new(PCIDevice *pci, bool (*pending)(void *opaque),
                        void *opaque)
{
    VMShmIrq *irq = g_new0(VMShmIrq, 1);

    if (event_notifier_init(&irq->notifier, 0) < 0) {
        g_free(irq);
        return NULL;
    }
    if (msix_init_exclusive_bar(pci, 1, VMSHM_BAR_MSIX, NULL) < 0) {
        vmshm_irq_free(irq);
        return NULL;
    }
    irq->pci = pci;
    irq->pending = pending;
    irq->opaque = opaque;
    msix_vector_use(pci, VECTOR);
    event_notifier_set_handler(&irq->notifier, irq_notified);
    return irq;
}

void vmshm_irq_exit(VMShmIrq *irq)
{
    if (irq->direct) {
        irq_by_qemu(irq);
    }
    event_notifier_set_handler(&irq->notifier, NULL);
    msix_uninit_exclusive_bar(irq->pci);
    irq->pci = NULL;
}

void vmshm_irq_free(VMShmIrq *irq)
{
    event_notifier_cleanup(&irq->notifier);
    g_free(irq);
}
