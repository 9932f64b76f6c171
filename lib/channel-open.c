// SPDX-License-Identifier: MIT
/*
 * Coming to a channel, and leaving it.
 *
 * Who takes the first seat prepares the object, and who takes the second one
 * joins. The first seat is taken anew when its holder is gone, and then only
 * kept if nobody is in the second one: so nobody's channel is prepared under
 * their feet.
 *
 * To join is one step, after which there is nothing more that could fail. The
 * free second seat has the number of the round, which the first one moves on
 * before it prepares. Who joins reads this word, then all the rest, and then
 * takes the seat if it is still the same: if so, all was of this round.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "channel.h"

#define RING_USUAL (1u << 20)
#define SPIN_USUAL 50000
/* Another try is needed; no errno */
#define AGAIN 1
/* How long the first one may take to prepare, nanoseconds, before a new look */
#define PREPARING 10000000
/* Tries in all: a second, if it never does */
#define TRIES 100

void channel_signal(struct vmshm_channel *ch, _Atomic uint32_t *event)
{
	if (event_signal(event))
		vmshm_wake(ch->shm, channel_offset(ch, event), UINT32_MAX);
}

static void move_and_wake(struct vmshm_channel *ch, _Atomic uint32_t *event)
{
	event_move(event);
	vmshm_wake(ch->shm, channel_offset(ch, event), UINT32_MAX);
}

/* The peer has come or gone; called in another thread. */
static bool peer_changed(void *arg)
{
	struct vmshm_channel *ch = arg;
	uint32_t seen = atomic_load(&ch->seat.seen);

	move_and_wake(ch, &ch->me->readable);
	move_and_wake(ch, &ch->me->writable);
	/* Who comes later is nobody's peer. */
	return !seat_left(seen);
}

/* The largest ring that two of fit, a power of two; 0 if none */
static uint32_t ring_that_fits(struct vmshm *shm)
{
	uint32_t ring = RING_MOST;

	while (ring >= RING_LEAST &&
	       !has_bytes(shm, CHANNEL_RINGS + 2ull * ring))
		ring /= 2;
	return ring >= RING_LEAST ? ring : 0;
}

static int open_object(struct vmshm_channel *ch, const char *where,
		       const char *name, uint32_t ring, mode_t mode)
{
	uint64_t size;
	int err;

	err = vmshm_open(&ch->shm, where, name, O_RDWR, 0);
	/* Only then: a guest may be allowed to open, and not to make. */
	if (err == -ENOENT && mode)
		err = vmshm_open(&ch->shm, where, name, O_RDWR | O_CREAT, mode);
	if (!err)
		err = vmshm_size(ch->shm, &size);
	if (!err && !size && mode)
		err = vmshm_grow(ch->shm, CHANNEL_RINGS + 2ull * ring);
	if (!err)
		err = can_wait(ch->shm);
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
	if (!has_bytes(ch->shm, CHANNEL_LEAST))
		return -ENODATA;
	ch->header = data;
	err = page_kind(data, CHANNEL_MAGIC, CHANNEL_VERSION);
	return err == -ENODATA ? 0 : err;
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

/* Nobody can join any more who has looked before; what the seat is then */
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
	/* In this order: who dies in between leaves no half of a channel. */
	atomic_store(&h->version, CHANNEL_VERSION);
	atomic_store(&h->magic, CHANNEL_MAGIC);
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

/* Another one has made it larger since it was mapped. */
static bool has_grown(struct vmshm_channel *ch)
{
	uint64_t size;

	return !vmshm_size(ch->shm, &size) && size > ch->shm->size;
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
	/* What came before this wake-up is watched from its beginning. */
	return watch_peer(ch, 0, first);
}

/* Not prepared yet: the first one is alive and about to. */
static int wait_for_first(struct vmshm_channel *ch, uint32_t ready)
{
	uint64_t offset = channel_offset(ch, &ch->header->ready);
	int64_t deadline = vmshm_deadline(PREPARING);
	int err;

	do
		err = vmshm_wait(ch->shm, offset, ready, deadline);
	while (err == -EINTR && !passed(deadline));
	return err == -ENODEV ? err : AGAIN;
}

static int take_a_seat(struct vmshm_channel *ch)
{
	struct channel_header *h = ch->header;
	/* In this order; see above. */
	uint32_t second = atomic_load(&h->seat[1]);
	uint32_t first = atomic_load(&h->seat[0]);
	uint32_t ready;

	if (!seat_taken(first))
		return come_first(ch, first);
	/* It may still be what somebody before has left. */
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
	seat_leave(&ch->seat);
	unmap_ring(&ch->out);
	unmap_ring(&ch->in);
	/* In a guest this is what gives the seat back. */
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
	/* Who was there before waits for it, perhaps. */
	if (!err)
		channel_signal(*ch, &(*ch)->peer->readable);
	return err;
}

API int vmshm_channel_shutdown(struct vmshm_channel *ch)
{
	ch->has_reserved = false;
	ch->shut = true;
	if (atomic_load(&ch->shm->gone))
		return -ENODEV;
	atomic_store(&ch->me->end, 1);
	channel_signal(ch, &ch->peer->readable);
	return 0;
}

API void vmshm_channel_close(struct vmshm_channel *ch)
{
	if (!ch)
		return;
	/* Without a device there is nothing to write to. */
	if (can_wait(ch->shm) != -ENODEV && !vmshm_channel_shutdown(ch)) {
		atomic_store(&ch->me->closed, 1);
		channel_signal(ch, &ch->peer->writable);
	}
	leave(ch);
}
