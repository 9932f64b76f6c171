// SPDX-License-Identifier: MIT
/*
 * The ring buffer of records; see ring.h.
 */
#include <errno.h>

#include "ring.h"

int ring_update(struct ring *r)
{
	uint32_t theirs = atomic_load_explicit(r->theirs, memory_order_acquire);

	if (r->position - theirs > r->size || theirs % 8)
		return -EPROTO;
	r->seen = theirs;
	return 0;
}

int64_t ring_room(struct ring *r)
{
	int err = ring_update(r);
	uint32_t room = r->size - (r->position - r->seen);

	if (err)
		return err;
	return room < RING_HEAD ? -EAGAIN : (int64_t)room - RING_HEAD;
}

static int64_t left(struct ring *r, const void **data)
{
	*data = ring_next(r) + r->taken;
	return r->length - r->taken;
}

/* Receiver: reads the peer's position: 0; -EAGAIN: no record; -EPROTO */
static int look_for_records(struct ring *r)
{
	uint32_t theirs = atomic_load_explicit(r->theirs, memory_order_acquire);
	uint32_t there = theirs - r->position;

	if (there > r->size || there % 8)
		return -EPROTO;
	r->seen = theirs;
	return there ? 0 : -EAGAIN;
}

int64_t ring_peek(struct ring *r, const void **data)
{
	int err;

	if (r->peeked)
		return left(r, data);
	err = r->seen == r->position ? look_for_records(r) : 0;
	if (err)
		return err;
	if (!ring_has_record(r, &r->length))
		return -EPROTO;
	r->taken = 0;
	r->peeked = true;
	return left(r, data);
}

void ring_take(struct ring *r, uint32_t bytes)
{
	r->taken += bytes;
	if (r->taken < r->length)
		return;
	r->peeked = false;
	ring_pass(r, r->length);
	ring_show(r);
}
