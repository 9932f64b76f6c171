/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm arena: places in BAR4 and their struct pages.
 */
#ifndef VMSHM_ARENA_H
#define VMSHM_ARENA_H

#include <linux/types.h>

struct device;
struct page;
struct vmshm_arena;

struct vmshm_arena *vmshm_arena_new(struct device *dev, phys_addr_t base,
				    u64 rw_size, u64 ro_size);
void vmshm_arena_stop(struct vmshm_arena *arena);
void vmshm_arena_destroy(struct vmshm_arena *arena);
bool vmshm_arena_can_grow(struct vmshm_arena *arena, bool readonly);
void vmshm_arena_prepare(struct vmshm_arena *arena, bool readonly);
int vmshm_arena_grow(struct vmshm_arena *arena, bool readonly);
int vmshm_arena_alloc(struct vmshm_arena *arena, u64 size, bool readonly,
		      u64 *place);
void vmshm_arena_free(struct vmshm_arena *arena, u64 place, u64 size);
bool vmshm_arena_owns(struct page *page);
struct page *vmshm_arena_page(struct vmshm_arena *arena, u64 place);
bool vmshm_arena_is_cached(struct vmshm_arena *arena);
u64 vmshm_arena_size(struct vmshm_arena *arena);
u64 vmshm_arena_avail(struct vmshm_arena *arena);
u64 vmshm_arena_piece(struct vmshm_arena *arena);

#endif /* VMSHM_ARENA_H */
