/*
 * VMShm: checks that the running QEMU has the layouts of the device's headers
 *
 * This is a part of the device only if its headers are those of another point
 * release. Each number is read from a table of the running QEMU, or from the
 * effect of a function of the running QEMU on a structure of these headers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <linux/kvm.h>
#include <malloc.h>
#include "hw/core/cpu.h"
#include "io/channel-file.h"
#include "migration/qemu-file.h"
#include "qapi/qapi-types-run-state.h"
#include "qemu/event_notifier.h"
#include "qemu/memalign.h"
#include "qemu/rcu.h"
#include "qemu/thread.h"
#include "layout.h"
#include "vmshm-compat.h"

#define TYPE_PROBE "vmshm-layout-probe"

typedef struct Probe {
    DeviceState parent_obj;
    uint64_t size;
    char *text;
    bool yes, no;
    uint32_t n;
} Probe;

typedef void PCIRealizeFunction(PCIDevice *dev, Error **errp);
typedef void PCIConfigWriteFunction(PCIDevice *dev, uint32_t address,
                                    uint32_t value, int size);

#define TYPE_PROBE_PCI "vmshm-layout-probe-pci"

/* What follows a structure in here shows how much of it QEMU has written. */
typedef union Space {
    uint8_t bytes[16384];
    max_align_t aligned;
} Space;

/* Functions of QEMU whose headers are not in include/ or have moved */
PCIRealizeFunction usb_uhci_common_realize;
PCIConfigWriteFunction pci_bridge_write_config;

static const char *difference;      /* the first one */
static const char *examined;        /* the part in progress, for on_signal() */
static void (*on_crash)(const char *name);

/* Records @name as the first difference if @condition is false. */
static bool fits(const char *name, bool condition)
{
    if (!condition && !difference) {
        difference = name;
    }
    return condition;
}

/*
 * @space was filled with @filler before QEMU initialized a structure in it. The
 * last byte that QEMU has written must be in the last member of a structure of
 * @size bytes, which can end with padding.
 */
static bool fits_size(const char *name, const Space *space, uint8_t filler,
                      size_t size, size_t alignment)
{
    size_t end = sizeof(space->bytes);

    while (end && space->bytes[end - 1] == filler) {
        end--;
    }
    return fits(name, end <= size && end + alignment > size);
}

/* QEMU clears an object before its first use. */
static bool fits_object(const char *name, const char *type, size_t size)
{
    static Space space;
    size_t end = sizeof(space.bytes);

    memset(&space, 0xaa, sizeof(space));
    object_initialize(&space, sizeof(space), type);
    while (end && space.bytes[end - 1] == 0xaa) {
        end--;
    }
    object_unref((Object *)&space);
    return fits(name, end == size);
}

static void examine_values(void)
{
    fits("RunState", strcmp(qapi_enum_lookup(&RunState_lookup,
                                             RUN_STATE_INTERNAL_ERROR),
                            "internal-error") == 0 &&
         strcmp(qapi_enum_lookup(&RunState_lookup, RUN_STATE_PAUSED),
                "paused") == 0);
}

static void examine_qobject(void)
{
    QDict *dict = qdict_new(), *copy;
    QList *list = qlist_new();

    fits("QObjectBase_.type", dict->base.type == QTYPE_QDICT &&
         list->base.type == QTYPE_QLIST);
    qdict_put_obj(dict, "list", QOBJECT(list));
    if (fits("QObjectBase_.refcnt", list->base.refcnt == 1)) {
        copy = qdict_clone_shallow(dict);
        fits("QObjectBase_.refcnt", list->base.refcnt == 2);
        qobject_unref(copy);
        fits("QObjectBase_.refcnt", list->base.refcnt == 1);
    }
    qobject_unref(dict);
}

static void rcu_called(struct rcu_head *head)
{
}

static void examine_threads(void)
{
    static Space head;      /* in use until QEMU's RCU thread has handled it */
    Space space;

    memset(&space, 0xaa, sizeof(space));
    qemu_mutex_init((QemuMutex *)&space);
    fits_size("sizeof(QemuMutex)", &space, 0xaa, sizeof(QemuMutex),
              __alignof__(QemuMutex));
    qemu_mutex_destroy((QemuMutex *)&space);

    memset(&space, 0xaa, sizeof(space));
    qemu_cond_init((QemuCond *)&space);
    fits_size("sizeof(QemuCond)", &space, 0xaa, sizeof(QemuCond),
              __alignof__(QemuCond));
    qemu_cond_destroy((QemuCond *)&space);

    memset(&space, 0xaa, sizeof(space));
    qemu_event_init((QemuEvent *)&space, false);
    fits_size("sizeof(QemuEvent)", &space, 0xaa, sizeof(QemuEvent),
              __alignof__(QemuEvent));
    qemu_event_destroy((QemuEvent *)&space);

    memset(&space, 0xaa, sizeof(space));
    if (event_notifier_init((EventNotifier *)&space, 0) == 0) {
        fits_size("sizeof(EventNotifier)", &space, 0xaa,
                  sizeof(EventNotifier), __alignof__(EventNotifier));
        event_notifier_cleanup((EventNotifier *)&space);
    } else {
        fits("EventNotifier", false);
    }

    memset(&head, 0xaa, sizeof(head));
    call_rcu1((struct rcu_head *)&head, rcu_called);
    fits_size("sizeof(struct rcu_head)", &head, 0xaa,
              sizeof(struct rcu_head), __alignof__(struct rcu_head));
}

static unsigned classes, inits, finals, resets, realized;

static void probe_reset_enter(Object *obj, ResetType type)
{
    resets += 1;
}

static void probe_reset_hold(VMSHM_RESET_HOLD)
{
    resets += 10;
}

static void probe_init(Object *obj)
{
    inits++;
}

static void probe_finalize(Object *obj)
{
    finals++;
}

static void probe_realized(DeviceListener *listener, DeviceState *dev)
{
    if (object_dynamic_cast(OBJECT(dev), TYPE_PROBE)) {
        realized++;
    }
}

static const VMStateDescription probe_vmstate = {
    .name = TYPE_PROBE,
    .fields = (VMStateField[]) { VMSTATE_END_OF_LIST() },
};

static VMSHM_PROPERTY_TABLE probe_properties[] = {
    DEFINE_PROP_SIZE("size", Probe, size, 1 << 20),
    DEFINE_PROP_STRING("text", Probe, text),
    DEFINE_PROP_BOOL("yes", Probe, yes, true),
    DEFINE_PROP_BOOL("no", Probe, no, false),
    DEFINE_PROP_UINT32("n", Probe, n, 4096),
    VMSHM_PROPERTY_END
};

static void probe_class_init(ObjectClass *klass, VMSHM_CLASS_DATA data)
{
    ResettableClass *rc = RESETTABLE_CLASS(klass);
    DeviceClass *dc = DEVICE_CLASS(klass);

    classes++;
    dc->vmsd = &probe_vmstate;
    rc->phases.enter = probe_reset_enter;
    rc->phases.hold = probe_reset_hold;
    device_class_set_props(dc, probe_properties);
}

static const TypeInfo probe_info = {
    .name = TYPE_PROBE,
    .parent = TYPE_DEVICE,
    .instance_size = sizeof(Probe),
    .instance_init = probe_init,
    .instance_finalize = probe_finalize,
    .class_init = probe_class_init,
    .interfaces = (VMSHM_INTERFACE_TABLE[]) {
        { INTERFACE_CONVENTIONAL_PCI_DEVICE },
        { },
    },
};

static void examine_properties(Probe *probe)
{
    Object *obj = OBJECT(probe);
    Error *err = NULL;

    fits("Property.defval", probe->size == 1 << 20 && !probe->text &&
         probe->yes && !probe->no && probe->n == 4096);
    object_property_set_str(obj, "text", "text", &err);
    object_property_set_uint(obj, "size", 3 << 20, err ? NULL : &err);
    object_property_set_uint(obj, "n", 7, err ? NULL : &err);
    object_property_set_bool(obj, "no", true, err ? NULL : &err);
    fits("Property", !err && probe->text &&
         strcmp(probe->text, "text") == 0 && probe->size == 3 << 20 &&
         probe->n == 7 && probe->no && probe->yes);
    error_free(err);
}

static void examine_device(Probe *probe)
{
    DeviceState *dev = DEVICE(probe);
    Space space = { };
    DeviceListener *listener = (DeviceListener *)&space;
    Error *err = NULL;

    fits("DeviceClass.vmsd", qdev_get_vmsd(dev) == &probe_vmstate);
    listener->realize = probe_realized;
    device_listener_register(listener);
    fits_size("sizeof(DeviceListener)", &space, 0, sizeof(DeviceListener), 8);
    /* Without a parent, QEMU counts the device among the machine's own. */
    object_property_add_child(object_get_root(), TYPE_PROBE, OBJECT(dev));
    fits("DeviceState", qdev_realize(dev, NULL, &err));
    error_free(err);
    fits("DeviceListener.realize", realized == 1);
    device_cold_reset(dev);
    fits("ResettableClass.phases", resets == 11);
    object_unparent(OBJECT(dev));
    device_listener_unregister(listener);
}

static void examine_type(void)
{
    ObjectClass *klass;
    Object *obj;

    type_register_static(&probe_info);
    klass = object_class_by_name(TYPE_PROBE);
    if (!fits("TypeInfo.name", klass) ||
        !fits("TypeInfo.class_init", classes == 1) ||
        !fits("TypeInfo.parent", strcmp(object_class_get_name(
            object_class_get_parent(klass)), TYPE_DEVICE) == 0) ||
        !fits_object("TypeInfo.instance_size", TYPE_PROBE, sizeof(Probe)) ||
        !fits("TypeInfo.interfaces", object_class_dynamic_cast(
            klass, INTERFACE_CONVENTIONAL_PCI_DEVICE))) {
        return;
    }
    inits = finals = 0;
    obj = object_new(TYPE_PROBE);
    fits("TypeInfo.instance_init", inits == 1);
    examine_properties((Probe *)obj);
    examine_device((Probe *)obj);
    object_unref(obj);
    fits("TypeInfo.instance_finalize", finals == 1);
}

/* As large as its parent */
static const TypeInfo probe_pci_info = {
    .name = TYPE_PROBE_PCI,
    .parent = TYPE_PCI_DEVICE,
    .interfaces = (VMSHM_INTERFACE_TABLE[]) {
        { INTERFACE_CONVENTIONAL_PCI_DEVICE },
        { },
    },
};

static void examine_sizes(void)
{
    type_register_static(&probe_pci_info);
    fits_object("sizeof(PCIDevice)", TYPE_PROBE_PCI, sizeof(PCIDevice));
    fits_object("sizeof(MemoryRegion)", TYPE_MEMORY_REGION,
                sizeof(MemoryRegion));
}

/* A class of QEMU; its functions are compared, but not called. */
static PCIDeviceClass *pci_class(const char *name)
{
    ObjectClass *klass = object_class_by_name(name);

    return fits(name, klass) ? (PCIDeviceClass *)klass : NULL;
}

static void examine_classes(void)
{
    PCIDeviceClass *uhci = pci_class("piix3-usb-uhci");
    PCIDeviceClass *bridge = pci_class("i82801b11-bridge");
    PCIDeviceClass *edu = pci_class("edu");
    PCIDeviceClass *testdev = pci_class("pci-testdev");
    PCIDeviceClass *port = pci_class("pcie-root-port");
    DeviceClass *dc = (DeviceClass *)port;
    DECLARE_BITMAP(bridges, DEVICE_CATEGORY_MAX) = { };

    if (!uhci || !bridge || !edu || !testdev || !port) {
        return;
    }
    fits("PCIDeviceClass.realize", uhci->realize == usb_uhci_common_realize);
    fits("PCIDeviceClass.config_write",
         bridge->config_write == pci_bridge_write_config);
    /* Each of these two classes has its own exit, which is not its realize. */
    fits("PCIDeviceClass.exit", edu->exit && testdev->exit &&
         edu->exit != testdev->exit &&
         (void *)edu->exit != (void *)edu->realize &&
         (void *)testdev->exit != (void *)testdev->realize);
    fits("PCIDeviceClass.vendor_id", bridge->vendor_id == 0x8086 &&
         port->vendor_id == 0x1b36 && edu->vendor_id == 0x1234);
    fits("PCIDeviceClass.device_id", bridge->device_id == 0x244e &&
         port->device_id == 0x000c && edu->device_id == 0x11e8);
    fits("PCIDeviceClass.revision", bridge->revision == 0x92 &&
         uhci->revision == 1 && edu->revision == 0x10);
    fits("PCIDeviceClass.class_id", uhci->class_id == 0x0c03 &&
         edu->class_id == 0x00ff && testdev->class_id == 0x00ff);
    set_bit(DEVICE_CATEGORY_BRIDGE, bridges);
    fits("DeviceClass.categories", memcmp(dc->categories, bridges,
                                          sizeof(bridges)) == 0);
    fits("DeviceClass.desc", dc->desc &&
         strcmp(dc->desc, "PCI Express Root Port") == 0);
}

/* A small model of the state that a device sends in a migration */
typedef struct Sent {
    uint64_t u64;
    uint8_t array8[3];
    uint32_t array32[2];
    uint32_t u32;
    uint32_t inner;
    uint32_t never;
    uint8_t *buffer;
    uint32_t buffer_size;
    int before, after;
} Sent;

static const uint8_t sent_bytes[] = {
    1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 21, 22, 23, 24, 25, 26, 27, 28,
    31, 32, 33, 34, 41, 42, 43, 44, 51, 52, 53, 54, 55,
};

static int sent_pre_save(void *opaque)
{
    ((Sent *)opaque)->before++;
    return 0;
}

static int sent_post_load(void *opaque, int version_id)
{
    ((Sent *)opaque)->after += version_id;
    return 0;
}

static bool always(void *opaque, int version_id)
{
    return version_id == 2;
}

static bool never(void *opaque, int version_id)
{
    return false;
}

static const VMStateDescription inner_vmstate = {
    .name = "inner",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (VMStateField[]) {
        VMSTATE_UINT32(inner, Sent),
        VMSTATE_END_OF_LIST()
    }
};

/* The kinds of field in vmshm_pci_vmstate. The last field needs version 3. */
static const VMStateDescription sent_vmstate = {
    .name = "sent",
    .version_id = 2,
    .minimum_version_id = 2,
    .pre_save = sent_pre_save,
    .post_load = sent_post_load,
    .fields = (VMStateField[]) {
        VMSTATE_UINT64(u64, Sent),
        VMSTATE_UINT8_ARRAY(array8, Sent, 3),
        VMSTATE_UINT32_ARRAY(array32, Sent, 2),
        VMSTATE_UINT32(u32, Sent),
        {
            .name = "inner",
            .vmsd = &inner_vmstate,
            .size = sizeof(Sent),
            .flags = VMS_STRUCT,
            .field_exists = always,
        },
        VMSTATE_UINT32_TEST(never, Sent, never),
        VMSTATE_VBUFFER_UINT32(buffer, Sent, 0, always, buffer_size),
        VMSTATE_UINT32_V(never, Sent, 3),
        VMSTATE_END_OF_LIST()
    }
};

static bool save(int fd, Sent *sent)
{
    QIOChannelFile *channel = qio_channel_file_new_fd(dup(fd));
    QEMUFile *file = qemu_file_new_output(QIO_CHANNEL(channel));
    bool ok = vmshm_compat_save(file, &sent_vmstate, sent);

    object_unref(OBJECT(channel));
    return qemu_fclose(file) >= 0 && ok;
}

static bool load(int fd, Sent *sent)
{
    QIOChannelFile *channel;
    QEMUFile *file;
    bool ok;

    lseek(fd, 0, SEEK_SET);
    channel = qio_channel_file_new_fd(dup(fd));
    file = qemu_file_new_input(QIO_CHANNEL(channel));
    ok = vmshm_compat_load(file, &sent_vmstate, sent, 2);
    object_unref(OBJECT(channel));
    /* QEMU's read-ahead met the end of the file, which counts as an error. */
    qemu_fclose(file);
    return ok;
}

static void examine_migration(void)
{
    uint8_t buffer[] = { 51, 52, 53, 54, 55 }, loaded[5] = { };
    Sent sent = {
        .u64 = 0x0102030405060708, .array8 = { 11, 12, 13 },
        .array32 = { 0x15161718, 0x191a1b1c }, .u32 = 0x1f202122,
        .inner = 0x292a2b2c, .never = 99, .buffer = buffer,
        .buffer_size = sizeof(buffer),
    };
    Sent got = { .buffer = loaded, .buffer_size = sizeof(loaded) };
    uint8_t bytes[256];
    int fd = memfd_create("vmshm-layout", MFD_CLOEXEC);

    if (!fits("memfd_create(2)", fd >= 0)) {
        return;
    }
    fits("VMStateField", save(fd, &sent) && pread(fd, bytes, sizeof(bytes), 0)
         == sizeof(sent_bytes) &&
         memcmp(bytes, sent_bytes, sizeof(sent_bytes)) == 0);
    fits("VMStateDescription.pre_save", sent.before == 1);
    fits("VMStateField", load(fd, &got) && got.u64 == sent.u64 &&
         memcmp(got.array8, sent.array8, sizeof(got.array8)) == 0 &&
         memcmp(got.array32, sent.array32, sizeof(got.array32)) == 0 &&
         got.u32 == sent.u32 && got.inner == sent.inner && !got.never &&
         memcmp(loaded, buffer, sizeof(buffer)) == 0);
    fits("VMStateDescription.post_load", got.after == 2);
    close(fd);
}

/* Compares the values in QEMU's own tables, and does not test their effect. */
static void examine_tables(void)
{
    const VMStateField *f = vmstate_pci_device.fields;

    fits("VMStateDescription.name",
         strcmp(vmstate_pci_device.name, "PCIDevice") == 0);
    fits("VMStateDescription.version_id", vmstate_pci_device.version_id == 2);
    fits("VMStateDescription.minimum_version_id",
         vmstate_pci_device.minimum_version_id == 1);
    if (!fits("VMStateDescription.fields", f) ||
        !fits("VMStateField.name", strcmp(f->name, "version_id") == 0)) {
        return;
    }
    fits("VMStateField.offset", f->offset == offsetof(PCIDevice, version_id));
    fits("VMStateField.size", f->size == sizeof(int32_t));
    fits("VMStateField.info", f->info->name &&
         strstr(f->info->name, "int32"));
    fits("sizeof(VMStateField)", f[1].name &&
         strcmp(f[1].name, "config") == 0 && f[2].name &&
         strcmp(f[2].name, "config") == 0 && f[3].name &&
         strcmp(f[3].name, "irq_state") == 0 && !f[4].name);
    fits("VMStateField.field_exists", !f[0].field_exists &&
         f[1].field_exists && f[2].field_exists &&
         f[1].field_exists != f[2].field_exists);
}

/* The arguments of the last access, and the number of accesses */
static hwaddr last_address;
static unsigned last_size, accesses;
static uint64_t last_value;

static uint64_t io_read(void *opaque, hwaddr addr, unsigned size)
{
    last_address = addr;
    last_size = size;
    accesses++;
    return 0x11223344;
}

static void io_write(void *opaque, hwaddr addr, uint64_t value, unsigned size)
{
    last_address = addr;
    last_size = size;
    last_value = value;
    accesses++;
}

/* Only accesses of 4 bytes, in big-endian order */
static const MemoryRegionOps words_ops = {
    .read = io_read,
    .write = io_write,
    .endianness = DEVICE_BIG_ENDIAN,
    .valid = { .min_access_size = 4, .max_access_size = 4 },
    .impl = { .min_access_size = 4, .max_access_size = 4 },
};

/* All accesses are valid. QEMU turns them into accesses of 2 or 4 bytes. */
static const MemoryRegionOps parts_ops = {
    .read = io_read,
    .write = io_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
    .impl = { .min_access_size = 2, .max_access_size = 4, .unaligned = true },
};

static MemTxResult io(MemoryRegion *mr, hwaddr addr, uint64_t *value,
                      MemOp op)
{
    accesses = 0;
    return memory_region_dispatch_read(mr, addr, value, op,
                                       MEMTXATTRS_UNSPECIFIED);
}

static void examine_words(MemoryRegion *mr)
{
    uint64_t value = 0;

    fits("MemoryRegionOps.read", io(mr, 8, &value, MO_32 | MO_LE) == MEMTX_OK &&
         accesses == 1 && last_address == 8 && last_size == 4);
    fits("MemoryRegionOps.endianness", value == 0x44332211);
    fits("MemoryRegionOps.valid.min_access_size",
         io(mr, 8, &value, MO_16 | MO_LE) != MEMTX_OK && !accesses);
    fits("MemoryRegionOps.valid.max_access_size",
         io(mr, 8, &value, MO_64 | MO_LE) != MEMTX_OK && !accesses);
    fits("MemoryRegionOps.valid.unaligned",
         io(mr, 6, &value, MO_32 | MO_LE) != MEMTX_OK && !accesses);
    memory_region_dispatch_write(mr, 4, 0x55667788, MO_32 | MO_BE,
                                 MEMTXATTRS_UNSPECIFIED);
    fits("MemoryRegionOps.write", accesses == 1 && last_address == 4 &&
         last_value == 0x55667788);
}

static void examine_parts(MemoryRegion *mr, hwaddr base)
{
    uint64_t value = 0;

    fits("MemoryRegionOps.impl.min_access_size",
         io(mr, 8, &value, MO_8) == MEMTX_OK && accesses == 1 &&
         last_size == 2);
    fits("MemoryRegionOps.impl.max_access_size",
         io(mr, 8, &value, MO_64 | MO_LE) == MEMTX_OK && accesses == 2 &&
         last_size == 4);
    fits("MemoryRegionOps.endianness", value == 0x1122334411223344);
    fits("MemoryRegionOps.valid.unaligned",
         io(mr, 6, &value, MO_32 | MO_LE) == MEMTX_OK && accesses == 1);
    accesses = 0;
    address_space_read(&address_space_memory, base + 6, MEMTXATTRS_UNSPECIFIED,
                       &value, 4);
    fits("MemoryRegionOps.impl.unaligned", accesses == 1 &&
         last_address == 6 && last_size == 4);
}

/* Checks this thread's RCU reader, in a read section that QEMU has begun. */
static int in_read_section(RAMBlock *block, void *opaque)
{
    struct rcu_reader_data *reader = get_ptr_rcu_reader();

    fits("rcu_reader_data.depth", reader->depth == *(unsigned *)opaque + 1);
    fits("rcu_reader_data.ctr", reader->ctr && reader->ctr == rcu_gp_ctr);
    return 1;
}

static void examine_section(MemoryRegion *mr, hwaddr base)
{
    MemoryRegionSection *copies[32];
    struct {
        MemoryRegionSection section;
        uint8_t more[512];      /* QEMU's structure may be larger. */
    } found;
    typeof(found) (*find)(MemoryRegion *, hwaddr, uint64_t) =
        (void *)memory_region_find;
    size_t i, least = SIZE_MAX;

    found = find(get_system_memory(), base + 0x10, 1);
    if (!fits("MemoryRegionSection.mr", found.section.mr == mr)) {
        return;
    }
    fits("MemoryRegionSection.offset_within_region",
         found.section.offset_within_region == 0x10);
    /* The heap rounds up, to 16 bytes as the compiler does, or one more. */
    for (i = 0; i < ARRAY_SIZE(copies); i++) {
        copies[i] = memory_region_section_new_copy(&found.section);
        least = MIN(least, malloc_usable_size(copies[i]));
    }
    for (i = 0; i < ARRAY_SIZE(copies); i++) {
        memory_region_section_free_copy(copies[i]);
    }
    QEMU_BUILD_BUG_ON(__alignof__(MemoryRegionSection) != 16);
    fits("sizeof(MemoryRegionSection)",
         ROUND_DOWN(least, 16) == sizeof(MemoryRegionSection));
    memory_region_unref(mr);
}

static void examine_memory(void)
{
    static MemoryRegion ram, words, parts;
    const hwaddr base = 1ULL << 35, size = qemu_real_host_page_size();
    void *memory = qemu_memalign(size, size);
    unsigned depth = get_ptr_rcu_reader()->depth;
    Object *owner = object_new("container");

    memory_region_init_ram_ptr(&ram, owner, "ram", size, memory);
    memory_region_init_io(&words, owner, &words_ops, NULL, "words", size);
    memory_region_init_io(&parts, owner, &parts_ops, NULL, "parts", size);
    fits("MemoryRegion.ram", memory_region_is_ram(&ram) &&
         !memory_region_is_ram(&words));
    fits("RAMBlock.flags", !memory_region_is_protected(&ram));
    ram.ram_block->flags |= RAM_PROTECTED;
    fits("RAMBlock.flags", memory_region_is_protected(&ram));
    ram.ram_block->flags &= ~RAM_PROTECTED;
    fits("MemoryRegion.ram_block", !memory_region_is_protected(&ram));

    memory_region_add_subregion(get_system_memory(), base, &ram);
    memory_region_add_subregion(get_system_memory(), base + size, &parts);
    qemu_ram_foreach_block(in_read_section, &depth);
    examine_words(&words);
    examine_parts(&parts, base + size);
    examine_section(&ram, base);
    memory_region_del_subregion(get_system_memory(), &parts);
    memory_region_del_subregion(get_system_memory(), &ram);
    object_unparent(OBJECT(&words));
    object_unparent(OBJECT(&parts));
    object_unparent(OBJECT(&ram));
    object_unref(owner);
    fits("AddressSpace.root", address_space_memory.root == get_system_memory());
    /* QEMU's RCU thread frees the RAM block later. The page is not freed. */
}

/* The two processors are zero memory; only QEMU's list uses them. */
static void examine_processors(void)
{
    const size_t size = 1 << 20;
    CPUState *first = g_malloc0(size), *second = g_malloc0(size), *cpu;
    CPUState *seen[3] = { };
    size_t n = 0;

    cpu_list_add(first);
    cpu_list_add(second);
    CPU_FOREACH(cpu) {
        if (n < ARRAY_SIZE(seen)) {
            seen[n++] = cpu;
        }
    }
    fits("CPUState.node", n == 2 && seen[0] == first && seen[1] == second);
    cpu_list_remove(second);
    cpu_list_remove(first);
    g_free(second);
    g_free(first);
}

/* A part uses only layouts that the parts before it have found right. */
static const struct {
    const char *name;
    void (*examine)(void);
} parts[] = {
    { "RunState", examine_values },
    { "QObject", examine_qobject },
    { "QemuMutex, QemuCond, QemuEvent, EventNotifier", examine_threads },
    { "VMStateField", examine_tables },
    { "PCIDeviceClass", examine_classes },
    { "TypeInfo, Property, DeviceClass", examine_type },
    { "instance size", examine_sizes },
    { "VMStateField", examine_migration },
    { "MemoryRegion", examine_memory },
    { "CPUState.node", examine_processors },
};

static void on_signal(int number)
{
    on_crash(examined);
    _exit(1);
}

const char *vmshm_layout_difference(void (*crashed)(const char *name))
{
    static const int signals[] = { SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGTRAP };
    struct sigaction old[ARRAY_SIZE(signals)];
    struct sigaction action = { .sa_handler = on_signal };
    size_t i;

    on_crash = crashed;
    for (i = 0; i < ARRAY_SIZE(signals); i++) {
        sigaction(signals[i], &action, &old[i]);
    }
    for (i = 0; i < ARRAY_SIZE(parts) && !difference; i++) {
        examined = parts[i].name;
        parts[i].examine();
    }
    for (i = 0; i < ARRAY_SIZE(signals); i++) {
        sigaction(signals[i], &old[i], NULL);
    }
    return difference;
}

/* Whether the struct kvm_run of a KVM processor is mapped at @address */
static bool is_kvm_run(const void *address)
{
    g_autofree char *maps = NULL;
    g_auto(GStrv) lines = NULL;
    unsigned long start, offset;
    char name[64];
    size_t i;

    if (!g_file_get_contents("/proc/self/maps", &maps, NULL, NULL)) {
        return false;
    }
    lines = g_strsplit(maps, "\n", -1);
    for (i = 0; lines[i]; i++) {
        if (sscanf(lines[i], "%lx-%*x %*s %lx %*s %*s %63s", &start, &offset,
                   name) == 3 && start == (uintptr_t)address) {
            return !offset && g_str_has_prefix(name, "anon_inode:kvm-vcpu");
        }
    }
    return false;
}

bool vmshm_layout_fits_kvm(Error **errp)
{
    CPUState *cpu;

    if (kvm_enabled()) {
        CPU_FOREACH(cpu) {
            if (!is_kvm_run(cpu->kvm_run)) {
                error_setg(errp, "vmshm: built from the source of QEMU %s, but "
                           "CPUState.kvm_run differs here",
                           VMSHM_NEAREST);
                return false;
            }
        }
    }
    return true;
}
