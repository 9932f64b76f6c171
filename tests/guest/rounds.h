/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rounds of an event that interrupts or ends every use of the device, and what
 * is counted on both sides before and after them. Include t.h first.
 *
 * "make check" does a few rounds. "make check-lifecycle ROUNDS=100" does 100,
 * or as many as ten minutes allow.
 */
#ifndef ROUNDS_H
#define ROUNDS_H

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "memory.h"

#define ROUNDS_DEFAULT 3
/* Rounds until the caches have reached their size */
#define ROUNDS_WARM_UP 2
/* Rounds after which the counts are compared */
#define ROUNDS_BATCH 10
/* Bytes that other parts of the guest's kernel may need in a batch */
#define ROUNDS_NOISE (1 << 18)
/* Seconds after which no other round begins */
#define ROUNDS_LIMIT 600

static inline int rounds_asked(void)
{
	const char *text = getenv("T_ROUNDS");

	return text ? atoi(text) : ROUNDS_DEFAULT;
}

struct counts {
	/* Of QEMU; the heap is in KiB. */
	int descriptors, mappings, heap;
	/* Of all processes of the guest; and the references to the driver */
	int guest_descriptors, guest_mappings, users;
};

static inline int counts_lines(const char *path)
{
	FILE *file = fopen(path, "re");
	int c, lines = 0;

	/* A process may have ended. */
	if (!file)
		return 0;
	while ((c = getc(file)) != EOF)
		lines += c == '\n';
	fclose(file);
	return lines;
}

static inline int counts_entries(const char *path)
{
	DIR *dir = opendir(path);
	int entries = 0;

	if (!dir)
		return 0;
	while (readdir(dir))
		entries++;
	closedir(dir);
	return entries - 2;
}

static inline struct counts counts_take(void)
{
	struct counts c = {
		.descriptors = atoi(t_host("descriptors")),
		.mappings = atoi(t_host("mapped_all")),
		.heap = atoi(t_host("heap")),
	};
	FILE *users = fopen("/sys/module/vmshm/refcnt", "re");
	DIR *processes = opendir("/proc");
	struct dirent *process;
	char path[300];

	T_ASSERT(processes && users && fscanf(users, "%d", &c.users) == 1);
	fclose(users);
	while ((process = readdir(processes))) {
		if (!isdigit(*process->d_name))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/fd", process->d_name);
		c.guest_descriptors += counts_entries(path);
		snprintf(path, sizeof(path), "/proc/%s/maps", process->d_name);
		c.guest_mappings += counts_lines(path);
	}
	closedir(processes);
	return c;
}

/* What must not change; valid until the next call */
static inline const char *counts_text(const struct counts *c)
{
	static char text[160];

	snprintf(text, sizeof(text), "QEMU: %d descriptors, %d mappings; "
		 "guest: %d descriptors, %d mappings, %d users",
		 c->descriptors, c->mappings, c->guest_descriptors,
		 c->guest_mappings, c->users);
	return text;
}

/* @growth: KiB by which QEMU's heap may be larger than before */
static inline void counts_check(const struct counts *before,
				const struct counts *after, int growth)
{
	char text[160];

	snprintf(text, sizeof(text), "%s", counts_text(before));
	if (strcmp(text, counts_text(after)))
		t_fail("before: %s; now: %s", text, counts_text(after));
	if (after->heap - before->heap > growth)
		t_fail("QEMU's heap has grown from %d to %d KiB", before->heap,
		       after->heap);
}

static void (*rounds_round)(void);
static int rounds_done;
static time_t rounds_end;

/* At least one round */
static inline void rounds_batch(void)
{
	int i = 0;

	do {
		rounds_round();
		rounds_done++;
	} while (++i < rounds_asked() && i < ROUNDS_BATCH &&
		 time(NULL) < rounds_end);
}

/*
 * @count: counts_take(), called while neither side changes its counts
 * @growth: see counts_check()
 */
static inline void rounds_many(void (*round)(void),
			       struct counts (*count)(void), int growth)
{
	struct counts before, after;
	int i;

	rounds_end = time(NULL) + ROUNDS_LIMIT;
	for (i = 0; i < ROUNDS_WARM_UP; i++)
		round();
	before = count();
	rounds_round = round;
	do {
		memory_is_kept(rounds_batch, ROUNDS_NOISE);
		after = count();
		counts_check(&before, &after, growth);
		if (getenv("T_ROUNDS"))
			t_note("%d rounds, heap %d to %d KiB", rounds_done,
			       before.heap, after.heap);
	} while (rounds_done < rounds_asked() && time(NULL) < rounds_end);
	t_note("%d rounds; %s", rounds_done, counts_text(&after));
}

#endif
