/*
 * VMShm: the interrupts, MSI-X vectors
 *
 * As long as KVM can interrupt the guest, it watches an eventfd, and each
 * thread that sets it interrupts the guest. While the vector is masked, and
 * without KVM's interrupt controller, QEMU raises the interrupt, under the big
 * lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "hw/pci/msi.h"
#include "vmshm-compat.h"
#include "vmshm-irq.h"
#include "vmshm/regs.h"

typedef struct Vector {
    VMShmIrq *irq;
    EventNotifier notifier;
    bool direct;            /* atomic: KVM has the notifier, */
    int route;              /* with this route */
} Vector;

struct VMShmIrq {
    PCIDevice *pci;         /* NULL when it is gone; under the big lock */
    bool (*pending)(void *opaque);
    void *opaque;           /* of pending */
    unsigned vectors;       /* that the guest sees */
    unsigned notifiers;     /* those that exist */
    Vector vector[VMSHM_VECTORS_MAX];
};

static unsigned number_of(Vector *v)
{
    return v - v->irq->vector;
}

/* The vector that the guest asks for, or the first one */
static Vector *vector_of(VMShmIrq *irq, unsigned vector)
{
    return &irq->vector[vector < irq->vectors ? vector : 0];
}

/*
 * Under the big lock. By now the guest may have released the device, and then
 * does not handle an interrupt.
 */
static void notify_if_pending(Vector *v)
{
    VMShmIrq *irq = v->irq;

    if (irq->pci && irq->pending(irq->opaque)) {
        msix_notify(irq->pci, number_of(v));
    }
}

/* In the main loop */
static void irq_notified(EventNotifier *e)
{
    Vector *v = container_of(e, Vector, notifier);

    if (event_notifier_test_and_clear(e)) {
        notify_if_pending(v);
    }
}

void vmshm_irq_raise_later(VMShmIrq *irq, unsigned vector)
{
    event_notifier_set(&vector_of(irq, vector)->notifier);
}

void vmshm_irq_raise(VMShmIrq *irq, unsigned vector)
{
    Vector *v = vector_of(irq, vector);

    if (qatomic_read(&v->direct)) {
        /* If KVM no longer has the notifier, the main loop handles it. */
        event_notifier_set(&v->notifier);
        return;
    }
    vmshm_compat_lock();
    notify_if_pending(v);
    vmshm_compat_unlock();
}

void vmshm_irq_notify(VMShmIrq *irq, unsigned vector)
{
    Vector *v = vector_of(irq, vector);

    if (v->direct) {
        event_notifier_set(&v->notifier);
    } else if (irq->pci) {
        msix_notify(irq->pci, number_of(v));
    }
}

/* KVM also handles a notifier that was set before and is not cleared yet. */
static void irq_direct(Vector *v)
{
    event_notifier_set_handler(&v->notifier, NULL);
    v->route = vmshm_compat_irqfd_add(&v->notifier, v->irq->pci, number_of(v));
    if (v->route >= 0) {
        qatomic_set(&v->direct, true);
    } else {
        event_notifier_set_handler(&v->notifier, irq_notified);
    }
}

static void irq_by_qemu(Vector *v)
{
    qatomic_set(&v->direct, false);
    vmshm_compat_irqfd_remove(&v->notifier, v->route);
    event_notifier_set_handler(&v->notifier, irq_notified);
}

void vmshm_irq_update(VMShmIrq *irq)
{
    bool possible = vmshm_compat_irqfd_enabled() && msix_enabled(irq->pci);
    Vector *v;

    for (v = irq->vector; v < irq->vector + irq->vectors; v++) {
        bool direct = possible && !msix_is_masked(irq->pci, number_of(v));

        if (direct && !v->direct) {
            irq_direct(v);
        } else if (!direct && v->direct) {
            irq_by_qemu(v);
        }
    }
}

static bool init_notifiers(VMShmIrq *irq)
{
    for (; irq->notifiers < irq->vectors; irq->notifiers++) {
        Vector *v = &irq->vector[irq->notifiers];

        v->irq = irq;
        if (event_notifier_init(&v->notifier, 0) < 0) {
            return false;
        }
    }
    return true;
}

unsigned vmshm_irq_vectors(const VMShmIrq *irq)
{
    return irq->vectors;
}

VMShmIrq *vmshm_irq_new(PCIDevice *pci, unsigned vectors,
                        bool (*pending)(void *opaque), void *opaque)
{
    VMShmIrq *irq = g_new0(VMShmIrq, 1);
    unsigned n;

    irq->vectors = vectors;
    if (!init_notifiers(irq) ||
        msix_init_exclusive_bar(pci, vectors, VMSHM_BAR_MSIX, NULL) < 0) {
        vmshm_irq_free(irq);
        return NULL;
    }
    irq->pci = pci;
    irq->pending = pending;
    irq->opaque = opaque;
    for (n = 0; n < vectors; n++) {
        msix_vector_use(pci, n);
        event_notifier_set_handler(&irq->vector[n].notifier, irq_notified);
    }
    return irq;
}

void vmshm_irq_exit(VMShmIrq *irq)
{
    Vector *v;

    for (v = irq->vector; v < irq->vector + irq->vectors; v++) {
        if (v->direct) {
            irq_by_qemu(v);
        }
        event_notifier_set_handler(&v->notifier, NULL);
    }
    msix_uninit_exclusive_bar(irq->pci);
    irq->pci = NULL;
}

void vmshm_irq_free(VMShmIrq *irq)
{
    while (irq->notifiers) {
        event_notifier_cleanup(&irq->vector[--irq->notifiers].notifier);
    }
    g_free(irq);
}
