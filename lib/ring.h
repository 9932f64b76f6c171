/* SPDX-License-Identifier: MIT */
/*
 * One direction of a channel: a ring of records in memory that is shared with
 * somebody who is not trusted. It never waits and makes no system call.
 *
 * The ring is mapped twice, one after the other, so that each record is in one
 * piece. A record is its length in 8 bytes and its bytes, rounded up to 8.
 * Positions count bytes and wrap at 2^32.
 *
 * Own positions are kept here and only written to the object; what the other
 * side writes is read once, and checked, before it is used.
 */
#ifndef VMSHM_RING_H
#define VMSHM_RING_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define RING_LEAST 4096u
#define RING_MOST (1u << 30)
#define RING_HEAD 8u

struct ring {
	char *data;
	/* A power of two, bytes */
	uint32_t size;
	_Atomic uint32_t *mine;
	_Atomic uint32_t *theirs;
	uint32_t position;
	/* Receiver: of the record at position, if peeked; and how far read */
	uint32_t length;
	uint32_t taken;
	int peeked;
};

/* Sender: bytes of the longest record that fits now; -EPROTO; -EAGAIN: none */
int64_t ring_room(struct ring *r);
/* Where it goes, once there is room */
void *ring_next(struct ring *r);
void ring_publish(struct ring *r, uint32_t length);

/* Receiver: what is left of the next record; -EAGAIN, -EPROTO */
int64_t ring_peek(struct ring *r, const void **data);
/* The first bytes of what is left, or all of it, are done with */
void ring_take(struct ring *r, uint32_t bytes);

/* The bytes of a record in the ring */
static inline uint32_t ring_record(uint32_t length)
{
	return RING_HEAD + (length + 7) / 8 * 8;
}

#endif /* VMSHM_RING_H */
