// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm blocks: PMD_SIZE bytes of the arena as one folio.
 *
 * The arena consists of single pages. The kernel maps a huge entry only if its
 * pages are one folio, which has one mapping, one index and one reference
 * count. So the pages of a block are made one folio when an extent that covers
 * the block begins to use it, and single pages again when the extent ends.
 *
 * While pages are joined or split, their reference count is 0. A processor that
 * looks at a page at that moment, such as get_user_pages_fast() with an old
 * entry, then cannot get a reference.
 */
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/page_ref.h>
#include <linux/pagemap.h>
#include <linux/percpu-refcount.h>
#include <linux/sched.h>

#include "block.h"
#include "compat.h"

#ifdef VMSHM_HAS_BLOCKS
/* The count of references of pages in no use: that of the arena */
#define VMSHM_BLOCK_UNUSED 1

/* Takes the references of single pages; false if a page is in use. */
static bool vmshm_block_freeze(struct page *first)
{
	unsigned long n;

	for (n = 0; n < HPAGE_PMD_NR; n++) {
		if (page_ref_freeze(first + n, VMSHM_BLOCK_UNUSED))
			continue;
		while (n--)
			page_ref_unfreeze(first + n, VMSHM_BLOCK_UNUSED);
		return false;
	}
	return true;
}

/* Makes a folio of frozen pages; it has one reference. */
static void vmshm_block_init(struct page *page, struct dev_pagemap *pgmap,
			     unsigned int order)
{
	zone_device_page_init(page, pgmap, order);
	unlock_page(page);
	/* memunmap_pages() expects the references of memremap_pages() alone. */
	percpu_ref_put_many(&pgmap->ref, 1UL << order);
}
#endif

/**
 * vmshm_block_join() - make the pages of a block one folio
 * @first: the first page of PMD_SIZE bytes, aligned to that
 *
 * The folio has no mapping. No other caller uses the block.
 *
 * Return: true; or false: a page is in use, or the kernel needs no folio.
 */
bool vmshm_block_join(struct page *first)
{
#ifdef VMSHM_HAS_BLOCKS
	if (PageCompound(first) || !vmshm_block_freeze(first))
		return false;
	vmshm_block_init(first, page_pgmap(first), PMD_ORDER);
	return true;
#else
	return false;
#endif
}

/**
 * vmshm_block_split() - make the pages of a block single pages
 * @first: the first page of a block that is not in use; if it is a single page,
 *	nothing happens
 *
 * The pages have no mapping afterwards.
 */
void vmshm_block_split(struct page *first)
{
#ifdef VMSHM_HAS_BLOCKS
	struct dev_pagemap *pgmap;
	unsigned long n;

	if (!PageHead(first))
		return;
	pgmap = page_pgmap(first);
	/* A processor that looks at the folio drops its reference at once. */
	while (!page_ref_freeze(first, VMSHM_BLOCK_UNUSED))
		cond_resched();
	/* The last page first: the others remain parts of @first. */
	for (n = HPAGE_PMD_NR; n--;) {
		vmshm_block_init(first + n, pgmap, 0);
		/* In the second page, the kernel has kept data of the folio. */
		set_page_private(first + n, 0);
	}
#endif
}
