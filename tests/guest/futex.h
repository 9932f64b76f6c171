/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Common functions of the tests of futex(2). Include t.h and words.h first.
 */
#ifndef FUTEX_H
#define FUTEX_H

#include <linux/futex.h>

static inline long futex(volatile unsigned int *word, int op,
			 unsigned int value, const void *time,
			 volatile unsigned int *word2, unsigned int value3)
{
	return syscall(SYS_futex, word, op, value, time, word2, value3);
}

/* Returns when the process sleeps in futex(2). */
static inline void futex_asleep(pid_t pid)
{
	words_sleeps_in(pid, SYS_futex);
}

#define IS_ON "grep -q Y /sys/module/vmshm/parameters/futex"

/* A kernel for debugging, or of arm64, may be built without ftrace. */
static inline volatile unsigned int *futex_map(const char *name)
{
	if (t_system(IS_ON) &&
	    !t_system("uname -rm | grep -qE 'debug|aarch64'"))
		t_skip("this kernel has no ftrace");
	T_EQ(t_system(IS_ON), 0);
	return words_map(name);
}

#endif
