// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * usage: hostile ADDRESS [channel|stream|racing]
 *
 * A client that tries to harm the service. Without a second argument: each
 * invalid request gets its error, and a valid request after it gets an answer.
 * "channel" and "stream" break the transport below the messages, "racing"
 * changes a request while the service works on it.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vmshm/channel.h>

#include "protocol.h"
#include "transport.h"

static void fail(const char *what, long value)
{
	fprintf(stderr, "hostile: %s: %ld\n", what, value);
	exit(1);
}

static struct transport *connected(const char *address)
{
	struct transport *t;
	struct hello hello;
	struct piece piece = { &hello, 1, sizeof(hello), 0 };
	int err = transport_connect(&t, address);

	if (err)
		fail("cannot connect", err);
	if (t->wait(t, 10) || t->recv(t, &piece, 1) != sizeof(hello) ||
	    hello.magic != HELLO_MAGIC)
		fail("no hello", 0);
	return t;
}

#define LONGEST (sizeof(struct request) + 4096)

/* Sends a request of that length and returns the error in its answer. */
static int answer_to(struct transport *t, const struct request *r, size_t size)
{
	static char message[LONGEST], result[4096];
	struct answer answer;
	struct piece out = { message, 1, size, 0 };
	struct piece in[] = {
		{ &answer, 1, sizeof(answer), 0 },
		{ result, 1, sizeof(result), 0 },
	};
	ssize_t got;
	int err;

	memset(message, 0, sizeof(message));
	memcpy(message, r, sizeof(*r));
	err = t->send(t, &out, 1);
	if (err)
		fail("cannot send", err);
	got = t->recv(t, in, 2);
	if (got < (ssize_t)sizeof(answer))
		fail("no answer", got);
	if (answer.error && got != sizeof(answer))
		fail("an error and more", got);
	return answer.error;
}

/* Wrong variants of a product of 2 x 3 and 3 x 4, of (6 + 12) floats */
static const struct {
	struct request r;
	size_t size;
	int error;
} wrong[] = {
#define RIGHT .call = CALL_SGEMM, .m = 2, .n = 4, .k = 3, .alpha = 1
#define SIZE (sizeof(struct request) + 18 * sizeof(float))
	{ { RIGHT }, 0, EBADMSG },
	{ { RIGHT }, 31, EBADMSG },
	{ { RIGHT }, 32, EBADMSG },
	{ { RIGHT }, SIZE - 1, EBADMSG },
	{ { RIGHT }, SIZE - 4, EBADMSG },
	{ { RIGHT }, SIZE + 1, EBADMSG },
	{ { RIGHT }, SIZE + 4, EBADMSG },
	{ { RIGHT, .beta = 1 }, SIZE, EBADMSG },
	{ { RIGHT, .beta = 1 }, SIZE + 28, EBADMSG },
	{ { RIGHT, .flags = 4 }, SIZE, EINVAL },
	{ { RIGHT, .reserved = 1 }, SIZE, EINVAL },
	{ { .call = 0 }, SIZE, EOPNOTSUPP },
	{ { .call = 2 }, SIZE, EOPNOTSUPP },
	{ { .call = CALL_SGEMM }, SIZE, EINVAL },
	{ { .call = CALL_SGEMM, .m = 18, .n = 0, .k = 1 }, SIZE, EINVAL },
	{ { .call = CALL_SGEMM, .m = 1, .n = 1, .k = 0 }, 32, EINVAL },
	/* Dimensions whose product modulo 2^32 or 2^64 is small, or right */
	{ { .call = CALL_SGEMM, .m = 0x80000000, .n = 1, .k = 2 }, SIZE,
	  EINVAL },
	{ { .call = CALL_SGEMM, .m = 1, .n = 0xffffffff, .k = 1 }, SIZE,
	  EINVAL },
	{ { .call = CALL_SGEMM, .m = 0x40000000, .n = 4, .k = 4 }, 32 + 64,
	  EBADMSG },
	{ { .call = CALL_SGEMM, .m = 0x10000, .n = 18, .k = 0x10000 }, SIZE,
	  EBADMSG },
	{ { .call = CALL_SGEMM, .m = 0x7fffffff, .n = 0x7fffffff,
	    .k = 0x7fffffff }, SIZE, EBADMSG },
	/* A small request for a large answer */
	{ { .call = CALL_SGEMM, .m = 512, .n = 512, .k = 1 }, 32 + 4096,
	  EMSGSIZE },
};

static void wrong_requests(const char *address)
{
	struct transport *t = connected(address);
	struct request right = { RIGHT };
	size_t i;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		int error = answer_to(t, &wrong[i].r, wrong[i].size);

		if (error != wrong[i].error) {
			fprintf(stderr, "number %zu, ", i);
			fail("another error", error);
		}
	}
	if (answer_to(t, &right, SIZE))
		fail("a right request fails", 0);
	t->close(t);
}

/* The values that each party of a channel writes for the other one */
static void break_channel(const char *address)
{
	struct transport *t = connected(address);
	struct vmshm *shm;
	unsigned char *data;
	size_t size, i;
	const void *answer;

	if (vmshm_open(&shm, NULL, strchr(address, ':') + 1, O_RDWR,
		       0) ||
	    vmshm_map(shm, (void **)&data, &size))
		fail("cannot map", 0);
	for (i = 256; i < 1024; i++)
		data[i] = 0xff;
	for (i = 4096; i < size; i++)
		data[i] = i;
	t->peek(t, &answer, &i);
	vmshm_close(shm);
	t->close(t);
}

/* Takes the socket that the transport has just made. */
static void break_stream(const char *address)
{
	static const uint64_t lengths[] = { -1ull, -8ull, 1ull << 63, 1 << 21 };
	size_t i;
	char c;

	for (i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		int fd = dup(2);
		struct transport *t;

		close(fd);
		t = connected(address);
		if (send(fd, &lengths[i], sizeof(*lengths), 0) != 8)
			fail("cannot send", i);
		if (recv(fd, &c, 1, 0) > 0)
			fail("it goes on", i);
		t->close(t);
	}
	/* Messages that are cut off */
	for (i = 0; i < 16; i++) {
		int fd = dup(2);
		struct transport *t;

		close(fd);
		t = connected(address);
		send(fd, "\x20\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0", i, 0);
		t->close(t);
	}
}

static _Atomic int stop;
static uint32_t *_Atomic words;

static void *change(void *arg)
{
	unsigned int seed = 1;

	(void)arg;
	while (!stop) {
		uint32_t *w = words;

		if (w)
			atomic_store((_Atomic uint32_t *)w + 2 +
				     rand_r(&seed) % 3,
				     rand_r(&seed) % 2 ? 64 : 0x7fffffff);
	}
	return NULL;
}

/* The test only requires that each request gets an answer. */
static void race(const char *address)
{
	struct transport *t = connected(address);
	struct request r = {
		.call = CALL_SGEMM, .m = 64, .n = 64, .k = 64, .alpha = 1
	};
	size_t size = sizeof(r) + 2 * 64 * 64 * sizeof(float), got;
	pthread_t thread;
	int i, good = 0;

	if (pthread_create(&thread, NULL, change, NULL))
		fail("no thread", 0);
	for (i = 0; i < 5000; i++) {
		const struct answer *answer;
		void *message;

		if (t->reserve(t, &message, size))
			fail("no room", i);
		memset(message, 0, size);
		memcpy(message, &r, sizeof(r));
		words = message;
		if (t->commit(t, size) ||
		    t->peek(t, (const void **)&answer, &got))
			fail("no answer", i);
		words = NULL;
		good += !answer->error;
		t->release(t);
	}
	stop = 1;
	pthread_join(thread, NULL);
	printf("%d of %d were computed\n", good, i);
	t->close(t);
}

int main(int argc, char **argv)
{
	if (argc == 2)
		wrong_requests(argv[1]);
	else if (argc == 3 && !strcmp(argv[2], "channel"))
		break_channel(argv[1]);
	else if (argc == 3 && !strcmp(argv[2], "stream"))
		break_stream(argv[1]);
	else if (argc == 3 && !strcmp(argv[2], "racing"))
		race(argv[1]);
	else
		return 2;
	return 0;
}
