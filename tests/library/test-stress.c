// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Channels in earnest: both ways at once, newcomers that race and are killed,
 * an event loop. The thread sanitizer sees the memory that the two threads of
 * one party share, and not the memory that the parties share.
 *
 * qemu: channels
 * host: address thread
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/epoll.h>

#include "pair.h"

#define RING 65536

/* One direction of a party: sizes and bytes follow from the seed. */
struct flow {
	struct vmshm_channel *ch;
	uint32_t seed;
	long bytes;
};

static size_t next_size(uint32_t *seed, size_t max)
{
	uint32_t r = l_random(seed);

	/* Small ones, large ones, and those of all sizes */
	switch (r % 4) {
	case 0:
		return r / 4 % 64;
	case 1:
		return max - r / 4 % 16;
	default:
		return r / 4 % (max / 4);
	}
}

static void *send_all(void *arg)
{
	struct flow *f = arg;
	size_t max = vmshm_channel_max(f->ch);
	char *data = malloc(max);
	uint32_t seed = f->seed, n;
	long left;

	for (left = f->bytes, n = 0; left > 0; n++) {
		size_t size = next_size(&seed, max);
		void *to;

		if (n % 3) {
			ch_make(data, size, seed);
			L_OK(vmshm_channel_send(f->ch, data, size,
						VMSHM_FOREVER));
		} else {
			L_OK(vmshm_channel_reserve(f->ch, &to, max,
						   VMSHM_FOREVER));
			ch_make(to, size, seed);
			L_OK(vmshm_channel_commit(f->ch, size));
		}
		left -= size + 1;
	}
	L_OK(vmshm_channel_shutdown(f->ch));
	L_OK(vmshm_channel_drain(f->ch, VMSHM_FOREVER));
	free(data);
	return NULL;
}

static void *recv_all(void *arg)
{
	struct flow *f = arg;
	size_t max = vmshm_channel_max(f->ch);
	char *data = malloc(max);
	uint32_t seed = f->seed, n;
	long left;

	for (left = f->bytes, n = 0; left > 0; n++) {
		size_t got, size = next_size(&seed, max);
		const void *from;

		if (n % 5) {
			T_EQ(vmshm_channel_recv(f->ch, data, max,
						VMSHM_FOREVER), size);
			T_ASSERT(ch_is_made(data, size, seed));
		} else {
			L_OK(vmshm_channel_peek(f->ch, &from, &got,
						VMSHM_FOREVER));
			T_EQ(got, size);
			T_ASSERT(ch_is_made(from, size, seed));
			L_OK(vmshm_channel_release(f->ch));
		}
		left -= size + 1;
	}
	ch_end(f->ch, EPIPE);
	free(data);
	return NULL;
}

static void party(const char *name, int me, int64_t spin, long bytes)
{
	struct vmshm_channel *ch = ch_open(name, RING);
	struct flow out = { ch, 1 + me, bytes }, in = { ch, 2 - me, bytes };
	pthread_t sender, receiver;

	if (spin != INT64_MIN)
		vmshm_channel_spin(ch, spin);
	T_EQ(pthread_create(&sender, NULL, send_all, &out), 0);
	T_EQ(pthread_create(&receiver, NULL, recv_all, &in), 0);
	T_EQ(pthread_join(sender, NULL), 0);
	T_EQ(pthread_join(receiver, NULL), 0);
	vmshm_channel_close(ch);
}

/* @spin is INT64_MIN: busy-polling is not set */
static void both_ways(int64_t spin, long bytes)
{
	const char *name = l_name("x");
	pid_t pid = t_fork();

	party(name, !pid, spin, bytes);
	if (!pid)
		_exit(0);
	t_wait(pid);
}

T_TEST(both_ways_at_once)
{
	both_ways(INT64_MIN, l_in_guest() ? 4 * MIB : 24 * MIB);
}

T_TEST(both_ways_at_once_without_spinning)
{
	both_ways(0, l_in_guest() ? 4 * MIB : 24 * MIB);
}

T_TEST(both_ways_at_once_always_spinning)
{
	both_ways(VMSHM_FOREVER, 2 * MIB);
}

static void stream_out(struct vmshm_channel *ch, long bytes)
{
	char data[5000];
	uint32_t seed = 9;
	long sent = 0;

	while (sent < bytes) {
		size_t i, size = l_random(&seed) % sizeof(data) + 1;

		for (i = 0; i < size; i++)
			data[i] = (sent + i) * 11 >> 4;
		T_EQ(vmshm_channel_write(ch, data, size, VMSHM_FOREVER), size);
		sent += size;
	}
}

T_TEST(a_long_stream)
{
	const char *name = l_name("x");
	long bytes = 8 * MIB, got = 0;
	struct vmshm_channel *ch;
	char data[7000];
	uint32_t seed = 5;
	pid_t pid = t_fork();
	ssize_t i, n;

	if (!pid) {
		ch = ch_open(name, 4096);
		stream_out(ch, bytes);
		vmshm_channel_close(ch);
		_exit(0);
	}
	ch = ch_open(name, 4096);
	for (;;) {
		n = vmshm_channel_read(ch, data,
				       l_random(&seed) % sizeof(data) + 1,
				       VMSHM_FOREVER);
		T_ASSERT(n >= 0);
		if (!n)
			break;
		for (i = 0; i < n; i++)
			T_EQ(data[i], (char)((got + i) * 11 >> 4));
		got += n;
	}
	T_ASSERT(got >= bytes);
	t_wait(pid);
	vmshm_channel_close(ch);
}

/* The message that newcomers send each other */
struct hello {
	int round;
	int me;
	bool last; /* will not be killed */
};

/*
 * One of two parties that open at the same moment. The party opens again until
 * it has met one that stays.
 */
static void newcomer(const char *name, struct hello mine)
{
	struct vmshm_channel *ch;
	struct hello other;
	int err;

	for (;;) {
		err = vmshm_channel_open(&ch, NULL, name, 4096, 0600);
		if (err == -EBUSY) {
			sched_yield();
			continue;
		}
		T_EQ(err, 0);
		err = vmshm_channel_send(ch, &mine, sizeof(mine),
					 VMSHM_FOREVER);
		T_ASSERT(!err || err == -EPIPE || err == -ECONNRESET);
		err = vmshm_channel_recv(ch, &other, sizeof(other),
					 VMSHM_FOREVER);
		vmshm_channel_close(ch);
		if (err == -EPIPE || err == -ECONNRESET)
			continue;
		T_EQ(err, sizeof(other));
		/* No message of earlier parties is received. */
		T_EQ(other.round, mine.round);
		T_ASSERT(other.me != mine.me);
		if (other.last)
			return;
	}
}

static pid_t start_newcomer(const char *name, int round, int me, bool last)
{
	pid_t pid = t_fork();

	if (!pid) {
		newcomer(name, (struct hello){ round, me, last });
		_exit(0);
	}
	return pid;
}

static void burn(uint32_t n)
{
	volatile uint32_t i;

	for (i = 0; i < n; i++)
		;
}

T_TEST(both_come_at_once)
{
	int round, rounds = l_in_guest() ? 50 : 150;
	const char *name = l_name("x");

	for (round = 0; round < rounds; round++) {
		pid_t a = start_newcomer(name, round, 0, true);
		pid_t b = start_newcomer(name, round, 1, true);

		t_wait(a);
		t_wait(b);
	}
}

T_TEST(newcomers_are_killed)
{
	int round, rounds = l_in_guest() ? 50 : 150;
	const char *name = l_name("x");
	uint32_t seed = 12345;

	for (round = 0; round < rounds; round++) {
		pid_t a = start_newcomer(name, round, 0, false);
		pid_t b = start_newcomer(name, round, 1, true);

		burn(l_random(&seed) % 2000000);
		kill(a, SIGKILL);
		T_EQ(waitpid(a, NULL, 0), a);
		a = start_newcomer(name, round, 0, true);
		t_wait(a);
		t_wait(b);
	}
}

/*
 * Two parties create the object with different ring sizes: one of the sizes is
 * used.
 */
T_TEST(both_make_it_at_once)
{
	int round, rounds = l_in_guest() ? 50 : 100;
	uint32_t seed = 4242;

	for (round = 0; round < rounds; round++) {
		const char *name = l_name("x");
		struct l_bell ready = l_bell();
		struct vmshm_channel *ch;
		pid_t pid = t_fork();

		if (!pid) {
			l_ring(ready);
			ch = ch_open(name, 4096);
			ch_recv(ch, "hello");
			_exit(0);
		}
		l_heard(ready);
		burn(l_random(&seed) % 20000);
		ch = ch_open(name, MIB);
		ch_send(ch, "hello");
		t_wait(pid);
		vmshm_channel_close(ch);
		L_OK(vmshm_unlink(NULL, name));
		close(ready.fds[0]);
		close(ready.fds[1]);
	}
}

T_TEST(an_event_loop_misses_nothing)
{
	const char *name = l_name("x");
	int n = l_in_guest() ? 2000 : 10000;
	struct epoll_event event = { .events = EPOLLIN };
	int poll = epoll_create1(EPOLL_CLOEXEC);
	int i, got = 0, polls = 0, err, armed;
	struct vmshm_channel *ch;
	pid_t pid = t_fork();

	if (!pid) {
		uint32_t seed = 77;

		ch = ch_open(name, 4096);
		for (i = 0; i < n; i++) {
			L_OK(vmshm_channel_send(ch, &i, 4, VMSHM_FOREVER));
			if (l_random(&seed) % 8 == 0)
				L_OK(vmshm_channel_drain(ch, VMSHM_FOREVER));
			else if (l_random(&seed) % 4 == 0)
				burn(l_random(&seed) % 2000);
		}
		vmshm_channel_close(ch);
		_exit(0);
	}
	ch = ch_open(name, 4096);
	L_OK(epoll_ctl(poll, EPOLL_CTL_ADD, vmshm_channel_fd(ch), &event));
	for (;;) {
		armed = vmshm_channel_arm(ch);
		T_ASSERT(armed == 0 || armed == 1);
		if (!armed) {
			T_EQ(epoll_wait(poll, &event, 1, -1), 1);
			polls++;
		}
		while ((err = vmshm_channel_recv(ch, &i, 4, VMSHM_NOW)) == 4)
			T_EQ(i, got++);
		if (err != -EAGAIN)
			break;
	}
	T_EQ(err, -EPIPE);
	T_EQ(got, n);
	T_ASSERT(polls > 0);
	/* At the end of the channel arm() always returns 1. */
	T_EQ(vmshm_channel_arm(ch), 1);
	t_wait(pid);
	vmshm_channel_close(ch);
}

T_TEST(an_event_loop_sees_a_death)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct l_bell ready = l_bell();
	const char *name = l_name("x");
	int armed, poll = epoll_create1(EPOLL_CLOEXEC);
	pid_t pid = t_fork();
	struct vmshm_channel *ch;
	char byte;
	int err;

	if (!pid) {
		ch = ch_open(name, 4096);
		l_ring(ready);
		pause();
	}
	l_heard(ready);
	ch = ch_open(name, 4096);
	L_OK(epoll_ctl(poll, EPOLL_CTL_ADD, vmshm_channel_fd(ch), &event));
	do {
		armed = vmshm_channel_arm(ch);
		if (pid) {
			l_kill(pid);
			pid = 0;
		}
		if (!armed)
			T_EQ(epoll_wait(poll, &event, 1, -1), 1);
		err = vmshm_channel_recv(ch, &byte, 1, VMSHM_NOW);
	} while (err == -EAGAIN);
	T_EQ(err, -ECONNRESET);
	vmshm_channel_close(ch);
}
