/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm blocks: PMD_SIZE bytes of the arena as one folio.
 */
#ifndef VMSHM_BLOCK_H
#define VMSHM_BLOCK_H

#include <linux/types.h>

struct page;

bool vmshm_block_join(struct page *first);
void vmshm_block_split(struct page *first);

#endif /* VMSHM_BLOCK_H */
