// SPDX-License-Identifier: GPL-2.0-or-later
/* Output to QEMU's isa-debugcon, exit by isa-debug-exit, functions for gcc. */
#include "guest.h"

#define PORT_CONSOLE	0xe9
#define PORT_EXIT	0xf4
#define EXIT_DONE	0x10	/* QEMU's exit status is 2 * this + 1 */

void put(const char *text)
{
	while (*text)
		out8(PORT_CONSOLE, *text++);
}

void put_hex(u32 value)
{
	int shift = 28;

	put("0x");
	while (shift && !(value >> shift))
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		out8(PORT_CONSOLE, "0123456789abcdef"[value >> shift & 15]);
}

void put_dec(u32 value)
{
	if (value >= 10)
		put_dec(value / 10);
	out8(PORT_CONSOLE, '0' + value % 10);
}

void finish(void)
{
	out32(PORT_EXIT, EXIT_DONE);
	for (;;)
		asm volatile("hlt");
}

/* gcc may call these even when freestanding */
void *memcpy(void *to, const void *from, size_t n)
{
	volatile u8 *t = to;
	const u8 *f = from;

	while (n--)
		*t++ = *f++;
	return to;
}

void *memset(void *to, int c, size_t n)
{
	volatile u8 *t = to;

	while (n--)
		*t++ = c;
	return to;
}
