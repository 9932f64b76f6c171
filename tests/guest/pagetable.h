/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page table entries, asked of QEMU, because the kernel does not show them.
 */
#ifndef PAGETABLE_H
#define PAGETABLE_H

#define _GNU_SOURCE
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "t.h"

#define PT_PRESENT	0x01
#define PT_WRITE	0x02
#define PT_USER		0x04
#define PT_PWT		0x08
#define PT_PCD		0x10
#define PT_HUGE		0x80	/* in a level above the last one */

struct pt_entry {
	uint64_t bits;	/* 0: no entry */
	int shift;	/* 12: 4 KiB, 21: 2 MiB */
};

/* The host can only read the tables of the first CPU. */
static inline void pt_run_on_first_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	T_EQ(sched_setaffinity(0, sizeof(set), &set), 0);
}

static inline uint64_t pt_number_after(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	T_ASSERT(at);
	return strtoull(at + strlen(key), NULL, 16);
}

/*
 * The entry for an address in the tables of the first CPU at this moment. Skips
 * the rest of the test where QEMU does not show the tables' address.
 */
static inline struct pt_entry pt_walk(const volatile void *p)
{
#ifndef __x86_64__
	t_skip("QEMU shows the page tables of x86-64 only");
#endif
	const uint64_t frame = 0xffffffffff000;
	uint64_t addr = (uintptr_t)p;
	const char *registers = t_host("hmp info registers");
	uint64_t entry = pt_number_after(registers, " CR3=") | PT_PRESENT;
	int five_levels = pt_number_after(registers, " CR4=") >> 12 & 1;
	struct pt_entry none = { 0, 0 };
	int shift;

	for (shift = five_levels ? 48 : 39; shift >= 12; shift -= 9) {
		uint64_t table = entry & frame;
		char ask[64];

		table += (addr >> shift & 0x1ff) * sizeof(entry);
		snprintf(ask, sizeof(ask), "hmp xp /1gx 0x%llx",
			 (unsigned long long)table);
		entry = pt_number_after(t_host("%s", ask), ": 0x");
		if (!(entry & PT_PRESENT))
			return none;
		if (shift == 12 || (shift < 39 && entry & PT_HUGE))
			return (struct pt_entry){ entry, shift };
	}
	return none;
}

/*
 * The page table entry of the calling process, on the first CPU, for an address
 * that it has touched. During the query the CPU may have the tables of another
 * process, which do not map the address; then the query is repeated.
 */
static inline struct pt_entry pt_entry_of(const volatile void *p)
{
	struct pt_entry entry = pt_walk(p);
	int tries;

	for (tries = 0; !entry.bits && tries < 100; tries++)
		entry = pt_walk(p);
	return entry;
}

#endif /* PAGETABLE_H */
