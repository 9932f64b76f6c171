/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Words of objects, and what files do with them: see <vmshm/ioctl.h>.
 */
#ifndef VMSHM_WORD_H
#define VMSHM_WORD_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>

#include "slot.h"

/* An aligned 32-bit word; the page, which has a reference, keeps its place. */
struct vmshm_word {
	struct page *page;
	/* Of the word in the page */
	unsigned int index;
	/* Bytes into BAR4 */
	u64 place;
};

/* What an open file polls and holds */
struct vmshm_words {
	struct vmshm_dev *vdev;
	/* Of vdev->words */
	struct list_head node;
	/* Protects all below but the last two; not taken by poll(2) */
	struct mutex lock;
	/* A slot each, or negative */
	int polling;
	int holding;
	/* Whose close() ends the hold: the files of the process that asked */
	fl_owner_t holder;
	struct vmshm_waiter waiter;
	/* The slot was armed. */
	bool armed;
	/* wait.c: so many waits do not look; so many did not before a look */
	unsigned int skip;
	unsigned int next_skip;
};

/*
 * word.c: the word at @offset of the object, which may be NULL. The caller puts
 * the page. Errors: see <vmshm/ioctl.h>.
 */
int vmshm_word_get(struct vmshm_dev *vdev, struct vmshm_object *object,
		   u64 offset, struct vmshm_word *word);
u32 vmshm_word_read(struct vmshm_word *word);
/* What it was; if that is @old, it is @new now. */
u32 vmshm_word_exchange(struct vmshm_word *word, u32 old, u32 new);

/* wait.c */
long vmshm_ioctl_wait(struct vmshm_words *words, struct vmshm_object *object,
		      void __user *arg);
long vmshm_ioctl_wake(struct vmshm_dev *vdev, struct vmshm_object *object,
		      void __user *arg);

/* poll.c, with words->lock held */
int vmshm_poll_word(struct vmshm_words *words, struct vmshm_word *word,
		    u32 expected);
void vmshm_poll_end(struct vmshm_words *words);

/* hold.c, the same */
int vmshm_hold_word(struct vmshm_words *words, struct vmshm_word *word,
		    u32 expected);
void vmshm_hold_end(struct vmshm_words *words);

#endif /* VMSHM_WORD_H */
