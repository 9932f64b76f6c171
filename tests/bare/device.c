// SPDX-License-Identifier: GPL-2.0-or-later
/* Driving the vmshm device, and looking at its buffer */
#include "guest.h"

u32 dev_function, dev_regs, dev_buffer, dev_name;

void dev_set_name(const char *name)
{
	u32 at = dev_name;

	do {
		write8(at++, *name);
	} while (*name++);
}

u32 dev_open(void)
{
	return read32(dev_regs + VMSHM_REG_OPEN);
}

u32 dev_open_name(const char *name)
{
	dev_set_name(name);
	return dev_open();
}

u32 dev_close(void)
{
	return read32(dev_regs + VMSHM_REG_CLOSE);
}

/* The word that run.py put at this offset of an object; 0 past its end */
u32 pattern(u32 tag, u32 size, u32 offset)
{
	u32 page = offset & ~0xfffu;

	if (offset >= size || page == WRITE_PAGE_1 || page == WRITE_PAGE_2)
		return 0;
	return tag << 24 | offset >> 2;
}

static int check_word(u32 base, u32 tag, u32 size, u32 offset, const char *what)
{
	return check(read32(base + offset), pattern(tag, size, offset), what);
}

/* The buffer at base shows this object, and zero past its end. */
int check_pattern(u32 base, u32 tag, u32 size, const char *what)
{
	for (u32 offset = 0; offset < VMSHM_BUFFER_SIZE; offset += opt.step)
		if (!check_word(base, tag, size, offset, what))
			return 0;
	for (u32 offset = size & ~0xfffu;
	     offset <= (size | 0xfff) + 1 && offset < VMSHM_BUFFER_SIZE;
	     offset += 4)
		if (!check_word(base, tag, size, offset, what))
			return 0;
	return check_word(base, tag, size, VMSHM_BUFFER_SIZE - 4, what);
}

int check_zero(u32 base, const char *what)
{
	return check_pattern(base, 0, 0, what);
}
