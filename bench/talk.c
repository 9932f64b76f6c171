// SPDX-License-Identifier: GPL-2.0-or-later
/* See talk.h. */
#define _GNU_SOURCE
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "b.h"
#include "talk.h"

/* Trips that are measured, and trips before them that are not */
#define TRIPS_WARM 3
#define TRIPS 40

#define BULK_BUDGET 30000.0	/* microseconds */
#define BULK_LEAST (128 << 10)	/* bytes at the beginning */
#define CLOCK_BYTES (128 << 10)	/* between two reads of the clock */

enum { TRIP = 100, MODE, END };

static size_t messages;

struct order {
	uint32_t what;	/* or an enum talk_way */
	uint32_t size;
	uint32_t count;
};

/*
 * A copy whose two addresses are equal modulo 4096 takes up to twice as long.
 * The memory of all peers begins at a page; this memory does not.
 */
static _Alignas(4096) char buffer[2048 + LINK_MOST];
static char *const message = buffer + 2048;

static void one_out(struct link *l, uint32_t way, size_t size)
{
	messages++;
	if (way == TALK_OUT || way == TALK_IN)
		l->send(l, message, size);
	else
		l->make(l, size);
}

static void one_in(struct link *l, uint32_t way, size_t size)
{
	messages++;
	if (way == TALK_OUT || way == TALK_IN)
		l->recv(l, message, size);
	else
		l->use(l, size);
}

/* Messages in one direction, and an acknowledgement back */
static void many_out(struct link *l, const struct order *o)
{
	uint32_t i;

	for (i = 0; i < o->count; i++)
		one_out(l, o->what, o->size);
	l->recv(l, &i, sizeof(i));
}

static void many_in(struct link *l, const struct order *o)
{
	uint32_t i;

	for (i = 0; i < o->count; i++)
		one_in(l, o->what, o->size);
	l->send(l, &i, sizeof(i));
}

static void trips(struct link *l, const struct order *o)
{
	uint32_t i;

	for (i = 0; i < o->count; i++) {
		l->recv(l, message, o->size);
		l->send(l, message, o->size);
	}
}

/* Each order is acknowledged, because one message fills some links. */
void talk_serve(struct link *l)
{
	struct order o;

	do {
		l->recv(l, &o, sizeof(o));
		l->send(l, &o, sizeof(o));
		if (o.what == TRIP)
			trips(l, &o);
		else if (o.what == TALK_OUT || o.what == TALK_OUT_PLACE)
			many_in(l, &o);
		else if (o.what == TALK_IN || o.what == TALK_IN_PLACE)
			many_out(l, &o);
		else if (o.what == MODE)
			l->mode(l, o.size);
	} while (o.what != END);
	l->close(l);
}

static void order(struct link *l, struct order *o)
{
	messages += 2;
	l->send(l, o, sizeof(*o));
	l->recv(l, o, sizeof(*o));
}

static double one_trip(struct link *l, size_t size, unsigned int pause)
{
	double begin;

	if (pause)
		usleep(pause);
	messages += 2;
	begin = b_now();
	l->send(l, message, size);
	l->recv(l, message, size);
	return b_now() - begin;
}

double talk_trip(struct link *l, size_t size, double budget,
		 unsigned int pause, struct talk_times *times)
{
	size_t first = times->count;
	double begin = b_now();

	LINK_CHECK(first + TRIPS <= TALK_TRIPS);

	do {
		struct order o = { TRIP, size, TRIPS_WARM + TRIPS };
		uint32_t i;

		order(l, &o);
		for (i = 0; i < TRIPS_WARM; i++)
			one_trip(l, size, pause);
		for (i = 0; i < TRIPS; i++)
			times->us[times->count++] = one_trip(l, size, pause);
	} while (times->count + TRIPS <= TALK_TRIPS &&
		 b_now() - begin < budget);
	return b_median(times->us + first, times->count - first);
}

size_t talk_messages(void)
{
	return messages;
}

/* The other end has acknowledged it when this returns. */
void talk_mode(struct link *l, enum link_mode mode)
{
	struct order o = { MODE, mode, 0 };

	order(l, &o);
	l->mode(l, mode);
}

static double many(struct link *l, enum talk_way way, size_t size,
		   uint32_t count)
{
	struct order o = { way, size, count };
	double begin;

	order(l, &o);
	begin = b_now();
	if (way == TALK_OUT || way == TALK_OUT_PLACE)
		many_out(l, &o);
	else
		many_in(l, &o);
	return b_now() - begin;
}

double talk_bulk(struct link *l, enum talk_way way, size_t size)
{
	uint32_t count = size < BULK_LEAST ? BULK_LEAST / size : 1;
	double time;

	for (;;) {
		time = many(l, way, size, count);
		if (time >= BULK_BUDGET)
			return size * (double)count / time;
		count = time < BULK_BUDGET / 8 ? count * 4 : count * 2;
	}
}

double talk_memcpy(size_t size, double budget)
{
	static char *ram;
	double begin, end;
	size_t bytes = 0;

	if (!ram) {
		ram = mmap(NULL, LINK_RING, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		LINK_CHECK(ram != MAP_FAILED);
		memset(ram, 1, LINK_RING);
	}
	begin = b_now();
	do {
		memcpy(ram + bytes % LINK_RING, message, size);
		__asm__ volatile("" ::: "memory");
		bytes += size;
		if (bytes % CLOCK_BYTES)
			continue;
		end = b_now();
	} while (bytes % CLOCK_BYTES || end - begin < budget);
	return bytes / (end - begin);
}

void talk_end(struct link *l)
{
	struct order o = { END, 0, 0 };

	order(l, &o);
	l->close(l);
}
