// SPDX-License-Identifier: MIT
/*
 * Transport by a channel of libvmshm. The library copies matrices into the
 * channel and out of it; the service computes in the memory of the channel.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <vmshm/channel.h>

#include "transport.h"

#define SECOND 1000000000ll	/* nanoseconds */
#define LOOK 5

/* The service may need a moment to notice that the last client has left. */
#define BUSY_TRIES 200
static const struct timespec busy_pause = { .tv_nsec = 10000000 };

struct channel {
	struct transport t;
	struct vmshm_channel *ch;
};

static struct vmshm_channel *ch_of(struct transport *t)
{
	return ((struct channel *)t)->ch;
}

/* Checks every LOOK seconds, because truncation wakes no waiter. */
static int peek(struct transport *t, const void **data, size_t *size)
{
	int err;

	do
		err = vmshm_channel_peek(ch_of(t), data, size,
					 vmshm_deadline(LOOK * SECOND));
	while (err == -EINTR || err == -ETIMEDOUT);
	return err;
}

static int release(struct transport *t)
{
	return vmshm_channel_release(ch_of(t));
}

static int reserve(struct transport *t, void **data, size_t size)
{
	int err;

	do
		err = vmshm_channel_reserve(ch_of(t), data, size,
					    VMSHM_FOREVER);
	while (err == -EINTR);
	return err;
}

static int commit(struct transport *t, size_t size)
{
	return vmshm_channel_commit(ch_of(t), size);
}

static int send_pieces(struct transport *t, const struct piece *pieces,
		       int count)
{
	size_t size = pieces_size(pieces, count), row;
	void *to;
	int err, i;

	err = reserve(t, &to, size);
	if (err)
		return err;
	for (i = 0; i < count; i++)
		for (row = 0; row < pieces[i].rows; row++)
			to = mempcpy(to, (const char *)pieces[i].data +
				     row * pieces[i].stride, pieces[i].width);
	return commit(t, size);
}

static ssize_t recv_pieces(struct transport *t, const struct piece *pieces,
			   int count)
{
	const char *from;
	size_t size, left, row;
	int err, i;

	err = peek(t, (const void **)&from, &size);
	if (err)
		return err;
	if (size > pieces_size(pieces, count))
		return -EPROTO;
	left = size;
	for (i = 0; i < count; i++) {
		for (row = 0; row < pieces[i].rows && left; row++) {
			size_t part = pieces[i].width;

			if (part > left)
				part = left;
			memcpy((char *)pieces[i].data + row * pieces[i].stride,
			       from, part);
			from += part;
			left -= part;
		}
	}
	err = release(t);
	return err ? err : (ssize_t)size;
}

static int wait_for(struct transport *t, int seconds)
{
	int64_t deadline = vmshm_deadline(seconds * SECOND);
	const void *data;
	size_t size;
	int err;

	do
		err = vmshm_channel_peek(ch_of(t), &data, &size, deadline);
	while (err == -EINTR);
	return err;
}

static void close_channel(struct transport *t)
{
	vmshm_channel_close(ch_of(t));
	free(t);
}

/* @tries: 0: without a limit */
static int open_channel(struct transport **t, const char *name, size_t ring,
			mode_t mode, int tries)
{
	struct channel *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return -ENOMEM;
	for (;;) {
		err = vmshm_channel_open(&c->ch, NULL, name, ring, mode);
		if (err == -EINTR)
			continue;
		if (err != -EBUSY || --tries == 0)
			break;
		nanosleep(&busy_pause, NULL);
	}
	if (err) {
		free(c);
		return err;
	}
	c->t = (struct transport){
		.max = vmshm_channel_max(c->ch),
		.send = send_pieces,
		.recv = recv_pieces,
		.wait = wait_for,
		.peek = peek,
		.release = release,
		.reserve = reserve,
		.commit = commit,
		.close = close_channel,
	};
	*t = &c->t;
	return 0;
}

int channel_connect(struct transport **t, const char *address)
{
	return open_channel(t, address, 0, 0, BUSY_TRIES);
}

static int channel_accept(struct listener *l, struct transport **t)
{
	return open_channel(t, strchr(l->address, ':') + 1, l->max, 0600, 0);
}

/* Creates the object, so that a client that knows the address finds it. */
static int make(const char *name, size_t ring)
{
	struct vmshm_channel *ch;
	int err;

	err = vmshm_channel_open(&ch, NULL, name, ring, 0600);
	if (!err)
		vmshm_channel_close(ch);
	return err;
}

int channel_listen(struct listener *l, const char *address)
{
	struct vmshm *shm;
	int err;

	l->accept = channel_accept;
	/* Only to learn whether it exists */
	err = vmshm_open(&shm, NULL, address, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (err)
		return err == -EEXIST ? 0 : err;
	vmshm_close(shm);
	l->made = true;
	return make(address, l->max);
}

void channel_end(const char *address)
{
	vmshm_unlink(NULL, address);
}
