// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The host's party in the tests of channels and broadcasts; see test-channel.c.
 *
 *	party PATH echo			sends back what comes, until the end
 *	party PATH both SEED BYTES	so many bytes out, and as many in
 *	party PATH messages N		sends the numbers below N, and closes
 *	party PATH end CALL ERRNO	says "ready", then sleeps in CALL
 *					(recv, send or drain) and wants ERRNO
 *	party PATH die			is killed as soon as something comes
 *	party PATH write N [ERRNO]	broadcasts the numbers below N, each as
 *					soon as the one before has an answer
 *	party PATH read N ERRNO		reads them, and wants ERRNO at the end
 *
 * Its exit code is 0 if all was as it should be.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <vmshm/broadcast.h>

#include "flow.h"

static char *folder, *name;

static void check(const char *what, long got, long wanted)
{
	if (got == wanted)
		return;
	fprintf(stderr, "party: %s: %ld, not %ld\n", what, got, wanted);
	exit(1);
}

/* EBUSY: a party of the last use may not have left the channel yet. */
static struct vmshm_channel *join(void)
{
	struct vmshm_channel *ch;
	int err;

	while ((err = vmshm_channel_open(&ch, folder, name, 0, 0600)) == -EBUSY)
		sched_yield();
	check("open", err, 0);
	return ch;
}

static void echo(void)
{
	struct vmshm_channel *ch = join();
	char *data = malloc(vmshm_channel_max(ch));
	ssize_t size;

	while ((size = vmshm_channel_recv(ch, data, vmshm_channel_max(ch),
					  VMSHM_FOREVER)) >= 0)
		check("send", vmshm_channel_send(ch, data, size, VMSHM_FOREVER),
		      0);
	check("recv", size, -EPIPE);
	vmshm_channel_close(ch);
}

static void both(uint32_t seed, long bytes)
{
	struct vmshm_channel *ch = join();
	struct flow out = { ch, seed, bytes, 0 },
		    in = { ch, seed + 1, bytes, 0 };
	pthread_t thread;

	pthread_create(&thread, NULL, flow_out, &out);
	flow_in(&in);
	pthread_join(thread, NULL);
	check("out", out.result, 0);
	check("in", in.result, 0);
	vmshm_channel_close(ch);
}

static void messages(int n)
{
	struct vmshm_channel *ch = join();
	int i;

	for (i = 0; i < n; i++) {
		check("send", vmshm_channel_send(ch, &i, 4, VMSHM_FOREVER), 0);
		/* So that the peer sleeps now and then */
		if (i % 5 == 0)
			check("drain", vmshm_channel_drain(ch, VMSHM_FOREVER),
			      0);
	}
	vmshm_channel_close(ch);
}

static int call(struct vmshm_channel *ch, const char *what)
{
	static char data[4096];

	if (!strcmp(what, "recv"))
		return vmshm_channel_recv(ch, data, 4096, VMSHM_FOREVER);
	if (!strcmp(what, "send"))
		return vmshm_channel_send(ch, data, 4000, VMSHM_FOREVER);
	return vmshm_channel_drain(ch, VMSHM_FOREVER);
}

static void until_end(const char *what, int wanted)
{
	struct vmshm_channel *ch = join();
	int got;

	check("send", vmshm_channel_send(ch, "ready", 6, VMSHM_FOREVER), 0);
	do
		got = call(ch, what);
	while (got >= 0 && strcmp(what, "drain"));
	check(what, -got, wanted);
	vmshm_channel_close(ch);
}

static void die(void)
{
	struct vmshm_channel *ch = join();
	char byte;

	vmshm_channel_recv(ch, &byte, 1, VMSHM_FOREVER);
	kill(getpid(), SIGKILL);
}

static void write_numbers(uint32_t n)
{
	struct vmshm_broadcast *w;
	uint32_t i;

	check("create", vmshm_broadcast_create(&w, folder, name, 64, 16, 0644),
	      0);
	for (i = 0; i < n; i++) {
		check("send", vmshm_broadcast_send(w, &i, 4), 0);
		/* The writer is slow enough that readers get some entries. */
		if (i % 8 == 0)
			sched_yield();
	}
	vmshm_broadcast_close(w);
}

static void read_numbers(uint32_t n, int wanted)
{
	struct vmshm_broadcast *r;
	uint32_t got, expected = 0;
	uint64_t lost;
	ssize_t size;

	while (vmshm_broadcast_open(&r, folder, name))
		sched_yield();
	for (;;) {
		size = vmshm_broadcast_recv(r, &got, 4, &lost, VMSHM_FOREVER);
		if (size < 0)
			break;
		/* The reader may have opened late. */
		if (!expected)
			expected = got - lost;
		check("number", got, expected + lost);
		expected = got + 1;
	}
	check("read", -size, wanted);
	/* Or the reader opened after the last number. */
	if (expected)
		check("last", expected, n);
	vmshm_broadcast_close(r);
}

int main(int argc, char **argv)
{
	const char *verb = argc > 2 ? argv[2] : "";
	long a = argc > 3 ? atol(argv[3]) : 0, b = argc > 4 ? atol(argv[4]) : 0;
	char *slash = argc > 1 ? strrchr(argv[1], '/') : NULL;

	if (!slash)
		return 2;
	*slash = '\0';
	folder = argv[1];
	name = slash + 1;
	if (!strcmp(verb, "echo"))
		echo();
	else if (!strcmp(verb, "both"))
		both(a, b);
	else if (!strcmp(verb, "messages"))
		messages(a);
	else if (!strcmp(verb, "end") && argc > 4)
		until_end(argv[3], b);
	else if (!strcmp(verb, "die"))
		die();
	else if (!strcmp(verb, "write"))
		write_numbers(a);
	else if (!strcmp(verb, "read"))
		read_numbers(a, b);
	else
		return 2;
	return 0;
}
