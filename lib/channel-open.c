// SPDX-License-Identifier: MIT
/*
 * Opening a channel, and closing it.
 *
 * The party that takes the first seat prepares the object, and the one that
 * takes the second seat joins. When the holder of the first seat is gone,
 * another party can take that seat. It keeps the seat only if the second seat
 * is free: a channel in use is never prepared again.
 *
 * To join is one step, after which nothing can fail. The free second seat has
 * the number of the round, which the first party increments before it prepares
 * the channel. The second party reads this word, then all other values, and
 * then takes the seat if the word is still the same. In this case, all values
 * that it has read are of this round.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "api.h"
#include "channel-common.h"
#include "clock.h"
#include "wait.h"

#define RING_USUAL (1u << 20)
#define SPIN_USUAL 50000
/* Another try is needed; no errno */
#define AGAIN 1
/* Nanoseconds until the next try while the first party prepares */
#define PREPARING 10000000
/* Tries in all: one second, if the channel is never ready */
#define TRIES 100

static void move_and_wake(struct vmshm_channel *ch, _Atomic uint32_t *event)
{
	event_move(event);
	vmshm_wake(ch->shm, channel_offset(ch, event), UINT32_MAX);
}

/* A 32-bit program and a 64-bit one have the same layout. */
_Static_assert(offsetof(struct channel_header, seat) == 64 &&
	       offsetof(struct channel_header, round) == 16, "header");
_Static_assert(offsetof(struct party, received) == 64 &&
	       offsetof(struct party, closed) == 136 &&
	       offsetof(struct party, writable) == 192 &&
	       sizeof(struct party) == 256, "party");

/* The peer has joined or gone; called in another thread. */
static bool peer_changed(void *arg)
{
	struct vmshm_channel *ch = arg;
	uint32_t seen = atomic_load(&ch->seat.seen);

	if (seat_left(seen))
		atomic_fetch_or(&ch->state, CHANNEL_LEFT);
	move_and_wake(ch, &ch->me->readable);
	move_and_wake(ch, &ch->me->writable);
	/* A later party is not the peer. */
	return !seat_left(seen);
}

/* The largest ring of which two fit, a power of two; 0 if none */
static uint32_t ring_that_fits(struct vmshm *shm)
{
	uint32_t ring = RING_MOST;

	while (ring >= RING_LEAST &&
	       !wait_has_bytes(shm, CHANNEL_RINGS + 2ull * ring))
		ring /= 2;
	return ring >= RING_LEAST ? ring : 0;
}

static int open_object(struct vmshm_channel *ch, const char *where,
		       const char *name, uint32_t ring, mode_t mode)
{
	uint64_t size;
	int err;

	err = vmshm_open(&ch->shm, where, name, O_RDWR, 0);
	/*
	 * O_CREAT only now: a guest may have the right to open, but not to
	 * create.
	 */
	if (err == -ENOENT && mode)
		err = vmshm_open(&ch->shm, where, name, O_RDWR | O_CREAT, mode);
	if (!err)
		err = vmshm_size(ch->shm, &size);
	if (!err && !size && mode)
		err = vmshm_grow(ch->shm, CHANNEL_RINGS + 2ull * ring);
	if (!err)
		err = wait_is_possible(ch->shm);
	return err == -EFAULT ? -ENODATA : err;
}

static int map_header(struct vmshm_channel *ch)
{
	size_t size;
	void *data;
	int err;

	err = vmshm_map(ch->shm, &data, &size);
	if (err)
		return err;
	if (!wait_has_bytes(ch->shm, CHANNEL_LEAST))
		return -ENODATA;
	ch->header = data;
	return kind_claim(ch->shm, &ch->header->kind, CHANNEL_KIND);
}

static int map_ring(struct vmshm_channel *ch, struct ring *r, unsigned int n)
{
	const int prot = PROT_READ | PROT_WRITE;
	off_t offset = CHANNEL_RINGS + (off_t)n * r->size;
	char *data;
	int i;

	data = mmap(NULL, 2ul * r->size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	if (data == MAP_FAILED)
		return -errno;
	r->data = data;
	for (i = 0; i < 2; i++)
		if (mmap(data + (size_t)i * r->size, r->size, prot,
			 MAP_SHARED | MAP_FIXED, vmshm_fd(ch->shm),
			 offset) == MAP_FAILED)
			return -errno;
	return 0;
}

static struct party *party(struct vmshm_channel *ch, unsigned int n)
{
	return (struct party *)((char *)ch->header + 256 * (n + 1));
}

/* The rings as they are from party @n's side */
static int map_rings(struct vmshm_channel *ch, unsigned int n, uint32_t size)
{
	int err;

	ch->me = party(ch, n);
	ch->peer = party(ch, !n);
	ch->out = (struct ring){
		.size = size,
		.mine = &ch->me->sent,
		.theirs = &ch->peer->received,
	};
	ch->in = (struct ring){
		.size = size,
		.mine = &ch->me->received,
		.theirs = &ch->peer->sent,
	};
	err = map_ring(ch, &ch->out, n);
	return err ? err : map_ring(ch, &ch->in, !n);
}

static uint64_t seat_offset(struct vmshm_channel *ch, unsigned int n)
{
	return channel_offset(ch, &ch->header->seat[n]);
}

static int watch_peer(struct vmshm_channel *ch, unsigned int n, uint32_t value)
{
	return seat_watch(&ch->seat, seat_offset(ch, n), value, peer_changed,
			  ch);
}

/*
 * Changes the second seat's word, so that a party that has read its old value
 * cannot join. @free: the new value of the word
 */
static int begin_round(struct channel_header *h, uint32_t *free)
{
	uint32_t second = atomic_load(&h->seat[1]);

	if (seat_taken(second))
		return -EBUSY;
	*free = SEAT_FREE | (atomic_fetch_add(&h->round, 1) + 1) % SEAT_FREE;
	if (!atomic_compare_exchange_strong(&h->seat[1], &second, *free))
		return -EBUSY;
	return 0;
}

static int come_first(struct vmshm_channel *ch, uint32_t seen)
{
	struct channel_header *h = ch->header;
	uint32_t ring, free;
	int err;

	err = seat_take(&ch->seat, seat_offset(ch, 0), seen);
	if (err)
		return err == -EAGAIN ? AGAIN : err;
	atomic_store(&h->ready, 0);
	err = begin_round(h, &free);
	if (err)
		return err;
	ring = ring_that_fits(ch->shm);
	atomic_store(&h->ring, ring);
	memset((void *)party(ch, 0), 0, sizeof(struct party));
	memset((void *)party(ch, 1), 0, sizeof(struct party));
	err = map_rings(ch, 0, ring);
	if (!err)
		err = watch_peer(ch, 1, free);
	if (err)
		return err;
	atomic_store(&h->ready, atomic_load(&h->seat[0]));
	vmshm_wake(ch->shm, channel_offset(ch, &h->ready), UINT32_MAX);
	return 0;
}

/* Another process has enlarged the object since it was mapped. */
static bool has_grown(struct vmshm_channel *ch)
{
	uint64_t size;

	return !vmshm_size(ch->shm, &size) && size > object_mapped(ch->shm);
}

static int come_second(struct vmshm_channel *ch, uint32_t first, uint32_t free)
{
	struct channel_header *h = ch->header;
	uint32_t ring = atomic_load(&h->ring);
	int err;

	if (ring < RING_LEAST || ring & (ring - 1))
		return -EINVAL;
	if (ring > ring_that_fits(ch->shm))
		return has_grown(ch) ? AGAIN : -EINVAL;
	err = map_rings(ch, 1, ring);
	if (!err)
		err = seat_start(&ch->seat);
	if (err)
		return err;
	err = seat_take(&ch->seat, seat_offset(ch, 1), free);
	if (err)
		return err == -EAGAIN ? AGAIN : err;
	vmshm_wake(ch->shm, seat_offset(ch, 1), UINT32_MAX);
	/* If the first party has gone since, the watcher sees another value. */
	return watch_peer(ch, 0, first);
}

/* The first party is alive and has not prepared the channel yet. */
static int wait_for_first(struct vmshm_channel *ch, uint32_t ready)
{
	uint64_t offset = channel_offset(ch, &ch->header->ready);
	int64_t deadline = vmshm_deadline(PREPARING);
	int err;

	do
		err = vmshm_wait(ch->shm, offset, ready, deadline);
	while (err == -EINTR && !clock_passed(deadline));
	return err == -ENODEV ? err : AGAIN;
}

static int take_a_seat(struct vmshm_channel *ch)
{
	struct channel_header *h = ch->header;
	/* The order of these reads matters; see the top of this file. */
	uint32_t second = atomic_load(&h->seat[1]);
	uint32_t first = atomic_load(&h->seat[0]);
	uint32_t ready;

	if (!seat_taken(first))
		return come_first(ch, first);
	/* The word may still have the value of an earlier pair. */
	ready = atomic_load(&h->ready);
	if (ready != first)
		return wait_for_first(ch, ready);
	if (seat_free(second))
		return come_second(ch, first, second);
	if (atomic_load(&h->seat[1]) != second ||
	    atomic_load(&h->seat[0]) != first)
		return AGAIN;
	return -EBUSY;
}

static void unmap_ring(struct ring *r)
{
	if (r->data)
		munmap(r->data, 2ul * r->size);
}

static void leave(struct vmshm_channel *ch)
{
	/* A child of the process has no such thread. */
	if (!channel_check_process(ch))
		seat_leave(&ch->seat);
	unmap_ring(&ch->out);
	unmap_ring(&ch->in);
	/* In a guest this gives the seat back. */
	vmshm_close(ch->shm);
	free(ch);
}

static int try_open(struct vmshm_channel **result, const char *where,
		    const char *name, uint32_t ring, mode_t mode)
{
	struct vmshm_channel *ch = calloc(1, sizeof(*ch));
	int err;

	if (!ch)
		return -ENOMEM;
	ch->spin = SPIN_USUAL;
	ch->generation = process_this();
	err = open_object(ch, where, name, ring, mode);
	if (err) {
		vmshm_close(ch->shm);
		free(ch);
		return err;
	}
	err = seat_init(&ch->seat, ch->shm);
	if (!err)
		err = map_header(ch);
	if (!err)
		err = take_a_seat(ch);
	if (err)
		leave(ch);
	else
		*result = ch;
	return err;
}

API int vmshm_channel_open(struct vmshm_channel **ch, const char *where,
			   const char *name, size_t ring, mode_t mode)
{
	uint32_t size = RING_LEAST;
	int tries = TRIES;
	int err;

	*ch = NULL;
	if (ring > RING_MOST)
		return -EINVAL;
	while (size < (ring ? ring : RING_USUAL))
		size *= 2;
	do
		err = try_open(ch, where, name, size, mode);
	while (err == AGAIN && --tries);
	if (err == AGAIN)
		return -ETIMEDOUT;
	/* The first party may be waiting for this party. */
	if (!err)
		channel_signal(*ch, &(*ch)->peer->readable);
	return err;
}

API int vmshm_channel_shutdown(struct vmshm_channel *ch)
{
	int err = channel_check_process(ch);

	if (err)
		return err;
	ch->has_reserved = false;
	atomic_fetch_or(&ch->state, CHANNEL_SHUT);
	if (atomic_load(&ch->shm->gone))
		return -ENODEV;
	atomic_store(&ch->me->end, 1);
	channel_signal(ch, &ch->peer->readable);
	return 0;
}

static void tell_peer(struct vmshm_channel *ch)
{
	/* Without a device there is nothing to write to. */
	if (wait_is_possible(ch->shm) == -ENODEV || vmshm_channel_shutdown(ch))
		return;
	atomic_store(&ch->me->closed, 1);
	channel_signal(ch, &ch->peer->writable);
}

API void vmshm_channel_close(struct vmshm_channel *ch)
{
	if (!ch)
		return;
	if (!channel_check_process(ch))
		tell_peer(ch);
	leave(ch);
}
