/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The messages that host and guests send each other in the tests of channels:
 * their sizes and bytes follow from a seed.
 */
#ifndef FLOW_H
#define FLOW_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <vmshm/channel.h>

struct flow {
	struct vmshm_channel *ch;
	uint32_t seed;
	/* The size of all messages together, and the result: 0 or -errno */
	long bytes;
	int result;
};

static inline uint32_t flow_random(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

/* 64 bytes up to the largest size that fits; all magnitudes equally often */
static inline size_t flow_size(uint32_t *seed, size_t max)
{
	uint32_t r = flow_random(seed);
	size_t size = (size_t)64 << r % 15;

	size += r / 16 % size;
	return size < max ? size : max;
}

static inline uint64_t flow_word(uint32_t seed, size_t i)
{
	return (seed + i) * 0x9e3779b97f4a7c15u;
}

/* Words of 8 bytes: an emulated processor is too slow for single bytes. */
static inline void flow_make(void *data, size_t size, uint32_t seed)
{
	unsigned char *bytes = data;
	uint64_t *words = data;
	size_t i;

	for (i = 0; i < size / 8; i++)
		words[i] = flow_word(seed, i);
	for (i = size / 8 * 8; i < size; i++)
		bytes[i] = flow_word(seed, i);
}

static inline bool flow_is_made(const void *data, size_t size, uint32_t seed)
{
	const unsigned char *bytes = data;
	const uint64_t *words = data;
	size_t i;

	for (i = 0; i < size / 8; i++)
		if (words[i] != flow_word(seed, i))
			return false;
	for (i = size / 8 * 8; i < size; i++)
		if (bytes[i] != (unsigned char)flow_word(seed, i))
			return false;
	return true;
}

/*
 * Threads: one sends all bytes and shuts down; the other receives all bytes and
 * the peer's end.
 */
static inline void *flow_out(void *arg)
{
	struct flow *f = arg;
	size_t size, max = vmshm_channel_max(f->ch);
	long left;
	void *to;

	for (left = f->bytes; left > 0 && !f->result; left -= size) {
		size = flow_size(&f->seed, max);
		f->result = vmshm_channel_reserve(f->ch, &to, size,
						  VMSHM_FOREVER);
		if (f->result)
			break;
		flow_make(to, size, f->seed);
		f->result = vmshm_channel_commit(f->ch, size);
	}
	if (!f->result)
		f->result = vmshm_channel_shutdown(f->ch);
	if (!f->result)
		f->result = vmshm_channel_drain(f->ch, VMSHM_FOREVER);
	return NULL;
}

static inline void *flow_in(void *arg)
{
	struct flow *f = arg;
	size_t size, max = vmshm_channel_max(f->ch);
	char *data = malloc(max);
	ssize_t got = 0;
	long left;

	for (left = f->bytes; left > 0; left -= size) {
		size = flow_size(&f->seed, max);
		got = vmshm_channel_recv(f->ch, data, max, VMSHM_FOREVER);
		if (got < 0)
			break;
		if ((size_t)got != size || !flow_is_made(data, size, f->seed)) {
			got = -EBADMSG;
			break;
		}
	}
	if (got >= 0) {
		got = vmshm_channel_recv(f->ch, data, max, VMSHM_FOREVER);
		got = got == -EPIPE ? 0 : -EBADMSG;
	}
	f->result = got;
	free(data);
	return NULL;
}

#endif
