// SPDX-License-Identifier: MIT
/*
 * The ring of records; see ring.h.
 */
#include <errno.h>

#include "ring.h"

static char *at(struct ring *r)
{
	return r->data + (r->position & (r->size - 1));
}

int64_t ring_room(struct ring *r)
{
	uint32_t theirs = atomic_load_explicit(r->theirs, memory_order_acquire);
	uint32_t used = r->position - theirs;
	uint32_t room = r->size - used;

	if (used > r->size || theirs % 8)
		return -EPROTO;
	return room < RING_HEAD ? -EAGAIN : (int64_t)room - RING_HEAD;
}

void *ring_next(struct ring *r)
{
	return at(r) + RING_HEAD;
}

void ring_publish(struct ring *r, uint32_t length)
{
	atomic_store_explicit((_Atomic uint64_t *)at(r), length,
			      memory_order_relaxed);
	r->position += ring_record(length);
	atomic_store_explicit(r->mine, r->position, memory_order_release);
}

static int64_t left(struct ring *r, const void **data)
{
	*data = at(r) + RING_HEAD + r->taken;
	return r->length - r->taken;
}

int64_t ring_peek(struct ring *r, const void **data)
{
	uint32_t theirs, there;
	uint64_t head;

	if (r->peeked)
		return left(r, data);
	theirs = atomic_load_explicit(r->theirs, memory_order_acquire);
	there = theirs - r->position;
	if (!there)
		return -EAGAIN;
	if (there > r->size || there % 8)
		return -EPROTO;
	head = atomic_load_explicit((_Atomic uint64_t *)at(r),
				    memory_order_relaxed);
	if (head > there - RING_HEAD || ring_record(head) > there)
		return -EPROTO;
	r->length = head;
	r->taken = 0;
	r->peeked = 1;
	return left(r, data);
}

void ring_take(struct ring *r, uint32_t bytes)
{
	r->taken += bytes;
	if (r->taken < r->length)
		return;
	r->peeked = 0;
	r->position += ring_record(r->length);
	atomic_store_explicit(r->mine, r->position, memory_order_release);
}
