// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm arena: places in BAR4, and the struct pages behind them.
 *
 * With struct pages, a mapping of the arena behaves like normal memory: a
 * shared futex, O_DIRECT and vmsplice(2) work. Struct pages cost 1.6 % of the
 * memory that they describe. So the arena is divided into chunks. A chunk gets
 * its struct pages shortly before it is needed and loses them when it is free.
 *
 * memremap_pages() takes locks of memory and processor hot-plug, and waits for
 * tasks that wait for an mmap_lock. It is therefore called without any lock
 * that a page fault takes: at probe, by a worker, or by vmshm_arena_grow(). A
 * chunk is at most one memory section, because the kernel undoes a call for one
 * section if memory runs out, but not a call for several.
 */
#include <linux/bitmap.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/log2.h>
#include <linux/memremap.h>
#include <linux/module.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/mutex.h>
#include <linux/overflow.h>
#include <linux/pci.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include <vmshm/regs.h>

#include "arena.h"
#include "compat.h"

/* The time for which a free chunk keeps its pages, in case of a new use */
#define VMSHM_ARENA_IDLE (10 * HZ)
/* Minimum of available memory, as a multiple of the size of struct pages */
#define VMSHM_ARENA_SPARE 8
/* Multiple from which on the memory need not be contiguous */
#define VMSHM_ARENA_PLENTY 64
/* After a failure for lack of memory: the time until the next attempt */
#define VMSHM_ARENA_BACK_OFF HZ

/**
 * struct vmshm_arena_pages - the struct pages of a chunk
 * @pgmap: of memremap_pages()
 * @wb: the kernel's mapping was made write-back
 * @used: a bit for each page that is in a place
 */
struct vmshm_arena_pages {
	struct dev_pagemap pgmap;
	bool wb;
	unsigned long used[];
};

/**
 * struct vmshm_arena_chunk - a part of the arena
 * @place: bytes into BAR4
 * @count: number of pages
 * @free: pages in no place; valid if @pages
 * @readonly: in the span for reading only
 * @pages: or NULL: then there can be no place
 */
struct vmshm_arena_chunk {
	u64 place;
	unsigned long count;
	unsigned long free;
	bool readonly;
	struct vmshm_arena_pages *pages;
};

/**
 * struct vmshm_arena - BAR4
 * @dev: the PCI function
 * @base: physical address
 * @rw_size: bytes of the writable span, which is first
 * @used: bytes of the writable span that are in places
 * @chunk_size: bytes of all chunks but the last ones of the spans
 * @cached: the platform allows write-back
 * @stopped: the device is gone
 * @back_off: jiffies before which the arena does not grow
 * @work: grows and shrinks the arena
 * @count: number of chunks
 * @chunk: by place
 */
struct vmshm_arena {
	struct device *dev;
	phys_addr_t base;
	u64 rw_size;
	u64 used;
	u64 chunk_size;
	bool cached;
	bool stopped;
	unsigned long back_off;
	struct delayed_work work;
	/** @grow_lock: serialises growing; no page fault takes it */
	struct mutex grow_lock;
	/**
	 * @lock: protects @used, @stopped (with @grow_lock), and @free and
	 * @pages of each chunk
	 */
	spinlock_t lock;
	size_t count;
	struct vmshm_arena_chunk chunk[];
};

static u64 vmshm_arena_chunk_bytes(const struct vmshm_arena_chunk *chunk)
{
	return (u64)chunk->count << PAGE_SHIFT;
}

/* Whether the kernel has contiguous memory, as memremap_pages() prefers it */
static bool vmshm_arena_has_piece(size_t bytes)
{
	struct page *page;

	page = alloc_pages(GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN,
			   get_order(bytes));
	if (page)
		__free_pages(page, get_order(bytes));
	return page;
}

/*
 * Whether struct pages can be allocated without exhausting the memory. If
 * memremap_pages() runs out of memory, the kernel also writes a stack trace to
 * its log.
 */
static bool vmshm_arena_has_memory(const struct vmshm_arena_chunk *chunk)
{
	size_t bytes = PAGE_ALIGN(chunk->count * sizeof(struct page));
	long available = si_mem_available(), need = PHYS_PFN(bytes);

	if (available >= VMSHM_ARENA_PLENTY * need)
		return true;
	return available >= VMSHM_ARENA_SPARE * need &&
	       vmshm_arena_has_piece(bytes);
}

/* Creates struct pages for a chunk; ERR_PTR() on failure. */
static struct vmshm_arena_pages *
vmshm_arena_map(struct vmshm_arena *arena,
		const struct vmshm_arena_chunk *chunk)
{
	struct vmshm_arena_pages *pages;
	void *addr;

	if (!vmshm_arena_has_memory(chunk))
		return ERR_PTR(-ENOMEM);
	pages = kvzalloc(struct_size(pages, used, BITS_TO_LONGS(chunk->count)),
			 GFP_KERNEL);
	if (!pages)
		return ERR_PTR(-ENOMEM);
	pages->pgmap.type = MEMORY_DEVICE_GENERIC;
	pages->pgmap.owner = THIS_MODULE;
	pages->pgmap.nr_range = 1;
	pages->pgmap.range.start = arena->base + chunk->place;
	pages->pgmap.range.end =
		pages->pgmap.range.start + vmshm_arena_chunk_bytes(chunk) - 1;
	addr = memremap_pages(&pages->pgmap, dev_to_node(arena->dev));
	if (IS_ERR(addr)) {
		kvfree(pages);
		return ERR_CAST(addr);
	}
	return pages;
}

static void vmshm_arena_unmap(struct vmshm_arena_chunk *chunk,
			      struct vmshm_arena_pages *pages)
{
	if (pages->wb)
		vmshm_compat_set_uncached(pages->pgmap.range.start,
					  chunk->count);
	memunmap_pages(&pages->pgmap);
	kvfree(pages);
}

/*
 * One memory type for all mappings: write-back. Where firmware has set the
 * MTRRs to uncached, the kernel has made its own mapping uncached, too. A
 * processor that obeys MTRRs treats both mappings in the same way, but a
 * processor that obeys only page tables (AMD under KVM) would see two types.
 */
static void vmshm_arena_set_type(struct vmshm_arena *arena,
				 struct vmshm_arena_pages *pages)
{
	struct page *page = pfn_to_page(PHYS_PFN(pages->pgmap.range.start));
	unsigned long count = PHYS_PFN(range_len(&pages->pgmap.range));

	if (vmshm_compat_page_is_cached(page))
		return;
	arena->cached = false;
	pages->wb = !vmshm_compat_set_cached(page, count);
}

static int vmshm_arena_grow_chunk(struct vmshm_arena *arena,
				  struct vmshm_arena_chunk *chunk)
{
	struct vmshm_arena_pages *pages;

	lockdep_assert_held(&arena->grow_lock);
	pages = vmshm_arena_map(arena, chunk);
	if (IS_ERR(pages)) {
		WRITE_ONCE(arena->back_off, jiffies + VMSHM_ARENA_BACK_OFF);
		return PTR_ERR(pages);
	}
	vmshm_arena_set_type(arena, pages);
	spin_lock(&arena->lock);
	chunk->pages = pages;
	chunk->free = chunk->count;
	spin_unlock(&arena->lock);
	return 0;
}

/* A chunk without pages, or NULL */
static struct vmshm_arena_chunk *
vmshm_arena_next_chunk(struct vmshm_arena *arena, bool readonly)
{
	size_t i;

	for (i = 0; i < arena->count; i++)
		if (arena->chunk[i].readonly == readonly &&
		    !READ_ONCE(arena->chunk[i].pages))
			return &arena->chunk[i];
	return NULL;
}

/**
 * vmshm_arena_can_grow() - whether vmshm_arena_grow() is worth a try
 * @arena: the arena
 * @readonly: the span for reading only
 *
 * Return: false if all chunks have pages, or memory has just run out.
 */
bool vmshm_arena_can_grow(struct vmshm_arena *arena, bool readonly)
{
	return !READ_ONCE(arena->stopped) &&
	       time_after_eq(jiffies, READ_ONCE(arena->back_off)) &&
	       vmshm_arena_next_chunk(arena, readonly);
}

/**
 * vmshm_arena_grow() - make struct pages for another chunk
 * @arena: the arena
 * @readonly: the span for reading only
 *
 * The caller holds no lock that a page fault takes, and no mmap_lock.
 *
 * Return: 0; -ENOSPC if all chunks have pages; or the error of
 * memremap_pages(), such as -ENOMEM.
 */
int vmshm_arena_grow(struct vmshm_arena *arena, bool readonly)
{
	struct vmshm_arena_chunk *chunk;
	int err = -ENOSPC;

	mutex_lock(&arena->grow_lock);
	chunk = vmshm_arena_next_chunk(arena, readonly);
	if (arena->stopped)
		err = -ENODEV;
	else if (chunk)
		err = vmshm_arena_grow_chunk(arena, chunk);
	mutex_unlock(&arena->grow_lock);
	return err;
}

/* Number of free pages of a span that have struct pages */
static unsigned long vmshm_arena_ready(struct vmshm_arena *arena, bool readonly)
{
	unsigned long ready = 0;
	size_t i;

	lockdep_assert_held(&arena->lock);
	for (i = 0; i < arena->count; i++)
		if (arena->chunk[i].readonly == readonly &&
		    arena->chunk[i].pages)
			ready += arena->chunk[i].free;
	return ready;
}

/**
 * vmshm_arena_prepare() - have a free page with a struct page, if possible
 * @arena: the arena
 * @readonly: the span for reading only
 *
 * For an access that cannot wait for vmshm_arena_grow(), such as that of a
 * debugger. The caller holds no lock, as for vmshm_arena_grow().
 */
void vmshm_arena_prepare(struct vmshm_arena *arena, bool readonly)
{
	unsigned long ready;

	spin_lock(&arena->lock);
	ready = vmshm_arena_ready(arena, readonly);
	spin_unlock(&arena->lock);
	if (!ready && vmshm_arena_can_grow(arena, readonly))
		vmshm_arena_grow(arena, readonly);
}

/* Takes the pages of a free chunk if enough other pages are free; or NULL. */
static struct vmshm_arena_pages *
vmshm_arena_take_idle(struct vmshm_arena *arena,
		      struct vmshm_arena_chunk *chunk)
{
	struct vmshm_arena_pages *pages = NULL;

	spin_lock(&arena->lock);
	/* The first chunk keeps its pages. */
	if (chunk != arena->chunk && chunk->pages &&
	    chunk->free == chunk->count &&
	    vmshm_arena_ready(arena, chunk->readonly) >
		    chunk->count + PHYS_PFN(arena->chunk_size / 2)) {
		pages = chunk->pages;
		chunk->pages = NULL;
	}
	spin_unlock(&arena->lock);
	return pages;
}

static void vmshm_arena_shrink(struct vmshm_arena *arena)
{
	size_t i;

	mutex_lock(&arena->grow_lock);
	for (i = arena->count; i--;) {
		struct vmshm_arena_pages *pages;

		pages = vmshm_arena_take_idle(arena, &arena->chunk[i]);
		if (pages)
			vmshm_arena_unmap(&arena->chunk[i], pages);
	}
	mutex_unlock(&arena->grow_lock);
}

/* Whether few pages are free, so that the arena should grow in advance */
static bool vmshm_arena_is_low(struct vmshm_arena *arena, bool readonly)
{
	return vmshm_arena_ready(arena, readonly) <
		       PHYS_PFN(arena->chunk_size / 4) &&
	       vmshm_arena_can_grow(arena, readonly);
}

static void vmshm_arena_work(struct work_struct *work)
{
	struct vmshm_arena *arena =
		container_of(to_delayed_work(work), struct vmshm_arena, work);
	bool low;

	spin_lock(&arena->lock);
	low = arena->used && vmshm_arena_is_low(arena, false);
	spin_unlock(&arena->lock);
	if (low)
		vmshm_arena_grow(arena, false);
	else
		vmshm_arena_shrink(arena);
}

/* The first of @count consecutive free pages; chunk->count or more: none. */
static unsigned long vmshm_arena_find(struct vmshm_arena_chunk *chunk,
				      unsigned long count)
{
	/* Huge entries need the alignment of their own size. */
	unsigned long align =
		count >= PMD_SIZE / PAGE_SIZE ? PMD_SIZE / PAGE_SIZE - 1 : 0;

	if (!chunk->pages || chunk->free < count)
		return chunk->count;
	return bitmap_find_next_zero_area(chunk->pages->used, chunk->count, 0,
					  count, align);
}

static void vmshm_arena_account(struct vmshm_arena *arena,
				struct vmshm_arena_chunk *chunk, long count)
{
	chunk->free -= count;
	if (!chunk->readonly)
		arena->used += count * (long)PAGE_SIZE;
}

/**
 * vmshm_arena_alloc() - find a place that has struct pages
 * @arena: the arena
 * @size: bytes, a multiple of the page size
 * @readonly: in the span for reading only
 * @place: bytes into BAR4
 *
 * Does not sleep. vmshm_arena_free() gives back the place.
 *
 * Return: 0; -ENOSPC if there is no such place now; -ENODEV if the arena was
 * stopped.
 */
int vmshm_arena_alloc(struct vmshm_arena *arena, u64 size, bool readonly,
		      u64 *place)
{
	unsigned long count = PHYS_PFN(size);
	int err;
	size_t i;

	spin_lock(&arena->lock);
	err = arena->stopped ? -ENODEV : -ENOSPC;
	for (i = 0; err == -ENOSPC && i < arena->count; i++) {
		struct vmshm_arena_chunk *chunk = &arena->chunk[i];
		unsigned long n;

		if (chunk->readonly != readonly)
			continue;
		n = vmshm_arena_find(chunk, count);
		if (n >= chunk->count)
			continue;
		bitmap_set(chunk->pages->used, n, count);
		vmshm_arena_account(arena, chunk, count);
		*place = chunk->place + ((u64)n << PAGE_SHIFT);
		err = 0;
	}
	/* Under the lock, so that vmshm_arena_stop() finds the work. */
	if (!readonly && vmshm_arena_is_low(arena, false))
		mod_delayed_work(system_percpu_wq, &arena->work, 0);
	spin_unlock(&arena->lock);
	return err;
}

static struct vmshm_arena_chunk *vmshm_arena_chunk_at(struct vmshm_arena *arena,
						      u64 place)
{
	size_t i;

	for (i = 0; i < arena->count; i++)
		if (place - arena->chunk[i].place <
		    vmshm_arena_chunk_bytes(&arena->chunk[i]))
			return &arena->chunk[i];
	return NULL;
}

/**
 * vmshm_arena_free() - give back a place
 * @arena: the arena
 * @place: of vmshm_arena_alloc()
 * @size: bytes, as passed to vmshm_arena_alloc()
 *
 * An open in progress may give back its place after the arena was stopped.
 */
void vmshm_arena_free(struct vmshm_arena *arena, u64 place, u64 size)
{
	struct vmshm_arena_chunk *chunk = vmshm_arena_chunk_at(arena, place);
	unsigned long count = PHYS_PFN(size);

	if (WARN_ON_ONCE(!chunk))
		return;
	spin_lock(&arena->lock);
	if (!arena->stopped) {
		bitmap_clear(chunk->pages->used, PHYS_PFN(place - chunk->place),
			     count);
		vmshm_arena_account(arena, chunk, -(long)count);
		/* Under the lock, so that vmshm_arena_stop() finds the work. */
		schedule_delayed_work(&arena->work, VMSHM_ARENA_IDLE);
	}
	spin_unlock(&arena->lock);
}

/**
 * vmshm_arena_owns() - whether a page belongs to any arena
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
	return pfn_to_page(PHYS_PFN(arena->base + place));
}

/**
 * vmshm_arena_is_cached() - whether the platform allows write-back
 * @arena: the arena
 *
 * Huge entries have the memory type that the platform reports. Entries for
 * single pages are write-back. So huge entries are used only where both types
 * are the same.
 *
 * Return: true if it does.
 */
bool vmshm_arena_is_cached(struct vmshm_arena *arena)
{
	return arena->cached;
}

/**
 * vmshm_arena_size() - bytes of the writable span
 * @arena: the arena
 *
 * Return: bytes.
 */
u64 vmshm_arena_size(struct vmshm_arena *arena)
{
	return arena->rw_size;
}

/**
 * vmshm_arena_avail() - free bytes of the writable span
 * @arena: the arena
 *
 * Return: bytes.
 */
u64 vmshm_arena_avail(struct vmshm_arena *arena)
{
	u64 used;

	spin_lock(&arena->lock);
	used = arena->used;
	spin_unlock(&arena->lock);
	return arena->rw_size - used;
}

/**
 * vmshm_arena_piece() - the maximum length of a place
 * @arena: the arena
 *
 * Return: bytes, a power of two.
 */
u64 vmshm_arena_piece(struct vmshm_arena *arena)
{
	return arena->chunk_size;
}

/**
 * vmshm_arena_stop() - remove all struct pages, because the device is gone
 * @arena: an arena; no page of it is in use
 *
 * A page fault that has dropped its locks may still call vmshm_arena_grow(). An
 * open in progress may still call vmshm_arena_alloc() and vmshm_arena_free().
 */
void vmshm_arena_stop(struct vmshm_arena *arena)
{
	size_t i;

	mutex_lock(&arena->grow_lock);
	spin_lock(&arena->lock);
	WRITE_ONCE(arena->stopped, true);
	spin_unlock(&arena->lock);
	mutex_unlock(&arena->grow_lock);
	cancel_delayed_work_sync(&arena->work);
	for (i = 0; i < arena->count; i++) {
		struct vmshm_arena_chunk *chunk = &arena->chunk[i];

		if (chunk->pages)
			vmshm_arena_unmap(chunk, chunk->pages);
		chunk->pages = NULL;
	}
}

/**
 * vmshm_arena_destroy() - free an arena
 * @arena: an arena that was stopped, or NULL
 */
void vmshm_arena_destroy(struct vmshm_arena *arena)
{
	if (!arena)
		return;
	mutex_destroy(&arena->grow_lock);
	kvfree(arena);
}

/* An eighth of the arena, so that one chunk costs 0.2 % of it */
static u64 vmshm_arena_choose_chunk(u64 size)
{
	return clamp_t(u64, rounddown_pow_of_two(size) / 8, SZ_2M,
		       (u64)PAGES_PER_SECTION << PAGE_SHIFT);
}

static void vmshm_arena_divide(struct vmshm_arena *arena, u64 ro_size)
{
	u64 place = 0, size = arena->rw_size + ro_size;

	for (arena->count = 0; place < size; arena->count++) {
		struct vmshm_arena_chunk *chunk = &arena->chunk[arena->count];
		u64 end = place < arena->rw_size ? arena->rw_size : size;
		/* So none is in two sections: the base is that well aligned. */
		u64 next = ALIGN_DOWN(place, arena->chunk_size) +
			   arena->chunk_size;

		chunk->place = place;
		chunk->readonly = place >= arena->rw_size;
		chunk->count = PHYS_PFN(min(end, next) - place);
		place += vmshm_arena_chunk_bytes(chunk);
	}
}

/**
 * vmshm_arena_new() - make an arena
 * @dev: the PCI function
 * @base: physical address of BAR4
 * @rw_size: bytes of the writable span
 * @ro_size: bytes of the span for reading only
 *
 * The first chunk gets its struct pages at once, to see whether this kernel can
 * do that there.
 *
 * Return: the arena; or ERR_PTR(): -E2BIG if the kernel cannot map these
 * addresses, -EOPNOTSUPP if it has no ZONE_DEVICE, or another errno.
 */
struct vmshm_arena *vmshm_arena_new(struct device *dev, phys_addr_t base,
				    u64 rw_size, u64 ro_size)
{
	u64 chunk_size = vmshm_arena_choose_chunk(rw_size);
	struct vmshm_arena *arena;
	size_t count;
	int err;

	static_assert(PAGE_SIZE == VMSHM_PAGE_SIZE);

	if (!IS_ENABLED(CONFIG_ZONE_DEVICE))
		return ERR_PTR(-EOPNOTSUPP);
	if (base + rw_size + ro_size > vmshm_compat_direct_map_size())
		return ERR_PTR(-E2BIG);
	count = DIV_ROUND_UP_ULL(rw_size, chunk_size) +
		DIV_ROUND_UP_ULL(ro_size, chunk_size) + 1;
	arena = kvzalloc(struct_size(arena, chunk, count), GFP_KERNEL);
	if (!arena)
		return ERR_PTR(-ENOMEM);
	arena->dev = dev;
	arena->base = base;
	arena->rw_size = rw_size;
	arena->chunk_size = chunk_size;
	arena->cached = true;
	arena->back_off = jiffies;
	mutex_init(&arena->grow_lock);
	spin_lock_init(&arena->lock);
	INIT_DELAYED_WORK(&arena->work, vmshm_arena_work);
	vmshm_arena_divide(arena, ro_size);
	err = vmshm_arena_grow(arena, false);
	if (err) {
		vmshm_arena_stop(arena);
		vmshm_arena_destroy(arena);
		return ERR_PTR(err);
	}
	return arena;
}
