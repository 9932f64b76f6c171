/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm words: 32-bit words of objects, and their use by files.
 */
#ifndef VMSHM_WORD_H
#define VMSHM_WORD_H

#include <linux/fs.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>

#include "slot.h"

struct page;
struct vmshm_dev;
struct vmshm_vnode;

/* Number of words that a call uses at most */
#define VMSHM_WORD_MAX 2

/**
 * struct vmshm_word - an aligned 32-bit word
 * @vnode: the object
 * @offset: bytes into the object
 * @page: the page that contains the word; the reference keeps @place
 * @index: of the word in the page
 * @place: bytes into BAR4
 */
struct vmshm_word {
	struct vmshm_vnode *vnode;
	u64 offset;
	struct page *page;
	unsigned int index;
	u64 place;
};

/**
 * struct vmshm_word_file - the use of words by an open file
 * @vdev: the device
 * @node: in vdev->word_files
 * @polling: number of the slot that polls, or negative
 * @holding: number of the slot that holds, or negative
 * @holder: the open files of the process that holds; its close() ends the hold
 * @held: the object with the word that is held, or NULL
 * @waiter: of the slot that polls
 * @armed: the slot that polls was armed
 */
struct vmshm_word_file {
	struct vmshm_dev *vdev;
	struct list_head node;
	/**
	 * @lock: protects all members below; poll(2) does not take it
	 */
	struct mutex lock;
	int polling;
	int holding;
	fl_owner_t holder;
	struct vmshm_vnode *held;
	struct vmshm_slot_waiter waiter;
	bool armed;
};

int vmshm_word_get(struct vmshm_dev *vdev, struct vmshm_vnode *vnode,
		   struct vmshm_word *words, unsigned int count);
u32 vmshm_word_read(const struct vmshm_word *word);
u32 vmshm_word_exchange(struct vmshm_word *word, u32 old, u32 new);

#endif /* VMSHM_WORD_H */
