// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The speed of an attached object as memory: copying and random access, beside
 * the guest's own RAM and an ivshmem-plain through sysfs.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pagetable.h"
#include "t.h"

#include "b.h"

#define SIZE (16 * B_MIB)
#define HUGE (2 * B_MIB)

/* A number is the median of a number of intervals, in microseconds. */
#define SLOTS 9
#define SLOT 4000.0

#define LINE 64

#define THP "/sys/kernel/mm/transparent_hugepage/"

/* Addresses that are (not) multiples of 2 MiB allow (no) huge pages. */
static char *address(int huge)
{
	char *p = mmap(NULL, SIZE + 2 * HUGE, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	T_ASSERT(p != MAP_FAILED);
	munmap(p, SIZE + 2 * HUGE);
	p = (char *)(((uintptr_t)p + HUGE - 1) & ~(HUGE - 1));
	return huge ? p : p + 4096;
}

static char *map_at(char *at, int flags, int fd)
{
	char *p = mmap(at, SIZE, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd,
		       0);

	T_ASSERT(p == at);
	return p;
}

static char *map_ram(int huge)
{
	char *p = map_at(address(huge), MAP_PRIVATE | MAP_ANONYMOUS, -1);

	/* In a small guest Linux has huge pages off. */
	T_EQ(t_system("echo madvise >" THP "enabled"), 0);
	T_EQ(madvise(p, SIZE, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE), 0);
	return p;
}

static char *map_vmshm(int huge)
{
	char *p;
	int fd;

	b_mount();
	fd = open(b_object("memory", SIZE), O_RDWR);
	T_ASSERT(fd >= 0);
	p = map_at(address(huge), MAP_SHARED, fd);
	close(fd);
	return p;
}

static char *map_ivshmem(int huge)
{
	char *p;
	int fd;

	b_ivshmem_enable();
	fd = open(b_ivshmem("resource2"), O_RDWR);
	T_ASSERT(fd >= 0);
	p = map_at(address(huge), MAP_SHARED, fd);
	close(fd);
	return p;
}

static const struct peer {
	const char *name;
	char *(*map)(int huge);
} peers[] = {
	{ "ram", map_ram },
	{ "vmshm", map_vmshm },
	{ "ivshmem", map_ivshmem },
};

#define PEERS ARRAY_SIZE(peers)

/* MB/s */
static double copy_rate(char *to, const char *from, size_t size)
{
	double begin = b_now(), end;
	size_t bytes = 0;

	do {
		memcpy(to, from, size);
		__asm__ volatile("" ::: "memory");
		bytes += size;
		/* At least 64 KiB between two reads of the clock */
		if (bytes % (64 * B_KIB))
			continue;
		end = b_now();
	} while (bytes % (64 * B_KIB) || end - begin < SLOT);
	return bytes / (end - begin);
}

/* The peers take turns, so that other load of the host affects all. */
static void copy_size(char **p, char *own, size_t size)
{
	double into[PEERS][SLOTS], from[PEERS][SLOTS];
	size_t i, k;

	for (i = 0; i < SLOTS; i++) {
		for (k = 0; k < PEERS; k++) {
			into[k][i] = copy_rate(p[k], own, size);
			from[k][i] = copy_rate(own, p[k], size);
		}
	}
	for (k = 0; k < PEERS; k++) {
		b_result("name=copy way=into peer=%s size=%zu mbs=%.1f",
			 peers[k].name, size, b_median(into[k], SLOTS));
		b_result("name=copy way=from peer=%s size=%zu mbs=%.1f",
			 peers[k].name, size, b_median(from[k], SLOTS));
	}
}

T_TEST(copy)
{
	char *own = map_ram(1), *p[PEERS];
	size_t k;

	memset(own, 1, SIZE);
	for (k = 0; k < PEERS; k++) {
		p[k] = peers[k].map(1);
		memset(p[k], 1, SIZE);
	}
	copy_size(p, own, 4 * B_KIB);
	copy_size(p, own, 64 * B_KIB);
	copy_size(p, own, B_MIB);
	copy_size(p, own, 16 * B_MIB);
}

/* A random cycle through all lines: each contains the next line's number. */
static void make_chain(char *p)
{
	uint32_t count = SIZE / LINE, *order = malloc(count * sizeof(*order));
	uint64_t random = 88172645463325252ULL;
	uint32_t i;

	T_ASSERT(order);
	for (i = 0; i < count; i++)
		order[i] = i;
	for (i = count - 1; i > 0; i--) {
		uint32_t k, old = order[i];

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		k = random % i;
		order[i] = order[k];
		order[k] = old;
	}
	for (i = 0; i < count; i++)
		*(uint32_t *)(p + (size_t)order[i] * LINE) =
			order[(i + 1) % count];
	free(order);
}

/* Nanoseconds for each step */
static double chase(const char *p)
{
	double begin = b_now(), end;
	uint64_t steps = 0;
	uint32_t at = 0;
	int i;

	do {
		for (i = 0; i < 1000; i++)
			at = *(const volatile uint32_t *)(p + (size_t)at *
							  LINE);
		steps += i;
		end = b_now();
	} while (end - begin < SLOT);
	return (end - begin) * 1000 / steps;
}

T_TEST(random)
{
	static const char *const pages[] = { "4K", "2M" };
	double times[PEERS][2][SLOTS];
	char *p[PEERS][2];
	size_t k, i, huge;

	for (k = 0; k < PEERS; k++) {
		for (huge = 0; huge < 2; huge++) {
			p[k][huge] = peers[k].map(huge);
			/* Two mappings of one object share the chain. */
			make_chain(p[k][huge]);
		}
	}
	for (i = 0; i < SLOTS; i++)
		for (k = 0; k < PEERS; k++)
			for (huge = 0; huge < 2; huge++)
				times[k][huge][i] = chase(p[k][huge]);
	for (k = 0; k < PEERS; k++)
		for (huge = 0; huge < 2; huge++)
			b_result("name=random peer=%s pages=%s ns=%.2f",
				 peers[k].name, pages[huge],
				 b_median(times[k][huge], SLOTS));
}

/* The meaning of these two bits by Linux's setting of the PAT */
static const char *memory_type(uint64_t bits)
{
	switch (bits & (PT_PWT | PT_PCD)) {
	case 0:
		return "WB";
	case PT_PWT:
		return "WC";
	case PT_PCD:
		return "UC-";
	default:
		return "UC";
	}
}

/* The memory type of the page tables, with pages as large as possible */
T_TEST(types)
{
	size_t k;

	pt_run_on_first_cpu();
	for (k = 0; k < PEERS; k++) {
		char *p = peers[k].map(1);
		struct pt_entry e;

		*(volatile char *)p = 1;
		e = pt_entry_of(p);
		T_ASSERT(e.bits);
		b_result("name=type peer=%s type=%s shift=%d", peers[k].name,
			 memory_type(e.bits), e.shift);
	}
}

/* The cost of an access to a register that has no effect */
T_TEST(register_access)
{
	volatile uint32_t *regs;
	double begin, end;
	int fd, i;

	b_ivshmem_enable();
	fd = open(b_ivshmem("resource0"), O_RDWR);
	regs = mmap(NULL, 256, PROT_READ, MAP_SHARED, fd, 0);
	T_ASSERT(regs != MAP_FAILED);
	close(fd);
	begin = b_now();
	for (i = 0; i < 10000; i++)
		(void)regs[2];
	end = b_now();
	b_result("name=register us=%.3f", (end - begin) / 10000);
}
