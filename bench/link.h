/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A connection of two parties over any transport, with the same calls and the
 * same code at both ends. A failure ends the program.
 */
#ifndef LINK_H
#define LINK_H

#include <stddef.h>

enum link_mode {
	LINK_SLEEP,	/* a waiter sleeps at once */
	LINK_LOOK,	/* it busy-polls for up to 50 us before that */
	LINK_FLAG,	/* and only a sleeping waiter is woken */
};

struct link {
	/* A whole message, of a size that both ends know */
	void (*send)(struct link *l, const void *data, size_t size);
	void (*recv)(struct link *l, void *data, size_t size);
	/* As above, in place, touching each cache line; NULL: not supported */
	void (*make)(struct link *l, size_t size);
	void (*use)(struct link *l, size_t size);
	/* Sets the way of waiting, both ends the same; NULL: not supported */
	void (*mode)(struct link *l, enum link_mode mode);
	void (*close)(struct link *l);
};

/*
 * The words describe the link; the last one is NULL. SIDE is 0 or 1; FILE is
 * shared memory:
 *
 *	listen ADDRESS		TCP; says "ready PORT"
 *	connect ADDRESS PORT
 *	unix PATH
 *	file PATH		as a virtio-serial port
 *	fd NUMBER		as a socket
 *	words HOW SIDE FILE	one message at a time, and a number that counts
 *				messages; HOW spin, futex or ioctl
 *	bell SIDE FILE EVENT OUT	the same; waits at the eventfd EVENT and
 *				writes to the eventfd OUT
 *	ring SIDE FILE		bytes in a ring, spinning
 *	channel HOW NAME	libvmshm's; HOW sleep, spin or both
 *
 * All but "listen" print "ready" if @say is set.
 */
struct link *link_open(char **words, int say);

#define LINK_MOST (1 << 20)	/* bytes of a message */
#define LINK_RING (4 << 20)	/* bytes of a ring buffer */
#define LINK_MEMORY (9 << 20)	/* the size of FILE */

/* The parts of link_open() */
struct link *link_listen(const char *address);
struct link *link_connect(const char *address, const char *port);
struct link *link_unix(const char *path);
struct link *link_file(const char *path);
struct link *link_fd(int fd);
struct link *link_words(const char *how, int side, const char *file);
struct link *link_bell(int side, const char *file, int event, int out);
struct link *link_ring(int side, const char *file);
struct link *link_channel(const char *how, const char *name);

/* As above, with a register as the bell, for the guest */
struct link *link_register(int side, void *memory, int event,
			   volatile unsigned int *bell, unsigned int value);

/* The memory of FILE; side 0 clears it. */
void *link_map(const char *file, int side, int *fd);

#define LINK_CHECK(cond)					\
	do {							\
		if (!(cond))					\
			link_die(__FILE__, __LINE__, #cond);	\
	} while (0)

void link_die(const char *file, int line, const char *cond)
	__attribute__((noreturn));

#endif /* LINK_H */
