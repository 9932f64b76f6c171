/* SPDX-License-Identifier: MIT */
/*
 * The transport of messages: a channel of libvmshm, or TCP for comparison. The
 * protocol is the same for both transports.
 *
 * An address is "vmshm:/NAME" or "tcp:HOST:PORT". Errors are negative errnos.
 * No call is interrupted by a signal.
 */
#ifndef RPC_TRANSPORT_H
#define RPC_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Rows of bytes with gaps between them, as in a matrix */
struct piece {
	void *data;
	size_t rows;
	size_t width;
	size_t stride;	/* from one row to the next */
};

struct transport {
	/* The longest message, bytes */
	size_t max;

	/* Sends a message from the program's memory; copies each byte once. */
	int (*send)(struct transport *t, const struct piece *pieces, int count);
	/* Receives a message; its length. EPROTO: it does not fit. */
	ssize_t (*recv)(struct transport *t, const struct piece *pieces,
			int count);
	/* Waits until there is a message, or ETIMEDOUT */
	int (*wait)(struct transport *t, int seconds);

	/* A message in place. The peer may change it until the release. */
	int (*peek)(struct transport *t, const void **data, size_t *size);
	int (*release)(struct transport *t);
	/* Memory for a message, at a multiple of 8 */
	int (*reserve)(struct transport *t, void **data, size_t size);
	int (*commit)(struct transport *t, size_t size);

	/*
	 * Closes the connection; the peer sees an end. In a child of fork() it
	 * releases the child's copy only.
	 */
	void (*close)(struct transport *t);
};

/* The client's end. EBUSY: the service has another client. */
int transport_connect(struct transport **t, const char *address);

/* The service's end of one address: one client after the other */
struct listener {
	int (*accept)(struct listener *l, struct transport **t);
	/* The address; with the port that the kernel has chosen for 0 */
	char address[300];
	/* The longest message; determines the ring of a new channel */
	size_t max;
	/* The socket of TCP; whether the channel's object was created here */
	int fd;
	bool made;
};

int transport_listen(struct listener *l, const char *address, size_t max);
/* Also removes a created object. */
void transport_end(struct listener *l);

/* For each kind; transport.c calls them. @address is after the colon. */
int channel_connect(struct transport **t, const char *address);
int channel_listen(struct listener *l, const char *address);
void channel_end(const char *address);
int tcp_connect(struct transport **t, const char *address);
int tcp_listen(struct listener *l, const char *address);

/* The number of bytes in all pieces */
size_t pieces_size(const struct piece *pieces, int count);

#endif /* RPC_TRANSPORT_H */
