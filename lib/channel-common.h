/* SPDX-License-Identifier: MIT */
/*
 * A channel's object, and a channel as its parts share it.
 *
 *	0	struct channel_header, for both parties
 *	256	struct party, of the first one
 *	512	struct party, of the second one
 *	4096	the ring of what the first one sends, size bytes
 *	then	the ring of what the second one sends, size bytes
 *
 * The parts are channel-open.c (opening, closing), channel-wait.c (waiting) and
 * channel.c (sending, receiving). The last one calls the second one.
 */
#ifndef VMSHM_LIB_CHANNEL_COMMON_H
#define VMSHM_LIB_CHANNEL_COMMON_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <vmshm/channel.h>

#include "event.h"
#include "kind.h"
#include "object.h"
#include "process.h"
#include "ring.h"
#include "seat.h"

#define CHANNEL_KIND KIND(0x48434d56u, 2u) /* "VMCH", version 2 */
#define CHANNEL_RINGS 4096u
#define CHANNEL_LEAST (CHANNEL_RINGS + 2 * RING_LEAST)

/* One cache line for each that is written and read by itself */
#define LINE __attribute__((aligned(64)))

struct channel_header {
	_Atomic uint64_t kind;
	/* The first one's seat once it has prepared all; a futex */
	_Atomic uint32_t ready;
	/* Bytes of each ring */
	_Atomic uint32_t ring;
	/* The number of the pair; the second seat has it while it is free */
	_Atomic uint32_t round;
	LINE _Atomic uint32_t seat[2];
};

/* What belongs to one of the two */
struct party {
	/* Bytes that it has sent; and 1: it sends nothing more */
	LINE _Atomic uint32_t sent;
	_Atomic uint32_t end;
	/* 1: it has closed the channel */
	_Atomic uint32_t closed;
	/* Bytes of the other's that it has received */
	LINE _Atomic uint32_t received;
	/* Its event words: for something to receive, and for room */
	LINE _Atomic uint32_t readable;
	LINE _Atomic uint32_t writable;
};

/* Back-off: after busy-polling in vain, not for some waits, then for more */
struct patience {
	unsigned int skip, next_skip;
};

/* The peer has written invalid data: nothing can be sent or received. */
#define CHANNEL_BROKEN 1u
/* The peer has gone; or vmshm_channel_shutdown(): nothing can be sent. */
#define CHANNEL_LEFT 2u
#define CHANNEL_SHUT 4u

struct vmshm_channel {
	struct vmshm *shm;
	struct channel_header *header;
	struct party *me, *peer;
	/* The process that has opened it; see process.h */
	uint32_t generation;
	/* CHANNEL_*; 0: all is well */
	_Atomic uint32_t state;
	bool has_reserved;
	uint32_t reserved;
	struct ring out, in;
	struct seat seat;
	/* The longest busy-polling, nanoseconds; and whether in each case */
	int64_t spin;
	bool spin_always;
	struct patience sending, receiving;
};

/* 0; -EPERM: the process is a child of the one that has opened it. */
static inline int channel_check_process(const struct vmshm_channel *ch)
{
	return process_is(ch->generation) ? 0 : -EPERM;
}

static inline uint32_t channel_state(const struct vmshm_channel *ch)
{
	return atomic_load_explicit(&ch->state, memory_order_relaxed);
}

/* The offset of something in the object */
static inline uint64_t channel_offset(struct vmshm_channel *ch, void *p)
{
	return (char *)p - (char *)ch->header;
}

/* After a change: wakes the waiter of the event word, if there is one */
static inline void channel_signal(struct vmshm_channel *ch,
				  _Atomic uint32_t *event)
{
	if (event_signal(event))
		vmshm_wake(ch->shm, channel_offset(ch, event), UINT32_MAX);
}

#endif /* VMSHM_LIB_CHANNEL_COMMON_H */
