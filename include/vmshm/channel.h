/* SPDX-License-Identifier: MIT */
/*
 * libvmshm's channel: two parties, each on the host or in a guest, send each
 * other messages, or bytes, through two ring buffers in one object. No other
 * process is involved. vmshm_channel(3) is the manual page.
 *
 * The peer is not trusted. Whatever the peer writes into the object, it can
 * only spoil the messages that it sends and receives. A process that can make
 * the object smaller can do more: a party that uses the object then gets SIGBUS
 * (in a guest it may see zeros instead), or waits without end. A guest can make
 * an object smaller only if its device has create=on.
 *
 * Memory that the caller passes stays the caller's, and no function keeps a
 * pointer to it. The memory that vmshm_channel_reserve() and
 * vmshm_channel_peek() return belongs to the channel.
 *
 * "Safety:" lines have the terms of vmshm.h, and these:
 *
 *	sender	one thread at a time may call the functions with this term
 *	receiver	one thread at a time may call the functions with this
 *		term, also while another thread calls a sender
 *	alone	no other thread may use the channel meanwhile
 *	EPERM	in a child of fork(2) the function returns EPERM and changes
 *		nothing; the child may call it even if the parent had threads
 *
 * A function without the term "signal" may not be called from a signal handler.
 */
#ifndef VMSHM_CHANNEL_H
#define VMSHM_CHANNEL_H

#include <vmshm/vmshm.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One party's end. It belongs to the caller until vmshm_channel_close(). */
struct vmshm_channel;

/*
 * Take one of the two seats at the channel @name. The first party prepares the
 * object and may send at once. @where is as in vmshm_open(). If @mode is not 0
 * and the object does not exist, it is created with these permissions, with
 * ring buffers of @ring bytes (0: 1 MiB; rounded up to a power of 2, 4096 at
 * least, 1 GiB at most). An existing object is used with the size that it has;
 * an object of 0 bytes is grown if @mode is not 0. An object is used only if it
 * already is a channel, or if all its bytes are zero: other contents are never
 * overwritten.
 *
 * When both parties have closed the channel or have died, the next two parties
 * begin with an empty channel.
 *
 *	EBUSY	two parties are connected; or one party has left and the other
 *		party has not closed the channel yet; or another process opens
 *		the channel at this moment
 *	EINVAL	the object has other contents, or a channel of another version
 *		of this library; or @ring is too large
 *	ENODATA	the object is smaller than 12 KiB
 *	EOPNOTSUPP	the device or the host kernel does not support waiting
 *	ETIMEDOUT	the first party did not prepare the object within one
 *		second
 *	ENOSPC	the guest holds 32 words through its device, or a user other
 *		than root holds 16; each open channel holds one word; or as
 *		vmshm_grow()
 *	ENOMEM	no memory, or no thread could be created
 *	others	as vmshm_open(), vmshm_grow(), vmshm_map()
 *
 * A channel has a thread, in which all signals are blocked. The channel is
 * *@ch, which vmshm_channel_close() releases.
 *
 * Safety: thread. A child of fork(2) may call it if it may call malloc(3).
 */
int vmshm_channel_open(struct vmshm_channel **ch, const char *where,
		       const char *name, size_t ring, mode_t mode);

/*
 * Close the channel. A peer that has joined can still receive the messages that
 * were sent. If no peer has joined, these messages are lost. NULL is allowed.
 * In a child of fork(2) the call releases the child's copy, and neither the
 * parent nor the peer is affected.
 * Safety: alone; fork, if the child may call free(3).
 */
void vmshm_channel_close(struct vmshm_channel *ch);

/*
 * The functions below that have a deadline share these errors:
 *
 *	EAGAIN	the call would block, and its deadline is VMSHM_NOW
 *	ETIMEDOUT	the deadline has passed
 *	EINTR	a signal handler was called while the call slept, not while it
 *		busy-polled; with SA_RESTART the call continues; on the host
 *		it does so only if it has no deadline
 *	EPIPE	the peer has closed the channel; a receiver has this error only
 *		if no message is left; a sender also has it after
 *		vmshm_channel_shutdown()
 *	ECONNRESET	the same, but the peer, or its VM, has died
 *	EPROTO	the peer has written invalid data; from then on all these
 *		functions but vmshm_channel_peer() return this error
 *	ENODEV	the device was unplugged, or its PCI function was reset; an
 *		access to the memory at that very time gets SIGBUS
 *	EPERM	the process is a child of the process that opened the channel
 *
 * A sender notices invalid data of the peer when the ring is full, a receiver
 * when it is empty.
 */

/*
 * Wait until the peer has joined. The peer may have left again since then. The
 * only errors are EAGAIN, ETIMEDOUT, EINTR, ENODEV and EPERM.
 * Safety: receiver, EPERM.
 */
int vmshm_channel_peer(struct vmshm_channel *ch, int64_t deadline);

/*
 * Return the size of the longest message: the size of a ring, minus 8.
 * Safety: thread, signal, fork.
 */
size_t vmshm_channel_max(const struct vmshm_channel *ch);

/*
 * Send a message, whole or not at all. @data may be NULL if @size is 0.
 * EMSGSIZE: the message is longer than vmshm_channel_max().
 * Safety: sender, EPERM.
 */
int vmshm_channel_send(struct vmshm_channel *ch, const void *data, size_t size,
		       int64_t deadline);

/*
 * Receive the next message, whole; returns its length. EMSGSIZE: the message is
 * longer than @size, and stays the next message.
 * Safety: receiver, EPERM.
 */
ssize_t vmshm_channel_recv(struct vmshm_channel *ch, void *data, size_t size,
			   int64_t deadline);

/*
 * Send the request of @length bytes, and receive the next message into @reply,
 * which has @size bytes; returns its length. If the peer sleeps, and the driver
 * supports it, one system call wakes the peer and waits for the reply. *@sent
 * is not 0 if the request was sent: vmshm_channel_recv() can then still receive
 * the reply after an error. EMSGSIZE: the request is longer than
 * vmshm_channel_max(); or the reply is longer than @size, and stays the next
 * message.
 * Safety: sender and receiver, EPERM.
 */
ssize_t vmshm_channel_call(struct vmshm_channel *ch, const void *request,
			   size_t length, void *reply, size_t size, int *sent,
			   int64_t deadline);

/* A message of a batch */
struct vmshm_message {
	/* The caller's memory, and its size (used when receiving) */
	void *data;
	size_t size;
	/* The length of the message (set when receiving) */
	size_t length;
};

/*
 * Send @count messages, in their order; returns how many were sent. The peer
 * sees them in batches, as many as there is room for, with one wake-up for each
 * batch. The result is less than @count only if the deadline passed or an error
 * occurred in between; then the next call returns the error. An error means
 * that no message was sent. EMSGSIZE: a message is longer than
 * vmshm_channel_max().
 * Safety: sender, EPERM.
 */
ssize_t vmshm_channel_sendv(struct vmshm_channel *ch,
			    const struct vmshm_message *messages, size_t count,
			    int64_t deadline);

/*
 * Receive up to @count messages; returns how many, at least 1 if @count is not
 * 0. The call waits for the first message only. EMSGSIZE: the first message is
 * longer than the memory for it; a later message that is too long ends the
 * batch.
 * Safety: receiver, EPERM.
 */
ssize_t vmshm_channel_recvv(struct vmshm_channel *ch,
			    struct vmshm_message *messages, size_t count,
			    int64_t deadline);

/*
 * Zero-copy sending: reserve room for a message of up to @size bytes, and send
 * the message with the length that it really has, at most @size. Without the
 * commit nothing is sent. The caller may write to the memory until the commit
 * or the next call with the term "sender".
 *
 * vmshm_channel_reserve() has the errors of vmshm_channel_send().
 * vmshm_channel_commit() does not wait, and has these errors:
 *
 *	EINVAL	nothing is reserved; or fewer than @size bytes are reserved, and
 *		stay reserved
 *	ENODEV	the device was unplugged
 *	EPERM	as above
 *
 * Safety: sender, EPERM.
 */
int vmshm_channel_reserve(struct vmshm_channel *ch, void **data, size_t size,
			  int64_t deadline);
int vmshm_channel_commit(struct vmshm_channel *ch, size_t size);

/*
 * Zero-copy receiving: get the address and the length of the next message, and
 * give its memory back to the peer. Before that the peer can change the
 * message: copy data before you validate it. The caller may read the memory
 * until the release or the next call that receives.
 *
 * vmshm_channel_peek() has the errors of vmshm_channel_recv() but EMSGSIZE.
 * vmshm_channel_release() does not wait, and has these errors:
 *
 *	EINVAL	there is nothing to release
 *	ENODEV	the device was unplugged
 *	EPERM	as above
 *
 * Safety: receiver, EPERM.
 */
int vmshm_channel_peek(struct vmshm_channel *ch, const void **data,
		       size_t *size, int64_t deadline);
int vmshm_channel_release(struct vmshm_channel *ch);

/*
 * A stream of bytes, without boundaries. Calls for messages and for streams can
 * be mixed. vmshm_channel_write() writes all @size bytes, and less only if the
 * deadline passed or an error occurred in between; then the next call returns
 * the error. vmshm_channel_read() returns at least one byte, up to @size; it
 * returns 0 at the end, where the other functions return EPIPE. Neither has
 * EMSGSIZE.
 * Safety: vmshm_channel_write(): sender, EPERM. vmshm_channel_read(): receiver,
 * EPERM.
 */
ssize_t vmshm_channel_write(struct vmshm_channel *ch, const void *data,
			    size_t size, int64_t deadline);
ssize_t vmshm_channel_read(struct vmshm_channel *ch, void *data, size_t size,
			   int64_t deadline);

/*
 * End the stream: this party sends nothing more, and the peer reads the end.
 * This party can still receive. A reserved message is not sent. A second call
 * changes nothing. Errors: ENODEV, EPERM.
 * Safety: sender, EPERM.
 */
int vmshm_channel_shutdown(struct vmshm_channel *ch);

/*
 * Wait until the peer has received, and released, all that was sent. The
 * function may be called after vmshm_channel_shutdown().
 * Safety: sender, EPERM.
 */
int vmshm_channel_drain(struct vmshm_channel *ch, int64_t deadline);

/*
 * Set how long a call busy-polls before it sleeps, in nanoseconds: 0 never,
 * VMSHM_FOREVER always. Busy-polling uses the CPU and saves the time of falling
 * asleep. The default is 50 us, with back-off while it does not help. In a
 * guest the driver may busy-poll, too, see vmshm(4).
 *
 * A party that busy-polls and is faster than its peer first pauses, for up to
 * 64 pause instructions of the processor, so that more than one message, or
 * more room, becomes available at a time. A party that has sent a message since
 * it last waited for one does not pause. 0 also turns the pauses off.
 * Safety: alone; in a child of fork(2) the call has no effect on the parent.
 */
void vmshm_channel_spin(struct vmshm_channel *ch, int64_t nanoseconds);

/*
 * For event loops: the file descriptor is readable when a message has arrived,
 * or when the peer has joined or has left. Then receive with VMSHM_NOW. The
 * file descriptor is only for poll(2) and the like; do not read from it. It
 * belongs to the channel, which closes it. vmshm_channel_arm() has to be called
 * before each poll(): it returns 0, or 1 if there is no need to poll. Errors as
 * vmshm_poll_fd() and vmshm_poll_arm().
 * Safety: receiver, EPERM.
 */
int vmshm_channel_fd(struct vmshm_channel *ch);
int vmshm_channel_arm(struct vmshm_channel *ch);

#ifdef __cplusplus
}
#endif

#endif /* VMSHM_CHANNEL_H */
