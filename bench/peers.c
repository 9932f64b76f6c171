// SPDX-License-Identifier: GPL-2.0-or-later
/* See peers.h. */
#define _GNU_SOURCE
#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "t.h"

#include "b.h"
#include "peers.h"

/* In user mode the host's 127.0.0.1 is this; see bench/machine.py. */
#define USER_HOST "10.0.2.2"

static struct link *open_words(const char *peer, const char *how)
{
	int sleeps = !strcmp(how, "sleep");
	char *path;

	b_mount();
	path = (char *)b_object(peer, LINK_MEMORY);
	t_host("peer words %s 0 @shm%s", sleeps ? "futex" : "spin",
	       t_name(peer));
	return link_open((char *[]){ "words", sleeps ? "ioctl" : "spin", "1",
				     path, NULL }, 0);
}

static struct link *open_channel(const char *peer, const char *how)
{
	char *name = (char *)t_name(peer);

	b_mount();
	t_host("unlink %s", name);
	t_host("peer channel %s %s", how, name);
	return link_open((char *[]){ "channel", (char *)how, name, NULL }, 0);
}

static struct link *open_serial(void)
{
	struct link *l;
	glob_t g;

	t_host("peer unix @serial");
	T_EQ(glob("/dev/vport*", 0, NULL, &g), 0);
	l = link_open((char *[]){ "file", g.gl_pathv[0], NULL }, 0);
	globfree(&g);
	return l;
}

static struct link *open_tcp(const char *listen, char *connect)
{
	char port[16];

	snprintf(port, sizeof(port), "%s", t_host("peer listen %s", listen));
	return link_open((char *[]){ "connect", connect, port, NULL }, 0);
}

static struct link *open_user(void)
{
	T_EQ(t_system("ifconfig eth0 10.0.2.15 netmask 255.255.255.0"), 0);
	return open_tcp("127.0.0.1", USER_HOST);
}

static struct link *open_tap(void)
{
	const char *answer = t_host_try("tap");
	char address[16];

	if (!answer)
		return NULL;
	snprintf(address, sizeof(address), "%s", answer);
	T_EQ(t_system("ifconfig eth1 10.0.3.15 netmask 255.255.255.0"), 0);
	return open_tcp(address, address);
}

static struct link *open_ivshmem(const char *how)
{
	char *path;

	b_ivshmem_enable();
	path = (char *)b_ivshmem("resource2");
	if (!strcmp(how, "spin")) {
		t_host("peer words spin 0 @plain");
		return link_open((char *[]){ "words", "spin", "1", path, NULL },
				 0);
	}
	t_host("peer ring 0 @plain");
	return link_open((char *[]){ "ring", "1", path, NULL }, 0);
}

static struct link *open_doorbell(void)
{
	t_host("peer @bell");
	return peer_doorbell();
}

struct link *peer_open(const char *peer, const char *how)
{
	if (!strcmp(peer, "words") || !strcmp(peer, "words-0"))
		return open_words(peer, how);
	if (!strcmp(peer, "channel"))
		return open_channel(peer, strcmp(how, "sleep") ? how : "both");
	if (!strcmp(peer, "channel-0"))
		return open_channel(peer, "sleep");
	if (!strcmp(peer, "serial"))
		return open_serial();
	if (!strcmp(peer, "tcp-user"))
		return open_user();
	if (!strcmp(peer, "tcp-tap"))
		return open_tap();
	if (!strcmp(peer, "ivshmem"))
		return open_ivshmem(how);
	if (!strcmp(peer, "doorbell"))
		return open_doorbell();
	t_fail("no such peer: %s", peer);
}

void peer_reap(void)
{
	t_host("reap");
}
