// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests with one CPU. main.c closes the device after each of them. */
#include "guest.h"

#define VMSHM_PCI_ID	(VMSHM_PCI_DEVICE_ID << 16 | VMSHM_PCI_VENDOR_ID)
#define PCI_CLASS_RAM	0x0500u

#define TEXT_SIZE	8192u
#define TEXT_HOST	"hello from the host"
#define TEXT_GUEST	"I was here: bare metal"
#define TEXT_GUEST_AT	0x100u
#define PING_AT		0x200u
#define PONG_AT		0x204u
#define LAST_WORD	0xcafe0042u	/* at the end of the text object */

#define BUFFER_END	(VMSHM_BUFFER_SIZE - 4)
#define ELSEWHERE	0x40000000u	/* no RAM, and no BAR of any BIOS */
#define NAME_MAX	255

void test_pci(void)
{
	static const u32 sizes[] = {
		VMSHM_BAR0_SIZE,
		VMSHM_BUFFER_SIZE,
		VMSHM_NAME_SIZE,
	};
	u32 base[ARRAY_SIZE(sizes)];
	u32 function = 0;

	if (!check(pci_find(VMSHM_PCI_ID, &function), 1, "devices on bus 0"))
		return;
	check(pci_read(function, 8) >> 16, PCI_CLASS_RAM, "class");
	check(pci_read(function, 8) & 0xff, 1, "revision");
	check(pci_read(function, PCI_COMMAND) & PCI_COMMAND_MEMORY,
	      PCI_COMMAND_MEMORY, "memory decoding after the BIOS");

	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		u32 bar = pci_read(function, PCI_BAR(i));

		base[i] = bar & ~0xfu;
		check(bar & 0xf, 0, "32-bit, memory, not prefetchable");
		check(base[i] != 0, 1, "the BIOS gave the BAR an address");
		check(base[i] & (sizes[i] - 1), 0, "alignment of the BAR");
		check(pci_bar_size(function, i), sizes[i], "size of the BAR");
		check(pci_read(function, PCI_BAR(i)), bar, "BAR after sizing");
		for (u32 j = 0; j < i; j++)
			check(base[i] < base[j] + sizes[j] &&
				      base[j] < base[i] + sizes[i],
			      0, "BARs overlap");
	}
	dev_function = function;
	dev_regs = base[VMSHM_BAR_REGS];
	dev_buffer = base[VMSHM_BAR_BUFFER];
	dev_name = base[VMSHM_BAR_NAME];
}

void test_fresh(void)
{
	for (u32 i = 0; i < VMSHM_NAME_SIZE; i += 4)
		check(read32(dev_name + i), 0, "name buffer");
	check_zero(dev_buffer, "buffer");
}

void test_name(void)
{
	u32 last = dev_name + VMSHM_NAME_SIZE - 1;

	write32(dev_name, 0x44332211);
	write8(dev_name + 4, 0x55);
	write16(dev_name + 6, 0x8877);
	write8(last, 0x99);
	check(read8(dev_name + 2), 0x33, "a byte of a word");
	check(read16(dev_name + 2), 0x4433, "half a word");
	check(read32(dev_name + 4), 0x88770055, "a word of parts");
	check(read8(last), 0x99, "the last byte");

	write32(dev_name + 9, 0xddccbbaa);
	check(read32(dev_name + 8), 0xccbbaa00, "misaligned word, low");
	check(read32(dev_name + 12), 0x000000dd, "misaligned word, high");
	check(read32(dev_name + 9), 0xddccbbaa, "misaligned word");

	for (u32 i = 0; i < VMSHM_NAME_SIZE; i += 4)
		write32(dev_name + i, 0);
}

static void check_text(u32 offset, const char *text, const char *what)
{
	do {
		check(read8(dev_buffer + offset++), (u8)*text, what);
	} while (*text++);
}

void test_attach(void)
{
	const char *text = TEXT_GUEST;
	u32 at = dev_buffer + TEXT_GUEST_AT;

	if (!check(dev_open_name(opt.text), 0, "open"))
		return;
	check_text(0, TEXT_HOST, "the host's text");
	check(read32(dev_buffer + TEXT_SIZE - 4), LAST_WORD, "its last word");
	check(read32(dev_buffer + TEXT_SIZE), 0, "past its end");
	check(read32(dev_buffer + BUFFER_END), 0, "the end of the buffer");
	do {
		write8(at++, *text);
	} while (*text++);
	check_text(TEXT_GUEST_AT, TEXT_GUEST, "the guest's text");
}

/* The host answers in the object itself, while it is mapped. */
void test_live(void)
{
	if (!check(dev_open_name(opt.text), 0, "open"))
		return;
	for (u32 i = 1; i <= 3; i++) {
		u32 ping = i << 24 | 0x123456;

		write32(dev_buffer + PING_AT, ping);
		put("ask pong\n");
		while (read32(dev_buffer + PONG_AT) != ping + 1)
			;
	}
}

void test_busy(void)
{
	if (!check(dev_open_name(opt.a), 0, "open"))
		return;
	check(dev_open(), EBUSY, "the same again");
	check(dev_open_name(opt.b), EBUSY, "another");
	check(dev_open_name(opt.missing), EBUSY, "a missing one");
	check_pattern(dev_buffer, A_TAG, A_SIZE, "still the first");
}

void test_detach(void)
{
	check(dev_close(), 0, "close when nothing is open");
	if (!check(dev_open_name(opt.a), 0, "open"))
		return;
	check(dev_close(), 0, "close");
	check_zero(dev_buffer, "buffer after close");
	check(dev_close(), 0, "second close");
	check_zero(dev_buffer, "buffer after second close");
}

/* After test_attach */
void test_reattach(void)
{
	for (u32 i = 0; i < 3; i++) {
		if (!check(dev_open_name(opt.text), 0, "open"))
			return;
		check_text(0, TEXT_HOST, "the host's text");
		check_text(TEXT_GUEST_AT, TEXT_GUEST, "the guest's text");
		check(dev_close(), 0, "close");
		check(read32(dev_buffer), 0, "buffer after close");
		check(dev_open_name(opt.a), 0, "open another");
		check(read32(dev_buffer + BUFFER_END),
		      pattern(A_TAG, A_SIZE, BUFFER_END), "its last word");
		check(dev_close(), 0, "close another");
	}
}

/* Memory after the object's last page is private, and new each time. */
void test_small_object(void)
{
	u32 next_page = dev_buffer + (B_SIZE | 0xfff) + 1;

	for (u32 i = 0; i < 2; i++) {
		if (!check(dev_open_name(opt.b), 0, "open"))
			return;
		check_pattern(dev_buffer, B_TAG, B_SIZE, "object and tail");
		write32(next_page, 0x11111111);
		write32(dev_buffer + BUFFER_END, 0x22222222);
		check(read32(next_page), 0x11111111, "the tail is memory");
		check(read32(dev_buffer + BUFFER_END), 0x22222222,
		      "the tail is memory to its end");
		check(dev_close(), 0, "close");
		check_zero(dev_buffer, "buffer after close");
	}
}

void test_missing(void)
{
	check(dev_open_name(opt.missing), ENOENT, "open");
	check_zero(dev_buffer, "buffer");
	check(dev_close(), 0, "close");
	check(dev_open_name(opt.a), 0, "open one that is there");
	check(read32(dev_buffer), pattern(A_TAG, A_SIZE, 0), "its first word");
}

static void fill_name(char c, u32 n)
{
	write8(dev_name, '/');
	for (u32 i = 1; i < n; i++)
		write8(dev_name + i, c);
	if (n < VMSHM_NAME_SIZE)
		write8(dev_name + n, 0);
}

void test_bad_names(void)
{
	check(dev_open_name(""), EINVAL, "empty");
	check(dev_open_name("/"), EINVAL, "a slash alone");
	check(dev_open_name("x"), EINVAL, "no slash");
	check(dev_open_name(opt.a + 1), EINVAL, "no slash, object exists");
	check(dev_open_name("//x"), EINVAL, "two slashes");
	check(dev_open_name("/x/y"), EINVAL, "a slash inside");
	check(dev_open_name("/."), EINVAL, "dot");
	check(dev_open_name("/.."), EINVAL, "dot dot");
	fill_name('n', NAME_MAX + 1);
	check(dev_open(), ENOENT, "255 bytes");
	fill_name('n', NAME_MAX + 2);
	check(dev_open(), ENAMETOOLONG, "256 bytes");
	fill_name('n', VMSHM_NAME_SIZE - 1);
	check(dev_open(), ENAMETOOLONG, "1022 bytes");
	fill_name('n', VMSHM_NAME_SIZE);
	check(dev_open(), EINVAL, "no NUL");
	check_zero(dev_buffer, "buffer");
}

void test_register_writes(void)
{
	dev_set_name(opt.a);
	write32(dev_regs + VMSHM_REG_OPEN, 0);
	check(read32(dev_buffer), 0, "buffer after a write to open");
	if (!check(dev_open(), 0, "open"))
		return;
	write32(dev_regs + VMSHM_REG_CLOSE, 0);
	write8(dev_regs + VMSHM_REG_CLOSE, 1);
	check(dev_open(), EBUSY, "open after a write to close");
	check_pattern(dev_buffer, A_TAG, A_SIZE, "buffer");
}

/* Aligned reads beside the two registers */
static void read_beside(void)
{
	static const u32 bytes[] = { 0x01, 0x02, 0x03, 0x1f, 0x21, 0x23 };
	static const u32 shorts[] = { 0x02, 0x1e, 0x22 };
	static const u32 longs[] = { 0x04, 0x1c, 0x24, 0x3c };

	for (u32 i = 0; i < ARRAY_SIZE(bytes); i++)
		check(read8(dev_regs + bytes[i]), 0, "a byte beside");
	for (u32 i = 0; i < ARRAY_SIZE(shorts); i++)
		check(read16(dev_regs + shorts[i]), 0, "two bytes beside");
	for (u32 i = 0; i < ARRAY_SIZE(longs); i++)
		check(read32(dev_regs + longs[i]), 0, "four bytes beside");
}

void test_access_sizes(void)
{
	dev_set_name(opt.a);
	read_beside();
	check(read32(dev_buffer), 0, "nothing was opened");
	check(read8(dev_regs + VMSHM_REG_OPEN), 0, "open by a byte");
	check(read16(dev_regs + VMSHM_REG_OPEN), EBUSY, "open by two bytes");
	read_beside();
	check(read32(dev_buffer), pattern(A_TAG, A_SIZE, 0), "still open");
	check(read8(dev_regs + VMSHM_REG_CLOSE), 0, "close by a byte");
	check(read32(dev_buffer), 0, "closed");
	check(read16(dev_regs + VMSHM_REG_OPEN), 0, "open by two bytes");
	check(read16(dev_regs + VMSHM_REG_CLOSE), 0, "close by two bytes");
	check(read32(dev_buffer), 0, "closed again");
}

/*
 * The value of a misaligned read of a register is undefined: QEMU may split
 * it into aligned ones, which act (TCG and KVM differ). It must do no harm.
 */
void test_misaligned(void)
{
	static const u32 at[] = { VMSHM_REG_OPEN + 1, VMSHM_REG_CLOSE - 3 };

	dev_set_name(opt.a);
	for (u32 turn = 0; turn < 2; turn++) {
		for (u32 i = 0; i < 3; i++) {
			u32 word;

			read32(dev_regs + at[turn] + i);
			read16(dev_regs + at[turn] + i);
			word = read32(dev_buffer);
			check(word == 0 || word == pattern(A_TAG, A_SIZE, 0), 1,
			      "zero or the object");
		}
	}
	check(dev_close(), 0, "close");
	check_zero(dev_buffer, "buffer after close");
	check(dev_open(), 0, "open");
	check_pattern(dev_buffer, A_TAG, A_SIZE, "buffer");
}

/* Writes while nothing is open reach no object and do not last. */
void test_scribble(void)
{
	for (u32 i = 0; i < VMSHM_BUFFER_SIZE; i += 4096)
		write32(dev_buffer + i, 0x5c5c5c5c);
	check(read32(dev_buffer + 4096), 0x5c5c5c5c, "private memory");
	if (!check(dev_open_name(opt.b), 0, "open"))
		return;
	check_pattern(dev_buffer, B_TAG, B_SIZE, "object and tail");
	check(dev_close(), 0, "close");
	check_zero(dev_buffer, "buffer after close");
}

/* Memory decoding off and on while an object is open */
void test_decode(void)
{
	if (!check(dev_open_name(opt.a), 0, "open"))
		return;
	pci_decode(dev_function, 0);
	check(read32(dev_buffer) == pattern(A_TAG, A_SIZE, 0), 0,
	      "the buffer answers with decoding off");
	pci_decode(dev_function, 1);
	check(dev_open(), EBUSY, "open");
	check_pattern(dev_buffer, A_TAG, A_SIZE, "buffer");
}

static void move_bar(u32 bar, u32 address)
{
	pci_decode(dev_function, 0);
	pci_write(dev_function, PCI_BAR(bar), address);
	pci_decode(dev_function, 1);
}

/* The buffer at another address while an object is open */
void test_move(void)
{
	if (!check(dev_open_name(opt.a), 0, "open"))
		return;
	move_bar(VMSHM_BAR_BUFFER, ELSEWHERE);
	check_pattern(ELSEWHERE, A_TAG, A_SIZE, "moved buffer");
	check(dev_close(), 0, "close");
	check_zero(ELSEWHERE, "moved buffer after close");
	check(dev_open_name(opt.b), 0, "open another");
	move_bar(VMSHM_BAR_BUFFER, dev_buffer);
	check_pattern(dev_buffer, B_TAG, B_SIZE, "buffer moved back");
}
