/*
 * VMShm: the interrupt, one MSI-X vector
 *
 * The threads of the slots set an eventfd. As long as the guest can be
 * interrupted, KVM watches it; while the vector is masked, and without KVM's
 * interrupt controller, the main loop does, which leaves the vector pending.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "hw/pci/msi.h"
#include "vmshm-compat.h"
#include "vmshm-state.h"

#define VECTOR 0

/* In the main loop */
static void irq_notified(EventNotifier *e)
{
    VMShmIrq *irq = container_of(e, VMShmIrq, notifier);
    VMShmState *s = container_of(irq, VMShmState, irq);

    if (event_notifier_test_and_clear(e)) {
        msix_notify(PCI_DEVICE(s), VECTOR);
    }
}

/* What was set before and not looked at yet, KVM looks at when it comes. */
static void irq_direct(VMShmIrq *irq, PCIDevice *pci)
{
    event_notifier_set_handler(&irq->notifier, NULL);
    irq->route = vmshm_irqfd_add(&irq->notifier, pci, VECTOR);
    irq->direct = irq->route >= 0;
    if (!irq->direct) {
        event_notifier_set_handler(&irq->notifier, irq_notified);
    }
}

static void irq_by_main_loop(VMShmIrq *irq)
{
    vmshm_irqfd_remove(&irq->notifier, irq->route);
    irq->direct = false;
    event_notifier_set_handler(&irq->notifier, irq_notified);
}

void vmshm_irq_update(VMShmIrq *irq, PCIDevice *pci)
{
    bool direct = vmshm_irqfd_enabled() && msix_enabled(pci) &&
                  !msix_is_masked(pci, VECTOR);

    if (direct && !irq->direct) {
        irq_direct(irq, pci);
    } else if (!direct && irq->direct) {
        irq_by_main_loop(irq);
    }
}

static int irq_unmasked(PCIDevice *pci, unsigned vector, MSIMessage msg)
{
    vmshm_irq_update(&VMSHM(pci)->irq, pci);
    return 0;
}

static void irq_masked(PCIDevice *pci, unsigned vector)
{
    vmshm_irq_update(&VMSHM(pci)->irq, pci);
}

int vmshm_irq_init(VMShmIrq *irq, PCIDevice *pci)
{
    int ret = event_notifier_init(&irq->notifier, 0);

    if (ret < 0) {
        return ret;
    }
    ret = msix_init_exclusive_bar(pci, 1, VMSHM_BAR_MSIX, NULL);
    if (ret < 0) {
        event_notifier_cleanup(&irq->notifier);
        return ret;
    }
    msix_vector_use(pci, VECTOR);
    event_notifier_set_handler(&irq->notifier, irq_notified);
    /* MSI-X is off, so this asks for nothing that could fail. */
    msix_set_vector_notifiers(pci, irq_unmasked, irq_masked, NULL);
    return 0;
}

void vmshm_irq_exit(VMShmIrq *irq, PCIDevice *pci)
{
    msix_unset_vector_notifiers(pci);
    if (irq->direct) {
        irq_by_main_loop(irq);
    }
    event_notifier_set_handler(&irq->notifier, NULL);
    event_notifier_cleanup(&irq->notifier);
    msix_uninit_exclusive_bar(pci);
}
