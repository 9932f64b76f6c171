/* SPDX-License-Identifier: MIT */
/*
 * One direction of a channel: a ring buffer of records, in memory that is
 * shared with a peer that is not trusted. This code never waits and makes no
 * system call.
 *
 * The ring is mapped twice in succession, so that each record is contiguous. A
 * record is its length in 8 bytes and its bytes, rounded up to 8. Positions
 * count bytes and wrap at 2^32.
 *
 * The own position is kept in struct ring; the object only has a copy of it.
 * The peer's position is read again only when the last value is used up, so
 * that its cache line moves between processors once for many records. Each
 * value is read once and checked before it is used.
 */
#ifndef VMSHM_LIB_RING_H
#define VMSHM_LIB_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RING_LEAST 4096u
#define RING_MOST (1u << 30)
#define RING_HEAD 8u

struct ring {
	char *data;
	/* A power of two, bytes */
	uint32_t size;
	uint32_t position;
	/* The peer's position when it was last read */
	uint32_t seen;
	/*
	 * Receiver: the record at position, if peeked; its bytes already taken
	 */
	bool peeked;
	uint32_t length;
	uint32_t taken;
	_Atomic uint32_t *mine;
	_Atomic uint32_t *theirs;
};

/* Sender: reads the peer's position. 0; -EPROTO */
int ring_update(struct ring *r);

/* Sender: bytes of the longest record that fits now; -EPROTO; -EAGAIN: none */
int64_t ring_room(struct ring *r);

/* Receiver: bytes that are left of the next record; -EAGAIN, -EPROTO */
int64_t ring_peek(struct ring *r, const void **data);
/* Receiver: releases the first @bytes of the bytes that are left. */
void ring_take(struct ring *r, uint32_t bytes);

/* The bytes of a record in the ring */
static inline uint32_t ring_record(uint32_t length)
{
	return RING_HEAD + (length + 7) / 8 * 8;
}

static inline char *ring_at(const struct ring *r)
{
	return r->data + (r->position & (r->size - 1));
}

/* Sender: whether there is room, by the peer's last known position */
static inline bool ring_fits(const struct ring *r, size_t length)
{
	uint32_t room = r->size - (r->position - r->seen);

	return room >= RING_HEAD && length <= room - RING_HEAD;
}

/* Sender: where the next record goes, once there is room */
static inline void *ring_next(const struct ring *r)
{
	return ring_at(r) + RING_HEAD;
}

/* Sender: @next, at ring_at(), is complete. The peer does not see it yet. */
static inline void ring_add(struct ring *r, char *next, uint32_t length)
{
	atomic_store_explicit((_Atomic uint64_t *)next, length,
			      memory_order_relaxed);
	r->position += ring_record(length);
}

/* Makes the own position visible to the peer. */
static inline void ring_show(struct ring *r)
{
	atomic_store_explicit(r->mine, r->position, memory_order_release);
}

static inline void ring_publish(struct ring *r, uint32_t length)
{
	ring_add(r, ring_at(r), length);
	ring_show(r);
}

/*
 * Receiver: whether a record, not peeked, is there by the last known position
 */
static inline bool ring_has_record(const struct ring *r, uint32_t *length)
{
	uint32_t there = r->seen - r->position;
	uint64_t head;

	if (r->peeked || !there)
		return false;
	head = atomic_load_explicit((_Atomic uint64_t *)ring_at(r),
				    memory_order_relaxed);
	*length = head;
	/* Positions are multiples of 8, so the whole record is there. */
	return head <= there - RING_HEAD;
}

/*
 * Receiver: the record that ring_has_record() has found is used no more. The
 * peer does not see the room yet.
 */
static inline void ring_pass(struct ring *r, uint32_t length)
{
	r->position += ring_record(length);
}

#endif /* VMSHM_LIB_RING_H */
