// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The simplest transport for plain memory without a way to wait: a ring buffer
 * in each direction, and both sides busy-poll. A side that has polled for very
 * long sleeps in between, so as not to disturb other measurements.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "b.h"
#include "link.h"

#define LOOKS 1000		/* polls between two reads of the clock */
#define LONG 20000.0		/* microseconds */
#define NAP 500

struct bytes {
	_Alignas(64) uint64_t written;
	_Alignas(64) uint64_t read;
	_Alignas(4096) char data[LINK_RING];
};

struct ring {
	struct link link;
	struct bytes *in, *out;
	uint64_t written, read;			/* own */
	uint64_t peer_written, peer_read;	/* as last seen */
	void *base;
	int fd;
};

/* Busy-polls until the number of the peer is large enough */
static uint64_t look(const uint64_t *number, uint64_t least)
{
	double begin = 0;
	uint64_t seen;
	int i;

	for (;;) {
		for (i = 0; i < LOOKS; i++) {
			seen = __atomic_load_n(number, __ATOMIC_ACQUIRE);
			if (seen >= least)
				return seen;
		}
		if (!begin)
			begin = b_now();
		else if (b_now() - begin > LONG)
			usleep(NAP);
	}
}

/* The ring wraps around. */
static void put(struct bytes *to, uint64_t at, const char *data, size_t size)
{
	size_t from = at % LINK_RING, first = LINK_RING - from;

	if (first > size)
		first = size;
	memcpy(to->data + from, data, first);
	memcpy(to->data, data + first, size - first);
}

static void get(char *data, const struct bytes *of, uint64_t at, size_t size)
{
	size_t from = at % LINK_RING, first = LINK_RING - from;

	if (first > size)
		first = size;
	memcpy(data, of->data + from, first);
	memcpy(data + first, of->data, size - first);
}

static void ring_send(struct link *l, const void *data, size_t size)
{
	struct ring *r = (struct ring *)l;

	if (r->written + size > r->peer_read + LINK_RING)
		r->peer_read = look(&r->out->read,
				    r->written + size - LINK_RING);
	put(r->out, r->written, data, size);
	r->written += size;
	__atomic_store_n(&r->out->written, r->written, __ATOMIC_RELEASE);
}

static void ring_recv(struct link *l, void *data, size_t size)
{
	struct ring *r = (struct ring *)l;

	if (r->read + size > r->peer_written)
		r->peer_written = look(&r->in->written, r->read + size);
	get(data, r->in, r->read, size);
	r->read += size;
	__atomic_store_n(&r->in->read, r->read, __ATOMIC_RELEASE);
}

static void ring_close(struct link *l)
{
	struct ring *r = (struct ring *)l;

	munmap(r->base, LINK_MEMORY);
	close(r->fd);
	free(r);
}

struct link *link_ring(int side, const char *file)
{
	struct ring *r = calloc(1, sizeof(*r));
	struct bytes *both;

	LINK_CHECK(r);
	r->base = link_map(file, side, &r->fd);
	both = r->base;
	r->in = &both[side];
	r->out = &both[!side];
	r->link.send = ring_send;
	r->link.recv = ring_recv;
	r->link.close = ring_close;
	return &r->link;
}
