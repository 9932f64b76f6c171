// SPDX-License-Identifier: MIT
/* Finds the kind of an address. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "transport.h"

/* The part after "KIND:" in the address, or NULL */
static const char *after(const char *kind, const char *address)
{
	size_t length = strlen(kind);

	return strncmp(address, kind, length) ? NULL : address + length;
}

static const char *channel_name(const char *address)
{
	return after("vmshm:", address);
}

static const char *tcp_name(const char *address)
{
	return after("tcp:", address);
}

int transport_connect(struct transport **t, const char *address)
{
	if (channel_name(address))
		return channel_connect(t, channel_name(address));
	if (tcp_name(address))
		return tcp_connect(t, tcp_name(address));
	return -EINVAL;
}

int transport_listen(struct listener *l, const char *address, size_t max)
{
	*l = (struct listener){ .fd = -1, .max = max };
	if (strlen(address) >= sizeof(l->address))
		return -ENAMETOOLONG;
	strcpy(l->address, address);
	if (channel_name(address))
		return channel_listen(l, channel_name(address));
	if (tcp_name(address))
		return tcp_listen(l, tcp_name(address));
	return -EINVAL;
}

void transport_end(struct listener *l)
{
	if (l->made)
		channel_end(channel_name(l->address));
	if (l->fd >= 0)
		close(l->fd);
}

size_t pieces_size(const struct piece *pieces, int count)
{
	size_t size = 0;
	int i;

	for (i = 0; i < count; i++)
		size += pieces[i].rows * pieces[i].width;
	return size;
}
