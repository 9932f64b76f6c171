// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm words: 32-bit words of objects.
 */
#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/highmem.h>
#include <linux/mm.h>

#include "content.h"
#include "vmshm.h"
#include "word.h"

/**
 * vmshm_word_get() - find words
 * @vdev: the device
 * @vnode: the object, or NULL: the file has none
 * @words: their offsets; the rest is filled in, and the caller puts the pages
 * @count: the number of words, at most VMSHM_WORD_MAX
 *
 * Return: 0, or an error as <vmshm/ioctl.h> says.
 */
int vmshm_word_get(struct vmshm_dev *vdev, struct vmshm_vnode *vnode,
		   struct vmshm_word *words, unsigned int count)
{
	struct vmshm_content_at at[VMSHM_WORD_MAX];
	unsigned int i;
	int err;

	if (!vdev->slots)
		return -EOPNOTSUPP;
	if (!vnode)
		return -ENXIO;
	if (READ_ONCE(vdev->gone))
		return -ENODEV;
	for (i = 0; i < count; i++) {
		if (words[i].offset % sizeof(u32))
			return -EINVAL;
		at[i].offset = words[i].offset & PAGE_MASK;
	}
	err = vmshm_content_get_pages(vnode, at, count, NULL);
	if (err)
		return err;
	for (i = 0; i < count; i++) {
		struct vmshm_word *word = words + i;

		word->vnode = vnode;
		word->page = at[i].page;
		word->place = at[i].place + offset_in_page(word->offset);
		word->index = offset_in_page(word->offset) / sizeof(u32);
	}
	return 0;
}

/**
 * vmshm_word_read() - read a word
 * @word: the word
 *
 * Return: the value.
 */
u32 vmshm_word_read(const struct vmshm_word *word)
{
	u32 *kaddr = kmap_local_page(word->page);
	u32 value = READ_ONCE(kaddr[word->index]);

	kunmap_local(kaddr);
	return value;
}

/**
 * vmshm_word_exchange() - compare and exchange a word
 * @word: the word
 * @old: the value that the word has to have
 * @new: the value that the word then gets
 *
 * Return: the previous value of the word.
 */
u32 vmshm_word_exchange(struct vmshm_word *word, u32 old, u32 new)
{
	u32 *kaddr = kmap_local_page(word->page);
	u32 was = cmpxchg(&kaddr[word->index], old, new);

	kunmap_local(kaddr);
	return was;
}
