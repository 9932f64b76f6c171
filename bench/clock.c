// SPDX-License-Identifier: GPL-2.0-or-later
/* Time, and the median of times: see b.h. */
#include <stdlib.h>
#include <time.h>
#include <x86intrin.h>

#include "b.h"

#define CALIBRATION 20000.0	/* microseconds */

static double clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

/*
 * The time stamp counter. The kernel of an emulated guest does not trust it and
 * uses another clock, which takes longer to read than some intervals last.
 */
double b_now(void)
{
	static double ticks_per_us;

	if (!ticks_per_us) {
		double start = clock_us(), now;
		unsigned long long ticks = __rdtsc();

		do
			now = clock_us();
		while (now - start < CALIBRATION);
		ticks_per_us = (__rdtsc() - ticks) / (now - start);
	}
	return __rdtsc() / ticks_per_us;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

double b_median(double *values, size_t count)
{
	qsort(values, count, sizeof(*values), compare);
	return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

double b_percentile(double *values, size_t count, int percent)
{
	qsort(values, count, sizeof(*values), compare);
	return values[(count - 1) * percent / 100];
}
