// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Drives the vmshm device with nothing in between: no kernel, no driver, no
 * paging. Says on the debug console, one line a test,
 *
 *   ok NAME | FAIL NAME: why
 *
 * and "end OK FAILED" when it got to its end. A line "note TEXT" adds to the
 * next reason; at "ask pong" run.py answers in the object, at "ask wake" it
 * wakes a word of it. Options come on the multiboot command line.
 */
#include "guest.h"

#define MB_BOOTED	0x2badb002u
#define MB_CMDLINE	0x4u

struct multiboot_info {
	u32 flags, mem_lower, mem_upper, boot_device;
	u32 cmdline;
};

struct options opt;

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	{ "pci", test_pci },
	{ "fresh", test_fresh },
	{ "name", test_name },
	{ "attach", test_attach },
	{ "live", test_live },
	{ "busy", test_busy },
	{ "detach", test_detach },
	{ "reattach", test_reattach },
	{ "small-object", test_small_object },
	{ "missing", test_missing },
	{ "bad-names", test_bad_names },
	{ "register-writes", test_register_writes },
	{ "access-sizes", test_access_sizes },
	{ "misaligned", test_misaligned },
	{ "scribble", test_scribble },
	{ "decode", test_decode },
	{ "move", test_move },
	{ "irq-setup", test_irq_setup },
	{ "irq", test_irq },
	{ "irq-masked", test_irq_masked },
	{ "irq-all-masked", test_irq_all_masked },
	{ "irq-moved", test_irq_moved },
	{ "irq-off-and-on", test_irq_off_and_on },
	{ "smp-start", test_smp_start },
	{ "smp-read", test_smp_read },
	{ "smp-write", test_smp_write },
	{ "smp-both", test_smp_both },
	{ "mailbox", test_mailbox },
	{ "smp-mailboxes", test_smp_mailboxes },
	{ "smp-one-mailbox", test_smp_one_mailbox },
};

static const char *test_name_now;
static int test_failed;

int check(u32 got, u32 want, const char *what)
{
	if (got == want)
		return 1;
	if (!test_failed) {
		test_failed = 1;
		put("FAIL ");
		put(test_name_now);
		put(": ");
		put(what);
		put(": got ");
		put_hex(got);
		put(", want ");
		put_hex(want);
		put("\n");
	}
	return 0;
}

int has_failed(void)
{
	return test_failed;
}

/* The value of the option "key=" in a word, or 0 */
static const char *value_of(const char *word, const char *key)
{
	while (*key)
		if (*word++ != *key++)
			return 0;
	return word;
}

static u32 number(const char *text)
{
	u32 n = 0;

	while (*text >= '0' && *text <= '9')
		n = n * 10 + *text++ - '0';
	return n;
}

static void take_text(const char *word, const char *key, const char **text)
{
	const char *value = value_of(word, key);

	if (value)
		*text = value;
}

static void take_number(const char *word, const char *key, u32 *n)
{
	const char *value = value_of(word, key);

	if (value)
		*n = number(value);
}

static void parse_word(const char *word)
{
	take_text(word, "text=", &opt.text);
	take_text(word, "a=", &opt.a);
	take_text(word, "b=", &opt.b);
	take_text(word, "missing=", &opt.missing);
	take_number(word, "rounds=", &opt.rounds);
	take_number(word, "seconds=", &opt.seconds);
	take_number(word, "step=", &opt.step);
}

static void parse(const char *cmdline)
{
	static char copy[1024];
	char *word = copy;
	u32 n;

	for (n = 0; n < sizeof(copy) - 1 && cmdline[n]; n++)
		copy[n] = cmdline[n];
	for (u32 i = 0; i <= n; i++) {
		if (copy[i] && copy[i] != ' ')
			continue;
		copy[i] = 0;
		parse_word(word);
		word = &copy[i + 1];
	}
}

void guest_main(u32 magic, const struct multiboot_info *info);

void guest_main(u32 magic, const struct multiboot_info *info)
{
	u32 passed = 0, failed = 0;

	if (magic == MB_BOOTED && info->flags & MB_CMDLINE)
		parse((const char *)info->cmdline);
	if (!opt.text || !opt.a || !opt.b || !opt.missing || !opt.rounds ||
	    !opt.seconds || !opt.step || opt.step % 4) {
		put("FAIL options: one is missing on the command line\n");
		finish();
	}

	for (u32 i = 0; i < ARRAY_SIZE(tests); i++) {
		test_name_now = tests[i].name;
		test_failed = 0;
		tests[i].run();
		if (test_failed) {
			failed++;
		} else {
			passed++;
			put("ok ");
			put(test_name_now);
			put("\n");
		}
		if (!dev_regs)
			break;
		dev_close();
	}
	put("end ");
	put_dec(passed);
	put(" ");
	put_dec(failed);
	put("\n");
	finish();
}
