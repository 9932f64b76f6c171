/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much memory a guest has, and whether something loses memory. Include t.h
 * first.
 */
#ifndef MEMORY_H
#define MEMORY_H

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A leak has to show in each of these batches of rounds. */
#define MEMORY_BATCHES 5

/*
 * Makes KASAN of a debug kernel free the objects that it keeps back for a while
 * after kfree(), up to 1/32 of the memory.
 */
static inline void memory_quarantine_ends(void)
{
	if (!access("/sys/kernel/debug/kmemleak", F_OK))
		T_EQ(t_system("for f in /sys/kernel/slab/*/shrink; do "
			      "echo 1 >$f; done"), 0);
}

/*
 * Bytes of free memory. Pages in the lists of a processor are included: they
 * can be several MiB, and MemFree of /proc/meminfo does not count them.
 */
static inline long memory_free(void)
{
	long pages = 0, n;
	char line[128];
	FILE *f;

	T_EQ(t_system("sync; echo 3 >/proc/sys/vm/drop_caches"), 0);
	memory_quarantine_ends();
	f = fopen("/proc/zoneinfo", "re");
	T_ASSERT(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, " nr_free_pages %ld", &n) == 1 ||
		    sscanf(line, " count: %ld", &n) == 1)
			pages += n;
	fclose(f);
	T_ASSERT(pages);
	return pages * sysconf(_SC_PAGESIZE);
}

/*
 * Each batch does the same rounds. Returns 0 if a batch loses at most @most
 * bytes, and otherwise the loss of the last batch: a leak takes memory in each
 * batch, but other parts of the kernel only in some.
 */
static inline long memory_lost(void (*batch)(void), long most)
{
	long before = memory_free(), after, lost = 0;
	int i;

	for (i = 0; i < MEMORY_BATCHES; i++, before = after) {
		batch();
		after = memory_free();
		lost = before - after;
		if (lost <= most)
			return 0;
	}
	return lost;
}

static inline void memory_is_kept(void (*batch)(void), long most)
{
	long lost = memory_lost(batch, most);

	if (lost)
		t_fail("each of %d batches lost memory, the last one %ld KiB",
		       MEMORY_BATCHES, lost / 1024);
}

#endif
