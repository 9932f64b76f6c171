// SPDX-License-Identifier: MIT
/*
 * Transport by TCP: a message is its length in 8 bytes, followed by its bytes.
 * The kernel copies them from and to the memory of the program, with one call
 * for all available bytes.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport.h"

#define HEAD sizeof(uint64_t)
/* Rows in one call, and bytes that are read before the length is known */
#define ROWS 64
#define FIRST 65536u

struct buffer {
	char *data;
	size_t size;
};

struct tcp {
	struct transport t;
	int fd;
	/* The message in peek or reserve, after its length */
	struct buffer in, out;
	/* Bytes of it that have arrived */
	size_t there;
};

static struct tcp *tcp_of(struct transport *t)
{
	return (struct tcp *)t;
}

static int grow(struct buffer *b, size_t size)
{
	char *data;

	if (size <= b->size)
		return 0;
	data = realloc(b->data, size);
	if (!data)
		return -ENOMEM;
	*b = (struct buffer){ data, size };
	return 0;
}

/* Lists the bytes of the pieces from @skip on; returns the number of rows */
static int rows_from(struct iovec *iov, const struct piece *p, int count,
		     size_t skip)
{
	int used = 0;
	size_t row;

	for (; count; p++, count--) {
		if (skip >= p->rows * p->width) {
			skip -= p->rows * p->width;
			continue;
		}
		row = skip / p->width;
		skip %= p->width;
		for (; row < p->rows && used < ROWS; row++, used++) {
			iov[used].iov_base = (char *)p->data +
					     row * p->stride + skip;
			iov[used].iov_len = p->width - skip;
			skip = 0;
		}
	}
	return used;
}

static ssize_t once(struct tcp *tcp, const struct piece *pieces, int count,
		    size_t skip, bool out)
{
	struct iovec iov[ROWS];
	struct msghdr m = {
		.msg_iov = iov,
		.msg_iovlen = rows_from(iov, pieces, count, skip),
	};
	ssize_t done;

	do
		done = out ? sendmsg(tcp->fd, &m, MSG_NOSIGNAL) :
			     recvmsg(tcp->fd, &m, 0);
	while (done < 0 && errno == EINTR);
	if (done < 0)
		return -errno;
	return done || out ? done : -EPIPE;
}

/* A piece without gaps is one row. */
static void with_length(struct piece *to, uint64_t *length,
			const struct piece *from, int count)
{
	int i;

	to[0] = (struct piece){ length, 1, HEAD, HEAD };
	for (i = 0; i < count; i++) {
		to[i + 1] = from[i];
		if (from[i].stride == from[i].width) {
			to[i + 1].width *= from[i].rows;
			to[i + 1].rows = 1;
		}
	}
}

static int send_pieces(struct transport *t, const struct piece *pieces,
		       int count)
{
	uint64_t length = pieces_size(pieces, count);
	struct piece all[count + 1];
	size_t sent = 0;

	with_length(all, &length, pieces, count);
	while (sent < HEAD + length) {
		ssize_t done = once(tcp_of(t), all, count + 1, sent, true);

		if (done < 0)
			return done;
		sent += done;
	}
	return 0;
}

static ssize_t recv_pieces(struct transport *t, const struct piece *pieces,
			   int count)
{
	uint64_t length = 0;
	struct piece all[count + 1];
	size_t got = 0;

	with_length(all, &length, pieces, count);
	while (got < HEAD || got < HEAD + length) {
		ssize_t done = once(tcp_of(t), all, count + 1, got, false);

		if (done < 0)
			return done;
		got += done;
		if (got >= HEAD && length > pieces_size(pieces, count))
			return -EPROTO;
	}
	/* At most one message is in transit. */
	return got == HEAD + length ? (ssize_t)length : -EPROTO;
}

static int wait_for(struct transport *t, int seconds)
{
	struct pollfd p = { .fd = tcp_of(t)->fd, .events = POLLIN };
	int n;

	do
		n = poll(&p, 1, seconds * 1000);
	while (n < 0 && errno == EINTR);
	return n ? 0 : -ETIMEDOUT;
}

static int peek(struct transport *t, const void **data, size_t *size)
{
	struct tcp *tcp = tcp_of(t);
	uint64_t length = 0;

	while (tcp->there < HEAD + length) {
		ssize_t done;
		struct piece p;
		int err;

		err = grow(&tcp->in, length ? HEAD + length : FIRST);
		if (err)
			return err;
		p = (struct piece){ tcp->in.data, 1, tcp->in.size, 0 };
		done = once(tcp, &p, 1, tcp->there, false);
		if (done < 0)
			return done;
		tcp->there += done;
		if (tcp->there < HEAD)
			continue;
		memcpy(&length, tcp->in.data, HEAD);
		if (length > t->max)
			return -EPROTO;
	}
	if (tcp->there > HEAD + length)
		return -EPROTO;
	*data = tcp->in.data + HEAD;
	*size = length;
	return 0;
}

static int release(struct transport *t)
{
	tcp_of(t)->there = 0;
	return 0;
}

static int reserve(struct transport *t, void **data, size_t size)
{
	struct tcp *tcp = tcp_of(t);
	int err;

	if (size > t->max)
		return -EMSGSIZE;
	err = grow(&tcp->out, HEAD + size);
	*data = tcp->out.data + HEAD;
	return err;
}

static int commit(struct transport *t, size_t size)
{
	struct tcp *tcp = tcp_of(t);
	struct piece p = { tcp->out.data + HEAD, 1, size, 0 };

	return send_pieces(t, &p, 1);
}

/* The connection lasts until its last descriptor is closed. */
static void close_tcp(struct transport *t)
{
	struct tcp *tcp = tcp_of(t);

	close(tcp->fd);
	free(tcp->in.data);
	free(tcp->out.data);
	free(tcp);
}

static int from_socket(struct transport **t, int fd, size_t max)
{
	struct tcp *tcp = calloc(1, sizeof(*tcp));
	int one = 1;

	if (!tcp) {
		close(fd);
		return -ENOMEM;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	tcp->fd = fd;
	tcp->t = (struct transport){
		.max = max,
		.send = send_pieces,
		.recv = recv_pieces,
		.wait = wait_for,
		.peek = peek,
		.release = release,
		.reserve = reserve,
		.commit = commit,
		.close = close_tcp,
	};
	*t = &tcp->t;
	return 0;
}

/* Resolves HOST:PORT; the caller calls freeaddrinfo(); NULL: failed */
static struct addrinfo *resolve(const char *address)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	const char *port = strrchr(address, ':');
	struct addrinfo *found = NULL;
	char host[256];

	if (!port || port - address >= (ptrdiff_t)sizeof(host))
		return NULL;
	snprintf(host, sizeof(host), "%.*s", (int)(port - address), address);
	return getaddrinfo(host, port + 1, &hints, &found) ? NULL : found;
}

static int new_socket(const struct addrinfo *to)
{
	return socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

int tcp_connect(struct transport **t, const char *address)
{
	struct addrinfo *to = resolve(address);
	int fd, err = 0;

	if (!to)
		return -EINVAL;
	fd = new_socket(to);
	if (fd < 0 || connect(fd, to->ai_addr, to->ai_addrlen))
		err = -errno;
	freeaddrinfo(to);
	if (!err)
		return from_socket(t, fd, UINT32_MAX);
	if (fd >= 0)
		close(fd);
	return err;
}

static int tcp_accept(struct listener *l, struct transport **t)
{
	int fd;

	do
		fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
	while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
	return fd < 0 ? -errno : from_socket(t, fd, l->max);
}

/* Replaces port 0 in the address by the port that the kernel has chosen */
static void tell_port(struct listener *l)
{
	struct sockaddr_in6 in;
	socklen_t length = sizeof(in);
	char *port = strrchr(l->address, ':') + 1;

	getsockname(l->fd, (struct sockaddr *)&in, &length);
	snprintf(port, l->address + sizeof(l->address) - port, "%u",
		 ntohs(in.sin6_port));
}

int tcp_listen(struct listener *l, const char *address)
{
	struct addrinfo *to = resolve(address);
	int one = 1, err = 0;

	if (!to)
		return -EINVAL;
	l->accept = tcp_accept;
	l->fd = new_socket(to);
	if (l->fd < 0 ||
	    setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(l->fd, to->ai_addr, to->ai_addrlen) || listen(l->fd, 1))
		err = -errno;
	freeaddrinfo(to);
	if (!err)
		tell_port(l);
	return err;
}
