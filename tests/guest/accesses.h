/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counts accesses to registers of the device. Include t.h first. The arguments
 * of QEMU have "-D @FOLDER@/trace".
 */
#ifndef ACCESSES_H
#define ACCESSES_H

#include <stdio.h>
#include <stdlib.h>

#define ACCESSES_ROUNDS 20
/* An operation that costs too much does so in each of these attempts. */
#define ACCESSES_ATTEMPTS 5

static inline long accesses(void (*operation)(int round), int rounds)
{
	int i;

	t_host("accesses on");
	for (i = 0; i < rounds; i++)
		operation(i);
	return atol(t_host("accesses off"));
}

/*
 * Checks the limit of accesses in a round. The extra accesses of the first
 * round do not count, because both numbers contain them. If the guest's CPU is
 * preempted for long between two steps of a system call, one more access is
 * correct. On a host with other load that happens often, but not in each
 * attempt.
 */
static inline void counts_at_most(const char *what, long (*count)(int rounds),
			   long most)
{
	double each = 0;
	int i;

	for (i = 0; i < ACCESSES_ATTEMPTS; i++) {
		long few = count(ACCESSES_ROUNDS);
		long many = count(3 * ACCESSES_ROUNDS);

		each = (many - few) / (2.0 * ACCESSES_ROUNDS);
		fprintf(stderr, "accesses: %s %.2f\n", what, each);
		/* A total of 0 means that the accesses were not counted. */
		T_ASSERT(many);
		if (each <= most + 0.2)
			return;
	}
	t_fail("%s costs %.2f accesses, not %ld", what, each, most);
}

static void (*the_operation)(int round);

static inline long count_operation(int rounds)
{
	return accesses(the_operation, rounds);
}

static inline void at_most(const char *what, void (*operation)(int round),
			   long most)
{
	the_operation = operation;
	counts_at_most(what, count_operation, most);
}

#endif
