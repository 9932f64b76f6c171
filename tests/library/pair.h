/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Common functions of the tests of channels */
#ifndef PAIR_H
#define PAIR_H

#include <vmshm/channel.h>

#include "library.h"

#define LEAST 4096 /* bytes of the smallest ring */
#define CHANNEL_SIZE (4096 + 2 * LEAST)

/* Both parties, for tests in one process */
struct pair {
	const char *name;
	struct vmshm_channel *a, *b;
};

static inline struct vmshm_channel *ch_open(const char *name, size_t ring)
{
	struct vmshm_channel *ch;

	L_OK(vmshm_channel_open(&ch, NULL, name, ring, 0600));
	return ch;
}

static inline struct pair pair_open(size_t ring)
{
	struct pair p = { .name = l_name("ch") };

	p.a = ch_open(p.name, ring);
	p.b = ch_open(p.name, ring);
	return p;
}

static inline void pair_close(struct pair *p)
{
	vmshm_channel_close(p->a);
	vmshm_channel_close(p->b);
}

static inline void ch_send(struct vmshm_channel *ch, const char *text)
{
	L_OK(vmshm_channel_send(ch, text, strlen(text) + 1, VMSHM_FOREVER));
}

/* Receives a message and compares it with the text. */
static inline void ch_recv(struct vmshm_channel *ch, const char *text)
{
	char got[256];
	ssize_t len;

	len = vmshm_channel_recv(ch, got, sizeof(got), VMSHM_FOREVER);
	if (len < 0)
		t_fail("no \"%s\", but %s", text, strerror(-len));
	T_EQ(len, strlen(text) + 1);
	if (strcmp(got, text))
		t_fail("\"%s\", not \"%s\"", got, text);
}

/* The channel is empty and has ended with this error. */
static inline void ch_end(struct vmshm_channel *ch, int err)
{
	char byte;

	L_ERR(vmshm_channel_recv(ch, &byte, 1, VMSHM_FOREVER), err);
	L_ERR(vmshm_channel_recv(ch, &byte, 1, VMSHM_NOW), err);
}

/* Fills the ring and returns the number of messages of that size. */
static inline int ch_fill(struct vmshm_channel *ch, size_t size)
{
	char *data = calloc(1, size + 1);
	int n, err;

	for (n = 0;; n++) {
		err = vmshm_channel_send(ch, data, size, VMSHM_NOW);
		if (err)
			break;
	}
	T_EQ(err, -EAGAIN);
	free(data);
	return n;
}

/*
 * Bytes of a message, which differ from those of other messages: each depends
 * on its place and on the seed.
 */
static inline void ch_make(void *data, size_t size, uint32_t seed)
{
	unsigned char *p = data;
	size_t i;

	for (i = 0; i < size; i++)
		p[i] = (seed * 2654435761u + i * 40503u) >> 13;
}

static inline bool ch_is_made(const void *data, size_t size, uint32_t seed)
{
	const unsigned char *p = data;
	size_t i;

	for (i = 0; i < size; i++)
		if (p[i] != (unsigned char)((seed * 2654435761u + i * 40503u) >>
					    13))
			return false;
	return true;
}

#endif
