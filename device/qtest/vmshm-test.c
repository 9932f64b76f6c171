/*
 * QTest testcase for the vmshm device
 *
 * The tests of the VMShm project cover the whole contract; these show that the
 * device works in this QEMU.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <sys/mman.h>
#include "libqtest.h"
#include "libqos/libqos-pc.h"
#include "libqos/pci.h"
#include "hw/pci/pci_regs.h"
#include "../../include/vmshm/regs.h"

#define SLOT        4
#define OBJECT_SIZE 8192

typedef struct Fixture {
    QOSState *qs;
    QPCIDevice *dev;
    QPCIBar regs;
    QPCIBar buffer;
    QPCIBar name_bar;
    QPCIBar arena;
    char *name;
    uint8_t *object;
} Fixture;

static void make_object(Fixture *f)
{
    int fd;

    f->name = g_strdup_printf("/vmshm-qtest-%d", getpid());
    fd = shm_open(f->name, O_RDWR | O_CREAT | O_EXCL, 0600);
    g_assert(fd >= 0);
    g_assert(ftruncate(fd, OBJECT_SIZE) == 0);
    f->object = mmap(NULL, OBJECT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
                     fd, 0);
    g_assert(f->object != MAP_FAILED);
    close(fd);
}

static void setup(Fixture *f, gconstpointer data)
{
    make_object(f);
    f->qs = qtest_pc_boot("-nodefaults -device vmshm,addr=%d,arena=2M",
                          SLOT);
    f->dev = qpci_device_find(f->qs->pcibus, QPCI_DEVFN(SLOT, 0));
    g_assert(f->dev);
    qpci_device_enable(f->dev);
    f->regs = qpci_iomap(f->dev, VMSHM_BAR_REGS, NULL);
    f->buffer = qpci_iomap(f->dev, VMSHM_BAR_BUFFER, NULL);
    f->name_bar = qpci_iomap(f->dev, VMSHM_BAR_NAME, NULL);
    f->arena = qpci_iomap(f->dev, VMSHM_BAR_ARENA, NULL);
}

static void teardown(Fixture *f, gconstpointer data)
{
    g_free(f->dev);
    qtest_shutdown(f->qs);
    munmap(f->object, OBJECT_SIZE);
    shm_unlink(f->name);
    g_free(f->name);
}

static uint32_t get(Fixture *f, unsigned reg)
{
    return qpci_io_readl(f->dev, f->regs, reg);
}

static void set(Fixture *f, unsigned reg, uint32_t value)
{
    qpci_io_writel(f->dev, f->regs, reg, value);
}

static void set_name(Fixture *f, const char *name)
{
    qpci_memwrite(f->dev, f->name_bar, 0, name, strlen(name) + 1);
}

static uint32_t command(Fixture *f, uint32_t number)
{
    set(f, VMSHM_REG_COMMAND, number);
    return get(f, VMSHM_REG_STATUS);
}

static void test_identity(Fixture *f, gconstpointer data)
{
    g_assert_cmphex(qpci_config_readw(f->dev, PCI_VENDOR_ID), ==,
                    VMSHM_PCI_VENDOR_ID);
    g_assert_cmphex(qpci_config_readw(f->dev, PCI_DEVICE_ID), ==,
                    VMSHM_PCI_DEVICE_ID);
    g_assert_cmphex(get(f, VMSHM_REG_ID), ==, VMSHM_ID);
    g_assert_cmpuint(get(f, VMSHM_REG_VERSION) >> 16, ==,
                     VMSHM_VERSION_MAJOR);
}

/* The registers of 2010 */
static void test_open(Fixture *f, gconstpointer data)
{
    uint8_t seen[5];

    memcpy(f->object, "host", 5);
    set_name(f, f->name);
    g_assert_cmpuint(get(f, VMSHM_REG_OPEN), ==, 0);
    qpci_memread(f->dev, f->buffer, 0, seen, sizeof(seen));
    g_assert_cmpmem(seen, 5, "host", 5);
    qpci_memwrite(f->dev, f->buffer, 0, "guest", 6);
    g_assert_cmpstr((char *)f->object, ==, "guest");
    g_assert_cmpuint(get(f, VMSHM_REG_OPEN), ==, EBUSY);
    g_assert_cmpuint(get(f, VMSHM_REG_CLOSE), ==, 0);
    qpci_memread(f->dev, f->buffer, 0, seen, sizeof(seen));
    g_assert_cmpmem(seen, 5, "\0\0\0\0", 5);
}

static void test_no_object(Fixture *f, gconstpointer data)
{
    set_name(f, "/vmshm-qtest-that-does-not-exist");
    g_assert_cmpuint(get(f, VMSHM_REG_OPEN), ==, ENOENT);
    set_name(f, "no-slash");
    g_assert_cmpuint(get(f, VMSHM_REG_OPEN), ==, EINVAL);
    set(f, VMSHM_REG_HANDLE, 12345);
    g_assert_cmpuint(command(f, VMSHM_CMD_DETACH), ==, EBADF);
}

static void test_attach(Fixture *f, gconstpointer data)
{
    memcpy(f->object, "host", 5);
    set_name(f, f->name);
    set(f, VMSHM_REG_PLACE_LO, 0x10000);
    g_assert_cmpuint(command(f, VMSHM_CMD_ATTACH), ==, 0);
    g_assert_cmpuint(get(f, VMSHM_REG_RES_SIZE_LO), ==, OBJECT_SIZE);
    qpci_memwrite(f->dev, f->arena, 0x10000 + 4096, "guest", 6);
    g_assert_cmpstr((char *)f->object + 4096, ==, "guest");
    set(f, VMSHM_REG_HANDLE, get(f, VMSHM_REG_RES_HANDLE));
    g_assert_cmpuint(command(f, VMSHM_CMD_DETACH), ==, 0);
    qpci_memwrite(f->dev, f->arena, 0x10000 + 4096, "gone", 5);
    g_assert_cmpstr((char *)f->object + 4096, ==, "guest");
}

static void test_reset(Fixture *f, gconstpointer data)
{
    set_name(f, f->name);
    g_assert_cmpuint(command(f, VMSHM_CMD_ATTACH), ==, 0);
    qtest_qmp_assert_success(f->qs->qts, "{ 'execute': 'system_reset' }");
    qtest_qmp_eventwait(f->qs->qts, "RESET");
    qpci_device_enable(f->dev);
    f->regs = qpci_iomap(f->dev, VMSHM_BAR_REGS, NULL);
    f->arena = qpci_iomap(f->dev, VMSHM_BAR_ARENA, NULL);
    g_assert_cmpuint(get(f, VMSHM_REG_RES_HANDLE), ==, 0);
    f->object[0] = 'x';
    g_assert_cmpuint(qpci_io_readb(f->dev, f->arena, 0), ==, 0);
}

/* The host takes the memory away, and QEMU lives. */
static void test_truncated(Fixture *f, gconstpointer data)
{
    int fd = shm_open(f->name, O_RDWR, 0);

    set_name(f, f->name);
    g_assert_cmpuint(command(f, VMSHM_CMD_ATTACH), ==, 0);
    g_assert(ftruncate(fd, 0) == 0);
    g_assert_cmpuint(qpci_io_readb(f->dev, f->arena, 4096), ==, 0);
    g_assert_cmphex(get(f, VMSHM_REG_ID), ==, VMSHM_ID);
    close(fd);
}

static void add(const char *name, void (*test)(Fixture *, gconstpointer))
{
    qtest_add(name, Fixture, NULL, setup, test, teardown);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("/vmshm/identity", test_identity);
    add("/vmshm/open", test_open);
    add("/vmshm/no-object", test_no_object);
    add("/vmshm/attach", test_attach);
    add("/vmshm/reset", test_reset);
    add("/vmshm/truncated", test_truncated);
    return g_test_run();
}
