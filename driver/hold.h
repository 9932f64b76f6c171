/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm holds: VMSHM_IOC_HOLD.
 */
#ifndef VMSHM_HOLD_H
#define VMSHM_HOLD_H

#include <linux/fs.h>
#include <linux/types.h>

struct vmshm_word;
struct vmshm_word_file;

int vmshm_hold_word(struct vmshm_word_file *wfile, struct vmshm_word *word,
		    u32 expected);
void vmshm_hold_end(struct vmshm_word_file *wfile);
void vmshm_hold_flush(struct vmshm_word_file *wfile, fl_owner_t id);

#endif /* VMSHM_HOLD_H */
