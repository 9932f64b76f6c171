/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Declarations for the files of the bare-metal guest */
#ifndef GUEST_H
#define GUEST_H

#include <stddef.h>
#include <stdint.h>
#include <vmshm/regs.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* Linux errno values, which the device returns */
#define ENOENT		2
#define EBUSY		16
#define EINVAL		22
#define ENAMETOOLONG	36

/* The test objects; run.py makes them with the same numbers. */
#define A_TAG		0xa1u
#define A_SIZE		0x100000u
#define B_TAG		0xb2u
#define B_SIZE		0x10064u	/* ends inside a page */
#define WRITE_PAGE_1	0x2000u		/* zero in A and B, for writes */
#define WRITE_PAGE_2	0x81000u	/* the same, past the end of B */
#define WRITE_TAG	0x57u

static inline void out8(u16 port, u8 value)
{
	asm volatile("outb %0, %1" : : "a"(value), "d"(port) : "memory");
}

static inline void out32(u16 port, u32 value)
{
	asm volatile("outl %0, %1" : : "a"(value), "d"(port) : "memory");
}

static inline u32 in32(u16 port)
{
	u32 value;

	asm volatile("inl %1, %0" : "=a"(value) : "d"(port) : "memory");
	return value;
}

static inline u8 in8(u16 port)
{
	u8 value;

	asm volatile("inb %1, %0" : "=a"(value) : "d"(port) : "memory");
	return value;
}

/* One access of exactly this size, at any alignment */
static inline u8 read8(u32 addr)
{
	return *(volatile u8 *)addr;
}

static inline u16 read16(u32 addr)
{
	return *(volatile u16 *)addr;
}

static inline u32 read32(u32 addr)
{
	return *(volatile u32 *)addr;
}

static inline void write8(u32 addr, u8 value)
{
	*(volatile u8 *)addr = value;
}

static inline void write16(u32 addr, u16 value)
{
	*(volatile u16 *)addr = value;
}

static inline void write32(u32 addr, u32 value)
{
	*(volatile u32 *)addr = value;
}

/* main.c: a test calls check(); its first failure counts. */
int check(u32 got, u32 want, const char *what);
int has_failed(void);

struct options {
	const char *text;	/* object with a text, 8 KiB */
	const char *a, *b;	/* objects with the patterns; names differ */
				/* in the last byte only */
	const char *missing;	/* no such object */
	u32 rounds;		/* of each race, at most */
	u32 seconds;		/* for each race, more or less */
	u32 step;		/* bytes from a checked word to the next one, */
				/* if the whole buffer is checked */
};
extern struct options opt;

/* console.c */
void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
void put(const char *text);
void put_hex(u32 value);
void put_dec(u32 value);
void finish(void) __attribute__((noreturn));

/* pci.c */
#define PCI_COMMAND	0x04
#define PCI_COMMAND_MEMORY	0x2
#define PCI_BAR(n)	(0x10 + 4 * (n))
u32 pci_read(u32 function, u32 offset);
void pci_write(u32 function, u32 offset, u32 value);
void pci_decode(u32 function, int on);
u32 pci_find(u32 id, u32 *function);
u32 pci_bar_size(u32 function, u32 bar);

/* device.c */
extern u32 dev_function, dev_regs, dev_buffer, dev_name;
void dev_set_name(const char *name);
u32 dev_open(void);
u32 dev_open_name(const char *name);
u32 dev_close(void);
u32 pattern(u32 tag, u32 size, u32 offset);
int check_pattern(u32 base, u32 tag, u32 size, const char *what);
int check_zero(u32 base, const char *what);

/* smp.c */
int smp_start(void);
void smp_run(void (*job)(void));
void smp_wait(void);

/* single.c */
void test_pci(void);
void test_fresh(void);
void test_name(void);
void test_attach(void);
void test_live(void);
void test_busy(void);
void test_detach(void);
void test_reattach(void);
void test_small_object(void);
void test_missing(void);
void test_bad_names(void);
void test_register_writes(void);
void test_access_sizes(void);
void test_misaligned(void);
void test_scribble(void);
void test_decode(void);
void test_move(void);

/* irq.c */
void test_irq_setup(void);
void test_irq(void);
void test_irq_masked(void);
void test_irq_all_masked(void);
void test_irq_moved(void);
void test_irq_off_and_on(void);

/* race.c */
void test_smp_start(void);
void test_smp_read(void);
void test_smp_write(void);
void test_smp_both(void);

/* mailbox.c */
void test_mailbox(void);
void test_smp_mailboxes(void);
void test_smp_one_mailbox(void);

#endif
