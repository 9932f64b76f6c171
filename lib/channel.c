// SPDX-License-Identifier: MIT
/*
 * Sending and receiving. As long as the peer's last known position leaves room,
 * or a record, only two values of the peer are read: its event word, and
 * whether it has closed. Everything else is in channel-wait.c.
 */
#include <errno.h>
#include <string.h>

#include "api.h"
#include "channel-common.h"
#include "channel-wait.h"

/* Stream records have at most this size, and at most a quarter of the ring */
#define PIECE 65536u

#define likely(condition) __builtin_expect(!!(condition), 1)
/*
 * Not inlined, so that the usual path need not save registers for it. Not
 * "cold": gcc optimises cold functions for size, and copies messages there byte
 * by byte (rep movsb).
 */
#define RARE __attribute__((noinline))

/* Whether this process may access the memory */
static inline bool is_usable(const struct vmshm_channel *ch)
{
	return process_is(ch->generation) &&
	       !atomic_load_explicit(&ch->shm->gone, memory_order_relaxed);
}

/* Whether a message of this size can be sent, as far as is known */
static inline bool can_send(const struct vmshm_channel *ch, size_t size)
{
	return likely(is_usable(ch) && !channel_state(ch) &&
		      !atomic_load_explicit(&ch->peer->closed,
					    memory_order_relaxed) &&
		      ring_fits(&ch->out, size));
}

/* Waits for room for a message of this size: 0 or -errno */
static int RARE wait_for_room(struct vmshm_channel *ch, size_t size,
			      int64_t deadline)
{
	struct channel_wait wait;
	int64_t room;

	if (channel_check_process(ch))
		return -EPERM;
	if (size > vmshm_channel_max(ch))
		return -EMSGSIZE;
	if (channel_state(ch) & CHANNEL_SHUT)
		return -EPIPE;
	wait = channel_wait_for_room(ch, size);
	room = channel_wait(&wait, deadline);
	return room < 0 ? room : 0;
}

static inline int get_room(struct vmshm_channel *ch, size_t size,
			   int64_t deadline)
{
	return can_send(ch, size) ? 0 : wait_for_room(ch, size, deadline);
}

static inline void add_record(struct vmshm_channel *ch, const void *data,
			      size_t size)
{
	char *record = ring_at(&ch->out);

	if (size)
		memcpy(record + RING_HEAD, data, size);
	ring_add(&ch->out, record, size);
}

/* The peer sees all records that were added. None is reserved any more. */
static inline void show_records(struct vmshm_channel *ch)
{
	ch->has_reserved = false;
	ring_show(&ch->out);
	channel_signal(ch, &ch->peer->readable);
}

API size_t vmshm_channel_max(const struct vmshm_channel *ch)
{
	return ch->out.size - RING_HEAD;
}

API int vmshm_channel_reserve(struct vmshm_channel *ch, void **data,
			      size_t size, int64_t deadline)
{
	int err;

	*data = NULL;
	err = get_room(ch, size, deadline);
	if (err)
		return err;
	*data = ring_next(&ch->out);
	ch->reserved = size;
	ch->has_reserved = true;
	return 0;
}

API int vmshm_channel_commit(struct vmshm_channel *ch, size_t size)
{
	if (channel_check_process(ch))
		return -EPERM;
	if (!ch->has_reserved || size > ch->reserved)
		return -EINVAL;
	if (atomic_load(&ch->shm->gone))
		return -ENODEV;
	ring_add(&ch->out, ring_at(&ch->out), size);
	show_records(ch);
	return 0;
}

API int vmshm_channel_send(struct vmshm_channel *ch, const void *data,
			   size_t size, int64_t deadline)
{
	int err = get_room(ch, size, deadline);

	if (err)
		return err;
	add_record(ch, data, size);
	show_records(ch);
	return 0;
}

/* Sends messages while there is known to be room. Returns their number. */
static size_t send_some(struct vmshm_channel *ch,
			const struct vmshm_message *messages, size_t count)
{
	size_t n;

	for (n = 0; n < count && ring_fits(&ch->out, messages[n].length); n++)
		add_record(ch, messages[n].data, messages[n].length);
	show_records(ch);
	return n;
}

API ssize_t vmshm_channel_sendv(struct vmshm_channel *ch,
				const struct vmshm_message *messages,
				size_t count, int64_t deadline)
{
	size_t done = 0;
	int err = 0;

	while (done < count) {
		err = get_room(ch, messages[done].length, deadline);
		if (err)
			break;
		done += send_some(ch, messages + done, count - done);
	}
	return done ? (ssize_t)done : err;
}

/* Whether a whole message can be received, as far as is known */
static inline bool can_recv(const struct vmshm_channel *ch, uint32_t *length,
			    size_t size)
{
	return likely(is_usable(ch) && !(channel_state(ch) & CHANNEL_BROKEN) &&
		      ring_has_record(&ch->in, length) && *length <= size);
}

/* Waits for a record. Returns the bytes that are left of it, or an error. */
static int64_t RARE wait_for_record(struct vmshm_channel *ch, const void **data,
				    int64_t deadline)
{
	struct channel_wait wait = channel_wait_for_record(ch);
	int64_t left = channel_wait(&wait, deadline);

	*data = left < 0 ? NULL : wait.data;
	return left;
}

/* The sender sees all room, and may be waiting for it. */
static inline void give_room(struct vmshm_channel *ch)
{
	ring_show(&ch->in);
	channel_signal(ch, &ch->peer->writable);
}

/* Releases the first bytes of a record. */
static inline void take(struct vmshm_channel *ch, uint32_t bytes)
{
	ring_take(&ch->in, bytes);
	if (!ch->in.peeked)
		give_room(ch);
}

API int vmshm_channel_peek(struct vmshm_channel *ch, const void **data,
			   size_t *size, int64_t deadline)
{
	int64_t left = wait_for_record(ch, data, deadline);

	*size = left < 0 ? 0 : left;
	return left < 0 ? left : 0;
}

API int vmshm_channel_release(struct vmshm_channel *ch)
{
	if (channel_check_process(ch))
		return -EPERM;
	if (!ch->in.peeked)
		return -EINVAL;
	if (atomic_load(&ch->shm->gone))
		return -ENODEV;
	take(ch, ch->in.length - ch->in.taken);
	return 0;
}

/* Receives the bytes that are left of a record, which is there. */
static ssize_t recv_there(struct vmshm_channel *ch, const void *from,
			  size_t length, void *data, size_t size)
{
	if (length > size)
		return -EMSGSIZE;
	if (length)
		memcpy(data, from, length);
	ring_take(&ch->in, length);
	return length;
}

/* Receives a record that was peeked, or is not known to be there yet. */
static ssize_t RARE recv_after_look(struct vmshm_channel *ch, void *data,
				    size_t size, int64_t deadline)
{
	const void *from;
	int64_t length = wait_for_record(ch, &from, deadline);

	return length < 0 ? length : recv_there(ch, from, length, data, size);
}

/* Receives a message. The room that it leaves is not given back yet. */
static inline ssize_t recv_one(struct vmshm_channel *ch, void *data,
			       size_t size, int64_t deadline)
{
	uint32_t length;

	if (!can_recv(ch, &length, size))
		return recv_after_look(ch, data, size, deadline);
	if (length)
		memcpy(data, ring_next(&ch->in), length);
	ring_pass(&ch->in, length);
	return length;
}

API ssize_t vmshm_channel_recv(struct vmshm_channel *ch, void *data,
			       size_t size, int64_t deadline)
{
	ssize_t length = recv_one(ch, data, size, deadline);

	if (length >= 0)
		give_room(ch);
	return length;
}

API ssize_t vmshm_channel_recvv(struct vmshm_channel *ch,
				struct vmshm_message *messages, size_t count,
				int64_t deadline)
{
	ssize_t length = 0;
	size_t n;

	for (n = 0; n < count; n++) {
		length = recv_one(ch, messages[n].data, messages[n].size,
				  n ? VMSHM_NOW : deadline);
		if (length < 0)
			break;
		messages[n].length = length;
	}
	if (n)
		give_room(ch);
	return n ? (ssize_t)n : length;
}

/* Receives the reply; the waiters of @wake, if any, are woken before. */
static ssize_t recv_reply(struct vmshm_channel *ch, _Atomic uint32_t *wake,
			  void *reply, size_t size, int64_t deadline)
{
	struct channel_wait wait = channel_wait_for_record(ch);
	int64_t length;

	wait.wake = wake;
	length = channel_wait(&wait, deadline);
	if (length < 0)
		return length;
	return recv_there(ch, wait.data, length, reply, size);
}

API ssize_t vmshm_channel_call(struct vmshm_channel *ch, const void *request,
			       size_t length, void *reply, size_t size,
			       int *sent, int64_t deadline)
{
	_Atomic uint32_t *wake;
	ssize_t got;
	int err;

	*sent = 0;
	err = get_room(ch, length, deadline);
	if (err)
		return err;
	add_record(ch, request, length);
	ch->has_reserved = false;
	ring_show(&ch->out);
	*sent = 1;
	wake = &ch->peer->readable;
	got = recv_reply(ch, event_signal(wake) ? wake : NULL, reply, size,
			 deadline);
	if (got >= 0)
		give_room(ch);
	return got;
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
		/* Further records that have already arrived are also read. */
		err = vmshm_channel_peek(ch, &from, &length,
					 done ? VMSHM_NOW : deadline);
		if (err == -EPIPE && !done)
			return 0;
		if (err)
			return done ? (ssize_t)done : err;
		part = least(length, size - done);
		memcpy((char *)data + done, from, part);
		take(ch, part);
		done += part;
	}
	return done;
}

API int vmshm_channel_drain(struct vmshm_channel *ch, int64_t deadline)
{
	struct channel_wait wait = channel_wait_for_drained(ch);

	return channel_wait(&wait, deadline);
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
	struct channel_wait wait = channel_wait_for_record(ch);
	uint32_t value;

	if (channel_check_process(ch))
		return -EPERM;
	if (atomic_load(&ch->shm->gone) || channel_state(ch) & CHANNEL_BROKEN)
		return 1;
	value = event_begin(wait.event);
	if (wait.look(&wait) != -EAGAIN)
		return 1;
	return vmshm_poll_arm(ch->shm, channel_offset(ch, wait.event), value);
}
