/* SPDX-License-Identifier: MIT */
/*
 * A channel's object, and what its two parts share.
 *
 *	0	struct channel_header, for both
 *	256	struct party, of who came first
 *	512	struct party, of the other one
 *	4096	the ring of what the first one sends, size bytes
 *	then	the ring of what the other one sends, size bytes
 */
#ifndef VMSHM_LIB_CHANNEL_H
#define VMSHM_LIB_CHANNEL_H

#include <vmshm/channel.h>

#include "event.h"
#include "ring.h"
#include "seat.h"

#define CHANNEL_MAGIC 0x48434d56u /* "VMCH" */
#define CHANNEL_VERSION 2u
#define CHANNEL_RINGS 4096u
#define CHANNEL_LEAST (CHANNEL_RINGS + 2 * RING_LEAST)

/* One cache line for each that writes and is looked at by itself */
#define LINE __attribute__((aligned(64)))

struct channel_header {
	_Atomic uint32_t magic;
	_Atomic uint32_t version;
	/* The first one's seat once it has prepared all; a futex */
	_Atomic uint32_t ready;
	/* Bytes of each ring */
	_Atomic uint32_t ring;
	/* Which pair it is; the second seat has it while it is free */
	_Atomic uint32_t round;
	LINE _Atomic uint32_t seat[2];
};

/* What belongs to one of the two */
struct party {
	/* Bytes that it has sent; and 1: it sends nothing more */
	LINE _Atomic uint32_t sent;
	_Atomic uint32_t end;
	/* 1: it has left in good order */
	_Atomic uint32_t closed;
	/* Bytes of the other's that it has done with */
	LINE _Atomic uint32_t received;
	/* What it waits on: for something to receive, and for room */
	LINE _Atomic uint32_t readable;
	LINE _Atomic uint32_t writable;
};

/* Whether to spin: after it was in vain, not for some waits, then for more */
struct patience {
	unsigned int skip, next_skip;
};

struct vmshm_channel {
	struct vmshm *shm;
	struct channel_header *header;
	struct party *me, *peer;
	struct seat seat;
	struct ring out, in;
	uint32_t reserved;
	bool has_reserved;
	bool shut;
	/* The peer has written nonsense; both directions */
	_Atomic bool broken;
	/* Most to spin, nanoseconds; and whether in each case */
	int64_t spin;
	bool spin_always;
	struct patience sending, receiving;
};

/* channel-open.c: after a change; wakes who waits for it */
void channel_signal(struct vmshm_channel *ch, _Atomic uint32_t *event);

/* The offset of something in the object */
static inline uint64_t channel_offset(struct vmshm_channel *ch, void *p)
{
	return (char *)p - (char *)ch->header;
}

#endif /* VMSHM_LIB_CHANNEL_H */
