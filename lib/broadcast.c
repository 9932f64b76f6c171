// SPDX-License-Identifier: MIT
/*
 * One writer, many readers. Each entry has a sequence number beside it, which
 * is odd while the entry is written: 2 n + 1, then 2 n + 2 for the n-th entry.
 * A reader that finds another number than it expects, before or after it has
 * read, was overtaken.
 *
 *	0	struct header
 *	4096	struct entry, one for each
 *	then	the bytes of the entries, at multiples of 64, large ones of 4096
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <vmshm/broadcast.h>

#include "seat.h"

#define MAGIC 0x43424d56u /* "VMBC" */
#define VERSION 1u
#define ENTRIES_AT 4096u
#define ENTRIES_MOST (1u << 24)
/* Being overtaken so often in a row is no accident. */
#define OVERTAKEN_MOST 1000
#define LINE __attribute__((aligned(64)))

struct header {
	_Atomic uint32_t magic;
	_Atomic uint32_t version;
	_Atomic uint64_t size;
	_Atomic uint32_t entries;
	/* 1: the writer has left in good order */
	_Atomic uint32_t closed;
	LINE _Atomic uint32_t seat;
	/* Entries that were published; and a futex that changes with it */
	LINE _Atomic uint64_t next;
	_Atomic uint32_t event;
};

struct entry {
	_Atomic uint64_t sequence;
	_Atomic uint64_t length;
};

struct vmshm_broadcast {
	struct vmshm *shm;
	struct header *header;
	struct entry *entry;
	char *data;
	/* Bytes that an entry may have, and from one to the next */
	uint64_t size, step;
	uint32_t entries;
	bool writer;
	struct seat seat;
	/* The next to write or read, and how many before it were lost */
	uint64_t next, lost;
	/* The one that was peeked; one is made */
	bool peeked;
	bool reserved;
	/* seat.lock: a reader sleeps */
	bool awake;
};

static uint64_t round_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

static uint64_t step_of(uint64_t size)
{
	return round_up(size, size >= 4096 ? 4096 : 64);
}

static uint64_t data_at(uint32_t entries)
{
	return round_up(ENTRIES_AT + (uint64_t)entries * sizeof(struct entry),
			4096);
}

/* What an object for it needs, bytes; 0: impossible */
static uint64_t total(uint64_t size, uint64_t entries)
{
	uint64_t data;

	if (!size || size > INT64_MAX / 2 || entries < 2 ||
	    entries > ENTRIES_MOST ||
	    __builtin_mul_overflow(step_of(size), entries, &data) ||
	    data > INT64_MAX / 2)
		return 0;
	return data_at(entries) + data;
}

static uint64_t offset_of(struct vmshm_broadcast *b, void *p)
{
	return (char *)p - (char *)b->header;
}

static int map(struct vmshm_broadcast *b)
{
	size_t size;
	void *data;
	int err;

	err = vmshm_map(b->shm, &data, &size);
	if (err)
		return err;
	if (size < ENTRIES_AT)
		return -EINVAL;
	b->header = data;
	return page_kind(data, MAGIC, VERSION);
}

static int set_layout(struct vmshm_broadcast *b, uint64_t size,
		      uint32_t entries)
{
	uint64_t needed = total(size, entries);

	if (!needed || !has_bytes(b->shm, needed))
		return -EINVAL;
	b->size = size;
	b->step = step_of(size);
	b->entries = entries;
	b->entry = (struct entry *)((char *)b->header + ENTRIES_AT);
	b->data = (char *)b->header + data_at(entries);
	return 0;
}

static bool writer_changed(void *arg)
{
	struct vmshm_broadcast *b = arg;
	uint32_t seen = atomic_load(&b->seat.seen);

	/* Without a right to write there is no word to change. */
	if (seat_left(seen))
		seat_insist(&b->seat, offset_of(b, &b->header->event),
			    &b->awake);
	/* Another one may come and go on. */
	return true;
}

static void leave(struct vmshm_broadcast *b)
{
	seat_leave(&b->seat);
	vmshm_close(b->shm);
	free(b);
}

static int open_object(struct vmshm_broadcast *b, const char *where,
		       const char *name, int flags, mode_t mode)
{
	int err;

	err = vmshm_open(&b->shm, where, name, flags & ~O_CREAT, 0);
	if (err == -ENOENT && flags & O_CREAT)
		err = vmshm_open(&b->shm, where, name, flags, mode);
	if (!err)
		err = seat_init(&b->seat, b->shm);
	return err;
}

static struct vmshm_broadcast *broadcast_new(void)
{
	struct vmshm_broadcast *b = calloc(1, sizeof(*b));

	if (b)
		b->awake = true;
	return b;
}

/* It is empty, or was made with the same numbers. */
static bool is_same(struct vmshm_broadcast *b, uint64_t size, uint32_t entries)
{
	struct header *h = b->header;

	return !atomic_load(&h->magic) || (atomic_load(&h->size) == size &&
					   atomic_load(&h->entries) == entries);
}

/* An empty object becomes one; another one has to be the same. */
static int prepare(struct vmshm_broadcast *b, size_t size, uint32_t entries)
{
	uint64_t have;
	int err;

	err = vmshm_size(b->shm, &have);
	if (!err && !have)
		err = vmshm_grow(b->shm, total(size, entries));
	if (err)
		return err;
	err = map(b);
	if (err && err != -ENODATA)
		return err;
	err = set_layout(b, size, entries);
	return err || is_same(b, size, entries) ? err : -EINVAL;
}

static int take_writers_seat(struct vmshm_broadcast *b)
{
	struct header *h = b->header;
	uint32_t seen;
	int err;

	do {
		seen = atomic_load(&h->seat);
		if (seat_taken(seen))
			return -EBUSY;
		err = seat_take(&b->seat, offset_of(b, &h->seat), seen);
	} while (err == -EAGAIN);
	if (err)
		return err;
	/* Somebody may have come and gone since it was looked at. */
	if (!is_same(b, b->size, b->entries))
		return -EINVAL;
	vmshm_wake(b->shm, offset_of(b, &h->seat), UINT32_MAX);
	atomic_store(&h->version, VERSION);
	atomic_store(&h->size, b->size);
	atomic_store(&h->entries, b->entries);
	atomic_store(&h->closed, 0);
	b->next = atomic_load(&h->next);
	atomic_store(&h->magic, MAGIC);
	return 0;
}

API int vmshm_broadcast_create(struct vmshm_broadcast **result,
			       const char *where, const char *name,
			       size_t size, uint32_t entries, mode_t mode)
{
	struct vmshm_broadcast *b;
	int err;

	*result = NULL;
	if (!total(size, entries))
		return -EINVAL;
	b = broadcast_new();
	if (!b)
		return -ENOMEM;
	err = open_object(b, where, name, O_RDWR | O_CREAT, mode);
	if (err) {
		vmshm_close(b->shm);
		free(b);
		return err;
	}
	b->writer = true;
	err = prepare(b, size, entries);
	if (!err)
		err = take_writers_seat(b);
	if (err)
		leave(b);
	else
		*result = b;
	return err;
}

static int begin_reading(struct vmshm_broadcast *b)
{
	struct header *h;
	int err;

	err = map(b);
	if (err)
		return err;
	h = b->header;
	err = set_layout(b, atomic_load(&h->size), atomic_load(&h->entries));
	if (err)
		return err;
	b->next = atomic_load(&h->next);
	b->seat.shared = true;
	return seat_watch(&b->seat, offset_of(b, &h->seat),
			  atomic_load(&h->seat), writer_changed, b);
}

API int vmshm_broadcast_open(struct vmshm_broadcast **result,
			     const char *where, const char *name)
{
	struct vmshm_broadcast *b = broadcast_new();
	int err;

	*result = NULL;
	if (!b)
		return -ENOMEM;
	err = open_object(b, where, name, O_RDONLY, 0);
	if (err) {
		vmshm_close(b->shm);
		free(b);
		return err;
	}
	err = begin_reading(b);
	if (err)
		leave(b);
	else
		*result = b;
	return err;
}

API void vmshm_broadcast_close(struct vmshm_broadcast *b)
{
	if (!b)
		return;
	/* Without a device there is nothing to write to. */
	if (b->writer && can_wait(b->shm) != -ENODEV)
		atomic_store(&b->header->closed, 1);
	leave(b);
}

API size_t vmshm_broadcast_max(const struct vmshm_broadcast *b)
{
	return b->size;
}

static struct entry *entry_of(struct vmshm_broadcast *b)
{
	return &b->entry[b->next % b->entries];
}

static char *data_of(struct vmshm_broadcast *b)
{
	return b->data + b->next % b->entries * b->step;
}

API int vmshm_broadcast_reserve(struct vmshm_broadcast *b, void **data)
{
	if (!b->writer)
		return -EBADF;
	if (atomic_load(&b->shm->gone))
		return -ENODEV;
	atomic_store(&entry_of(b)->sequence, 2 * b->next + 1);
	/* What is written from now on is not seen before that. */
	atomic_thread_fence(memory_order_release);
	*data = data_of(b);
	b->reserved = true;
	return 0;
}

API int vmshm_broadcast_publish(struct vmshm_broadcast *b, size_t size)
{
	struct entry *e = entry_of(b);

	if (!b->writer)
		return -EBADF;
	if (!b->reserved)
		return -EINVAL;
	if (size > b->size)
		return -EMSGSIZE;
	if (atomic_load(&b->shm->gone))
		return -ENODEV;
	b->reserved = false;
	atomic_store(&e->length, size);
	atomic_store(&e->sequence, 2 * b->next + 2);
	atomic_store(&b->header->next, ++b->next);
	atomic_fetch_add(&b->header->event, 1);
	return vmshm_wake(b->shm, offset_of(b, &b->header->event), UINT32_MAX);
}

API int vmshm_broadcast_send(struct vmshm_broadcast *b, const void *data,
			     size_t size)
{
	void *to;
	int err;

	if (size > b->size)
		return -EMSGSIZE;
	err = vmshm_broadcast_reserve(b, &to);
	if (err)
		return err;
	if (size)
		memcpy(to, data, size);
	return vmshm_broadcast_publish(b, size);
}

/* Nothing is left: whether the writer is still there */
static int at_the_end(struct vmshm_broadcast *b)
{
	uint32_t seen = atomic_load(&b->seat.seen);

	if (!seat_left(seen))
		return -EAGAIN;
	if (atomic_load(&b->header->closed))
		return -EPIPE;
	/* Another one may have come, and the watching thread not know yet. */
	seen = atomic_load(&b->header->seat);
	if (!seat_taken(seen))
		return -ECONNRESET;
	atomic_store(&b->seat.seen, seen);
	return -EAGAIN;
}

/* Goes on with the oldest that is not about to be overwritten. */
static void catch_up(struct vmshm_broadcast *b, uint64_t next)
{
	uint64_t oldest = next - b->entries + 1;

	b->lost += oldest - b->next;
	b->next = oldest;
}

/* The entry at b->next, if it is there: 0, -EAGAIN, -EPIPE, ... */
static int look(struct vmshm_broadcast *b, size_t *size)
{
	int i;

	for (i = 0; i < OVERTAKEN_MOST; i++) {
		int end = at_the_end(b);
		uint64_t next = atomic_load(&b->header->next);
		uint64_t ahead = next - b->next;
		uint64_t sequence, length;

		if (!ahead)
			return end;
		if (ahead > INT64_MAX)
			return -EPROTO;
		if (ahead >= b->entries) {
			catch_up(b, next);
			continue;
		}
		length = atomic_load(&entry_of(b)->length);
		sequence = atomic_load(&entry_of(b)->sequence);
		if (sequence != 2 * b->next + 2)
			continue;
		if (length > b->size)
			return -EPROTO;
		*size = length;
		return 0;
	}
	return -EPROTO;
}

/* Whether the entry at b->next is still what it was */
static bool unchanged(struct vmshm_broadcast *b)
{
	atomic_thread_fence(memory_order_acquire);
	return atomic_load(&entry_of(b)->sequence) == 2 * b->next + 2;
}

static void set_awake(struct vmshm_broadcast *b, bool awake)
{
	pthread_mutex_lock(&b->seat.lock);
	b->awake = awake;
	pthread_cond_broadcast(&b->seat.told);
	pthread_mutex_unlock(&b->seat.lock);
}

/* It could not be done; what to say if that is all there is time for */
static int too_late(int64_t deadline)
{
	if (deadline == VMSHM_NOW)
		return -EAGAIN;
	return passed(deadline) ? -ETIMEDOUT : 0;
}

static int wait_for_entry(struct vmshm_broadcast *b, size_t *size,
			  int64_t deadline)
{
	uint64_t offset = offset_of(b, &b->header->event);
	int waited = 0, err;

	for (;;) {
		uint32_t event;

		if (atomic_load(&b->shm->gone))
			return -ENODEV;
		event = atomic_load(&b->header->event);
		err = look(b, size);
		if (err != -EAGAIN)
			return err;
		if (waited && waited != -EAGAIN)
			return waited;
		/* A hostile writer can keep it from ever sleeping so long. */
		err = too_late(deadline);
		if (err)
			return err;
		set_awake(b, false);
		/* The writer may have gone before it is known that we sleep. */
		err = at_the_end(b);
		if (err == -EAGAIN)
			waited = vmshm_wait(b->shm, offset, event, deadline);
		set_awake(b, true);
	}
}

API int vmshm_broadcast_peek(struct vmshm_broadcast *b, const void **data,
			     size_t *size, uint64_t *lost, int64_t deadline)
{
	int err = b->writer ? -EBADF : wait_for_entry(b, size, deadline);

	if (lost)
		*lost = err ? 0 : b->lost;
	if (err)
		return err;
	*data = data_of(b);
	b->peeked = true;
	return 0;
}

/* Goes on to the next; whether this one was still what it was */
static bool leave_entry(struct vmshm_broadcast *b)
{
	bool good = unchanged(b);

	b->peeked = false;
	b->next++;
	return good;
}

API int vmshm_broadcast_release(struct vmshm_broadcast *b)
{
	if (!b->peeked)
		return -EINVAL;
	if (atomic_load(&b->shm->gone))
		return -ENODEV;
	b->lost = 0;
	return leave_entry(b) ? 0 : -EOVERFLOW;
}

API ssize_t vmshm_broadcast_recv(struct vmshm_broadcast *b, void *data,
				 size_t size, uint64_t *lost, int64_t deadline)
{
	const void *from;
	int overtaken = 0;
	size_t length;
	int err;

	do {
		err = vmshm_broadcast_peek(b, &from, &length, lost, deadline);
		if (err)
			return err;
		if (length > size) {
			err = -EMSGSIZE;
			break;
		}
		if (length)
			memcpy(data, from, length);
		if (leave_entry(b)) {
			b->lost = 0;
			return length;
		}
		b->lost++;
		/* Something newer is there; but a call has to end. */
		if (++overtaken >= OVERTAKEN_MOST)
			err = too_late(deadline);
	} while (!err);
	if (lost)
		*lost = 0;
	return err;
}
