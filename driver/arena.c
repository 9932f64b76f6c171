// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm arena: places in BAR4, and the struct pages behind them.
 *
 * Struct pages are what makes a mapping memory like any other: for a shared
 * futex, O_DIRECT, vmsplice. They cost 1.6 % of what they describe, so they are
 * made when a place is used for the first time, for whole blocks of 2 MiB (the
 * granularity of memremap_pages()), and an idle arena costs next to nothing.
 */
#include <linux/err.h>
#include <linux/genalloc.h>
#include <linux/memremap.h>
#include <linux/module.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/overflow.h>
#include <linux/pci.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "arena.h"
#include "compat.h"

#define VMSHM_BLOCK_SIZE SZ_2M

/* Struct pages for some blocks in a row. */
struct vmshm_arena_run {
	struct dev_pagemap pgmap;
	size_t first;
	size_t count;
};

struct vmshm_arena {
	struct device *dev;
	phys_addr_t base;
	size_t blocks;
	/* Places, as physical addresses, in the two spans */
	struct gen_pool *rw;
	struct gen_pool *ro;
	/* Protects run[]. */
	struct mutex lock;
	/* Which run a block belongs to, or NULL if it has no pages yet */
	struct vmshm_arena_run *run[];
};

static int vmshm_arena_add_run(struct vmshm_arena *arena, size_t first,
			       size_t count)
{
	struct vmshm_arena_run *run;
	void *addr;
	size_t i;

	run = kzalloc(sizeof(*run), GFP_KERNEL);
	if (!run)
		return -ENOMEM;
	run->first = first;
	run->count = count;
	run->pgmap.type = MEMORY_DEVICE_GENERIC;
	run->pgmap.owner = THIS_MODULE;
	run->pgmap.nr_range = 1;
	run->pgmap.range.start = arena->base + first * VMSHM_BLOCK_SIZE;
	run->pgmap.range.end =
		run->pgmap.range.start + count * VMSHM_BLOCK_SIZE - 1;
	addr = memremap_pages(&run->pgmap, dev_to_node(arena->dev));
	if (IS_ERR(addr)) {
		kfree(run);
		return PTR_ERR(addr);
	}
	for (i = first; i < first + count; i++)
		arena->run[i] = run;
	return 0;
}

/* Struct pages for [place, place + size). */
static int vmshm_arena_populate(struct vmshm_arena *arena, u64 place, u64 size)
{
	size_t next = place / VMSHM_BLOCK_SIZE;
	size_t end = DIV_ROUND_UP(place + size, VMSHM_BLOCK_SIZE);
	int err = 0;

	mutex_lock(&arena->lock);
	while (!err && next < end) {
		size_t first = next;

		while (next < end && !arena->run[next])
			next++;
		if (next > first)
			err = vmshm_arena_add_run(arena, first, next - first);
		else
			next++;
	}
	mutex_unlock(&arena->lock);
	return err;
}

/* Huge pages need the alignment of their own size. */
static unsigned long vmshm_arena_pool_alloc(struct gen_pool *pool, u64 size)
{
	struct genpool_data_align data = {
		.align = size >= PMD_SIZE ? PMD_SIZE : PAGE_SIZE,
	};

	return gen_pool_alloc_algo(pool, size, gen_pool_first_fit_align, &data);
}

/**
 * vmshm_arena_alloc() - find a place and give it struct pages
 * @arena: the arena
 * @size: bytes, a multiple of the page size
 * @readonly: in the span for reading only
 * @place: bytes into BAR4
 *
 * vmshm_arena_free() gives it back.
 *
 * Return: 0; -ENOSPC if the span has no room; or the error of memremap_pages().
 */
int vmshm_arena_alloc(struct vmshm_arena *arena, u64 size, bool readonly,
		      u64 *place)
{
	struct gen_pool *pool = readonly ? arena->ro : arena->rw;
	unsigned long addr = vmshm_arena_pool_alloc(pool, size);
	int err;

	if (!addr)
		return -ENOSPC;
	*place = addr - arena->base;
	err = vmshm_arena_populate(arena, *place, size);
	if (err)
		gen_pool_free(pool, addr, size);
	return err;
}

/**
 * vmshm_arena_free() - give back a place
 * @arena: the arena
 * @place: of vmshm_arena_alloc()
 * @size: the same as there
 */
void vmshm_arena_free(struct vmshm_arena *arena, u64 place, u64 size)
{
	unsigned long addr = arena->base + place;

	gen_pool_free(gen_pool_has_addr(arena->rw, addr, size) ? arena->rw :
								 arena->ro,
		      addr, size);
}

/**
 * vmshm_arena_owns() - whether a page is of any arena
 * @page: any page
 *
 * Return: true if it is.
 */
bool vmshm_arena_owns(struct page *page)
{
	return is_zone_device_page(page) &&
	       vmshm_compat_page_pgmap(page)->owner == THIS_MODULE;
}

/**
 * vmshm_arena_page() - the struct page of a place
 * @arena: the arena
 * @place: bytes into BAR4, of vmshm_arena_alloc()
 *
 * Return: the page; its reference count is not changed.
 */
struct page *vmshm_arena_page(struct vmshm_arena *arena, u64 place)
{
	return pfn_to_page((arena->base + place) >> PAGE_SHIFT);
}

/**
 * vmshm_arena_allows_pmd() - whether huge entries have the right memory type
 * @arena: the arena
 *
 * Huge entries follow the MTRRs, other than those of single pages, and for
 * device space below 4 GiB firmware sets the MTRRs to uncached.
 *
 * Return: true if huge entries can be used.
 */
bool vmshm_arena_allows_pmd(struct vmshm_arena *arena)
{
	return arena->base >= SZ_4G;
}

/**
 * vmshm_arena_size() - bytes of the writable span
 * @arena: the arena
 *
 * Return: bytes.
 */
size_t vmshm_arena_size(struct vmshm_arena *arena)
{
	return gen_pool_size(arena->rw);
}

/**
 * vmshm_arena_avail() - free bytes of the writable span
 * @arena: the arena
 *
 * Return: bytes.
 */
size_t vmshm_arena_avail(struct vmshm_arena *arena)
{
	return gen_pool_avail(arena->rw);
}

static struct gen_pool *vmshm_arena_pool_new(phys_addr_t base, u64 size)
{
	struct gen_pool *pool = gen_pool_create(PAGE_SHIFT, NUMA_NO_NODE);

	if (pool && gen_pool_add(pool, base, size, NUMA_NO_NODE)) {
		gen_pool_destroy(pool);
		pool = NULL;
	}
	return pool;
}

/**
 * vmshm_arena_destroy() - free an arena
 * @arena: an arena; no page and no place of it is in use
 */
void vmshm_arena_destroy(struct vmshm_arena *arena)
{
	size_t i = 0;

	while (i < arena->blocks) {
		struct vmshm_arena_run *run = arena->run[i];

		if (!run) {
			i++;
			continue;
		}
		i += run->count;
		memunmap_pages(&run->pgmap);
		kfree(run);
	}
	if (arena->ro)
		gen_pool_destroy(arena->ro);
	if (arena->rw)
		gen_pool_destroy(arena->rw);
	mutex_destroy(&arena->lock);
	kvfree(arena);
}

/**
 * vmshm_arena_new() - make an arena
 * @dev: the PCI function
 * @base: physical address of BAR4
 * @rw_size: bytes of the writable span
 * @ro_size: bytes of the span for reading only
 *
 * The first block gets its struct pages at once, to see whether this kernel can
 * do that there.
 *
 * Return: the arena, or ERR_PTR().
 */
struct vmshm_arena *vmshm_arena_new(struct device *dev, phys_addr_t base,
				    u64 rw_size, u64 ro_size)
{
	size_t blocks = (rw_size + ro_size) / VMSHM_BLOCK_SIZE;
	struct vmshm_arena *arena;
	int err = -ENOMEM;

	if (base + rw_size + ro_size > vmshm_compat_direct_map_size())
		return ERR_PTR(-E2BIG);
	arena = kvzalloc(struct_size(arena, run, blocks), GFP_KERNEL);
	if (!arena)
		return ERR_PTR(-ENOMEM);
	arena->dev = dev;
	arena->base = base;
	arena->blocks = blocks;
	mutex_init(&arena->lock);
	arena->rw = vmshm_arena_pool_new(base, rw_size);
	arena->ro = vmshm_arena_pool_new(base + rw_size, ro_size);
	if (arena->rw && arena->ro)
		err = vmshm_arena_populate(arena, 0, VMSHM_BLOCK_SIZE);
	if (err) {
		vmshm_arena_destroy(arena);
		return ERR_PTR(err);
	}
	return arena;
}
