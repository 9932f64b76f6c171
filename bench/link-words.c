// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The minimum in shared memory: a message, and a number that counts messages. A
 * waiter for the number either busy-polls it, or sleeps: in futex(2) on the
 * host and in the ioctl in the guest, or until a bell rings, which is an
 * eventfd.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vmshm/ioctl.h>

#include "b.h"
#include "link.h"

#define MOST 64
#define LOOK 50.0	/* microseconds */
#define LOOKS 32	/* between two readings of the clock */
#define SKIP_MOST 63

struct box {
	_Alignas(64) uint32_t count;
	_Alignas(64) uint32_t sleeps;	/* the receiver, with LINK_FLAG */
	_Alignas(64) char data[MOST];
};

struct words {
	struct link link;
	void (*wait)(struct words *w, uint32_t count);
	void (*wake)(struct words *w);
	struct box *in, *out;
	enum link_mode mode;
	unsigned int skip, next_skip;	/* waits without busy-polling */
	uint32_t seen;
	char *base;
	int fd;
	int event, bell_event;
	volatile unsigned int *bell;
	unsigned int bell_value;
};

static void spin_wait(struct words *w, uint32_t count)
{
	(void)w;
	(void)count;
}

static void spin_wake(struct words *w)
{
	(void)w;
}

static void futex_wait(struct words *w, uint32_t count)
{
	syscall(SYS_futex, &w->in->count, FUTEX_WAIT, count, NULL, NULL, 0);
}

static void futex_wake(struct words *w)
{
	LINK_CHECK(syscall(SYS_futex, &w->out->count, FUTEX_WAKE, 1, NULL, NULL,
			   0) >= 0);
}

static void ioctl_wait(struct words *w, uint32_t count)
{
	struct vmshm_ioc_wait wait = {
		.offset = (char *)&w->in->count - w->base,
		.expected = count, .deadline = -1,
	};

	LINK_CHECK(!ioctl(w->fd, VMSHM_IOC_WAIT, &wait) || errno == EAGAIN);
}

static void ioctl_wake(struct words *w)
{
	struct vmshm_ioc_wake wake = {
		.offset = (char *)&w->out->count - w->base, .count = 1,
	};

	LINK_CHECK(!ioctl(w->fd, VMSHM_IOC_WAKE, &wake));
}

/* QEMU makes the eventfds of the host non-blocking for all users. */
static void event_wait(struct words *w, uint32_t count)
{
	struct pollfd p = { .fd = w->event, .events = POLLIN };
	uint64_t rung;

	(void)count;
	if (read(w->event, &rung, sizeof(rung)) == sizeof(rung))
		return;
	LINK_CHECK(errno == EAGAIN);
	poll(&p, 1, -1);
}

static void event_wake(struct words *w)
{
	uint64_t one = 1;

	LINK_CHECK(write(w->bell_event, &one, sizeof(one)) == sizeof(one));
}

static void register_wake(struct words *w)
{
	*w->bell = w->bell_value;
}

/* Whether a message has come */
static int has_come(struct words *w)
{
	return __atomic_load_n(&w->in->count, __ATOMIC_SEQ_CST) != w->seen;
}

static int look(struct words *w)
{
	double end = b_now() + LOOK;
	int i;

	do {
		for (i = 0; i < LOOKS; i++) {
			if (has_come(w))
				return 1;
			__builtin_ia32_pause();
		}
	} while (b_now() < end);
	return 0;
}

/* Busy-polls less often while that does not help, as a channel does. */
static int look_perhaps(struct words *w)
{
	if (w->skip) {
		w->skip--;
		return 0;
	}
	if (look(w)) {
		w->next_skip = 0;
		return 1;
	}
	if (w->next_skip < SKIP_MOST)
		w->next_skip = 2 * w->next_skip + 1;
	w->skip = w->next_skip;
	return 0;
}

/* Either the sender sees the flag, or the receiver sees the message. */
static void wait_flagged(struct words *w)
{
	__atomic_store_n(&w->in->sleeps, 1, __ATOMIC_SEQ_CST);
	while (!has_come(w))
		w->wait(w, w->seen);
	__atomic_store_n(&w->in->sleeps, 0, __ATOMIC_SEQ_CST);
}

static void words_send(struct link *l, const void *data, size_t size)
{
	struct words *w = (struct words *)l;

	LINK_CHECK(size <= MOST);
	memcpy(w->out->data, data, size);
	__atomic_store_n(&w->out->count, w->out->count + 1, __ATOMIC_SEQ_CST);
	if (w->mode != LINK_FLAG ||
	    __atomic_load_n(&w->out->sleeps, __ATOMIC_SEQ_CST))
		w->wake(w);
}

/* The two sides take turns, so that there is at most one message. */
static void words_recv(struct link *l, void *data, size_t size)
{
	struct words *w = (struct words *)l;

	if (w->mode == LINK_SLEEP || !look_perhaps(w)) {
		if (w->mode == LINK_FLAG)
			wait_flagged(w);
		while (!has_come(w))
			w->wait(w, w->seen);
	}
	w->seen++;
	memcpy(data, w->in->data, size);
}

static void words_mode(struct link *l, enum link_mode mode)
{
	((struct words *)l)->mode = mode;
}

static void words_close(struct link *l)
{
	struct words *w = (struct words *)l;

	if (w->fd >= 0) {
		munmap(w->base, LINK_MEMORY);
		close(w->fd);
	}
	free(w);
}

static struct words *make(int side, void *memory)
{
	struct words *w = calloc(1, sizeof(*w));
	struct box *boxes = memory;

	LINK_CHECK(w);
	w->link.send = words_send;
	w->link.recv = words_recv;
	w->link.mode = words_mode;
	w->link.close = words_close;
	w->base = memory;
	w->in = &boxes[side];
	w->out = &boxes[!side];
	w->fd = -1;
	return w;
}

static struct words *make_mapped(int side, const char *file)
{
	int fd;
	struct words *w = make(side, link_map(file, side, &fd));

	w->fd = fd;
	return w;
}

struct link *link_words(const char *how, int side, const char *file)
{
	struct words *w = make_mapped(side, file);

	w->wait = spin_wait;
	w->wake = spin_wake;
	if (!strcmp(how, "futex")) {
		w->wait = futex_wait;
		w->wake = futex_wake;
	} else if (!strcmp(how, "ioctl")) {
		w->wait = ioctl_wait;
		w->wake = ioctl_wake;
	}
	return &w->link;
}

struct link *link_bell(int side, const char *file, int event, int out)
{
	struct words *w = make_mapped(side, file);

	w->wait = event_wait;
	w->event = event;
	w->wake = event_wake;
	w->bell_event = out;
	return &w->link;
}

struct link *link_register(int side, void *memory, int event,
			   volatile unsigned int *bell, unsigned int value)
{
	struct words *w = make(side, memory);

	w->wait = event_wait;
	w->event = event;
	w->wake = register_wake;
	w->bell = bell;
	w->bell_value = value;
	return &w->link;
}
