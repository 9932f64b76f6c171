// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tests with two CPUs: the second one hammers the buffer while the first one
 * opens and closes.
 *
 * The values that the second CPU may see are known, because the first one says
 * where it is: "stage" is 4 * round + phase and only grows. A word that was
 * read between two looks at the stage must be allowed in one of the stages
 * from the first look to the second. Round by round the object is A, B, or
 * one that does not exist.
 *
 * A word that the second CPU writes carries the round. It does not wait
 * and may land before or after an open or a close; but the first CPU begins
 * no round before the second one has answered: a look that began after the
 * last round is done, and x86 keeps the order of stores. So a word of round n
 * lands in the object that is open in round n, or in private memory.
 */
#include "guest.h"

enum phase { IDLE, OPENING, OPEN, CLOSING, PHASES };
enum object { OBJECT_A, OBJECT_B, OBJECT_NONE, OBJECTS };

static const struct {
	u32 tag, size;
} objects[OBJECTS] = {
	{ A_TAG, A_SIZE },
	{ B_TAG, B_SIZE },
	{ 0, 0 },
};

/* Pages that are hammered most: at the ends, for writes, far beyond B */
static const u32 hot_pages[] = {
	0,
	WRITE_PAGE_1,
	(B_SIZE - 1) & ~0xfffu,
	(B_SIZE | 0xfff) + 1,
	0x80000,
	WRITE_PAGE_2,
	0xfe000,
	0xff000,
};

#define LEAST_ROUNDS	(20 * OBJECTS)

/* CMOS clock: the ports and the number of its seconds */
#define PORT_CMOS_INDEX	0x70
#define PORT_CMOS_DATA	0x71
#define CMOS_SECONDS	0

static volatile u32 stage, answered, stop;
static int writing;

/* Written by the second CPU, read when it is done */
static struct {
	u32 bad, offset, value, before, after;
	u32 seen[OBJECTS];	/* looks in the phase OPEN */
} found;

static u32 random_word(u32 *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

/* An offset in the buffer, aligned to 4 */
static u32 random_offset(u32 *state)
{
	u32 page = random_word(state);

	if (page & 1)
		page = hot_pages[page / 2 % ARRAY_SIZE(hot_pages)];
	else
		page = page / 2 % (VMSHM_BUFFER_SIZE / 4096) * 4096;
	return page | (random_word(state) & 0xffc);
}

static int for_writes(u32 offset)
{
	u32 page = offset & ~0xfffu;

	return page == WRITE_PAGE_1 || page == WRITE_PAGE_2;
}

/* A word that the second CPU wrote in one of these rounds */
static int written(u32 value, u32 first, u32 last)
{
	u32 round = value & 0xffffff;

	return writing && value >> 24 == WRITE_TAG && round >= first &&
	       round <= last;
}

static int in_private(u32 offset, u32 value, u32 round)
{
	/*
	 * Private memory is new after each open and close. A round without
	 * an object may keep what came after the close before it.
	 */
	return value == 0 || (for_writes(offset) &&
			      written(value, round > 2 ? round - 2 : 0, round));
}

static int in_object(u32 offset, u32 value, u32 round)
{
	enum object object = round % OBJECTS;
	u32 size = objects[object].size;

	if (offset >= size)
		return value == 0 ||
		       (for_writes(offset) && written(value, round, round));
	if (value == pattern(objects[object].tag, size, offset))
		return 1;
	return for_writes(offset) && written(value, 0, round) &&
	       (value & 0xffffff) % OBJECTS == object;
}

static int allowed(u32 offset, u32 value, u32 at)
{
	u32 round = at / PHASES;
	enum phase phase = at % PHASES;

	if (phase == IDLE || round % OBJECTS == OBJECT_NONE)
		return in_private(offset, value, round);
	if (phase == OPEN)
		return in_object(offset, value, round);
	return in_private(offset, value, round) ||
	       in_object(offset, value, round);
}

static void look(u32 offset)
{
	u32 before = stage;
	u32 value = read32(dev_buffer + offset);
	u32 after = stage;

	answered = before;
	if (before == after && before % PHASES == OPEN)
		found.seen[before / PHASES % OBJECTS]++;
	for (u32 at = before; at <= after; at++)
		if (allowed(offset, value, at))
			return;
	if (found.bad++)
		return;
	found.offset = offset;
	found.value = value;
	found.before = before;
	found.after = after;
}

static void hammer(void)
{
	u32 state = 1;

	while (!stop) {
		u32 offset = random_offset(&state);

		if (writing && for_writes(offset) && random_word(&state) & 1)
			write32(dev_buffer + offset,
				WRITE_TAG << 24 | stage / PHASES);
		else
			look(offset);
	}
}

/* Waits until the second CPU has finished a look that began in this stage. */
static void wait_answer(u32 what)
{
	stage = what;
	while (answered != what)
		;
}

static u8 clock_seconds(void)
{
	out8(PORT_CMOS_INDEX, CMOS_SECONDS);
	return in8(PORT_CMOS_DATA);
}

/*
 * If the host has fewer than two CPUs to give, each round of the two CPUs takes
 * a time slice. Then a time limit ends the race.
 */
static int go_on(u32 round)
{
	static u32 left;
	static u8 last;
	u8 now = clock_seconds();

	if (!round)
		left = opt.seconds + 1;
	else if (now != last && left)
		left--;
	last = now;
	return round < opt.rounds && (left || round < LEAST_ROUNDS);
}

static void report_found(void)
{
	if (!found.bad || has_failed())
		return;
	put("note offset ");
	put_hex(found.offset);
	put(", stages ");
	put_dec(found.before);
	put(" to ");
	put_dec(found.after);
	put("\n");
	check(found.value, 0, "the second CPU saw a word it must not see");
	check(found.bad, 0, "words it must not see");
}

static void race(void)
{
	const char *names[OBJECTS] = { opt.a, opt.b, opt.missing };
	const u32 results[OBJECTS] = { 0, 0, ENOENT };
	u32 round;

	stage = 0;
	answered = ~0u;
	stop = 0;
	memset(&found, 0, sizeof(found));
	smp_run(hammer);
	for (round = 0; go_on(round); round++) {
		u32 base = round * PHASES;

		wait_answer(base + IDLE);
		dev_set_name(names[round % OBJECTS]);
		stage = base + OPENING;
		check(dev_open(), results[round % OBJECTS], "open");
		wait_answer(base + OPEN);
		stage = base + CLOSING;
		check(dev_close(), 0, "close");
	}
	/* Nothing that was written in the last round may land after this. */
	wait_answer(round * PHASES + IDLE);
	stop = 1;
	smp_wait();
	report_found();
	for (u32 i = 0; i < OBJECTS; i++)
		check(found.seen[i] >= round / OBJECTS, 1,
		      "a look in each round");
}

void test_smp_start(void)
{
	check(smp_start(), 1, "the second CPU runs");
}

void test_smp_read(void)
{
	writing = 0;
	race();
}

void test_smp_write(void)
{
	writing = 1;
	race();
}

/*
 * Both CPUs open and close. The names differ in the last byte only, so
 * that every mixture of the two writers is a name that exists.
 */
static u32 last_byte;
static volatile u32 bad_open, bad_close, bad_word, opens[2];

static void open_and_close(u32 cpu, u32 state)
{
	for (u32 i = 0; i < opt.rounds; i++) {
		u32 offset = random_offset(&state);
		u32 use_a = random_word(&state) & 1;
		u32 result, value;

		while (for_writes(offset))
			offset = random_offset(&state);
		write8(dev_name + last_byte,
		       (use_a ? opt.a : opt.b)[last_byte]);
		result = dev_open();
		if (result == 0)
			opens[cpu]++;
		else if (result != EBUSY)
			bad_open = result;
		value = read32(dev_buffer + offset);
		if (value && value != pattern(A_TAG, A_SIZE, offset) &&
		    value != pattern(B_TAG, B_SIZE, offset))
			bad_word = value;
		result = dev_close();
		if (result)
			bad_close = result;
	}
}

static void second_opens_and_closes(void)
{
	open_and_close(1, 2);
}

void test_smp_both(void)
{
	bad_open = bad_close = bad_word = opens[0] = opens[1] = 0;
	dev_set_name(opt.a);
	last_byte = 0;
	while (opt.a[last_byte + 1])
		last_byte++;

	smp_run(second_opens_and_closes);
	open_and_close(0, 1);
	smp_wait();
	check(bad_open, 0, "open");
	check(bad_close, 0, "close");
	check(bad_word, 0, "a word of neither object");
	check(opens[0] != 0, 1, "the first CPU opened");
	check(opens[1] != 0, 1, "the second CPU opened");
	check_zero(dev_buffer, "buffer at the end");
}
