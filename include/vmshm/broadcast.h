/* SPDX-License-Identifier: MIT */
/*
 * libvmshm's broadcast: one writer and any number of readers, each on the host
 * or in a guest, with one object. The writer never waits: a reader that is
 * too slow loses the oldest entries, and is told how many.
 *
 * Readers need no right to write. One that has it, and is hostile, can spoil
 * the entries for all: give guests that only read a device with readonly=on.
 *
 * Threads: one struct vmshm_broadcast is one thread's, and not for the child
 * of a fork(). Each reader opens its own.
 */
#ifndef VMSHM_BROADCAST_H
#define VMSHM_BROADCAST_H

#include <vmshm/vmshm.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vmshm_broadcast;

/*
 * Become the writer. @where: as for vmshm_open(). The object is made if there
 * is none, with the rights of @mode and room for @entries (2 at least) of up to
 * @size bytes each. One that was a broadcast before goes on, if it has the same
 * @entries and @size; readers that are there see no gap.
 *	EBUSY	it has a writer
 *	EINVAL	the object has something else in it
 *	others	as vmshm_open(), vmshm_grow(), vmshm_map()
 */
int vmshm_broadcast_create(struct vmshm_broadcast **b, const char *where,
			   const char *name, size_t size, uint32_t entries,
			   mode_t mode);

/*
 * Become a reader, of what is written from now on. Errors as vmshm_open(), and
 *	EINVAL	the object has something else in it
 *	ENODATA	it has no writer yet
 */
int vmshm_broadcast_open(struct vmshm_broadcast **b, const char *where,
			 const char *name);

/* Readers see the end. NULL is nothing. */
void vmshm_broadcast_close(struct vmshm_broadcast *b);

/* The most bytes that an entry can have */
size_t vmshm_broadcast_max(const struct vmshm_broadcast *b);

/*
 * Writer: where the next entry is to be made, which readers do not see before
 * it is published; and a copy in one step.
 *	EMSGSIZE	more than the most
 *	EINVAL	nothing was reserved
 *	EBADF	this is no writer
 *	ENODEV	the device was unplugged
 */
int vmshm_broadcast_reserve(struct vmshm_broadcast *b, void **data);
int vmshm_broadcast_publish(struct vmshm_broadcast *b, size_t size);
int vmshm_broadcast_send(struct vmshm_broadcast *b, const void *data,
			 size_t size);

/*
 * Reader: a copy of the next entry; its length. @lost (or NULL) is how many
 * entries before it were overwritten unread.
 *	EAGAIN, ETIMEDOUT	nothing new (until the deadline); or 1000 times
 *		in this call the entry was overwritten while it was copied
 *	EMSGSIZE	it is longer than @size, and can be asked for again
 *	EPIPE	the writer has closed, and all was read
 *	ECONNRESET	the same, but it did not close: it was killed, or its
 *		virtual machine was
 *	EPROTO	the writer has written nonsense
 *	EINTR, ENODEV	as vmshm_wait()
 *	EBADF	this is the writer
 */
ssize_t vmshm_broadcast_recv(struct vmshm_broadcast *b, void *data,
			     size_t size, uint64_t *lost, int64_t deadline);

/*
 * Without copying: the entry where it is. It can be overwritten at any time:
 * release() says whether it was (EOVERFLOW: what was seen is worth nothing).
 */
int vmshm_broadcast_peek(struct vmshm_broadcast *b, const void **data,
			 size_t *size, uint64_t *lost, int64_t deadline);
int vmshm_broadcast_release(struct vmshm_broadcast *b);

#ifdef __cplusplus
}
#endif

#endif /* VMSHM_BROADCAST_H */
