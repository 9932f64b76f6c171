// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kill -9 of the whole virtual machine: its peers on the host notice it in each
 * call that waits. The test is the last one in this guest.
 *
 * qemu: channels
 * order: last
 */
#define _GNU_SOURCE
#include <errno.h>
#include <vmshm/broadcast.h>

#include "t.h"
#include "meet.h"

#define SIZE 12288

/* A party of the host that sleeps in the call, or is about to */
static void sleeps(const char *where, const char *name, const char *call)
{
	struct vmshm_channel *ch;
	const void *data;
	size_t size;

	t_host("spawn party %s end %s %d", name, call, ECONNRESET);
	ch = join(where, name);
	/*
	 * The message is not released: the peer's drain() sleeps, and its ring
	 * becomes full.
	 */
	T_EQ(vmshm_channel_peek(ch, &data, &size, VMSHM_FOREVER), 0);
}

T_TEST(the_machine_is_killed)
{
	struct vmshm_broadcast *w;
	const char *name;
	uint32_t number = 0;

	mount_first();
	sleeps(NULL, new_name("recv", SIZE), "recv");
	sleeps(NULL, new_name("send", SIZE), "send");
	sleeps(NULL, new_name("drain", SIZE), "drain");
	sleeps("vmshm1", new_name("node", SIZE), "recv");
	name = new_name("broadcast", SIZE);
	T_EQ(vmshm_broadcast_create(&w, NULL, name, 64, 16, 0600), 0);
	T_EQ(vmshm_broadcast_send(w, &number, 4), 0);
	t_host("spawn party %s read 1 %d", name, ECONNRESET);
	t_host("spawn party %s read 1 %d", name, ECONNRESET);
	/* QEMU is killed before it can answer. */
	t_host("die");
}
