/*
 * VMShm: PCI device that shows POSIX shared memory objects of the host
 *
 * The guest writes an object's name into BAR2 and reads the open register;
 * from then on BAR1 is the object's memory. docs/spec.md has the contract.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "hw/pci/msi.h"
#include "qemu/error-report.h"
#include "qemu/host-utils.h"
#include "qemu/module.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "qapi/qapi-builtin-visit.h"
#ifdef VMSHM_NEAREST
#include "layout.h"
#endif
#include "vmshm-budget.h"
#include "vmshm-command.h"
#include "vmshm-compat.h"
#include "vmshm-describe.h"
#include "vmshm-host.h"
#include "vmshm-job.h"
#include "vmshm-loss.h"
#include "vmshm-mailbox.h"
#include "vmshm-mmio.h"
#include "vmshm-resume.h"
#include "vmshm-robust.h"
#include "vmshm-sigbus.h"
#include "vmshm-state.h"
#include "vmshm-trace.h"
#include "vmshm-worker.h"
#include "vmshm.h"

/* The size of a span is 0, or a power of two from ARENA_MIN to ARENA_MAX. */
#define ARENA_MIN (2 * MiB)
#define ARENA_MAX (1 * TiB)

/* For how long saving the VM's state waits for commands of the guest */
#define DRAIN_MS 3000

static void vmshm_pci_config_write(PCIDevice *pci, uint32_t addr,
                                   uint32_t value, int size)
{
    VMShmState *s = VMSHM(pci);

    pci_default_write_config(pci, addr, value, size);
    if (s->irq && s->attachments.by_handle) {
        vmshm_irq_update(s->irq);
    }
}

static int vmshm_pci_unmasked(PCIDevice *pci, unsigned vector, MSIMessage msg)
{
    vmshm_irq_update(VMSHM(pci)->irq);
    return 0;
}

static void vmshm_pci_masked(PCIDevice *pci, unsigned vector)
{
    vmshm_irq_update(VMSHM(pci)->irq);
}

static bool vmshm_pci_irq_pending(void *opaque)
{
    VMShmState *s = opaque;

    return vmshm_futex_fired(s->futex);
}

/*
 * RAM over a part of a window. It is kept out of the sight of VFIO and vDPA,
 * which would pin the pages they meet when the region appears, and let a
 * passed-through device write to them after another object took their place.
 */
static void vmshm_pci_init_ram(MemoryRegion *mr, Object *owner,
                               const char *name, VMShmWindow *w,
                               uint64_t offset, uint64_t size)
{
    memory_region_init_ram_ptr(mr, owner, name, size, w->host + offset);
    mr->ram_block->flags |= RAM_PROTECTED;
    /* A dump of the guest's memory is not to contain the whole window. */
    memory_region_set_nonvolatile(mr, true);
    /* QEMU has asked for huge pages. On failure they cost memory, no more. */
    vmshm_window_clear(w, offset, size);
}

/* RAM behind the registers, in a BAR0 that has both. */
static void vmshm_pci_init_memory(VMShmState *s)
{
    Object *owner = OBJECT(s);

    s->memory_host = s->memory_window->host;
    s->memory_size = s->memory_window->size;
    if (!vmshm_mailbox_shown(s)) {
        return;
    }
    memory_region_init(&s->bar0, owner, "vmshm-bar0", VMSHM_BAR0_SIZE);
    vmshm_pci_init_ram(&s->memory, owner, "vmshm-memory", s->memory_window, 0,
                       s->memory_window->size);
    memory_region_add_subregion(&s->bar0, 0, &s->regs);
    memory_region_add_subregion(&s->bar0, VMSHM_REGS_SIZE, &s->memory);
    vmshm_mailbox_reset(s);
}

static void vmshm_pci_exit_futex(VMShmState *s)
{
    if (!s->futex) {
        return;
    }
    vmshm_mailbox_exit(s);
    vmshm_futex_stop(s->futex);
    msix_unset_vector_notifiers(PCI_DEVICE(s));
    memory_region_del_subregion(&s->regs, &s->futex_io);
    if (vmshm_mailbox_shown(s)) {
        memory_region_del_subregion(&s->bar0, &s->regs);
        memory_region_del_subregion(&s->bar0, &s->memory);
    }
    vmshm_irq_exit(s->irq);
}

/*
 * Waiting and waking, and with them the command memory, are optional. Without
 * MSI-X on this machine, or without futex_waitv(2) on this host, the device is
 * the same but for its feature bits.
 */
static void vmshm_pci_init_futex(VMShmState *s)
{
    if (!s->arena_window || !vmshm_futex_possible()) {
        return;
    }
    s->memory_window = vmshm_window_new(VMSHM_BAR0_SIZE - VMSHM_REGS_SIZE,
                                        NULL);
    if (!s->memory_window) {
        return;
    }
    /* The device of contract 1.0 has one vector. */
    s->irq = vmshm_irq_new(PCI_DEVICE(s),
                           s->command_memory ? VMSHM_VECTORS_MAX : 1,
                           vmshm_pci_irq_pending, s);
    if (!s->irq) {
        vmshm_window_free(s->memory_window);
        s->memory_window = NULL;
        return;
    }
    vmshm_pci_init_memory(s);
    /* Warns the operator now, and not at a guest's first hold. */
    vmshm_robust_possible();
    s->futex = vmshm_futex_new(s->arena_window,
                               vmshm_mailbox_memory(s, VMSHM_MEM_FIRED),
                               vmshm_mailbox_shown(s) ?
                               vmshm_mailbox_memory(s, VMSHM_MEM_RECORD) : NULL,
                               s->irq);
    /* MSI-X is off, so this sets up no vector and cannot fail. */
    msix_set_vector_notifiers(PCI_DEVICE(s), vmshm_pci_unmasked,
                              vmshm_pci_masked, NULL);
    memory_region_init_io(&s->futex_io, OBJECT(s), &vmshm_mmio_futex_ops, s,
                          "vmshm-futex", VMSHM_REGS_SIZE - VMSHM_REG_SLOT);
    vmshm_compat_lockless(&s->futex_io);
    memory_region_add_subregion(&s->regs, VMSHM_REG_SLOT, &s->futex_io);
}

static void vmshm_pci_reset_enter(Object *obj, ResetType type)
{
    VMShmState *s = VMSHM(obj);

    VMSHM_TRACE(reset);
    memset(s->name, 0, sizeof(s->name));
    memset(s->request, 0, sizeof(s->request));
    memset(s->result, 0, sizeof(s->result));
    s->status = 0;
}

/* Not in the first phase: this ends waits of other guests and frees objects. */
static void vmshm_pci_reset_hold(VMSHM_RESET_HOLD)
{
    VMShmState *s = VMSHM(obj);
    int ret = vmshm_release(s);

    if (ret < 0) {
        error_report("vmshm: cannot unmap an object at reset: %s",
                     strerror(-ret));
    }
    vmshm_mailbox_reset(s);
}

/*
 * A span for objects that can be written and one for those that cannot: a
 * guest's write to a read-only mapping must end at the memory region, where it
 * is ignored, because in the host's page tables it would stop the VM.
 */
static void vmshm_pci_init_arena(VMShmState *s)
{
    Object *owner = OBJECT(s);

    memory_region_init(&s->arena, owner, "vmshm-arena", 2 * s->arena_size);
    vmshm_pci_init_ram(&s->arena_rw, owner, "vmshm-arena-rw",
                       s->arena_window, 0, s->arena_size);
    vmshm_pci_init_ram(&s->arena_ro, owner, "vmshm-arena-ro", s->arena_window,
                       s->arena_size, s->arena_size);
    memory_region_set_readonly(&s->arena_ro, true);
    memory_region_add_subregion(&s->arena, 0, &s->arena_rw);
    memory_region_add_subregion(&s->arena, s->arena_size, &s->arena_ro);
}

/* All that can fail. Windows that exist by then are freed with the device. */
static bool vmshm_pci_init_windows(VMShmState *s, Error **errp)
{
    if (s->arena_size) {
        if (!is_power_of_2(s->arena_size) || s->arena_size < ARENA_MIN ||
            s->arena_size > ARENA_MAX) {
            error_setg(errp, "arena= takes a power of two from 2M to 1T, such "
                       "as 256M or 4G, or 0 for the device of 2010");
            return false;
        }
        s->arena_window = vmshm_window_new(2 * s->arena_size, errp);
        if (!s->arena_window) {
            return false;
        }
    }
    s->buffer_window = vmshm_window_new(VMSHM_BUFFER_SIZE, errp);
    return s->buffer_window;
}

static void vmshm_pci_log_loss(void *opaque, const VMShmAttachment *a,
                               unsigned lost)
{
    VMShmState *s = opaque;
    g_autofree char *shown = g_strescape(a->name, NULL);

    if (lost & VMSHM_LOST_END && vmshm_policy_may_log(&s->policy)) {
        warn_report("vmshm: \"%.80s\" was truncated while it is attached; the "
                    "guest sees zeros there", shown);
    }
    if (lost & VMSHM_LOST_PAGE && vmshm_policy_may_log(&s->policy)) {
        warn_report("vmshm: the host has no memory for a page of \"%.80s\"; "
                    "the guest sees zeros there", shown);
    }
    if (lost & VMSHM_LOST_WRITE && vmshm_policy_may_log(&s->policy)) {
        warn_report("vmshm: \"%.80s\" is attached read-only; a debugger's "
                    "write to it was dropped", shown);
    }
}

static void vmshm_pci_loss(void *opaque)
{
    VMShmState *s = opaque;

    vmshm_loss_report(&s->attachments, vmshm_pci_log_loss, s);
}

static bool vmshm_pci_init_dir(VMShmState *s, Error **errp)
{
    uint64_t page;

    if (!s->dir_path) {
        s->dir_path = g_strdup(VMSHM_HOST_DIR);
    }
    s->dir = vmshm_host_dir_open(s->dir_path, errp);
    if (s->dir < 0) {
        return false;
    }
    page = vmshm_host_page(s->dir);
    if (page > VMSHM_PAGE_SIZE && page > s->arena_size) {
        error_setg(errp, "dir=%s has pages of %" PRIu64 " bytes; arena= has to "
                   "be at least that", s->dir_path, page);
        return false;
    }
    if (s->policy.create) {
        s->store = vmshm_store_new(s->dir, &s->policy);
    }
    return true;
}

/* Two devices with the same directory and prefix have the same objects. */
static char *vmshm_pci_scope_key(VMShmState *s)
{
    struct stat st = { 0 };

    fstat(s->dir, &st);
    return g_strdup_printf("%" PRIx64 " %" PRIx64 " %s", (uint64_t)st.st_dev,
                           (uint64_t)st.st_ino, s->policy.prefix ?: "");
}

/* Descriptors that the device keeps open for the guest, at most */
static unsigned vmshm_pci_files(const VMShmState *s)
{
    return s->policy.max_objects +
           (s->policy.create ? VMSHM_TEMPORARIES_MAX : 0);
}

static void vmshm_pci_realize(PCIDevice *pci, Error **errp)
{
    VMShmState *s = VMSHM(pci);
    Object *owner = OBJECT(s);

    if (!vmshm_policy_validate(&s->policy, errp) ||
        !vmshm_pci_init_windows(s, errp) ||
        !vmshm_pci_init_dir(s, errp)) {
        return;
    }
#ifdef VMSHM_NEAREST
    if (!vmshm_layout_fits_kvm(errp)) {
        return;
    }
#endif
    s->scope = vmshm_scope_get(vmshm_pci_scope_key(s));
    vmshm_worker_add(VMSHM_JOBS_MAX + 1);
    vmshm_budget_add_device(vmshm_pci_files(s));
    vmshm_sigbus_init();
    vmshm_resume_init();
    vmshm_attachments_init(&s->attachments, s->scope, vmshm_pci_loss, s);

    if (s->arena_window) {
        vmshm_pci_init_arena(s);
    }
    vmshm_pci_init_ram(&s->buffer, owner, "vmshm-buffer", s->buffer_window, 0,
                       VMSHM_BUFFER_SIZE);
    memory_region_set_readonly(&s->buffer, s->policy.readonly);
    memory_region_init_io(&s->regs, owner, &vmshm_mmio_regs_ops, s,
                          "vmshm-regs", VMSHM_REGS_SIZE);
    memory_region_init_io(&s->name_io, owner, &vmshm_mmio_name_ops, s,
                          "vmshm-name", VMSHM_NAME_SIZE);

    pci_register_bar(pci, VMSHM_BAR_BUFFER, PCI_BASE_ADDRESS_SPACE_MEMORY,
                     &s->buffer);
    pci_register_bar(pci, VMSHM_BAR_NAME, PCI_BASE_ADDRESS_SPACE_MEMORY,
                     &s->name_io);
    if (s->arena_window) {
        pci_register_bar(pci, VMSHM_BAR_ARENA,
                         PCI_BASE_ADDRESS_SPACE_MEMORY |
                         PCI_BASE_ADDRESS_MEM_TYPE_64 |
                         PCI_BASE_ADDRESS_MEM_PREFETCH, &s->arena);
    }
    vmshm_pci_init_futex(s);
    pci_register_bar(pci, VMSHM_BAR_REGS, PCI_BASE_ADDRESS_SPACE_MEMORY,
                     vmshm_mailbox_shown(s) ? &s->bar0 : &s->regs);
}

static void vmshm_pci_exit(PCIDevice *pci)
{
    VMShmState *s = VMSHM(pci);

    vmshm_pci_exit_futex(s);
    /* A failure does no harm: the windows are freed with the device. */
    vmshm_release(s);
    if (s->attachments.migration_blocker) {
        vmshm_compat_migration_unblock(&s->attachments.migration_blocker);
    }
    vmshm_attachments_destroy(&s->attachments);
    vmshm_budget_remove_device(vmshm_pci_files(s));
    if (s->arena_window) {
        /* Each span holds a reference to the device, which would leak. */
        memory_region_del_subregion(&s->arena, &s->arena_rw);
        memory_region_del_subregion(&s->arena, &s->arena_ro);
    }
}

static void vmshm_pci_instance_init(Object *obj)
{
    VMShmState *s = VMSHM(obj);

    QLIST_INIT(&s->jobs.all);
    qemu_cond_init(&s->jobs.ended);
    s->dir = -1;
}

static void vmshm_pci_finalize(Object *obj)
{
    VMShmState *s = VMSHM(obj);

    /* Until now a vCPU that had looked up the registers could use the slots. */
    vmshm_futex_unref(s->futex);
    vmshm_window_free(s->buffer_window);
    vmshm_window_free(s->arena_window);
    vmshm_window_free(s->memory_window);
    vmshm_store_free(s->store);
    if (s->scope) {
        /* Not at exit, because jobs can outlast the unplug of the device. */
        vmshm_worker_add(-(VMSHM_JOBS_MAX + 1));
        vmshm_scope_put(s->scope);
    }
    if (s->dir >= 0) {
        close(s->dir);
    }
    qemu_cond_destroy(&s->jobs.ended);
}

/* The value of a property, which is freed */
static void vmshm_pci_visit(Visitor *v, const char *name, QObject *value,
                            Error **errp)
{
    visit_type_any(v, name, &value, errp);
    qobject_unref(value);
}

static void vmshm_pci_get_attachments(Object *obj, Visitor *v, const char *name,
                                      void *opaque, Error **errp)
{
    vmshm_pci_visit(v, name, QOBJECT(vmshm_describe_attachments(VMSHM(obj))),
                    errp);
}

static void vmshm_pci_get_refusals(Object *obj, Visitor *v, const char *name,
                                   void *opaque, Error **errp)
{
    vmshm_pci_visit(v, name, QOBJECT(vmshm_describe_refusals(VMSHM(obj))),
                    errp);
}

static void vmshm_pci_get_hidden(Object *obj, Visitor *v, const char *name,
                                 void *opaque, Error **errp)
{
    uint64_t hidden = VMSHM(obj)->hidden;

    visit_type_uint64(v, name, &hidden, errp);
}

static void vmshm_pci_get_losses(Object *obj, Visitor *v, const char *name,
                                 void *opaque, Error **errp)
{
    vmshm_pci_visit(v, name, QOBJECT(vmshm_describe_losses(VMSHM(obj))), errp);
}

static VMSHM_PROPERTY_TABLE vmshm_pci_properties[] = {
    DEFINE_PROP_SIZE("arena", VMShmState, arena_size, 1 * GiB),
    DEFINE_PROP_STRING("dir", VMShmState, dir_path),
    DEFINE_PROP_BOOL("command-memory", VMShmState, command_memory, true),
    DEFINE_PROP_STRING("allow", VMShmState, policy.allow),
    DEFINE_PROP_STRING("deny", VMShmState, policy.deny),
    DEFINE_PROP_STRING("prefix", VMShmState, policy.prefix),
    DEFINE_PROP_BOOL("readonly", VMShmState, policy.readonly, false),
    DEFINE_PROP_BOOL("create", VMShmState, policy.create, false),
    DEFINE_PROP_UINT32("max-objects", VMShmState, policy.max_objects, 4096),
    DEFINE_PROP_SIZE("max-bytes", VMShmState, policy.max_bytes, 0),
    VMSHM_PROPERTY_END
};

static bool vmshm_pci_has_msix(void *opaque, int version_id)
{
    return msix_present(PCI_DEVICE(opaque));
}

static int vmshm_pci_pre_save(void *opaque)
{
    VMShmState *s = opaque;

    /*
     * A job can have state of an object that cannot be sent. The VM is stopped
     * meanwhile, and a host process can make a job wait for any time.
     */
    if (!vmshm_jobs_drain(s, DRAIN_MS)) {
        error_report("vmshm: a command of the guest still waits for a process "
                     "of the host that uses the object; the VM's state is not "
                     "saved, and the VM continues here; try again later");
        return -EBUSY;
    }
    s->sent_arena_size = s->arena_size;
    return 0;
}

static int vmshm_pci_post_load(void *opaque, int version_id)
{
    VMShmState *s = opaque;

    if (s->sent_arena_size != s->arena_size) {
        error_report("vmshm: arena= must be the same on both sides, but is "
                     "%" PRIu64 " there and %" PRIu64 " here",
                     s->sent_arena_size, s->arena_size);
        return -EINVAL;
    }
    vmshm_mailbox_loaded(s);
    return 0;
}

/* Nothing is attached while this is sent: see block_migration(). */
static const VMStateDescription vmshm_pci_vmstate = {
    .name = TYPE_VMSHM,
    /* 2: BAR0 has a command memory. */
    .version_id = 2,
    .minimum_version_id = 2,
    .pre_save = vmshm_pci_pre_save,
    .post_load = vmshm_pci_post_load,
    .fields = (VMStateField[]) {
        VMSTATE_PCI_DEVICE(parent_obj, VMShmState),
        VMSTATE_UINT64(sent_arena_size, VMShmState),
        VMSTATE_UINT8_ARRAY(name, VMShmState, VMSHM_NAME_SIZE),
        VMSTATE_UINT32_ARRAY(request, VMShmState, VMSHM_REQUEST_WORDS),
        VMSTATE_UINT32_ARRAY(result, VMShmState, VMSHM_RESULT_WORDS),
        VMSTATE_UINT32(status, VMShmState),
        VMSTATE_MSIX_TEST(parent_obj, VMShmState, vmshm_pci_has_msix),
        VMSTATE_UINT32(epoch, VMShmState),
        VMSTATE_VBUFFER_UINT32(memory_host, VMShmState, 0,
                               vmshm_pci_has_msix, memory_size),
        VMSTATE_END_OF_LIST()
    }
};

static void vmshm_pci_class_init(ObjectClass *klass, VMSHM_CLASS_DATA data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    PCIDeviceClass *k = PCI_DEVICE_CLASS(klass);
    ResettableClass *rc = RESETTABLE_CLASS(klass);

    rc->phases.enter = vmshm_pci_reset_enter;
    rc->phases.hold = vmshm_pci_reset_hold;
    k->realize = vmshm_pci_realize;
    k->exit = vmshm_pci_exit;
    k->config_write = vmshm_pci_config_write;
    k->vendor_id = VMSHM_PCI_VENDOR_ID;
    k->device_id = VMSHM_PCI_DEVICE_ID;
    k->class_id = PCI_CLASS_MEMORY_RAM;
    k->revision = 1;
    dc->desc = "POSIX shared memory of the host, by name";
    dc->vmsd = &vmshm_pci_vmstate;
    device_class_set_props(dc, vmshm_pci_properties);
    object_class_property_add(klass, "attachments", "any",
                              vmshm_pci_get_attachments, NULL, NULL, NULL);
    object_class_property_set_description(klass, "attachments",
        "what the guest has attached");
    object_class_property_add(klass, "refusals", "any", vmshm_pci_get_refusals,
                              NULL, NULL, NULL);
    object_class_property_set_description(klass, "refusals",
        "how many requests were refused, by kind");
    object_class_property_add(klass, "hidden", "uint64", vmshm_pci_get_hidden,
                              NULL, NULL, NULL);
    object_class_property_set_description(klass, "hidden",
        "how many objects the last listing left out, because QEMU's user may "
        "not read them");
    object_class_property_add(klass, "losses", "any", vmshm_pci_get_losses,
                              NULL, NULL, NULL);
    object_class_property_set_description(klass, "losses",
        "how often the host took away memory of an attached object, by kind");
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
}

static const TypeInfo vmshm_pci_info = {
    .name = TYPE_VMSHM,
    .parent = TYPE_PCI_DEVICE,
    .instance_size = sizeof(VMShmState),
    .instance_init = vmshm_pci_instance_init,
    .instance_finalize = vmshm_pci_finalize,
    .class_init = vmshm_pci_class_init,
    .interfaces = (VMSHM_INTERFACE_TABLE[]) {
        { INTERFACE_CONVENTIONAL_PCI_DEVICE },
        { },
    },
};

void vmshm_register_types(void)
{
    type_register_static(&vmshm_pci_info);
}
