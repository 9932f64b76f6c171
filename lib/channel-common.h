/* SPDX-License-Identifier: MIT */
/*
 * The layout of a channel's object, and the state that the source files of
 * channels share.
 *
 *	0	struct channel_header, for both parties
 *	256	struct party, of the first party
 *	512	struct party, of the second party
 *	4096	the ring of records that the first party sends, size bytes
 *	then	the ring of records that the second party sends, size bytes
 *
 * The source files are channel-open.c (opening, closing), channel-wait.c
 * (waiting) and channel.c (sending, receiving). channel.c calls channel-wait.c.
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

/* A field that is accessed on its own begins a cache line. */
#define LINE __attribute__((aligned(64)))

struct channel_header {
	_Atomic uint64_t kind;
	/* The word of the first seat once the channel is prepared; a futex */
	_Atomic uint32_t ready;
	/* Bytes of each ring */
	_Atomic uint32_t ring;
	/* The number of the pair of parties; a free second seat contains it */
	_Atomic uint32_t round;
	LINE _Atomic uint32_t seat[2];
};

/* The fields of one of the two parties */
struct party {
	/* Bytes that the party has sent; changes with each message */
	LINE _Atomic uint32_t sent;
	/* Bytes from the peer that the party has received; likewise */
	LINE _Atomic uint32_t received;
	/*
	 * The peer reads this line for each message that it sends. The party's
	 * event word for records to receive
	 */
	LINE _Atomic uint32_t readable;
	/* 1: the party sends no more */
	_Atomic uint32_t end;
	/* 1: the party has closed the channel */
	_Atomic uint32_t closed;
	/* The party's event word for room */
	LINE _Atomic uint32_t writable;
};

/*
 * Back-off: the next @skip waits do not busy-poll. @next_skip grows each time
 * that busy-polling was of no use.
 *
 * A wait begins with @pauses, so that more than one message arrives before the
 * peer's position is read, if the peer does not wait for an answer. @sent is
 * what this party had sent at the last wait.
 */
struct patience {
	unsigned int skip, next_skip;
	unsigned int pauses;
	uint32_t sent;
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
	/* The process that has opened the channel; see process.h */
	uint32_t generation;
	/* CHANNEL_*; 0: all is well */
	_Atomic uint32_t state;
	bool has_reserved;
	uint32_t reserved;
	struct ring out, in;
	struct seat seat;
	/* The longest busy-polling, nanoseconds; true: without back-off */
	int64_t spin;
	bool spin_always;
	struct patience sending, receiving;
};

/* 0; -EPERM: this process is a child of the one that opened the channel. */
static inline int channel_check_process(const struct vmshm_channel *ch)
{
	return process_is(ch->generation) ? 0 : -EPERM;
}

static inline uint32_t channel_state(const struct vmshm_channel *ch)
{
	return atomic_load_explicit(&ch->state, memory_order_relaxed);
}

/* The offset of an address in the object */
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
