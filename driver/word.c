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
 * vmshm_word_get() - find a word
 * @vdev: the device
 * @vnode: the object, or NULL: the file has none
 * @offset: bytes into the object
 * @word: the word; the caller puts its page
 *
 * Return: 0, or an error as <vmshm/ioctl.h> says.
 */
int vmshm_word_get(struct vmshm_dev *vdev, struct vmshm_vnode *vnode,
		   u64 offset, struct vmshm_word *word)
{
	struct page *page;

	if (!vdev->slots)
		return -EOPNOTSUPP;
	if (!vnode)
		return -ENXIO;
	if (READ_ONCE(vdev->gone))
		return -ENODEV;
	if (offset % sizeof(u32))
		return -EINVAL;
	page = vmshm_content_get_page(vnode, offset & PAGE_MASK, &word->place,
				      NULL);
	if (IS_ERR(page))
		return PTR_ERR(page);
	word->vnode = vnode;
	word->offset = offset;
	word->page = page;
	word->place += offset_in_page(offset);
	word->index = offset_in_page(offset) / sizeof(u32);
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
