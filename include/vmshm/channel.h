/* SPDX-License-Identifier: MIT */
/*
 * libvmshm's channel: two parties, each on the host or in a guest, send each
 * other messages, or bytes, through one object. Nothing else runs in between.
 *
 * The peer is not trusted: whatever it writes into the object, it can only
 * harm what it sends and what it is sent. (Who may make an object smaller can
 * do worse: SIGBUS, and waits that nobody ends any more. A guest may only with
 * create=on at its device.)
 *
 * Threads: one may send (reserve, write, drain, ...) while another one receives
 * (peek, read, peer, arm, ...). A channel is not for the child of a fork().
 */
#ifndef VMSHM_CHANNEL_H
#define VMSHM_CHANNEL_H

#include <vmshm/vmshm.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vmshm_channel;

/*
 * Take one of the two seats at the channel @name. Who comes first prepares it
 * and may already send. @where: as for vmshm_open(). @mode: not 0: make the
 * object if there is none, with room for @ring bytes in each direction (0: 1
 * MiB; rounded up to a power of 2, 4096 at least, 1 GiB at most) and these
 * rights. An object that is there already decides by its own size.
 *
 * When both have left, by closing or dying, the next two begin anew, with an
 * empty channel.
 *	EBUSY	both seats are taken, or one was and the other one is still;
 *		or somebody else is opening it at the moment
 *	EINVAL	the object has something else in it, or a channel of another
 *		version of this library; or @ring is too large
 *	ENODATA	the object is smaller than 12 KiB
 *	EOPNOTSUPP	no waiting and waking here
 *	ETIMEDOUT	who came first does not get ready; for a second
 *	ENOSPC	the guest has 32 channels open through its device
 *	others	as vmshm_open(), vmshm_grow(), vmshm_map()
 */
int vmshm_channel_open(struct vmshm_channel **ch, const char *where,
		       const char *name, size_t ring, mode_t mode);

/*
 * What was sent can still be received by the peer, if it is there already: what
 * one leaves behind who was alone is lost. NULL is nothing.
 */
void vmshm_channel_close(struct vmshm_channel *ch);

/*
 * All that follow give these errors besides their own:
 *	EAGAIN	it cannot be done now (deadline VMSHM_NOW)
 *	ETIMEDOUT	... nor could it until the deadline
 *	EINTR	a signal arrived while it slept, not while it spins; with
 *		SA_RESTART the call goes on, on the host if it has no deadline
 *	EPIPE	the peer has closed; of receiving: and nothing is left
 *	ECONNRESET	the same, but it did not close: it was killed, or its
 *		virtual machine was
 *	EPROTO	the peer has written nonsense; all that sends, receives or waits
 *		for one of these says so from then on
 *	ENODEV	the device was unplugged; what touches the memory just then
 *		gets SIGBUS
 */

/* Until the peer is there, too (or was: what it sent is there) */
int vmshm_channel_peer(struct vmshm_channel *ch, int64_t deadline);

/* The longest message, in bytes: what a ring has, less 8 */
size_t vmshm_channel_max(const struct vmshm_channel *ch);

/* A message, whole or not at all; EMSGSIZE: longer than the longest */
int vmshm_channel_send(struct vmshm_channel *ch, const void *data, size_t size,
		       int64_t deadline);

/*
 * The next message, whole; its length. EMSGSIZE: it is longer than @size, and
 * can be asked for again.
 */
ssize_t vmshm_channel_recv(struct vmshm_channel *ch, void *data, size_t size,
			   int64_t deadline);

/*
 * Without copying: room for a message of up to @size bytes, and its sending
 * with what it has really become, at most that. Nothing is sent without it.
 */
int vmshm_channel_reserve(struct vmshm_channel *ch, void **data, size_t size,
			  int64_t deadline);
int vmshm_channel_commit(struct vmshm_channel *ch, size_t size);

/*
 * Without copying: the next message where it is, and giving it back. The peer
 * can change it until then: what is checked has to be copied first.
 */
int vmshm_channel_peek(struct vmshm_channel *ch, const void **data,
		       size_t *size, int64_t deadline);
int vmshm_channel_release(struct vmshm_channel *ch);

/*
 * As a stream, without boundaries; both kinds of call can be mixed. Write: all
 * of it; less only if the deadline or an error came in between, and that is
 * said by the next call. Read: at least one byte, up to @size; 0 at the end,
 * where the others say EPIPE.
 */
ssize_t vmshm_channel_write(struct vmshm_channel *ch, const void *data,
			    size_t size, int64_t deadline);
ssize_t vmshm_channel_read(struct vmshm_channel *ch, void *data, size_t size,
			   int64_t deadline);

/* Send nothing more: the peer reads the end. Receiving goes on. */
int vmshm_channel_shutdown(struct vmshm_channel *ch);

/*
 * Until the peer has received all that was sent, and released what it peeked
 * at; also after a shutdown.
 */
int vmshm_channel_drain(struct vmshm_channel *ch, int64_t deadline);

/*
 * How long to look for what is waited for, in nanoseconds, before sleeping: 0
 * never, VMSHM_FOREVER always. Without it 50 us, where that has helped lately.
 * It burns the processor, and saves the time of falling asleep. (In a guest the
 * driver may look, too, see vmshm(4).)
 */
void vmshm_channel_spin(struct vmshm_channel *ch, int64_t nanoseconds);

/*
 * For event loops. The file descriptor (never to be read) is readable once
 * something can be received, or the peer has come, or is gone: so receive with
 * VMSHM_NOW after it. arm() has to be called before each poll(): 0, or 1 if
 * there is no need to poll.
 */
int vmshm_channel_fd(struct vmshm_channel *ch);
int vmshm_channel_arm(struct vmshm_channel *ch);

#ifdef __cplusplus
}
#endif

#endif /* VMSHM_CHANNEL_H */
