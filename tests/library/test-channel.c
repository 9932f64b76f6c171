// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * <vmshm/channel.h>: messages, streams, ends. Most tests have both parties in
 * one process.
 *
 * qemu: channels
 * host: address
 */
#define _GNU_SOURCE
#include <sys/resource.h>
#include <vmshm/broadcast.h>

#include "pair.h"

T_TEST(messages_of_all_sizes)
{
	struct pair p = pair_open(LEAST);
	size_t size, max = vmshm_channel_max(p.a);
	char *out = malloc(max + 1), *in = malloc(max + 1);

	T_EQ(max, LEAST - 8);
	T_EQ(vmshm_channel_max(p.b), max);
	for (size = 0; size <= max; size++) {
		ch_make(out, size, size);
		L_OK(vmshm_channel_send(p.a, out, size, VMSHM_NOW));
		T_EQ(vmshm_channel_recv(p.b, in, size, VMSHM_NOW), size);
		T_ASSERT(ch_is_made(in, size, size));
	}
	L_ERR(vmshm_channel_send(p.a, out, max + 1, VMSHM_NOW), EMSGSIZE);
	L_ERR(vmshm_channel_send(p.a, out, SIZE_MAX, VMSHM_NOW), EMSGSIZE);
	pair_close(&p);
	free(out);
	free(in);
}

T_TEST(without_copying)
{
	struct pair p = pair_open(LEAST);
	size_t size, got, max = vmshm_channel_max(p.a);
	const void *in, *again;
	void *out;

	for (size = 0; size <= max; size++) {
		L_OK(vmshm_channel_reserve(p.b, &out, max, VMSHM_NOW));
		ch_make(out, size, size);
		/* A message is not sent before the commit. */
		L_ERR(vmshm_channel_peek(p.a, &in, &got, VMSHM_NOW), EAGAIN);
		L_OK(vmshm_channel_commit(p.b, size));
		L_OK(vmshm_channel_peek(p.a, &in, &got, VMSHM_NOW));
		T_EQ(got, size);
		T_ASSERT(ch_is_made(in, size, size));
		L_OK(vmshm_channel_peek(p.a, &again, &got, VMSHM_NOW));
		T_ASSERT(again == in && got == size);
		L_OK(vmshm_channel_release(p.a));
	}
	L_ERR(vmshm_channel_reserve(p.b, &out, max + 1, VMSHM_NOW), EMSGSIZE);
	L_ERR(vmshm_channel_release(p.a), EINVAL);
	L_ERR(vmshm_channel_commit(p.b, 0), EINVAL);
	pair_close(&p);
}

T_TEST(a_commit_is_at_most_what_was_reserved)
{
	struct pair p = pair_open(LEAST);
	void *out;

	L_OK(vmshm_channel_reserve(p.a, &out, 10, VMSHM_NOW));
	L_ERR(vmshm_channel_commit(p.a, 11), EINVAL);
	strcpy(out, "123456789");
	L_OK(vmshm_channel_commit(p.a, 10));
	ch_recv(p.b, "123456789");
	/* A send or a shutdown cancels a reservation. */
	L_OK(vmshm_channel_reserve(p.a, &out, 10, VMSHM_NOW));
	ch_send(p.a, "else");
	L_ERR(vmshm_channel_commit(p.a, 1), EINVAL);
	L_OK(vmshm_channel_reserve(p.a, &out, 10, VMSHM_NOW));
	L_OK(vmshm_channel_shutdown(p.a));
	L_ERR(vmshm_channel_commit(p.a, 1), EINVAL);
	ch_recv(p.b, "else");
	ch_end(p.b, EPIPE);
	pair_close(&p);
}

T_TEST(empty_messages_need_no_memory)
{
	struct pair p = pair_open(LEAST);

	L_OK(vmshm_channel_send(p.a, NULL, 0, VMSHM_NOW));
	T_EQ(vmshm_channel_recv(p.b, NULL, 0, VMSHM_NOW), 0);
	T_EQ(vmshm_channel_write(p.a, NULL, 0, VMSHM_NOW), 0);
	T_EQ(vmshm_channel_read(p.b, NULL, 0, VMSHM_NOW), 0);
	pair_close(&p);
}

T_TEST(too_long_for_who_receives)
{
	struct pair p = pair_open(LEAST);
	char buf[4];

	ch_send(p.a, "longer");
	ch_send(p.a, "next");
	L_ERR(vmshm_channel_recv(p.b, buf, 4, VMSHM_NOW), EMSGSIZE);
	L_ERR(vmshm_channel_recv(p.b, NULL, 0, VMSHM_NOW), EMSGSIZE);
	ch_recv(p.b, "longer");
	ch_recv(p.b, "next");
	pair_close(&p);
}

static size_t ring_of(size_t ring)
{
	struct vmshm_channel *ch = ch_open(l_name("ring"), ring);
	size_t max = vmshm_channel_max(ch);

	vmshm_channel_close(ch);
	return max + 8;
}

T_TEST(sizes_of_rings)
{
	struct vmshm_channel *ch;

	T_EQ(ring_of(0), MIB);
	T_EQ(ring_of(1), 4096);
	T_EQ(ring_of(4096), 4096);
	T_EQ(ring_of(4097), 8192);
	T_EQ(ring_of(3 * MIB), 4 * MIB);
	L_ERR(vmshm_channel_open(&ch, NULL, l_name("x"), (1ul << 30) + 1, 0600),
	      EINVAL);
	T_ASSERT(!ch);
	L_ERR(vmshm_channel_open(&ch, NULL, l_name("x"), SIZE_MAX, 0600),
	      EINVAL);
}

/* The size of an existing object decides the size of the rings. */
static size_t ring_in(uint64_t size)
{
	struct vmshm_channel *ch;
	const char *name = l_name("in");
	size_t max;
	int err;

	vmshm_close(l_object(name, size));
	err = vmshm_channel_open(&ch, NULL, name, MIB, 0);
	if (err) {
		T_EQ(err, -ENODATA);
		return 0;
	}
	max = vmshm_channel_max(ch);
	vmshm_channel_close(ch);
	L_OK(vmshm_unlink(NULL, name));
	return max + 8;
}

T_TEST(objects_that_are_there)
{
	struct vmshm_channel *ch;
	const char *name = l_name("x");

	L_ERR(vmshm_channel_open(&ch, NULL, name, 0, 0), ENOENT);
	T_EQ(ring_in(0), 0);
	T_EQ(ring_in(1), 0);
	T_EQ(ring_in(12287), 0);
	T_EQ(ring_in(12288), 4096);
	T_EQ(ring_in(20479), 4096);
	T_EQ(ring_in(20480), 8192);
	T_EQ(ring_in(3 * MIB), MIB);
	/* An empty object grows if @mode is not 0. */
	vmshm_close(l_object(name, 0));
	ch = ch_open(name, 8192);
	T_EQ(vmshm_channel_max(ch), 8184);
	vmshm_channel_close(ch);
}

T_TEST(the_largest_ring)
{
	const char *name = l_name("x");
	struct vmshm *shm;
	struct vmshm_channel *ch;

	if (l_in_guest())
		t_skip("more than its memory");
	/* The object is sparse: its memory is not used. */
	shm = l_object(name, 0);
	T_EQ(ftruncate(vmshm_fd(shm), (2l << 30) + 4096), 0);
	L_OK(vmshm_channel_open(&ch, NULL, name, 0, 0));
	T_EQ(vmshm_channel_max(ch), (1l << 30) - 8);
	vmshm_channel_close(ch);
	vmshm_close(shm);
}

/* An object that is not a channel, with these bytes at @offset */
static void not_a_channel_at(size_t offset, const void *data, size_t size)
{
	const char *name = l_name("x");
	struct vmshm *shm = l_object(name, MIB);
	char *all = l_map(shm), *before = malloc(MIB);
	struct vmshm_broadcast *b;
	struct vmshm_channel *ch;

	memcpy(all + offset, data, size);
	memcpy(before, all, MIB);
	L_ERR(vmshm_channel_open(&ch, NULL, name, 0, 0600), EINVAL);
	T_ASSERT(!ch);
	L_ERR(vmshm_channel_open(&ch, NULL, name, 0, 0), EINVAL);
	if (strncmp(data, "VMBC", 4))
		L_ERR(vmshm_broadcast_create(&b, NULL, name, 64, 4, 0600),
		      EINVAL);
	T_ASSERT(!memcmp(all, before, MIB));
	vmshm_close(shm);
	L_OK(vmshm_unlink(NULL, name));
	free(before);
}

static void not_a_channel(const void *data, size_t size)
{
	not_a_channel_at(0, data, size);
}

T_TEST(objects_that_are_something_else)
{
	static const uint32_t later[] = { 0x48434d56, 3 },
			      broadcast[] = { 0x43424d56, 1 },
			      zeros[10] = { [9] = 1 },
			      late[1024] = { [1023] = 1 };
	uint32_t noise[1024];
	int i;

	not_a_channel("hello", 6);
	not_a_channel("\1\0\0\0", 4);
	/* An object whose first bytes are zeros may have other contents. */
	not_a_channel(zeros, sizeof(zeros));
	not_a_channel(late, sizeof(late));
	/* So may an object whose whole first page is zeros. */
	not_a_channel_at(4096, "x", 1);
	not_a_channel_at(100000, "hello", 6);
	not_a_channel_at(MIB - 1, "x", 1);
	/*
	 * So may an object in which only words of a channel's header are not
	 * zero.
	 */
	for (i = 4; i < 72; i++)
		not_a_channel_at(i, "x", 1);
	not_a_channel(later, sizeof(later));
	not_a_channel(broadcast, sizeof(broadcast));
	for (i = 1; i <= 20; i++) {
		t_fill(noise, sizeof(noise), i);
		not_a_channel(noise, sizeof(noise));
	}
}

T_TEST(a_full_ring)
{
	struct pair p = pair_open(LEAST);
	int64_t deadline;
	char buf[248];
	int i;

	/* 256 bytes each, with their heads */
	T_EQ(ch_fill(p.a, 248), 16);
	L_ERR(vmshm_channel_send(p.a, buf, 0, VMSHM_NOW), EAGAIN);
	deadline = vmshm_deadline(20 * MSEC);
	L_ERR(vmshm_channel_send(p.a, buf, 0, deadline), ETIMEDOUT);
	T_ASSERT(l_now() >= deadline);
	deadline = vmshm_deadline(20 * MSEC);
	L_ERR(vmshm_channel_drain(p.a, deadline), ETIMEDOUT);
	T_ASSERT(l_now() >= deadline);
	L_ERR(vmshm_channel_drain(p.a, VMSHM_NOW), EAGAIN);
	for (i = 0; i < 16; i++)
		T_EQ(vmshm_channel_recv(p.b, buf, 248, VMSHM_NOW), 248);
	deadline = vmshm_deadline(20 * MSEC);
	L_ERR(vmshm_channel_recv(p.b, buf, 248, deadline), ETIMEDOUT);
	T_ASSERT(l_now() >= deadline);
	L_ERR(vmshm_channel_recv(p.b, buf, 248, VMSHM_NOW), EAGAIN);
	L_OK(vmshm_channel_drain(p.a, VMSHM_NOW));
	pair_close(&p);
}

T_TEST(a_deadline_while_spinning)
{
	static const int64_t spins[] = {
		0, 1, 1000, INT64_MAX, VMSHM_FOREVER, INT64_MIN,
	};
	struct pair p = pair_open(LEAST);
	char byte;
	size_t i;

	for (i = 0; i < sizeof(spins) / sizeof(*spins); i++) {
		int64_t deadline = vmshm_deadline(5 * MSEC);

		vmshm_channel_spin(p.b, spins[i]);
		L_ERR(vmshm_channel_recv(p.b, &byte, 1, deadline), ETIMEDOUT);
		T_ASSERT(l_now() >= deadline);
		ch_send(p.a, "x");
		ch_recv(p.b, "x");
	}
	pair_close(&p);
}

/* The number of voluntary context switches of this thread */
static long sleeps(void)
{
	struct rusage usage;

	T_EQ(getrusage(RUSAGE_THREAD, &usage), 0);
	return usage.ru_nvcsw;
}

static long sleeps_in_waits(struct vmshm_channel *ch, int waits)
{
	long before = sleeps();
	char byte;
	int i;

	for (i = 0; i < waits; i++)
		L_ERR(vmshm_channel_recv(ch, &byte, 1, vmshm_deadline(MSEC)),
		      ETIMEDOUT);
	return sleeps() - before;
}

/*
 * A set busy-polling time is used in each wait, whether it has helped or not.
 */
T_TEST(spinning_as_told)
{
	struct pair p = pair_open(LEAST);

	T_ASSERT(sleeps_in_waits(p.b, 40) >= 20);
	vmshm_channel_spin(p.b, VMSHM_FOREVER);
	T_ASSERT(sleeps_in_waits(p.b, 40) < 20);
	vmshm_channel_spin(p.b, 1000 * MSEC);
	T_ASSERT(sleeps_in_waits(p.b, 40) < 20);
	vmshm_channel_spin(p.b, 0);
	T_ASSERT(sleeps_in_waits(p.b, 40) >= 20);
	pair_close(&p);
}

T_TEST(drained_is_received_and_released)
{
	struct pair p = pair_open(LEAST);
	const void *in;
	size_t size;

	L_OK(vmshm_channel_drain(p.a, VMSHM_NOW));
	ch_send(p.a, "x");
	L_ERR(vmshm_channel_drain(p.a, VMSHM_NOW), EAGAIN);
	L_OK(vmshm_channel_peek(p.b, &in, &size, VMSHM_NOW));
	L_ERR(vmshm_channel_drain(p.a, VMSHM_NOW), EAGAIN);
	L_OK(vmshm_channel_release(p.b));
	L_OK(vmshm_channel_drain(p.a, VMSHM_NOW));
	/* drain() also works after a shutdown. */
	ch_send(p.a, "y");
	L_OK(vmshm_channel_shutdown(p.a));
	L_ERR(vmshm_channel_drain(p.a, VMSHM_NOW), EAGAIN);
	ch_recv(p.b, "y");
	L_OK(vmshm_channel_drain(p.a, VMSHM_NOW));
	pair_close(&p);
}

T_TEST(a_stream)
{
	struct pair p = pair_open(LEAST);
	size_t sent = 0, got = 0;
	char out[1000], in[1000];
	ssize_t n;
	uint32_t seed = 1;

	/* Pieces of any size, each byte with its own number */
	while (got < MIB) {
		size_t i, size = l_random(&seed) % sizeof(out);

		for (i = 0; i < size; i++)
			out[i] = (sent + i) * 7 >> 3;
		n = vmshm_channel_write(p.a, out, size, VMSHM_NOW);
		T_ASSERT(n >= 0 || n == -EAGAIN);
		sent += n > 0 ? n : 0;
		size = l_random(&seed) % sizeof(in) + 1;
		n = vmshm_channel_read(p.b, in, size, VMSHM_NOW);
		T_ASSERT(n > 0 || n == -EAGAIN);
		for (i = 0; n > 0 && i < (size_t)n; i++)
			T_EQ(in[i], (char)((got + i) * 7 >> 3));
		got += n > 0 ? n : 0;
	}
	pair_close(&p);
}

T_TEST(a_write_that_is_cut_short)
{
	struct pair p = pair_open(LEAST);
	char *data = calloc(1, 100000), *in = malloc(100000);
	ssize_t n, got;

	ch_make(data, 100000, 1);
	n = vmshm_channel_write(p.a, data, 100000, VMSHM_NOW);
	T_ASSERT(n > 0 && n < LEAST);
	L_ERR(vmshm_channel_write(p.a, data, 1000, VMSHM_NOW), EAGAIN);
	L_ERR(vmshm_channel_write(p.a, data, 1000, vmshm_deadline(MSEC)),
	      ETIMEDOUT);
	/* One read returns all bytes that are there. */
	got = vmshm_channel_read(p.b, in, 100000, VMSHM_FOREVER);
	T_EQ(got, n);
	T_ASSERT(ch_is_made(in, n, 1));
	L_ERR(vmshm_channel_read(p.b, in, 1, VMSHM_NOW), EAGAIN);
	L_ERR(vmshm_channel_read(p.b, in, 1, vmshm_deadline(MSEC)), ETIMEDOUT);
	L_OK(vmshm_channel_shutdown(p.a));
	T_EQ(vmshm_channel_read(p.b, in, 1, VMSHM_FOREVER), 0);
	T_EQ(vmshm_channel_read(p.b, in, 1, VMSHM_FOREVER), 0);
	L_ERR(vmshm_channel_write(p.a, data, 1, VMSHM_FOREVER), EPIPE);
	pair_close(&p);
	free(data);
	free(in);
}

T_TEST(streams_and_messages_mixed)
{
	struct pair p = pair_open(LEAST);
	char buf[100];
	const void *in;
	size_t size;

	/* Messages are read as a stream, across their boundaries. */
	ch_send(p.a, "one");
	L_OK(vmshm_channel_send(p.a, "", 0, VMSHM_NOW));
	ch_send(p.a, "two");
	T_EQ(vmshm_channel_read(p.b, buf, 2, VMSHM_NOW), 2);
	T_EQ(vmshm_channel_read(p.b, buf + 2, 4, VMSHM_NOW), 4);
	T_ASSERT(!memcmp(buf, "one\0tw", 6));
	/* The rest of a message is received as a message. */
	L_ERR(vmshm_channel_recv(p.b, buf, 1, VMSHM_NOW), EMSGSIZE);
	ch_recv(p.b, "o");
	/* Data that was written as a stream is received as messages. */
	T_EQ(vmshm_channel_write(p.a, "three", 6, VMSHM_NOW), 6);
	ch_recv(p.b, "three");
	/* The rest of a message is peeked at, and released as a whole. */
	ch_send(p.a, "four");
	T_EQ(vmshm_channel_read(p.b, buf, 2, VMSHM_NOW), 2);
	L_OK(vmshm_channel_peek(p.b, &in, &size, VMSHM_NOW));
	T_EQ(size, 3);
	T_ASSERT(!strcmp(in, "ur"));
	L_OK(vmshm_channel_release(p.b));
	L_OK(vmshm_channel_drain(p.a, VMSHM_NOW));
	/* A stream skips empty messages. */
	L_OK(vmshm_channel_send(p.a, "", 0, VMSHM_NOW));
	L_ERR(vmshm_channel_read(p.b, buf, 1, VMSHM_NOW), EAGAIN);
	pair_close(&p);
}

T_TEST(who_comes_first_may_send)
{
	const char *name = l_name("x");
	struct vmshm_channel *a = ch_open(name, LEAST), *b;
	char byte;

	L_ERR(vmshm_channel_peer(a, VMSHM_NOW), EAGAIN);
	L_ERR(vmshm_channel_peer(a, vmshm_deadline(MSEC)), ETIMEDOUT);
	L_ERR(vmshm_channel_recv(a, &byte, 1, VMSHM_NOW), EAGAIN);
	ch_send(a, "early");
	L_ERR(vmshm_channel_drain(a, VMSHM_NOW), EAGAIN);
	b = ch_open(name, LEAST);
	L_OK(vmshm_channel_peer(a, VMSHM_FOREVER));
	L_OK(vmshm_channel_peer(b, VMSHM_NOW));
	ch_recv(b, "early");
	ch_send(b, "answer");
	vmshm_channel_close(b);
	/* The peer has been there. */
	L_OK(vmshm_channel_peer(a, VMSHM_NOW));
	ch_recv(a, "answer");
	ch_end(a, EPIPE);
	vmshm_channel_close(a);
}

T_TEST(a_shutdown_is_of_one_way)
{
	struct pair p = pair_open(LEAST);
	char byte;

	ch_send(p.a, "last");
	L_OK(vmshm_channel_shutdown(p.a));
	L_OK(vmshm_channel_shutdown(p.a));
	L_ERR(vmshm_channel_send(p.a, "x", 1, VMSHM_NOW), EPIPE);
	ch_recv(p.b, "last");
	ch_end(p.b, EPIPE);
	T_EQ(vmshm_channel_read(p.b, &byte, 1, VMSHM_FOREVER), 0);
	ch_send(p.b, "other way");
	ch_recv(p.a, "other way");
	L_ERR(vmshm_channel_recv(p.a, &byte, 1, VMSHM_NOW), EAGAIN);
	L_OK(vmshm_channel_shutdown(p.b));
	ch_end(p.a, EPIPE);
	pair_close(&p);
}

T_TEST(what_was_sent_before_closing_is_received)
{
	struct pair p = pair_open(LEAST);
	char buf[248];
	int i, n = ch_fill(p.a, 248);

	vmshm_channel_close(p.a);
	for (i = 0; i < n; i++)
		T_EQ(vmshm_channel_recv(p.b, buf, 248, VMSHM_NOW), 248);
	ch_end(p.b, EPIPE);
	T_EQ(vmshm_channel_read(p.b, buf, 1, VMSHM_NOW), 0);
	L_ERR(vmshm_channel_send(p.b, "x", 1, VMSHM_FOREVER), EPIPE);
	L_ERR(vmshm_channel_write(p.b, "x", 1, VMSHM_FOREVER), EPIPE);
	vmshm_channel_close(p.b);
	vmshm_channel_close(NULL);
}

T_TEST(not_drained_when_closed)
{
	struct pair p = pair_open(LEAST);

	ch_send(p.a, "lost");
	vmshm_channel_close(p.b);
	L_ERR(vmshm_channel_drain(p.a, VMSHM_FOREVER), EPIPE);
	vmshm_channel_close(p.a);
}

T_TEST(a_third_one)
{
	struct pair p = pair_open(LEAST);
	struct vmshm_channel *c;

	L_ERR(vmshm_channel_open(&c, NULL, p.name, 0, 0600), EBUSY);
	T_ASSERT(!c);
	ch_send(p.a, "still");
	ch_recv(p.b, "still");
	/* The seat of a party that left stays free until its peer leaves. */
	ch_send(p.a, "last");
	vmshm_channel_close(p.a);
	L_ERR(vmshm_channel_open(&c, NULL, p.name, 0, 0600), EBUSY);
	ch_recv(p.b, "last");
	ch_end(p.b, EPIPE);
	vmshm_channel_close(p.b);
}

T_TEST(the_next_two_begin_anew)
{
	struct pair p = pair_open(LEAST);
	char byte;
	int i;

	for (i = 0; i < 20; i++) {
		ch_send(p.a, "stale");
		ch_send(p.b, "stale");
		if (i % 2) {
			vmshm_channel_close(p.b);
			vmshm_channel_close(p.a);
		} else {
			pair_close(&p);
		}
		p.a = ch_open(p.name, LEAST);
		p.b = ch_open(p.name, LEAST);
		L_ERR(vmshm_channel_recv(p.a, &byte, 1, VMSHM_NOW), EAGAIN);
		L_ERR(vmshm_channel_recv(p.b, &byte, 1, VMSHM_NOW), EAGAIN);
		ch_send(p.a, "new");
		ch_recv(p.b, "new");
	}
	pair_close(&p);
	/* Also if only one party was there */
	p.a = ch_open(p.name, LEAST);
	ch_send(p.a, "stale");
	vmshm_channel_close(p.a);
	p.a = ch_open(p.name, LEAST);
	p.b = ch_open(p.name, LEAST);
	L_ERR(vmshm_channel_recv(p.b, &byte, 1, VMSHM_NOW), EAGAIN);
	pair_close(&p);
}

T_TEST(another_ring_size_the_next_time)
{
	struct vmshm_channel *ch;
	struct vmshm *shm;
	struct pair p = pair_open(LEAST);

	pair_close(&p);
	/*
	 * After the object has grown, a new pair of parties has larger rings.
	 */
	L_OK(vmshm_open(&shm, NULL, p.name, O_RDWR, 0));
	L_OK(vmshm_grow(shm, 4096 + 2 * 16384));
	vmshm_close(shm);
	ch = ch_open(p.name, LEAST);
	T_EQ(vmshm_channel_max(ch), 16384 - 8);
	vmshm_channel_close(ch);
}

/* 4 GiB through a ring of 1 MiB: positions are 32 bits. */
T_TEST(positions_wrap)
{
	struct pair p = pair_open(MIB);
	size_t got, size = vmshm_channel_max(p.a) / 2 - 8;
	const uint32_t *in;
	uint32_t i, n = (1ull << 32) / size + 10;
	void *out;

	for (i = 0; i < n; i++) {
		L_OK(vmshm_channel_reserve(p.a, &out, size, VMSHM_NOW));
		((uint32_t *)out)[0] = i;
		((uint32_t *)out)[size / 4 - 1] = ~i;
		L_OK(vmshm_channel_commit(p.a, size));
		/* One message is always in the ring. */
		if (!i)
			continue;
		L_OK(vmshm_channel_peek(p.b, (const void **)&in, &got,
					VMSHM_NOW));
		T_EQ(got, size);
		T_ASSERT(in[0] == i - 1 && in[size / 4 - 1] == ~(i - 1));
		L_OK(vmshm_channel_release(p.b));
	}
	pair_close(&p);
}

T_TEST(no_right_to_write)
{
	const char *name = l_name("x");
	struct vmshm_channel *ch;
	struct vmshm *shm;
	pid_t pid;

	if (geteuid())
		t_skip("only root can become another user");
	umask(0);
	L_OK(vmshm_open(&shm, NULL, name, O_RDWR | O_CREAT, 0644));
	L_OK(vmshm_grow(shm, MIB));
	vmshm_close(shm);
	pid = t_fork();
	if (!pid) {
		T_EQ(setuid(NOBODY), 0);
		L_ERR(vmshm_channel_open(&ch, NULL, name, 0, 0), EACCES);
		_exit(0);
	}
	t_wait(pid);
}

T_TEST(anybody_with_the_right_can)
{
	const char *name = l_name("x");
	struct vmshm_channel *ch;
	pid_t pid;

	if (geteuid())
		t_skip("only root can become another user");
	umask(0);
	L_OK(vmshm_channel_open(&ch, NULL, name, LEAST, 0666));
	pid = t_fork();
	if (!pid) {
		T_EQ(setuid(NOBODY), 0);
		ch = ch_open(name, LEAST);
		ch_recv(ch, "to nobody");
		ch_send(ch, "to root");
		vmshm_channel_close(ch);
		_exit(0);
	}
	/*
	 * The library's threads do not prevent a change of the process's user.
	 */
	T_EQ(setuid(NOBODY), 0);
	ch_send(ch, "to nobody");
	ch_recv(ch, "to root");
	ch_end(ch, EPIPE);
	t_wait(pid);
	vmshm_channel_close(ch);
}

T_TEST(many_at_once)
{
	/* A guest has 32 seats. */
	int i, j, n = l_in_guest() ? 15 : 100;
	struct pair p[100];
	char text[32];

	for (i = 0; i < n; i++) {
		sprintf(text, "many-%d", i);
		p[i].name = l_name(text);
		p[i].a = ch_open(p[i].name, LEAST);
		p[i].b = ch_open(p[i].name, LEAST);
	}
	for (j = 0; j < 10; j++) {
		for (i = 0; i < n; i++) {
			sprintf(text, "%d of %d", j, i);
			ch_send(j % 2 ? p[i].a : p[i].b, text);
		}
		for (i = n - 1; i >= 0; i--) {
			sprintf(text, "%d of %d", j, i);
			ch_recv(j % 2 ? p[i].b : p[i].a, text);
		}
	}
	for (i = 0; i < n; i++)
		pair_close(&p[i]);
}

#define BATCH 7

static struct vmshm_message *new_batch(size_t size)
{
	struct vmshm_message *m = calloc(BATCH, sizeof(*m));
	int i;

	for (i = 0; i < BATCH; i++) {
		m[i].data = calloc(1, size + 1);
		m[i].size = size;
	}
	return m;
}

static void free_batch(struct vmshm_message *m)
{
	int i;

	for (i = 0; i < BATCH; i++)
		free(m[i].data);
	free(m);
}

T_TEST(batches)
{
	struct vmshm_message *out = new_batch(300), *in = new_batch(300);
	struct pair p = pair_open(LEAST);
	uint32_t seed = 5, n = 0;
	ssize_t sent, got;
	int round, i;

	/*
	 * Batches of all lengths and counts, so that the ring wraps and gets
	 * full
	 */
	for (round = 0; round < 3000; round++) {
		for (i = 0; i < BATCH; i++) {
			out[i].length = l_random(&seed) % 301;
			ch_make(out[i].data, out[i].length, n + i);
		}
		sent = vmshm_channel_sendv(p.a, out, l_random(&seed) % 8,
					   VMSHM_NOW);
		T_ASSERT(sent >= 0 && sent <= BATCH);
		for (got = 0; got < sent;) {
			ssize_t some;

			some = vmshm_channel_recvv(p.b, in, BATCH, VMSHM_NOW);
			T_ASSERT(some > 0 && got + some <= sent);
			for (i = 0; i < some; i++, got++, n++) {
				T_EQ(in[i].length, out[got].length);
				T_EQ(in[i].size, 300);
				T_ASSERT(ch_is_made(in[i].data, in[i].length,
						    n));
			}
		}
	}
	L_ERR(vmshm_channel_recvv(p.b, in, BATCH, VMSHM_NOW), EAGAIN);
	L_ERR(vmshm_channel_recvv(p.b, in, BATCH, vmshm_deadline(MSEC)),
	      ETIMEDOUT);
	T_EQ(vmshm_channel_recvv(p.b, in, 0, VMSHM_FOREVER), 0);
	T_EQ(vmshm_channel_sendv(p.b, out, 0, VMSHM_FOREVER), 0);
	pair_close(&p);
	free_batch(out);
	free_batch(in);
}

T_TEST(batches_that_end_early)
{
	struct vmshm_message *m = new_batch(LEAST);
	struct pair p = pair_open(LEAST);
	int i;

	/*
	 * A message that is too long ends the batch; the messages before it are
	 * sent.
	 */
	for (i = 0; i < BATCH; i++)
		m[i].length = i == 2 ? LEAST : 8;
	T_EQ(vmshm_channel_sendv(p.a, m, BATCH, VMSHM_FOREVER), 2);
	L_ERR(vmshm_channel_sendv(p.a, m + 2, BATCH - 2, VMSHM_FOREVER),
	      EMSGSIZE);
	/* Messages for which there is no room are not sent. */
	m[2].length = LEAST - 8 - 3 * 16;
	T_EQ(vmshm_channel_sendv(p.a, m + 2, 3, VMSHM_NOW), 2);
	L_ERR(vmshm_channel_sendv(p.a, m + 4, 1, VMSHM_NOW), EAGAIN);
	L_ERR(vmshm_channel_sendv(p.a, m + 4, 1, vmshm_deadline(MSEC)),
	      ETIMEDOUT);
	/* A message that is longer than its buffer ends the batch. */
	m[2].size = 8;
	T_EQ(vmshm_channel_recvv(p.b, m, BATCH, VMSHM_NOW), 2);
	L_ERR(vmshm_channel_recvv(p.b, m + 2, 1, VMSHM_NOW), EMSGSIZE);
	T_EQ(vmshm_channel_recvv(p.b, m, BATCH, VMSHM_NOW), 2);
	T_EQ(m[0].length, LEAST - 8 - 3 * 16);
	L_OK(vmshm_channel_drain(p.a, VMSHM_NOW));
	/* The peer leaves. */
	vmshm_channel_close(p.b);
	L_ERR(vmshm_channel_sendv(p.a, m, 1, VMSHM_FOREVER), EPIPE);
	L_ERR(vmshm_channel_recvv(p.a, m, 1, VMSHM_FOREVER), EPIPE);
	vmshm_channel_close(p.a);
	free_batch(m);
}

/* A batch that does not fit at once continues while the peer receives. */
T_TEST(batches_that_wait)
{
	struct vmshm_message *m = new_batch(1000);
	const char *name = l_name("x");
	struct vmshm_channel *ch;
	pid_t pid = t_fork();
	int i, round;

	for (i = 0; i < BATCH; i++)
		m[i].length = 1000;
	if (!pid) {
		ch = ch_open(name, LEAST);
		for (round = 0; round < 200; round++)
			T_EQ(vmshm_channel_sendv(ch, m, BATCH, VMSHM_FOREVER),
			     BATCH);
		vmshm_channel_close(ch);
		_exit(0);
	}
	ch = ch_open(name, LEAST);
	for (i = 0; i < 200 * BATCH;) {
		ssize_t n = vmshm_channel_recvv(ch, m, 3, VMSHM_FOREVER);

		T_ASSERT(n > 0 && n <= 3);
		i += n;
	}
	ch_end(ch, EPIPE);
	t_wait(pid);
	vmshm_channel_close(ch);
	free_batch(m);
}

/* A batch after a message that was read in part, or peeked at */
T_TEST(batches_and_other_calls)
{
	struct vmshm_message *m = new_batch(100);
	struct pair p = pair_open(LEAST);
	size_t size;
	const void *in;
	char byte;
	void *out;
	int i;

	for (i = 0; i < 3; i++) {
		m[i].length = 4;
		memcpy(m[i].data, "abc", 4);
	}
	L_OK(vmshm_channel_reserve(p.a, &out, 10, VMSHM_NOW));
	T_EQ(vmshm_channel_sendv(p.a, m, 3, VMSHM_NOW), 3);
	L_ERR(vmshm_channel_commit(p.a, 1), EINVAL);
	T_EQ(vmshm_channel_read(p.b, &byte, 1, VMSHM_NOW), 1);
	L_OK(vmshm_channel_peek(p.b, &in, &size, VMSHM_NOW));
	T_EQ(vmshm_channel_recvv(p.b, m, BATCH, VMSHM_NOW), 3);
	T_EQ(m[0].length, 3);
	T_ASSERT(!strcmp(m[0].data, "bc"));
	T_EQ(m[2].length, 4);
	L_ERR(vmshm_channel_release(p.b), EINVAL);
	pair_close(&p);
	free_batch(m);
}

/* Answers each request with its length. */
static pid_t answerer(const char *name, bool sleeps)
{
	pid_t pid = t_fork();
	struct vmshm_channel *ch;
	char data[LEAST];
	ssize_t n;

	if (pid)
		return pid;
	ch = ch_open(name, LEAST);
	if (sleeps)
		vmshm_channel_spin(ch, 0);
	while ((n = vmshm_channel_recv(ch, data, LEAST, VMSHM_FOREVER)) >= 0)
		L_OK(vmshm_channel_send(ch, &n, sizeof(n), VMSHM_FOREVER));
	T_EQ(n, -EPIPE);
	_exit(0);
}

static void calls(bool mine_sleeps, bool other_sleeps)
{
	const char *name = l_name("x");
	struct vmshm_channel *ch = ch_open(name, LEAST);
	pid_t pid = answerer(name, other_sleeps);
	char data[LEAST] = "";
	ssize_t i, reply;
	int sent;

	if (mine_sleeps)
		vmshm_channel_spin(ch, 0);
	for (i = 0; i < 2000; i++) {
		reply = -1;
		T_EQ(vmshm_channel_call(ch, data, i % 3000, &reply,
					sizeof(reply), &sent, VMSHM_FOREVER),
		     sizeof(reply));
		T_EQ(reply, i % 3000);
		T_EQ(sent, 1);
	}
	vmshm_channel_close(ch);
	t_wait(pid);
}

T_TEST(requests_and_replies)
{
	calls(false, false);
	calls(false, true);
	calls(true, false);
	calls(true, true);
}

T_TEST(calls_that_fail)
{
	struct pair p = pair_open(LEAST);
	char data[LEAST + 1] = "";
	int sent = 7;

	/* The request was not sent. */
	L_ERR(vmshm_channel_call(p.a, data, LEAST, data, 1, &sent, VMSHM_NOW),
	      EMSGSIZE);
	T_EQ(sent, 0);
	ch_fill(p.a, 248);
	sent = 7;
	L_ERR(vmshm_channel_call(p.a, data, 1, data, 1, &sent, VMSHM_NOW),
	      EAGAIN);
	T_EQ(sent, 0);
	while (vmshm_channel_recv(p.b, data, LEAST, VMSHM_NOW) >= 0)
		;
	/* The request was sent; there is no reply yet. */
	L_ERR(vmshm_channel_call(p.a, "one", 4, data, 1, &sent, VMSHM_NOW),
	      EAGAIN);
	T_EQ(sent, 1);
	L_ERR(vmshm_channel_call(p.a, "two", 4, data, 1, &sent,
				 vmshm_deadline(MSEC)), ETIMEDOUT);
	T_EQ(sent, 1);
	ch_recv(p.b, "one");
	ch_recv(p.b, "two");
	ch_send(p.b, "reply");
	/* A reply that is too long stays in the ring. */
	L_ERR(vmshm_channel_call(p.a, "three", 6, data, 1, &sent, VMSHM_NOW),
	      EMSGSIZE);
	T_EQ(sent, 1);
	ch_recv(p.a, "reply");
	ch_recv(p.b, "three");
	vmshm_channel_close(p.b);
	L_ERR(vmshm_channel_call(p.a, "x", 1, data, 1, &sent, VMSHM_NOW),
	      EPIPE);
	T_EQ(sent, 0);
	vmshm_channel_close(p.a);
}
