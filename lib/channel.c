// SPDX-License-Identifier: MIT
/*
 * Sending and receiving.
 */
#include <errno.h>
#include <string.h>

#include "channel.h"

/* A stream is cut into records of at most this, and a quarter of the ring */
#define PIECE 65536u
/* Looks between two looks at the clock, which is slow in some guests */
#define LOOKS 32
/* Waits without spinning, at most, until it is tried again */
#define SKIP_MOST 63

/* One way of the channel; a thread's, as in the header */
struct way {
	struct vmshm_channel *ch;
	struct ring *ring;
	_Atomic uint32_t *event;
	struct patience *patience;
	/* Whether it can be done: 0 or more, -EAGAIN, or what is wrong */
	int64_t (*look)(struct way *way);
	/* For a sender: bytes that are to fit */
	uint32_t need;
	/* For a receiver: where they are */
	const void *data;
};

static bool peer_gone(struct vmshm_channel *ch)
{
	uint32_t seen = atomic_load(&ch->seat.seen);

	return atomic_load(&ch->peer->closed) || seat_left(seen);
}

static int how_gone(struct vmshm_channel *ch)
{
	return atomic_load(&ch->peer->closed) ? -EPIPE : -ECONNRESET;
}

static int64_t look_for_room(struct way *way)
{
	int64_t room;

	if (peer_gone(way->ch))
		return how_gone(way->ch);
	room = ring_room(way->ring);
	return room >= 0 && room < way->need ? -EAGAIN : room;
}

static int64_t look_for_record(struct way *way)
{
	/* Looked at first: what was sent before the end is received. */
	bool gone = peer_gone(way->ch);
	bool end = atomic_load(&way->ch->peer->end);
	int64_t left = ring_peek(way->ring, &way->data);

	if (left != -EAGAIN)
		return left;
	if (end)
		return -EPIPE;
	return gone ? how_gone(way->ch) : -EAGAIN;
}

static int64_t look_for_drained(struct way *way)
{
	bool gone = peer_gone(way->ch);
	int64_t room = ring_room(way->ring);

	if (room < 0 && room != -EAGAIN)
		return room;
	if (room == way->ring->size - RING_HEAD)
		return 0;
	return gone ? how_gone(way->ch) : -EAGAIN;
}

static struct way sending(struct vmshm_channel *ch, uint32_t need)
{
	return (struct way){
		.ch = ch,
		.ring = &ch->out,
		.event = &ch->me->writable,
		.patience = &ch->sending,
		.look = look_for_room,
		.need = need,
	};
}

static struct way receiving(struct vmshm_channel *ch)
{
	return (struct way){
		.ch = ch,
		.ring = &ch->in,
		.event = &ch->me->readable,
		.patience = &ch->receiving,
		.look = look_for_record,
	};
}

static inline void relax(void)
{
#ifdef __x86_64__
	__builtin_ia32_pause();
#endif
}

/* Looks again and again, for so many nanoseconds or until the deadline. */
static int64_t spin(struct way *way, int64_t nanoseconds, int64_t deadline)
{
	int64_t end = vmshm_deadline(nanoseconds);
	int64_t found, time;
	int i;

	do {
		for (i = 0; i < LOOKS; i++) {
			found = way->look(way);
			if (found != -EAGAIN)
				return found;
			relax();
		}
		time = now();
	} while ((end < 0 || time < end) && (deadline < 0 || time < deadline));
	return -EAGAIN;
}

/*
 * Spins if that has paid off lately, and now and then to see if it does; or as
 * it was told.
 */
static int64_t spin_perhaps(struct way *way, int64_t deadline)
{
	struct patience *p = way->patience;
	int64_t found;

	if (!way->ch->spin)
		return -EAGAIN;
	if (way->ch->spin_always)
		return spin(way, way->ch->spin, deadline);
	if (p->skip) {
		p->skip--;
		return -EAGAIN;
	}
	found = spin(way, way->ch->spin, deadline);
	p->next_skip = found == -EAGAIN ? 2 * p->next_skip + 1 : 0;
	if (p->next_skip > SKIP_MOST)
		p->next_skip = SKIP_MOST;
	p->skip = p->next_skip;
	return found;
}

/* Sleeps until something has changed, perhaps; 0 or -errno. */
static int sleep_once(struct way *way, int64_t deadline, int64_t *found)
{
	struct vmshm_channel *ch = way->ch;
	uint32_t value = event_begin(way->event);
	int err = 0;

	*found = way->look(way);
	if (*found == -EAGAIN) {
		err = vmshm_wait(ch->shm, channel_offset(ch, way->event), value,
				 deadline);
		if (err == -ENODEV)
			return err;
		*found = way->look(way);
	}
	event_end(way->event);
	return *found == -EAGAIN && err != -EAGAIN ? err : 0;
}

static int64_t wait_long(struct way *way, int64_t deadline)
{
	int64_t found = spin_perhaps(way, deadline);
	int err;

	while (found == -EAGAIN) {
		/* A hostile peer can keep it from ever sleeping so long. */
		if (passed(deadline))
			return -ETIMEDOUT;
		err = sleep_once(way, deadline, &found);
		if (err)
			return err;
	}
	return found;
}

/* Until it can be done: what look() says, or why it could not. */
static int64_t until(struct way *way, int64_t deadline)
{
	struct vmshm_channel *ch = way->ch;
	int64_t found;

	if (atomic_load(&ch->shm->gone))
		return -ENODEV;
	if (atomic_load_explicit(&ch->broken, memory_order_relaxed))
		return -EPROTO;
	found = way->look(way);
	if (found == -EAGAIN && deadline != VMSHM_NOW)
		found = wait_long(way, deadline);
	if (found == -EPROTO)
		atomic_store(&ch->broken, true);
	return found;
}

static bool has_come(struct vmshm_channel *ch)
{
	return !seat_free(atomic_load(&ch->seat.seen));
}

/* Sleeps until the peer has come, perhaps; 0 or -errno. */
static int sleep_for_peer(struct vmshm_channel *ch, int64_t deadline)
{
	_Atomic uint32_t *event = &ch->me->readable;
	uint32_t value = event_begin(event);
	int err;

	if (has_come(ch))
		return 0;
	err = vmshm_wait(ch->shm, channel_offset(ch, event), value, deadline);
	if (err == -EAGAIN)
		err = 0;
	return err || !passed(deadline) ? err : -ETIMEDOUT;
}

API int vmshm_channel_peer(struct vmshm_channel *ch, int64_t deadline)
{
	int err = 0;

	if (!has_come(ch) && deadline == VMSHM_NOW)
		err = -EAGAIN;
	while (!err && !has_come(ch))
		err = sleep_for_peer(ch, deadline);
	/* Which looks as if the peer were gone */
	if (atomic_load(&ch->shm->gone))
		return -ENODEV;
	return has_come(ch) ? 0 : err;
}

API int vmshm_channel_drain(struct vmshm_channel *ch, int64_t deadline)
{
	struct way way = sending(ch, 0);

	way.look = look_for_drained;
	return until(&way, deadline);
}

API size_t vmshm_channel_max(const struct vmshm_channel *ch)
{
	return ch->out.size - RING_HEAD;
}

API int vmshm_channel_reserve(struct vmshm_channel *ch, void **data,
			      size_t size, int64_t deadline)
{
	struct way way;
	int64_t room;

	if (size > vmshm_channel_max(ch))
		return -EMSGSIZE;
	if (ch->shut)
		return -EPIPE;
	way = sending(ch, size);
	room = until(&way, deadline);
	if (room < 0)
		return room;
	*data = ring_next(&ch->out);
	ch->reserved = size;
	ch->has_reserved = true;
	return 0;
}

API int vmshm_channel_commit(struct vmshm_channel *ch, size_t size)
{
	if (!ch->has_reserved || size > ch->reserved)
		return -EINVAL;
	if (atomic_load(&ch->shm->gone))
		return -ENODEV;
	ch->has_reserved = false;
	ring_publish(&ch->out, size);
	channel_signal(ch, &ch->peer->readable);
	return 0;
}

API int vmshm_channel_send(struct vmshm_channel *ch, const void *data,
			   size_t size, int64_t deadline)
{
	void *to;
	int err;

	err = vmshm_channel_reserve(ch, &to, size, deadline);
	if (err)
		return err;
	if (size)
		memcpy(to, data, size);
	return vmshm_channel_commit(ch, size);
}

API int vmshm_channel_peek(struct vmshm_channel *ch, const void **data,
			   size_t *size, int64_t deadline)
{
	struct way way = receiving(ch);
	int64_t left = until(&way, deadline);

	if (left < 0)
		return left;
	*data = way.data;
	*size = left;
	return 0;
}

/* The first bytes of what was peeked; the peer may wait for their room. */
static void done_with(struct vmshm_channel *ch, uint32_t bytes)
{
	ring_take(&ch->in, bytes);
	if (!ch->in.peeked)
		channel_signal(ch, &ch->peer->writable);
}

API int vmshm_channel_release(struct vmshm_channel *ch)
{
	if (!ch->in.peeked)
		return -EINVAL;
	if (atomic_load(&ch->shm->gone))
		return -ENODEV;
	done_with(ch, ch->in.length - ch->in.taken);
	return 0;
}

API ssize_t vmshm_channel_recv(struct vmshm_channel *ch, void *data,
			       size_t size, int64_t deadline)
{
	const void *from;
	size_t length;
	int err;

	err = vmshm_channel_peek(ch, &from, &length, deadline);
	if (err)
		return err;
	if (length > size)
		return -EMSGSIZE;
	if (length)
		memcpy(data, from, length);
	done_with(ch, length);
	return length;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

API ssize_t vmshm_channel_write(struct vmshm_channel *ch, const void *data,
				size_t size, int64_t deadline)
{
	size_t piece = least(PIECE, ch->out.size / 4);
	size_t done = 0;
	int err = 0;

	while (done < size) {
		size_t part = least(size - done, piece);

		err = vmshm_channel_send(ch, (const char *)data + done, part,
					 deadline);
		if (err)
			break;
		done += part;
	}
	return done ? (ssize_t)done : err;
}

API ssize_t vmshm_channel_read(struct vmshm_channel *ch, void *data,
			       size_t size, int64_t deadline)
{
	const void *from;
	size_t length, part, done = 0;
	int err;

	while (done < size) {
		/* What is there by now comes along. */
		err = vmshm_channel_peek(ch, &from, &length,
					 done ? VMSHM_NOW : deadline);
		if (err == -EPIPE && !done)
			return 0;
		if (err)
			return done ? (ssize_t)done : err;
		part = least(length, size - done);
		memcpy((char *)data + done, from, part);
		done_with(ch, part);
		done += part;
	}
	return done;
}

API void vmshm_channel_spin(struct vmshm_channel *ch, int64_t nanoseconds)
{
	ch->spin = nanoseconds < 0 ? VMSHM_FOREVER : nanoseconds;
	ch->spin_always = true;
}

API int vmshm_channel_fd(struct vmshm_channel *ch)
{
	return vmshm_poll_fd(ch->shm);
}

API int vmshm_channel_arm(struct vmshm_channel *ch)
{
	struct way way = receiving(ch);
	uint32_t value;

	if (atomic_load(&ch->shm->gone) || atomic_load(&ch->broken))
		return 1;
	value = event_begin(way.event);
	if (way.look(&way) != -EAGAIN)
		return 1;
	return vmshm_poll_arm(ch->shm, channel_offset(ch, way.event), value);
}
