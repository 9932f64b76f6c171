// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The interrupt of a slot: armed here, woken on the host. This CPU halts until
 * it comes.
 */
#include "guest.h"

#define CODE_SEG	0x08
#define GATE_32		0x8e00		/* present, interrupt gate */
#define VECTOR_1	0x51
#define VECTOR_2	0x62
#define VECTORS		256

#define PORT_PIC_1	0x21
#define PORT_PIC_2	0xa1

#define APIC_EOI	0xfee000b0u
#define APIC_SPURIOUS	0xfee000f0u
#define APIC_ON		0x1ffu
#define MSI_ADDRESS	0xfee00000u	/* to the CPU with APIC id 0 */

#define CAPABILITIES	0x34
#define CAP_MSIX	0x11
#define MSIX_ENABLE	0x80000000u	/* in the capability's first word */
#define MSIX_MASK_ALL	0x40000000u
#define PCI_COMMAND_MASTER	0x4

/* The pending bits begin in the middle of the table. */
#define MSIX_ADDRESS	0x0
#define MSIX_ADDRESS_HI	0x4
#define MSIX_DATA	0x8
#define MSIX_CONTROL	0xc
#define MSIX_PENDING	0x800

#define SLOT		37u		/* any */
#define FIRED		(VMSHM_REG_FIRED + SLOT / 32 * 4)
#define FIRED_BIT	(1u << SLOT % 32)
#define WORD_AT		0x300u		/* in the text object; as in run.py */
#define ROUNDS		50

static struct {
	u16 low, selector, type, high;
} gates[VECTORS];

extern const u8 irq_entry_1[], irq_entry_2[];
void irq_handler(u32 which);

static volatile u32 count[2];
static u32 msix, table;

void irq_handler(u32 which)
{
	count[which]++;
	write32(APIC_EOI, 0);
}

static void set_gate(u32 vector, const u8 *entry)
{
	gates[vector].low = (u32)entry;
	gates[vector].selector = CODE_SEG;
	gates[vector].type = GATE_32;
	gates[vector].high = (u32)entry >> 16;
}

static void set_idt(void)
{
	struct {
		u16 limit;
		u32 base;
	} __attribute__((packed)) idt = { sizeof(gates) - 1, (u32)gates };

	asm volatile("lidt %0" : : "m"(idt));
}

static u32 find_capability(u32 id)
{
	u32 at = pci_read(dev_function, CAPABILITIES) & 0xff;

	while (at && (pci_read(dev_function, at) & 0xff) != id)
		at = pci_read(dev_function, at) >> 8 & 0xff;
	return at;
}

static void msix_control(u32 bits)
{
	u32 word = pci_read(dev_function, msix);

	word &= ~(MSIX_ENABLE | MSIX_MASK_ALL);
	pci_write(dev_function, msix, word | bits);
}

static void mask(u32 masked)
{
	write32(table + MSIX_CONTROL, masked);
}

/* The table may only be changed while it is masked. */
static void set_vector(u32 vector)
{
	mask(1);
	write32(table + MSIX_ADDRESS, MSI_ADDRESS);
	write32(table + MSIX_ADDRESS_HI, 0);
	write32(table + MSIX_DATA, vector);
	mask(0);
}

/* The registers of slots need 64-bit writes, which MMX can do. */
static void write64(u32 addr, u32 low, u32 high)
{
	u32 value[2] = { low, high };

	asm volatile("movq %1, %%mm0\n\t"
		     "movq %%mm0, %0"
		     : "=m"(*(volatile uint64_t *)addr)
		     : "m"(value)
		     : "memory");
}

static u32 read64(u32 addr)
{
	u32 value[2];

	asm volatile("movq %1, %%mm0\n\t"
		     "movq %%mm0, %0"
		     : "=m"(value)
		     : "m"(*(volatile uint64_t *)addr)
		     : "memory");
	return value[0];
}

static u32 slot(u32 reg)
{
	return dev_regs + VMSHM_REG_SLOT + SLOT * VMSHM_SLOT_SIZE + reg;
}

static u32 command(u32 number)
{
	write32(dev_regs + VMSHM_REG_COMMAND, number);
	return read32(dev_regs + VMSHM_REG_STATUS);
}

static int start(void)
{
	u32 place = VMSHM_REG_FLAGS;

	for (; place <= VMSHM_REG_MODE; place += 4)
		write32(dev_regs + place, 0);
	dev_set_name(opt.text);
	if (!check(command(VMSHM_CMD_ATTACH), 0, "attach"))
		return 0;
	count[0] = 0;
	count[1] = 0;
	set_vector(VECTOR_1);
	msix_control(MSIX_ENABLE);
	return 1;
}

static void end(void)
{
	msix_control(0);
	check(command(VMSHM_CMD_RELEASE), 0, "release");
}

/* Wait in the slot, and have the host wake it. */
static void arm(void)
{
	write64(slot(VMSHM_SLOT_PLACE), WORD_AT, 0);
	write64(slot(VMSHM_SLOT_CONTROL), 0, VMSHM_SLOT_ARM >> 32);
	put("ask wake\n");
}

static void halt_until(volatile u32 *counter, u32 value)
{
	/* An interrupt that comes after the look ends the halt. */
	while (*counter != value)
		asm volatile("sti; hlt; cli" : : : "memory");
}

static void check_fired(void)
{
	check(read64(slot(VMSHM_SLOT_CONTROL)), VMSHM_SLOT_IS_FIRED, "slot");
	check(read32(dev_regs + FIRED), FIRED_BIT, "the fired bit");
	write32(dev_regs + FIRED, FIRED_BIT);
	check(read32(dev_regs + FIRED), 0, "the fired bit, cleared");
}

void test_irq_setup(void)
{
	u32 word;

	out8(PORT_PIC_1, 0xff);
	out8(PORT_PIC_2, 0xff);
	set_gate(VECTOR_1, irq_entry_1);
	set_gate(VECTOR_2, irq_entry_2);
	set_idt();
	write32(APIC_SPURIOUS, APIC_ON);

	word = pci_read(dev_function, PCI_COMMAND) & 0xffff;
	pci_write(dev_function, PCI_COMMAND, word | PCI_COMMAND_MASTER);
	msix = find_capability(CAP_MSIX);
	if (!check(msix != 0, 1, "the device has MSI-X"))
		return;
	check(pci_read(dev_function, msix) >> 16 & 0x7ff,
	      VMSHM_VECTORS_MAX - 1, "vectors, less 1");
	check(pci_read(dev_function, msix + 4), VMSHM_BAR_MSIX, "the table");
	check(pci_read(dev_function, msix + 8), MSIX_PENDING | VMSHM_BAR_MSIX,
	      "the pending bits");
	table = pci_read(dev_function, PCI_BAR(VMSHM_BAR_MSIX)) & ~0xfu;
	check(table != 0, 1, "the BIOS gave them an address");
}

void test_irq(void)
{
	if (!start())
		return;
	for (u32 i = 1; i <= ROUNDS; i++) {
		arm();
		halt_until(&count[0], i);
		check_fired();
	}
	end();
}

static void wait_until_pending(void)
{
	while (!(read32(table + MSIX_PENDING) & 1))
		;
}

void test_irq_masked(void)
{
	if (!start())
		return;
	for (u32 i = 1; i <= ROUNDS; i++) {
		mask(1);
		arm();
		wait_until_pending();
		check_fired();
		check(count[0], i - 1, "interrupts while it is masked");
		mask(0);
		halt_until(&count[0], i);
		check(read32(table + MSIX_PENDING), 0, "pending afterwards");
	}
	end();
}

void test_irq_all_masked(void)
{
	if (!start())
		return;
	msix_control(MSIX_ENABLE | MSIX_MASK_ALL);
	arm();
	wait_until_pending();
	check_fired();
	msix_control(MSIX_ENABLE);
	halt_until(&count[0], 1);
	end();
}

void test_irq_moved(void)
{
	if (!start())
		return;
	set_vector(VECTOR_2);
	arm();
	halt_until(&count[1], 1);
	check_fired();
	check(count[0], 0, "at the old vector");
	set_vector(VECTOR_1);
	arm();
	halt_until(&count[0], 1);
	check(count[1], 1, "at the other vector");
	end();
}

void test_irq_off_and_on(void)
{
	for (u32 i = 0; i < 3; i++) {
		if (!start())
			return;
		msix_control(0);
		msix_control(MSIX_ENABLE);
		arm();
		halt_until(&count[0], 1);
		check_fired();
		end();
	}
}
