/*
 * VMShm: PCI device that shows POSIX shared memory objects of the host
 *
 * The guest writes an object's name into BAR2 and reads the open register;
 * from then on BAR1 is the object's memory. docs/spec.md has the contract.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/log.h"
#include "qemu/module.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "vmshm-compat.h"
#include "vmshm-object.h"
#include "vmshm-window.h"
#include "vmshm.h"
#include "vmshm/regs.h"

OBJECT_DECLARE_SIMPLE_TYPE(VMShmState, VMSHM)

struct VMShmState {
    PCIDevice parent_obj;

    MemoryRegion regs;
    MemoryRegion buffer;
    MemoryRegion name_io;

    VMShmWindow *buffer_window;
    bool open;                      /* an object is mapped at BAR1 */
    Error *migration_blocker;       /* not NULL while one is mapped */

    uint8_t name[VMSHM_NAME_SIZE];  /* BAR2 */
};

/* An object on this host cannot follow the guest to another one. */
static int vmshm_block_migration(VMShmState *s)
{
    Error *err = NULL;
    int ret;

    error_setg(&s->migration_blocker, "vmshm: a shared memory object of this "
               "host is mapped; the guest has to close it first");
    ret = vmshm_migration_block(&s->migration_blocker, &err);
    if (ret < 0) {
        warn_report_err(err);
    }
    return ret;
}

/* The seed's open: 0 or -errno. */
static int vmshm_open(VMShmState *s)
{
    g_autofree char *name = NULL;
    struct stat st;
    uint64_t length;
    int fd, ret;

    if (s->open) {
        return -EBUSY;
    }
    ret = vmshm_name_check(s->name, sizeof(s->name));
    if (ret < 0) {
        return ret;
    }
    name = g_strdup((char *)s->name);
    fd = vmshm_object_open(name, false, &st);
    if (fd < 0) {
        return fd;
    }
    length = MIN(st.st_size, VMSHM_BUFFER_SIZE);
    length = QEMU_ALIGN_UP(length, VMSHM_PAGE_SIZE);
    if (!length) {
        ret = -ENODATA;
        goto out;
    }
    ret = vmshm_block_migration(s);
    if (ret < 0) {
        goto out;
    }
    /* Drop what the guest wrote there while nothing was open. */
    ret = vmshm_window_clear(s->buffer_window, 0, VMSHM_BUFFER_SIZE);
    if (ret == 0) {
        ret = vmshm_window_map(s->buffer_window, 0, length, fd, 0, false);
    }
    if (ret < 0) {
        vmshm_migration_unblock(&s->migration_blocker);
        goto out;
    }
    s->open = true;
out:
    close(fd);
    return ret;
}

/* The seed's close: 0 or -errno. */
static int vmshm_close(VMShmState *s)
{
    int ret = vmshm_window_clear(s->buffer_window, 0, VMSHM_BUFFER_SIZE);

    if (ret == 0 && s->open) {
        s->open = false;
        vmshm_migration_unblock(&s->migration_blocker);
    }
    return ret;
}

static uint64_t vmshm_regs_read(void *opaque, hwaddr addr, unsigned size)
{
    VMShmState *s = opaque;

    switch (addr) {
    case VMSHM_REG_OPEN:
        return -vmshm_open(s);
    case VMSHM_REG_CLOSE:
        return -vmshm_close(s);
    default:
        qemu_log_mask(LOG_GUEST_ERROR, "vmshm: read of %u bytes at 0x%"
                      HWADDR_PRIx ", where no register is\n", size, addr);
        return 0;
    }
}

static void vmshm_regs_write(void *opaque, hwaddr addr, uint64_t value,
                             unsigned size)
{
    qemu_log_mask(LOG_GUEST_ERROR, "vmshm: write of %u bytes at 0x%"
                  HWADDR_PRIx ", where nothing can be written\n", size, addr);
}

static const MemoryRegionOps vmshm_regs_ops = {
    .read = vmshm_regs_read,
    .write = vmshm_regs_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = {
        .min_access_size = 1,
        .max_access_size = 8,
    },
    .impl = {
        .min_access_size = 1,
        .max_access_size = 8,
    },
};

static uint64_t vmshm_name_read(void *opaque, hwaddr addr, unsigned size)
{
    VMShmState *s = opaque;

    return ldn_le_p(&s->name[addr], size);
}

static void vmshm_name_write(void *opaque, hwaddr addr, uint64_t value,
                             unsigned size)
{
    VMShmState *s = opaque;

    stn_le_p(&s->name[addr], size, value);
}

/* Accesses are naturally aligned, so none reaches beyond the last byte. */
static const MemoryRegionOps vmshm_name_ops = {
    .read = vmshm_name_read,
    .write = vmshm_name_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = {
        .min_access_size = 1,
        .max_access_size = 8,
    },
    .impl = {
        .min_access_size = 1,
        .max_access_size = 8,
    },
};

static void vmshm_reset(DeviceState *dev)
{
    VMShmState *s = VMSHM(dev);
    int ret = vmshm_close(s);

    if (ret < 0) {
        error_report("vmshm: cannot unmap the object at reset: %s",
                     strerror(-ret));
    }
    memset(s->name, 0, sizeof(s->name));
}

/*
 * RAM over a window. It is kept out of the sight of VFIO and vDPA, which would
 * pin the pages they meet when the region appears, and let a passed-through
 * device write to those pages after another object has taken their place.
 */
static void vmshm_init_window_ram(MemoryRegion *mr, Object *owner,
                                  const char *name, VMShmWindow *w)
{
    memory_region_init_ram_ptr(mr, owner, name, w->size, w->host);
    mr->ram_block->flags |= RAM_PROTECTED;
}

static void vmshm_realize(PCIDevice *pci, Error **errp)
{
    VMShmState *s = VMSHM(pci);
    Object *owner = OBJECT(s);

    s->buffer_window = vmshm_window_new(VMSHM_BUFFER_SIZE, errp);
    if (!s->buffer_window) {
        return;
    }
    vmshm_init_window_ram(&s->buffer, owner, "vmshm-buffer",
                          s->buffer_window);
    memory_region_init_io(&s->regs, owner, &vmshm_regs_ops, s, "vmshm-regs",
                          VMSHM_REGS_SIZE);
    memory_region_init_io(&s->name_io, owner, &vmshm_name_ops, s,
                          "vmshm-name", VMSHM_NAME_SIZE);

    pci_register_bar(pci, VMSHM_BAR_REGS, PCI_BASE_ADDRESS_SPACE_MEMORY,
                     &s->regs);
    pci_register_bar(pci, VMSHM_BAR_BUFFER, PCI_BASE_ADDRESS_SPACE_MEMORY,
                     &s->buffer);
    pci_register_bar(pci, VMSHM_BAR_NAME, PCI_BASE_ADDRESS_SPACE_MEMORY,
                     &s->name_io);
}

static void vmshm_exit(PCIDevice *pci)
{
    VMShmState *s = VMSHM(pci);
    int ret = vmshm_close(s);

    if (ret < 0) {
        /* The addresses go with the device, and the object with them. */
        vmshm_migration_unblock(&s->migration_blocker);
        s->open = false;
    }
}

static void vmshm_finalize(Object *obj)
{
    VMShmState *s = VMSHM(obj);

    vmshm_window_free(s->buffer_window);
}

static const VMStateDescription vmshm_vmstate = {
    .name = TYPE_VMSHM,
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (VMStateField[]) {
        VMSTATE_PCI_DEVICE(parent_obj, VMShmState),
        VMSTATE_UINT8_ARRAY(name, VMShmState, VMSHM_NAME_SIZE),
        VMSTATE_END_OF_LIST()
    }
};

static void vmshm_class_init(ObjectClass *klass, VMSHM_CLASS_DATA data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    PCIDeviceClass *k = PCI_DEVICE_CLASS(klass);

    k->realize = vmshm_realize;
    k->exit = vmshm_exit;
    k->vendor_id = VMSHM_PCI_VENDOR_ID;
    k->device_id = VMSHM_PCI_DEVICE_ID;
    k->class_id = PCI_CLASS_MEMORY_RAM;
    k->revision = 1;
    dc->desc = "POSIX shared memory of the host, by name";
    dc->vmsd = &vmshm_vmstate;
    vmshm_class_set_reset(dc, vmshm_reset);
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
}

static const TypeInfo vmshm_info = {
    .name = TYPE_VMSHM,
    .parent = TYPE_PCI_DEVICE,
    .instance_size = sizeof(VMShmState),
    .instance_finalize = vmshm_finalize,
    .class_init = vmshm_class_init,
    .interfaces = (VMSHM_INTERFACE_TABLE[]) {
        { INTERFACE_CONVENTIONAL_PCI_DEVICE },
        { },
    },
};

void vmshm_register_types(void)
{
    type_register_static(&vmshm_info);
}
