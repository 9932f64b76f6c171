// SPDX-License-Identifier: MIT
/*
 * One writer, many readers. Each entry has a sequence lock: a number that is
 * odd while the entry is written, 2 n + 1, then 2 n + 2 for the n-th entry. A
 * reader that finds another number than it expects, before or after it has
 * read, was overtaken by the writer.
 *
 *	0	struct header
 *	4096	struct entry, one for each
 *	then	the bytes of the entries, at multiples of 64, large ones of 4096
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <vmshm/broadcast.h>

#include "api.h"
#include "clock.h"
#include "kind.h"
#include "object.h"
#include "process.h"
#include "seat.h"
#include "wait.h"

#define BROADCAST_KIND KIND(0x43424d56u, 1u) /* "VMBC", version 1 */
#define ENTRIES_AT 4096u
#define ENTRIES_MOST (1u << 24)
/* A reader that is overtaken so often in a row gives up. */
#define OVERTAKEN_MOST 1000
#define LINE __attribute__((aligned(64)))

struct header {
	_Atomic uint64_t kind;
	_Atomic uint64_t size;
	/* Written last; 0: no writer has prepared the broadcast yet */
	_Atomic uint32_t entries;
	/* 1: the writer has closed the broadcast */
	_Atomic uint32_t closed;
	LINE _Atomic uint32_t seat;
	/* Number of published entries; and a futex that changes with it */
	LINE _Atomic uint64_t next;
	_Atomic uint32_t event;
};

struct entry {
	_Atomic uint64_t sequence;
	_Atomic uint64_t length;
};

/* A 32-bit program and a 64-bit one have the same layout. */
_Static_assert(offsetof(struct header, entries) == 16 &&
	       offsetof(struct header, seat) == 64 &&
	       offsetof(struct header, event) == 136 &&
	       sizeof(struct entry) == 16, "header");

struct vmshm_broadcast {
	struct vmshm *shm;
	struct header *header;
	struct entry *entry;
	char *data;
	/* Bytes that an entry may have; bytes from one entry to the next */
	uint64_t size, step;
	uint32_t entries;
	bool writer;
	/* The process that has opened the broadcast; see process.h */
	uint32_t generation;
	struct seat seat;
	/*
	 * The next entry to write or read; the number of lost entries before it
	 */
	uint64_t next, lost;
	bool peeked;
	bool reserved;
	/* Protected by seat.lock; false: the reader sleeps, or is about to */
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

/* Bytes that the object of a broadcast needs; 0: impossible */
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
	return 0;
}

static int set_layout(struct vmshm_broadcast *b, uint64_t size,
		      uint32_t entries)
{
	uint64_t needed = total(size, entries);

	if (!needed || !wait_has_bytes(b->shm, needed))
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

	/* A reader may have no right to write, so no word can be changed. */
	if (seat_left(seen))
		seat_insist(&b->seat, offset_of(b, &b->header->event),
			    &b->awake);
	/* Another writer may come and continue the broadcast. */
	return true;
}

static void leave(struct vmshm_broadcast *b)
{
	/* A child of the process has no such thread. */
	if (process_is(b->generation))
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

static struct vmshm_broadcast *new_broadcast(void)
{
	struct vmshm_broadcast *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->awake = true;
	b->generation = process_this();
	return b;
}

/* Whether the broadcast is not prepared yet, or has the same parameters */
static bool is_same(struct vmshm_broadcast *b, uint64_t size, uint32_t entries)
{
	struct header *h = b->header;
	uint32_t prepared = atomic_load(&h->entries);

	return !prepared ||
	       (prepared == entries && atomic_load(&h->size) == size);
}

/* An object of zeros becomes a broadcast. An existing broadcast must match. */
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
	if (!err)
		err = set_layout(b, size, entries);
	if (!err)
		err = kind_claim(b->shm, &b->header->kind, BROADCAST_KIND);
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
	/* Another writer may have prepared the broadcast in the meantime. */
	if (!is_same(b, b->size, b->entries))
		return -EINVAL;
	vmshm_wake(b->shm, offset_of(b, &h->seat), UINT32_MAX);
	atomic_store(&h->size, b->size);
	atomic_store(&h->closed, 0);
	b->next = atomic_load(&h->next);
	atomic_store(&h->entries, b->entries);
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
	b = new_broadcast();
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
	uint32_t entries;
	int err;

	err = map(b);
	if (err)
		return err;
	h = b->header;
	err = kind_check(&h->kind, BROADCAST_KIND);
	if (err)
		return err;
	entries = atomic_load(&h->entries);
	if (!entries)
		return -ENODATA;
	err = set_layout(b, atomic_load(&h->size), entries);
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
	struct vmshm_broadcast *b = new_broadcast();
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
	if (b->writer && process_is(b->generation) &&
	    wait_is_possible(b->shm) != -ENODEV)
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

/* 0, or -errno if a call of the writer, or of a reader, is not possible */
static int check(struct vmshm_broadcast *b, bool writer)
{
	if (!process_is(b->generation))
		return -EPERM;
	if (b->writer != writer)
		return -EBADF;
	return atomic_load(&b->shm->gone) ? -ENODEV : 0;
}

API int vmshm_broadcast_reserve(struct vmshm_broadcast *b, void **data)
{
	int err = check(b, true);

	*data = NULL;
	if (err)
		return err;
	atomic_store(&entry_of(b)->sequence, 2 * b->next + 1);
	/* No byte of the entry is seen to change before the sequence number. */
	atomic_thread_fence(memory_order_release);
	*data = data_of(b);
	b->reserved = true;
	return 0;
}

API int vmshm_broadcast_publish(struct vmshm_broadcast *b, size_t size)
{
	struct entry *e = entry_of(b);
	int err = check(b, true);

	if (err)
		return err;
	if (!b->reserved)
		return -EINVAL;
	if (size > b->size)
		return -EMSGSIZE;
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

/* No entry is left: -EAGAIN if the writer is there, or has not come yet */
static int at_the_end(struct vmshm_broadcast *b)
{
	uint32_t seen = atomic_load(&b->seat.seen);

	if (!seat_left(seen))
		return -EAGAIN;
	if (atomic_load(&b->header->closed))
		return -EPIPE;
	/* Another writer may have come, and the thread has not seen it. */
	seen = atomic_load(&b->header->seat);
	if (!seat_taken(seen))
		return -ECONNRESET;
	atomic_store(&b->seat.seen, seen);
	return -EAGAIN;
}

/* Continues with the oldest entry that is not about to be overwritten. */
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

/* Whether the entry at b->next was not overwritten */
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

/* The error if the deadline leaves no time for another try; else 0 */
static int too_late(int64_t deadline)
{
	if (deadline == VMSHM_NOW)
		return -EAGAIN;
	return clock_passed(deadline) ? -ETIMEDOUT : 0;
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
		/* A hostile writer can keep this reader from ever sleeping. */
		err = too_late(deadline);
		if (err)
			return err;
		set_awake(b, false);
		/* The writer may have gone before awake was false. */
		err = at_the_end(b);
		if (err == -EAGAIN)
			waited = vmshm_wait(b->shm, offset, event, deadline);
		set_awake(b, true);
	}
}

API int vmshm_broadcast_peek(struct vmshm_broadcast *b, const void **data,
			     size_t *size, uint64_t *lost, int64_t deadline)
{
	int err = check(b, false);

	if (!err)
		err = wait_for_entry(b, size, deadline);
	if (lost)
		*lost = err ? 0 : b->lost;
	if (err) {
		*data = NULL;
		*size = 0;
		return err;
	}
	*data = data_of(b);
	b->peeked = true;
	return 0;
}

/* Advances to the next entry; false if the last one was overwritten. */
static bool leave_entry(struct vmshm_broadcast *b)
{
	bool good = unchanged(b);

	b->peeked = false;
	b->next++;
	return good;
}

API int vmshm_broadcast_release(struct vmshm_broadcast *b)
{
	if (!process_is(b->generation))
		return -EPERM;
	/* A writer also gets this error, because it has not peeked. */
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
		/* A newer entry is there; but the call has to end. */
		if (++overtaken >= OVERTAKEN_MOST)
			err = too_late(deadline);
	} while (!err);
	if (lost)
		*lost = 0;
	return err;
}
