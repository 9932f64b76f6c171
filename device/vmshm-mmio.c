/*
 * VMShm: the guest's accesses to BAR0 and BAR2
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/log.h"
#include "vmshm-command.h"
#include "vmshm-compat.h"
#include "vmshm-mailbox.h"
#include "vmshm-mmio.h"
#include "vmshm-state.h"

/* A vCPU may access registers that it looked up before they were unplugged. */
static bool is_gone(VMShmState *s)
{
    return !s->attachments.by_handle;
}

static uint32_t features(VMShmState *s)
{
    return VMSHM_F_ARENA | (s->policy.create ? VMSHM_F_CREATE : 0) |
           (s->policy.readonly ? VMSHM_F_READONLY : 0) |
           (s->futex ? VMSHM_F_FUTEX : 0) |
           (vmshm_mailbox_shown(s) ? VMSHM_F_MEMORY : 0);
}

/* The registers from 0x40 on, none of which acts when it is read. */
static uint32_t read_reg(VMShmState *s, hwaddr addr)
{
    switch (addr) {
    case VMSHM_REG_ID:
        return VMSHM_ID;
    case VMSHM_REG_VERSION:
        return VMSHM_VERSION_MAJOR << 16 | VMSHM_VERSION_MINOR;
    case VMSHM_REG_FEATURES:
        return features(s);
    case VMSHM_REG_MAX_OBJECTS:
        return s->policy.max_objects;
    case VMSHM_REG_RW_SIZE_LO:
    case VMSHM_REG_RO_SIZE_LO:
        return s->arena_size;
    case VMSHM_REG_RW_SIZE_HI:
    case VMSHM_REG_RO_SIZE_HI:
        return s->arena_size >> 32;
    case VMSHM_REG_MAILBOXES:
        return vmshm_mailbox_shown(s) ? VMSHM_MAILBOXES_MAX : 0;
    case VMSHM_REG_VECTORS:
        return s->irq ? vmshm_irq_vectors(s->irq) : 0;
    case VMSHM_REG_SLOTS:
        return vmshm_futex_records(s->futex);
    case VMSHM_REQUEST_FIRST ... VMSHM_REQUEST_LAST:
        return s->request[(addr - VMSHM_REQUEST_FIRST) / 4];
    case VMSHM_REG_STATUS:
        return s->status;
    case VMSHM_RESULT_FIRST ... VMSHM_RESULT_LAST:
        return s->result[(addr - VMSHM_RESULT_FIRST) / 4];
    default:
        return 0;
    }
}

/* The second half of the contract: whole 32-bit registers only. */
static bool is_reg(VMShmState *s, hwaddr addr, unsigned size)
{
    return s->arena_window && addr >= VMSHM_REG_ID && size == 4 &&
           QEMU_IS_ALIGNED(addr, 4);
}

static uint64_t regs_read(void *opaque, hwaddr addr, unsigned size)
{
    VMShmState *s = opaque;

    if (is_gone(s)) {
        return 0;
    }
    switch (addr) {
    case VMSHM_REG_OPEN:
        return -vmshm_buffer_open(s);
    case VMSHM_REG_CLOSE:
        return -vmshm_buffer_close(s);
    default:
        if (is_reg(s, addr, size)) {
            return read_reg(s, addr);
        }
        qemu_log_mask(LOG_GUEST_ERROR, "vmshm: read of %u bytes at 0x%"
                      HWADDR_PRIx ", where no register is\n", size, addr);
        return 0;
    }
}

static void regs_write(void *opaque, hwaddr addr, uint64_t value,
                             unsigned size)
{
    VMShmState *s = opaque;

    if (is_gone(s)) {
        return;
    }
    if (is_reg(s, addr, size)) {
        switch (addr) {
        case VMSHM_REQUEST_FIRST ... VMSHM_REQUEST_LAST:
            s->request[(addr - VMSHM_REQUEST_FIRST) / 4] = value;
            return;
        case VMSHM_REG_COMMAND:
            s->status = -vmshm_command_register(s, value);
            return;
        case VMSHM_REG_DOORBELL:
            vmshm_mailbox_submit(s, value);
            return;
        }
    }
    qemu_log_mask(LOG_GUEST_ERROR, "vmshm: write of %u bytes at 0x%"
                  HWADDR_PRIx ", where nothing can be written\n", size, addr);
}

/* Unaligned: such an access arrives whole, and not as one of its bytes. */
const MemoryRegionOps vmshm_mmio_regs_ops = {
    .read = regs_read,
    .write = regs_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = {
        .min_access_size = 1,
        .max_access_size = 8,
        .unaligned = true,
    },
    .impl = {
        .min_access_size = 1,
        .max_access_size = 8,
        .unaligned = true,
    },
};

static uint64_t name_read(void *opaque, hwaddr addr, unsigned size)
{
    VMShmState *s = opaque;

    return ldn_le_p(&s->name[addr], size);
}

static void name_write(void *opaque, hwaddr addr, uint64_t value,
                             unsigned size)
{
    VMShmState *s = opaque;

    stn_le_p(&s->name[addr], size, value);
}

/* Accesses are naturally aligned, so none reaches beyond the last byte. */
const MemoryRegionOps vmshm_mmio_name_ops = {
    .read = name_read,
    .write = name_write,
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

static uint64_t futex_read(void *opaque, hwaddr addr, unsigned size)
{
    VMShmState *s = opaque;

    return vmshm_futex_read(s->futex, addr, size);
}

static void futex_write(void *opaque, hwaddr addr, uint64_t value,
                                 unsigned size)
{
    VMShmState *s = opaque;

    vmshm_futex_write(s->futex, addr, value, size);
}

const MemoryRegionOps vmshm_mmio_futex_ops = {
    .read = futex_read,
    .write = futex_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = {
        .min_access_size = 4,
        .max_access_size = 8,
    },
    .impl = {
        .min_access_size = 4,
        .max_access_size = 8,
    },
};
