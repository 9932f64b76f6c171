/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Measurements over a link. One end serves, the other end measures the time.
 */
#ifndef TALK_H
#define TALK_H

#include <stddef.h>

#include "link.h"

enum talk_way {
	TALK_OUT,	/* the server receives */
	TALK_IN,	/* the server sends */
	TALK_OUT_PLACE, TALK_IN_PLACE,	/* without copying */
};

/* Returns after talk_end() at the other end. */
void talk_serve(struct link *l);

/*
 * The median of many round trips, in microseconds. Before each, the caller
 * sleeps for @pause microseconds.
 */
double talk_trip(struct link *l, size_t size, double budget,
		 unsigned int pause);

/* MB/s of messages one after the other */
double talk_bulk(struct link *l, enum talk_way way, size_t size);

/* The same rate of memcpy into own memory as large as a ring: the limit */
double talk_memcpy(size_t size, double budget);

/* Also closes this end. */
void talk_end(struct link *l);

#endif /* TALK_H */
