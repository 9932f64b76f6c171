// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The progress of a transfer, on a line of the terminal. A thread of its own
 * writes it, so that the line is updated while no data arrives.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "print.h"
#include "progress.h"

/* The last column stays free: some terminals wrap after it. */
#define WIDTH (COLUMNS - 1)
#define TICK_NS 250000000

static atomic_uint_fast64_t counted[2];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool running;
static bool shown;
static bool two_ways;
static struct timespec start;

void status(const char *fmt, ...)
{
	va_list args;

	if (!isatty(STDERR_FILENO))
		return;
	fputs("vmshm: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

void progress_add(enum direction direction, size_t bytes)
{
	atomic_fetch_add_explicit(&counted[direction], bytes,
				  memory_order_relaxed);
}

uint64_t progress_bytes(enum direction direction)
{
	return atomic_load_explicit(&counted[direction], memory_order_relaxed);
}

static uint64_t all_bytes(void)
{
	return progress_bytes(SENT) + progress_bytes(RECEIVED);
}

/* At least a millisecond, because rates are divided by it */
static double seconds_since(const struct timespec *then)
{
	struct timespec now;
	double seconds;

	clock_gettime(CLOCK_MONOTONIC, &now);
	seconds = now.tv_sec - then->tv_sec +
		  (now.tv_nsec - then->tv_nsec) / 1e9;
	return seconds < 1e-3 ? 1e-3 : seconds;
}

static const char *amount(void)
{
	static char text[WIDTH];

	if (!two_ways)
		return human_size(all_bytes());
	snprintf(text, sizeof(text), "sent %s, received %s",
		 human_size(progress_bytes(SENT)),
		 human_size(progress_bytes(RECEIVED)));
	return text;
}

/* Overwrites all of the previous line. */
static void rewrite(const char *fmt, ...) PRINTF(1, 2);

static void rewrite(const char *fmt, ...)
{
	char text[WIDTH + 1];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	fprintf(stderr, "\r%-*s", shown ? WIDTH : 0, text);
	shown = true;
}

static void tick(double rate)
{
	unsigned int seconds = seconds_since(&start);
	pid_t foreground = tcgetpgrp(STDERR_FILENO);

	/* A background job prints nothing: the user may be typing. */
	if (foreground >= 0 && foreground != getpgrp())
		return;
	rewrite("vmshm: %s  %s/s  %u:%02u", amount(), human_size(rate),
		seconds / 60, seconds % 60);
}

static void *run(void *unused)
{
	static const struct timespec pause = { .tv_nsec = TICK_NS };
	struct timespec then = start;
	uint64_t before = 0;

	(void)unused;
	for (;;) {
		uint64_t bytes;

		nanosleep(&pause, NULL);
		pthread_mutex_lock(&lock);
		if (!running)
			break;
		bytes = all_bytes();
		tick((bytes - before) / seconds_since(&then));
		before = bytes;
		clock_gettime(CLOCK_MONOTONIC, &then);
		pthread_mutex_unlock(&lock);
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

void progress_start(bool both)
{
	pthread_t thread;

	if (!isatty(STDERR_FILENO))
		return;
	two_ways = both;
	clock_gettime(CLOCK_MONOTONIC, &start);
	running = true;
	if (pthread_create(&thread, NULL, run, NULL) == 0)
		pthread_detach(thread);
}

void progress_end(bool done)
{
	double seconds = seconds_since(&start);

	pthread_mutex_lock(&lock);
	if (running && done)
		rewrite("vmshm: %s in %.1f s, %s/s", amount(), seconds,
			human_size(all_bytes() / seconds));
	if (running && shown)
		fputc('\n', stderr);
	running = false;
	pthread_mutex_unlock(&lock);
}
