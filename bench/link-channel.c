// SPDX-License-Identifier: GPL-2.0-or-later
/* libvmshm's channel. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <vmshm/channel.h>

#include "link.h"

#define LINE 64

struct channel {
	struct link link;
	struct vmshm_channel *ch;
};

static struct vmshm_channel *of(struct link *l)
{
	return ((struct channel *)l)->ch;
}

/* For LINK_CHECK() */
static int failed(int ret)
{
	if (ret < 0)
		errno = -ret;
	return ret < 0;
}

static void channel_send(struct link *l, const void *data, size_t size)
{
	LINK_CHECK(!failed(vmshm_channel_send(of(l), data, size,
					      VMSHM_FOREVER)));
}

static void channel_recv(struct link *l, void *data, size_t size)
{
	ssize_t got = vmshm_channel_recv(of(l), data, size, VMSHM_FOREVER);

	LINK_CHECK(!failed(got) && (size_t)got == size);
}

static void channel_make(struct link *l, size_t size)
{
	void *data;
	size_t i;

	LINK_CHECK(!failed(vmshm_channel_reserve(of(l), &data, size,
						 VMSHM_FOREVER)));
	for (i = 0; i < size; i += LINE)
		*(volatile uint64_t *)((char *)data + i) = i;
	LINK_CHECK(!failed(vmshm_channel_commit(of(l), size)));
}

static void channel_use(struct link *l, size_t size)
{
	const void *data;
	size_t got, i;

	LINK_CHECK(!failed(vmshm_channel_peek(of(l), &data, &got,
					      VMSHM_FOREVER)));
	LINK_CHECK(got == size);
	for (i = 0; i < size; i += LINE)
		(void)*(const volatile uint64_t *)((const char *)data + i);
	LINK_CHECK(!failed(vmshm_channel_release(of(l))));
}

static void channel_close(struct link *l)
{
	vmshm_channel_close(of(l));
	free(l);
}

struct link *link_channel(const char *how, const char *name)
{
	struct channel *c = calloc(1, sizeof(*c));

	LINK_CHECK(c);
	c->link.send = channel_send;
	c->link.recv = channel_recv;
	c->link.make = channel_make;
	c->link.use = channel_use;
	c->link.close = channel_close;
	LINK_CHECK(!failed(vmshm_channel_open(&c->ch, NULL, name, LINK_RING,
					      0600)));
	if (!strcmp(how, "sleep"))
		vmshm_channel_spin(c->ch, 0);
	else if (!strcmp(how, "spin"))
		vmshm_channel_spin(c->ch, VMSHM_FOREVER);
	return &c->link;
}
