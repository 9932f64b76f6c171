// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Transports that are file descriptors: sockets and virtio-serial. Small
 * messages are read many at a time, as a sensible program does.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "link.h"

#define BUFFER (64 << 10)

struct stream {
	struct link link;
	int fd;
	size_t at, end;		/* bytes that were read and not yet returned */
	char buffer[BUFFER];
};

static size_t read_some(int fd, char *data, size_t size)
{
	ssize_t got = read(fd, data, size);

	LINK_CHECK(got > 0);
	return got;
}

static void stream_send(struct link *l, const void *data, size_t size)
{
	struct stream *s = (struct stream *)l;
	const char *p = data;

	while (size) {
		ssize_t done = write(s->fd, p, size);

		LINK_CHECK(done > 0);
		p += done;
		size -= done;
	}
}

static void stream_recv(struct link *l, void *data, size_t size)
{
	struct stream *s = (struct stream *)l;
	char *p = data;

	while (size) {
		size_t n = s->end - s->at;

		if (!n && size >= BUFFER) {
			n = read_some(s->fd, p, size);
		} else {
			if (!n) {
				s->at = 0;
				s->end = read_some(s->fd, s->buffer, BUFFER);
				n = s->end;
			}
			n = n < size ? n : size;
			memcpy(p, s->buffer + s->at, n);
			s->at += n;
		}
		p += n;
		size -= n;
	}
}

static void stream_close(struct link *l)
{
	struct stream *s = (struct stream *)l;

	close(s->fd);
	free(s);
}

struct link *link_fd(int fd)
{
	struct stream *s = calloc(1, sizeof(*s));

	LINK_CHECK(s && fd >= 0);
	s->link.send = stream_send;
	s->link.recv = stream_recv;
	s->link.close = stream_close;
	s->fd = fd;
	return &s->link;
}

struct link *link_file(const char *path)
{
	return link_fd(open(path, O_RDWR | O_CLOEXEC));
}

struct link *link_unix(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	LINK_CHECK(strlen(path) < sizeof(to.sun_path));
	strcpy(to.sun_path, path);
	LINK_CHECK(!connect(fd, (struct sockaddr *)&to, sizeof(to)));
	return link_fd(fd);
}

static struct sockaddr_in inet(const char *address, int port)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET, .sin_port = htons(port),
	};

	LINK_CHECK(inet_pton(AF_INET, address, &in.sin_addr) == 1);
	return in;
}

static struct link *tcp(int fd)
{
	int one = 1;

	LINK_CHECK(!setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one,
			       sizeof(one)));
	return link_fd(fd);
}

struct link *link_listen(const char *address)
{
	struct sockaddr_in in = inet(address, 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one;
	socklen_t len = sizeof(in);

	LINK_CHECK(!bind(fd, (struct sockaddr *)&in, sizeof(in)));
	LINK_CHECK(!listen(fd, 1));
	LINK_CHECK(!getsockname(fd, (struct sockaddr *)&in, &len));
	printf("ready %d\n", ntohs(in.sin_port));
	fflush(stdout);
	one = accept(fd, NULL, NULL);
	LINK_CHECK(one >= 0);
	close(fd);
	return tcp(one);
}

struct link *link_connect(const char *address, const char *port)
{
	struct sockaddr_in in = inet(address, atoi(port));
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	LINK_CHECK(!connect(fd, (struct sockaddr *)&in, sizeof(in)));
	return tcp(fd);
}
