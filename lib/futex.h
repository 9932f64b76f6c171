/* SPDX-License-Identifier: MIT */
/*
 * futex(2) and futex_waitv(2), for which the C libraries have no function.
 */
#ifndef VMSHM_LIB_FUTEX_H
#define VMSHM_LIB_FUTEX_H

#include <linux/futex.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

/* Older headers lack the number, which is the same on all architectures. */
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

/* The deadline is that of FUTEX_WAIT_BITSET; negative: none. */
static inline long futex_call(const void *word, int op, uint32_t value,
			      int64_t deadline)
{
	struct timespec t = {
		.tv_sec = deadline / CLOCK_SECOND,
		.tv_nsec = deadline % CLOCK_SECOND,
	};
	long number = SYS_futex;

#ifdef SYS_futex_time64
	/* A 32-bit program whose time_t has 64 bits */
	if (sizeof(t.tv_sec) > sizeof(long))
		number = SYS_futex_time64;
#endif
	return syscall(number, word, op, value, deadline < 0 ? NULL : &t, NULL,
		       FUTEX_BITSET_MATCH_ANY);
}

static inline long futex_waitv(struct futex_waitv *waiters, unsigned int count)
{
	return syscall(SYS_futex_waitv, waiters, count, 0, NULL, 0);
}

#endif /* VMSHM_LIB_FUTEX_H */
