/*
 * VMShm: differences between the QEMU versions it is built for
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Every version #if of the device is in this file. Supported: 7.2, 10.0 and
 * 11.1; versions between them most likely work and are let through.
 */
#ifndef VMSHM_COMPAT_H
#define VMSHM_COMPAT_H

#define VMSHM_QEMU(major, minor) \
    (QEMU_VERSION_MAJOR > (major) || \
     (QEMU_VERSION_MAJOR == (major) && QEMU_VERSION_MINOR >= (minor)))

#if !VMSHM_QEMU(7, 2)
#error "VMShm needs QEMU 7.2 or later"
#endif

#if VMSHM_QEMU(8, 1)
#include "hw/pci/pci_device.h"
#else
#include "hw/pci/pci.h"
#endif

#if __has_include("hw/core/qdev-properties.h")
#include "hw/core/qdev-properties.h"
#else
#include "hw/qdev-properties.h"
#endif

#if __has_include("system/memory.h")
#include "system/memory.h"
#else
#include "exec/memory.h"
#endif

#if __has_include("system/ramblock.h")
#include "system/ramblock.h"
#else
#include "exec/ramblock.h"
#endif

#include "qapi/error.h"
#if __has_include("qobject/qdict.h")
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#else
#include "qapi/qmp/qdict.h"
#include "qapi/qmp/qlist.h"
#endif
#include "hw/pci/msix.h"
#if __has_include("system/accel-irq.h")
#include "system/accel-irq.h"
#define VMSHM_ACCEL_IRQ
#elif __has_include("system/kvm.h")
#include "system/kvm.h"
#else
#include "sysemu/kvm.h"
#endif
#if __has_include("qemu/aio.h")
#include "qemu/aio.h"
#else
#include "block/aio.h"
#endif
#if __has_include("system/address-spaces.h")
#include "system/address-spaces.h"
#else
#include "exec/address-spaces.h"
#endif
#if __has_include("system/runstate.h")
#include "system/iothread.h"
#include "system/qtest.h"
#include "system/runstate.h"
#else
#include "sysemu/iothread.h"
#include "sysemu/qtest.h"
#include "sysemu/runstate.h"
#endif
#include "qemu/main-loop.h"
#include "migration/blocker.h"
#include "migration/vmstate.h"

/* A table of properties: a const array without an end mark from 10.0 on. */
#if VMSHM_QEMU(10, 0)
#define VMSHM_PROPERTY_TABLE const Property
#define VMSHM_PROPERTY_END
#else
#define VMSHM_PROPERTY_TABLE Property
#define VMSHM_PROPERTY_END DEFINE_PROP_END_OF_LIST(),
#endif

#if VMSHM_QEMU(10, 1)
#define VMSHM_CLASS_DATA const void *
#define VMSHM_INTERFACE_TABLE const InterfaceInfo
#else
#define VMSHM_CLASS_DATA void *
#define VMSHM_INTERFACE_TABLE InterfaceInfo
#endif

/* What a function for the hold phase of a reset gets */
#if VMSHM_QEMU(9, 1)
#define VMSHM_RESET_HOLD Object *obj, ResetType type
#else
#define VMSHM_RESET_HOLD Object *obj
#endif

static inline void vmshm_compat_lock(void)
{
#if VMSHM_QEMU(9, 0)
    bql_lock();
#else
    qemu_mutex_lock_iothread();
#endif
}

static inline void vmshm_compat_unlock(void)
{
#if VMSHM_QEMU(9, 0)
    bql_unlock();
#else
    qemu_mutex_unlock_iothread();
#endif
}

static inline void vmshm_compat_cond_timedwait(QemuCond *cond, int ms)
{
#if VMSHM_QEMU(9, 0)
    qemu_cond_timedwait_bql(cond, ms);
#else
    qemu_cond_timedwait_iothread(cond, ms);
#endif
}

/*
 * Whether KVM can raise an interrupt itself when a notifier is set. False with
 * the headers of another point release, because the layout of KVMRouteChange
 * cannot be checked before its use.
 */
static inline bool vmshm_compat_irqfd_enabled(void)
{
#ifdef VMSHM_NEAREST
    return false;
#else
    return kvm_msi_via_irqfd_enabled();
#endif
}

/*
 * Lets KVM do so from now on. Returns a route for vmshm_compat_irqfd_remove(),
 * or -errno.
 */
static inline int vmshm_compat_irqfd_add(EventNotifier *n, PCIDevice *pci,
                                         unsigned vector)
{
#ifdef VMSHM_ACCEL_IRQ
    AccelRouteChange change = accel_irqchip_begin_route_changes();
#else
    KVMRouteChange change = kvm_irqchip_begin_route_changes(kvm_state);
#endif
    int route = kvm_irqchip_add_msi_route(&change, vector, pci);
    int ret;

    if (route < 0) {
        return route;
    }
#ifdef VMSHM_ACCEL_IRQ
    accel_irqchip_commit_route_changes(&change);
#else
    kvm_irqchip_commit_route_changes(&change);
#endif
    ret = kvm_irqchip_add_irqfd_notifier_gsi(kvm_state, n, NULL, route);
    if (ret < 0) {
        kvm_irqchip_release_virq(kvm_state, route);
        return ret;
    }
    return route;
}

static inline void vmshm_compat_irqfd_remove(EventNotifier *n, int route)
{
    kvm_irqchip_remove_irqfd_notifier_gsi(kvm_state, n, route);
    kvm_irqchip_release_virq(kvm_state, route);
}

/*
 * QEMU makes accesses without the big lock, if it can. (Before 10.2, QEMU takes
 * the lock for each access; an older function of QEMU was removed after 5.x.)
 */
static inline void vmshm_compat_lockless(MemoryRegion *mr)
{
#if VMSHM_QEMU(10, 2)
    memory_region_enable_lockless_io(mr);
#endif
}

/* 0, or a negative errno and *reason freed and NULL. */
static inline int vmshm_compat_migration_block(Error **reason, Error **errp)
{
#if VMSHM_QEMU(8, 2)
    return migrate_add_blocker(reason, errp);
#else
    int ret = migrate_add_blocker(*reason, errp);

    if (ret < 0) {
        error_free(*reason);
        *reason = NULL;
    }
    return ret;
#endif
}

static inline void vmshm_compat_migration_unblock(Error **reason)
{
#if VMSHM_QEMU(8, 2)
    migrate_del_blocker(reason);
#else
    migrate_del_blocker(*reason);
    error_free(*reason);
    *reason = NULL;
#endif
}

/* Whether all was sent or received */
static inline bool vmshm_compat_save(QEMUFile *f, const VMStateDescription *d,
                                     void *opaque)
{
#if VMSHM_QEMU(10, 2)
    return vmstate_save_state(f, d, opaque, NULL, NULL) == 0;
#else
    return vmstate_save_state(f, d, opaque, NULL) == 0;
#endif
}

static inline bool vmshm_compat_load(QEMUFile *f, const VMStateDescription *d,
                                     void *opaque, int version_id)
{
#if VMSHM_QEMU(10, 2)
    return vmstate_load_state(f, d, opaque, version_id, NULL) == 0;
#else
    return vmstate_load_state(f, d, opaque, version_id) == 0;
#endif
}

#endif /* VMSHM_COMPAT_H */
