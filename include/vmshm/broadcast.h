/* SPDX-License-Identifier: MIT */
/*
 * libvmshm's broadcast: one writer and any number of readers, each on the host
 * or in a guest, with one object. The writer never waits: a reader that is too
 * slow loses the oldest entries and learns how many. vmshm_broadcast(3) is the
 * manual page.
 *
 * A reader needs no permission to write. A hostile reader that has this
 * permission can spoil the entries for all readers: guests that only read
 * should have a device with readonly=on.
 *
 * Memory that the caller passes stays the caller's, and no function keeps a
 * pointer to it. The memory that vmshm_broadcast_reserve() and
 * vmshm_broadcast_peek() return belongs to the broadcast.
 *
 * "Safety:" lines have the terms of vmshm.h, and these:
 *
 *	single	one thread at a time may call functions with the same struct
 *		vmshm_broadcast
 *	EPERM	in a child of fork(2) the function returns EPERM and changes
 *		nothing; the child may call it even if the parent had threads
 *
 * A function without the term "signal" may not be called from a signal handler.
 */
#ifndef VMSHM_BROADCAST_H
#define VMSHM_BROADCAST_H

#include <vmshm/vmshm.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The writer or a reader. It belongs to the caller until it is closed. */
struct vmshm_broadcast;

/*
 * Become the writer of the broadcast @name. @where is as in vmshm_open(). If
 * the object does not exist, it is created with the permissions @mode and room
 * for @entries (2 at least) of up to @size bytes each. An existing broadcast is
 * continued if it has the same @entries and @size; its readers see no gap.
 * An object is used only if it already is a broadcast, or if all its bytes are
 * zero: other contents are never overwritten.
 *
 *	EBUSY	the broadcast already has a writer
 *	EINVAL	the object has other contents, is too small, or has other
 *		@entries or another @size; or these arguments are too large
 *	ENOSPC	the guest holds 32 words through its device, or a user other
 *		than root holds 16; each writer holds one word
 *	EOPNOTSUPP	the device or the host kernel does not support waiting
 *	ENOMEM	no memory, or no thread could be created
 *	others	as vmshm_open(), vmshm_grow(), vmshm_map()
 *
 * Each writer and each reader has a thread, in which all signals are blocked.
 * The broadcast is *@b, which vmshm_broadcast_close() releases.
 *
 * Safety: thread. A child of fork(2) may call it if it may call malloc(3).
 */
int vmshm_broadcast_create(struct vmshm_broadcast **b, const char *where,
			   const char *name, size_t size, uint32_t entries,
			   mode_t mode);

/*
 * Become a reader, of the entries that are published from now on. *@b is as
 * above.
 *
 *	EINVAL	the object has other contents
 *	ENODATA	no writer has prepared the object yet
 *	ENOMEM	no memory, or no thread could be created
 *	others	as vmshm_open(), vmshm_map()
 *
 * Safety: thread. A child of fork(2) may call it if it may call malloc(3).
 */
int vmshm_broadcast_open(struct vmshm_broadcast **b, const char *where,
			 const char *name);

/*
 * Close the broadcast. If @b is the writer, the readers get EPIPE when they
 * have read all entries. NULL is allowed. In a child of fork(2) the call
 * releases the child's copy, and neither the parent nor the readers are
 * affected.
 * Safety: single; fork, if the child may call free(3).
 */
void vmshm_broadcast_close(struct vmshm_broadcast *b);

/*
 * Return the maximum length of an entry.
 * Safety: thread, signal, fork.
 */
size_t vmshm_broadcast_max(const struct vmshm_broadcast *b);

/*
 * Writer: vmshm_broadcast_reserve() gives the memory of the next entry, which
 * readers do not see before vmshm_broadcast_publish(). The caller may write to
 * the memory until then; after EMSGSIZE the entry is still reserved.
 * vmshm_broadcast_send() copies an entry and publishes it; @data may be NULL if
 * @size is 0. None of these functions waits.
 *
 *	EMSGSIZE	@size is more than vmshm_broadcast_max()
 *	EINVAL	no entry is reserved
 *	EBADF	this is a reader
 *	ENODEV	the device was unplugged
 *	EPERM	the process is a child of the process that opened the broadcast
 *
 * Safety: single, EPERM.
 */
int vmshm_broadcast_reserve(struct vmshm_broadcast *b, void **data);
int vmshm_broadcast_publish(struct vmshm_broadcast *b, size_t size);
int vmshm_broadcast_send(struct vmshm_broadcast *b, const void *data,
			 size_t size);

/*
 * Reader: copy the next entry; returns its length. *@lost (@lost may be NULL)
 * is the number of entries after the previous one that were overwritten before
 * this reader had read them.
 *
 *	EAGAIN	there is no new entry, and the deadline is VMSHM_NOW; or the
 *		entry was overwritten 1000 times while the call copied it
 *	ETIMEDOUT	the same, and the deadline has passed
 *	EMSGSIZE	the entry is longer than @size; it stays the next one
 *	EPIPE	the writer has closed, and all entries were read
 *	ECONNRESET	the same, but the writer, or its VM, has died
 *	EPROTO	the writer has written invalid data
 *	EINTR, EOPNOTSUPP, ENODEV	as vmshm_wait()
 *	EBADF	this is the writer
 *	EPERM	the process is a child of the process that opened the broadcast
 *
 * Safety: single, EPERM.
 */
ssize_t vmshm_broadcast_recv(struct vmshm_broadcast *b, void *data,
			     size_t size, uint64_t *lost, int64_t deadline);

/*
 * Zero-copy reading: get the address and the length of the next entry. The
 * writer can overwrite it at any time. The caller may read the memory until the
 * release or the next call. vmshm_broadcast_peek() has the errors of
 * vmshm_broadcast_recv() but EMSGSIZE. vmshm_broadcast_release() does not wait,
 * and has these errors:
 *
 *	EOVERFLOW	the writer has overwritten the entry: discard the data
 *		that was read
 *	EINVAL	there is nothing to release
 *	ENODEV, EPERM	as above
 *
 * Safety: single, EPERM.
 */
int vmshm_broadcast_peek(struct vmshm_broadcast *b, const void **data,
			 size_t *size, uint64_t *lost, int64_t deadline);
int vmshm_broadcast_release(struct vmshm_broadcast *b);

#ifdef __cplusplus
}
#endif

#endif /* VMSHM_BROADCAST_H */
