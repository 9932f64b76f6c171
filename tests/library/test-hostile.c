// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A peer that writes anything into the object. The victim may get any error,
 * but its calls end at their deadlines, and the sanitizers find nothing.
 *
 * qemu: channels
 * host: address
 */
#define _GNU_SOURCE
#include <vmshm/broadcast.h>

#include "pair.h"

/* Where the words are; see lib/channel-common.h */
#define MAGIC 0
#define READY 8
#define RING 12
#define SEAT(n) (64 + 4 * (n))
#define PARTY(n) (256 * ((n) + 1))
#define SENT 0
#define RECEIVED 64
#define READABLE 128
#define END 132
#define CLOSED 136
#define WRITABLE 192
#define RINGS 4096

static _Atomic uint32_t *word(char *object, size_t offset)
{
	return (_Atomic uint32_t *)(object + offset);
}

/* A random value, often one near a limit of the library */
static uint32_t lie(uint32_t *seed, uint32_t now)
{
	static const uint32_t values[] = {
		0,	    1,		7,	    8,
		LEAST - 8,  LEAST - 1,	LEAST,	    LEAST + 1,
		LEAST + 8,  1u << 30,	1u << 31,   UINT32_MAX - 7,
		UINT32_MAX, 0x40000000, 0x80000001, 0xc0000000,
	};
	uint32_t value = values[l_random(seed) % 16];

	switch (l_random(seed) % 4) {
	case 0:
		return value;
	case 1:
		return now + value;
	case 2:
		return now - value;
	default:
		return l_random(seed);
	}
}

static void tell_a_lie(char *object, uint32_t *seed, bool header)
{
	static const uint16_t headers[] = { 0, 4, 8, 12, 16, 64, 68 };
	static const uint16_t parties[] = { SENT,     END,	CLOSED,
					    RECEIVED, READABLE, WRITABLE };
	size_t offset;

	switch (l_random(seed) % 4) {
	case 0:
		if (header) {
			offset = headers[l_random(seed) % 7];
			break;
		}
		/* fallthrough */
	case 1:
		offset =
			PARTY(l_random(seed) % 2) + parties[l_random(seed) % 6];
		break;
	case 2:
		/* Most message heads are at the beginning of a ring. */
		offset = RINGS + l_random(seed) % 16 * 8;
		break;
	default:
		offset = RINGS + l_random(seed) % (2 * LEAST / 4) * 4;
	}
	atomic_store(word(object, offset),
		     lie(seed, atomic_load(word(object, offset))));
}

static volatile char sum;

/* Reads all of the bytes. */
static void look_at(const void *data, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		sum += ((const char *)data)[i];
}

/* Makes one random call and returns its result. */
static ssize_t any_call(struct vmshm_channel *ch, uint32_t *seed)
{
	int64_t deadline = l_random(seed) % 3 ? VMSHM_NOW :
						vmshm_deadline(MSEC / 10);
	size_t got, size = l_random(seed) % (LEAST - 7);
	static char data[2 * LEAST];
	const void *from;
	ssize_t n;
	void *to;

	switch (l_random(seed) % 10) {
	case 0:
	case 1:
		return vmshm_channel_send(ch, data, size, deadline);
	case 2:
		n = vmshm_channel_reserve(ch, &to, size, deadline);
		if (n)
			return n;
		memset(to, 7, size);
		return vmshm_channel_commit(ch, l_random(seed) % (size + 1));
	case 3:
	case 4:
		return vmshm_channel_recv(ch, data, size, deadline);
	case 5:
		n = vmshm_channel_peek(ch, &from, &got, deadline);
		if (n)
			return n;
		look_at(from, got);
		return vmshm_channel_release(ch);
	case 6:
		return vmshm_channel_write(ch, data, size, deadline);
	case 7:
		return vmshm_channel_read(ch, data, size, deadline);
	case 8:
		return l_random(seed) % 2 ? vmshm_channel_drain(ch, deadline) :
					    vmshm_channel_peer(ch, deadline);
	default:
		return vmshm_channel_arm(ch);
	}
}

static bool is_expected(ssize_t n)
{
	static const int errors[] = { EAGAIN,	  ETIMEDOUT, EINTR,   EPIPE,
				      ECONNRESET, EPROTO,    EMSGSIZE };
	size_t i;

	if (n >= 0)
		return n <= LEAST;
	for (i = 0; i < sizeof(errors) / sizeof(*errors); i++)
		if (n == -errors[i])
			return true;
	return false;
}

/*
 * Either party: makes calls, and sometimes writes a random value to the object.
 */
static void play(const char *name, uint32_t seed, bool header)
{
	char *object = l_map_at(name, CHANNEL_SIZE);
	struct vmshm_channel *ch = NULL;
	int i, err;

	for (i = 0; i < 300; i++) {
		ssize_t n;

		if (header || i > 100)
			if (l_random(&seed) % 16 == 0)
				tell_a_lie(object, &seed, header);
		if (!ch) {
			err = vmshm_channel_open(&ch, NULL, name, 0, 0);
			if (err)
				T_ASSERT(err == -EBUSY || err == -EINVAL ||
					 err == -ETIMEDOUT);
			if (err && !header)
				break;
			/* That open can take a second. */
			if (err == -ETIMEDOUT)
				break;
			continue;
		}
		n = any_call(ch, &seed);
		if (!is_expected(n))
			t_fail("a call says %zd", n);
		if (n == -EPROTO || n == -EPIPE || n == -ECONNRESET) {
			vmshm_channel_close(ch);
			ch = NULL;
		}
	}
	vmshm_channel_close(ch);
	munmap(object, CHANNEL_SIZE);
}

static void lie_to_each_other(bool header, int rounds)
{
	int round;

	for (round = 1; round <= rounds; round++) {
		const char *name = l_name("x");
		pid_t pid;

		vmshm_close(l_object(name, CHANNEL_SIZE));
		fprintf(stderr, "seeds %d and %d\n", round, round + 10000);
		pid = t_fork();
		if (!pid) {
			play(name, round, header);
			_exit(0);
		}
		play(name, round + 10000, header);
		t_wait(pid);
		L_OK(vmshm_unlink(NULL, name));
	}
}

T_TEST(positions_and_lengths)
{
	lie_to_each_other(false, l_in_guest() ? 20 : 120);
}

T_TEST(headers_and_seats)
{
	lie_to_each_other(true, l_in_guest() ? 5 : 15);
}

/* A child that lies all the time */
static pid_t liar(const char *name, const size_t *offsets, int n)
{
	pid_t pid = t_fork();
	struct vmshm *shm;
	uint32_t seed = 1;
	char *object;

	if (pid)
		return pid;
	L_OK(vmshm_open(&shm, NULL, name, O_RDWR, 0));
	object = l_map(shm);
	for (;;) {
		size_t offset = offsets[l_random(&seed) % n];

		atomic_fetch_add(word(object, offset), l_random(&seed) % 4);
		vmshm_wake(shm, offset, UINT32_MAX);
	}
}

/* If the event words change all the time, no call gets to sleep. */
T_TEST(deadlines_hold_without_sleep)
{
	static const size_t events[] = {
		PARTY(0) + READABLE,
		PARTY(0) + WRITABLE,
		PARTY(1) + READABLE,
		PARTY(1) + WRITABLE,
	};
	struct pair p = { .name = l_name("x") };
	char data[248];
	pid_t pid;
	int i;

	p.a = ch_open(p.name, LEAST);
	pid = liar(p.name, events, 4);
	vmshm_channel_spin(p.a, 0);
	for (i = 0; i < 20; i++)
		L_ERR(vmshm_channel_peer(p.a, vmshm_deadline(MSEC)), ETIMEDOUT);
	p.b = ch_open(p.name, LEAST);
	vmshm_channel_spin(p.b, 0);
	ch_fill(p.b, 248);
	for (i = 0; i < 20; i++) {
		L_ERR(vmshm_channel_recv(p.b, data, 248, vmshm_deadline(MSEC)),
		      ETIMEDOUT);
		L_ERR(vmshm_channel_send(p.b, data, 248, vmshm_deadline(MSEC)),
		      ETIMEDOUT);
		L_ERR(vmshm_channel_drain(p.b, vmshm_deadline(MSEC)),
		      ETIMEDOUT);
	}
	/* A message that is sent arrives. */
	for (i = 0; i < 16; i++)
		T_EQ(vmshm_channel_recv(p.a, data, 248, VMSHM_FOREVER), 248);
	l_kill(pid);
	pair_close(&p);
}

/* A first party that never gets ready, and one that does not exist. */
T_TEST(opening_ends)
{
	const char *name = l_name("x");
	struct vmshm *shm = l_object(name, CHANNEL_SIZE);
	struct vmshm_channel *ch;
	char *object = l_map(shm);

	atomic_store(word(object, 4), 2);
	atomic_store(word(object, MAGIC), 0x48434d56);
	atomic_store(word(object, SEAT(0)), 0x80000001);
	L_ERR(vmshm_channel_open(&ch, NULL, name, 0, 0), ETIMEDOUT);
	T_ASSERT(!ch);
	/* Ready, but with an impossible ring */
	atomic_store(word(object, READY), 0x80000001);
	atomic_store(word(object, RING), 12345);
	L_ERR(vmshm_channel_open(&ch, NULL, name, 0, 0), EINVAL);
	atomic_store(word(object, SEAT(1)), 0);
	atomic_store(word(object, RING), 1u << 30);
	L_ERR(vmshm_channel_open(&ch, NULL, name, 0, 0), EINVAL);
	atomic_store(word(object, SEAT(1)), 0);
	atomic_store(word(object, RING), 0);
	L_ERR(vmshm_channel_open(&ch, NULL, name, 0, 0), EINVAL);
	vmshm_close(shm);
}

/* Invalid words give EPROTO, which is permanent; closing works. */
T_TEST(nonsense_is_eproto)
{
	struct pair p = pair_open(LEAST);
	char *object = l_map_at(p.name, CHANNEL_SIZE);
	struct vmshm_channel *c;
	char buf[16];
	int i, err;

	ch_send(p.a, "good");
	atomic_fetch_add(word(object, PARTY(0) + SENT), 4);
	ch_end(p.b, EPROTO);
	L_ERR(vmshm_channel_read(p.b, buf, 16, VMSHM_FOREVER), EPROTO);
	T_EQ(vmshm_channel_arm(p.b), 1);
	/* A later valid value does not clear the error, in either direction. */
	atomic_fetch_sub(word(object, PARTY(0) + SENT), 4);
	ch_end(p.b, EPROTO);
	T_EQ(vmshm_channel_arm(p.b), 1);
	L_ERR(vmshm_channel_send(p.b, buf, 1, VMSHM_FOREVER), EPROTO);
	L_ERR(vmshm_channel_drain(p.b, VMSHM_FOREVER), EPROTO);
	L_OK(vmshm_channel_peer(p.b, VMSHM_FOREVER));
	atomic_store(word(object, PARTY(1) + RECEIVED), 1u << 31);
	/*
	 * A sender reads the peer's position when the room that it knows of is
	 * used up.
	 */
	for (i = 0; i < LEAST / 16; i++) {
		err = vmshm_channel_send(p.a, buf, 1, VMSHM_FOREVER);
		if (err)
			break;
	}
	T_EQ(err, -EPROTO);
	L_ERR(vmshm_channel_send(p.a, buf, 1, VMSHM_FOREVER), EPROTO);
	L_ERR(vmshm_channel_drain(p.a, VMSHM_FOREVER), EPROTO);
	pair_close(&p);
	/* The next pair of parties initializes the channel again. */
	c = ch_open(p.name, LEAST);
	L_ERR(vmshm_channel_recv(c, buf, 16, VMSHM_NOW), EAGAIN);
	vmshm_channel_close(c);
}

/* The first bytes of a broadcast, and those of its entries */
static void lie_about_a_broadcast(char *object, uint32_t *seed)
{
	static const uint16_t headers[] = { 0,	4,  8,	 12,  16,
					    20, 64, 128, 132, 136 };
	size_t offset = l_random(seed) % 2 ? headers[l_random(seed) % 10] :
					     4096 + l_random(seed) % 32 * 4;

	atomic_store(word(object, offset),
		     lie(seed, atomic_load(word(object, offset))));
}

#define ENTRIES 4

static void hear_lies(const char *name, uint32_t seed)
{
	struct vmshm_broadcast *r = NULL;
	static char data[64];
	const void *from;
	size_t size;
	ssize_t n;
	int i;

	for (i = 0; i < 500; i++) {
		if (!r && vmshm_broadcast_open(&r, NULL, name))
			continue;
		if (l_random(&seed) % 2) {
			n = vmshm_broadcast_recv(r, data, l_random(&seed) % 65,
						 NULL,
						 vmshm_deadline(MSEC / 10));
		} else {
			n = vmshm_broadcast_peek(r, &from, &size, NULL,
						 VMSHM_NOW);
			if (!n) {
				look_at(from, size);
				n = vmshm_broadcast_release(r);
			}
		}
		T_ASSERT(n >= 0 || n == -EOVERFLOW || is_expected(n));
		if (l_random(&seed) % 50 == 0) {
			vmshm_broadcast_close(r);
			r = NULL;
		}
	}
	vmshm_broadcast_close(r);
}

T_TEST(a_broadcast_of_lies)
{
	int round, rounds = l_in_guest() ? 5 : 15;

	for (round = 1; round <= rounds; round++) {
		const char *name = l_name("x");
		struct vmshm_broadcast *w;
		pid_t pid;

		fprintf(stderr, "seed %d\n", round);
		L_OK(vmshm_broadcast_create(&w, NULL, name, 64, ENTRIES, 0600));
		vmshm_broadcast_close(w);
		pid = t_fork();
		if (!pid) {
			char *object = l_map_at(name, 8192);
			uint32_t seed = round;
			char data[64] = "";

			L_OK(vmshm_broadcast_create(&w, NULL, name, 64, ENTRIES,
						    0600));
			/* The writer continues with any contents. */
			for (;;) {
				L_OK(vmshm_broadcast_send(w, data, 64));
				if (l_random(&seed) % 4 == 0)
					lie_about_a_broadcast(object, &seed);
			}
		}
		hear_lies(name, round + 10000);
		l_kill(pid);
		L_OK(vmshm_unlink(NULL, name));
	}
}

T_TEST(deadlines_hold_for_readers)
{
	static const size_t events[] = { 136 };
	const char *name = l_name("x");
	struct vmshm_broadcast *w, *r;
	char data[64];
	pid_t pid;
	int i;

	L_OK(vmshm_broadcast_create(&w, NULL, name, 64, ENTRIES, 0600));
	L_OK(vmshm_broadcast_open(&r, NULL, name));
	pid = liar(name, events, 1);
	for (i = 0; i < 20; i++)
		L_ERR(vmshm_broadcast_recv(r, data, 64, NULL,
					   vmshm_deadline(MSEC)),
		      ETIMEDOUT);
	L_OK(vmshm_broadcast_send(w, "x", 1));
	T_EQ(vmshm_broadcast_recv(r, data, 64, NULL, VMSHM_FOREVER), 1);
	l_kill(pid);
	vmshm_broadcast_close(w);
	vmshm_broadcast_close(r);
}
