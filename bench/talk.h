/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Measurements over a link. One end serves, the other end measures the time.
 */
#ifndef TALK_H
#define TALK_H

#include <stddef.h>

#include "link.h"

#define TALK_TRIPS (256 << 10)

enum talk_way {
	TALK_OUT,	/* the server receives */
	TALK_IN,	/* the server sends */
	TALK_OUT_PLACE, TALK_IN_PLACE,	/* without copying */
};

/* Returns after talk_end() at the other end. */
void talk_serve(struct link *l);

/* The times of round trips, microseconds */
struct talk_times {
	double us[TALK_TRIPS];
	size_t count;
};

/*
 * Makes round trips for @budget microseconds or a little longer, appends their
 * times to @times, and returns their median. Before each trip, the caller
 * sleeps for @pause microseconds.
 */
double talk_trip(struct link *l, size_t size, double budget,
		 unsigned int pause, struct talk_times *times);

/* MB/s of messages one after the other */
double talk_bulk(struct link *l, enum talk_way way, size_t size);

/* All messages that this end has sent or received since its start */
size_t talk_messages(void);

/* Sets the mode of both ends. */
void talk_mode(struct link *l, enum link_mode mode);

/* The same rate of memcpy into own memory as large as a ring: the limit */
double talk_memcpy(size_t size, double budget);

/* Also closes this end. */
void talk_end(struct link *l);

#endif /* TALK_H */
