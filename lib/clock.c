// SPDX-License-Identifier: MIT
/*
 * Time and deadlines.
 */
#include <time.h>
#include <vmshm/vmshm.h>

#include "api.h"
#include "clock.h"

int64_t clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * CLOCK_SECOND + t.tv_nsec;
}

bool clock_passed(int64_t deadline)
{
	return deadline >= 0 && clock_now() >= deadline;
}

API int64_t vmshm_deadline(int64_t nanoseconds)
{
	int64_t deadline;

	if (nanoseconds < 0 ||
	    __builtin_add_overflow(clock_now(), nanoseconds, &deadline))
		return VMSHM_FOREVER;
	return deadline;
}
