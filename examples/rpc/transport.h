/* SPDX-License-Identifier: MIT */
/*
 * How messages get from one party to the other: by a channel of libvmshm, or by
 * TCP for comparison. All that is said about a call is the same for both.
 *
 * An address is "vmshm:/NAME" or "tcp:HOST:PORT". Errors are negative errnos.
 * A signal interrupts nothing.
 */
#ifndef RPC_TRANSPORT_H
#define RPC_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Rows of bytes with gaps between them, as a matrix has */
struct piece {
	void *data;
	size_t rows;
	size_t width;
	size_t stride;	/* from one row to the next */
};

struct transport {
	/* The longest message, bytes */
	size_t max;

	/* A message from what the program has: each byte is copied once. */
	int (*send)(struct transport *t, const struct piece *pieces, int count);
	/* A message into it; its length, EPROTO if there is no room for it. */
	ssize_t (*recv)(struct transport *t, const struct piece *pieces,
			int count);
	/* Until there is something to receive, or ETIMEDOUT */
	int (*wait)(struct transport *t, int seconds);

	/* A message where it is. The peer may change it until the release. */
	int (*peek)(struct transport *t, const void **data, size_t *size);
	int (*release)(struct transport *t);
	/* A message that is made in its place, at a multiple of 8 */
	int (*reserve)(struct transport *t, void **data, size_t size);
	int (*commit)(struct transport *t, size_t size);

	/* In good order */
	void (*close)(struct transport *t);
	/* In a child of fork(), to whom it does not belong */
	void (*forget)(struct transport *t);
};

/* The client's end. EBUSY: another client is there. */
int transport_connect(struct transport **t, const char *address);

/* The service's end of one address: one client after the other */
struct listener {
	int (*accept)(struct listener *l, struct transport **t);
	/* The address; with the port that the kernel has chosen for 0 */
	char address[300];
	/* The longest message, or the channel's ring that is made for it */
	size_t max;
	/* TCP's socket; whether the channel's object was made here */
	int fd;
	bool made;
};

int transport_listen(struct listener *l, const char *address, size_t max);
/* Also removes what was made. */
void transport_end(struct listener *l);

/* Of each kind; transport.c calls them. What follows the colon is @address. */
int channel_connect(struct transport **t, const char *address);
int channel_listen(struct listener *l, const char *address);
void channel_end(const char *address);
int tcp_connect(struct transport **t, const char *address);
int tcp_listen(struct listener *l, const char *address);

/* All bytes of the pieces */
size_t pieces_size(const struct piece *pieces, int count);

#endif /* RPC_TRANSPORT_H */
