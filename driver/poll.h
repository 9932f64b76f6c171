/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm words for event loops: VMSHM_IOC_POLL.
 */
#ifndef VMSHM_POLL_H
#define VMSHM_POLL_H

#include <linux/types.h>

struct file;
struct poll_table_struct;
struct vmshm_word;
struct vmshm_word_file;

int vmshm_poll_word(struct vmshm_word_file *wfile, struct vmshm_word *word,
		    u32 expected);
void vmshm_poll_end(struct vmshm_word_file *wfile);
__poll_t vmshm_poll_mask(struct vmshm_word_file *wfile, struct file *file,
			 struct poll_table_struct *wait);

#endif /* VMSHM_POLL_H */
