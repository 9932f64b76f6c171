// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * <vmshm/broadcast.h>: one writer, many readers.
 *
 * qemu: channels
 * host: address
 */
#define _GNU_SOURCE
#include <vmshm/broadcast.h>

#include "library.h"

static struct vmshm_broadcast *new_writer(const char *name, size_t size,
					  uint32_t entries)
{
	struct vmshm_broadcast *b;

	L_OK(vmshm_broadcast_create(&b, NULL, name, size, entries, 0600));
	return b;
}

static struct vmshm_broadcast *new_reader(const char *name)
{
	struct vmshm_broadcast *b;

	L_OK(vmshm_broadcast_open(&b, NULL, name));
	return b;
}

static void b_send(struct vmshm_broadcast *w, uint32_t number)
{
	L_OK(vmshm_broadcast_send(w, &number, sizeof(number)));
}

/* Receives this entry, after this number of lost ones. */
static void b_recv(struct vmshm_broadcast *r, uint32_t number, uint64_t lost)
{
	uint64_t missed = 99;
	uint32_t got;

	T_EQ(vmshm_broadcast_recv(r, &got, sizeof(got), &missed,
				  VMSHM_FOREVER),
	     sizeof(got));
	T_EQ(got, number);
	T_EQ(missed, lost);
}

static void b_end(struct vmshm_broadcast *r, int err)
{
	uint64_t lost = 99;
	char buf[4];

	L_ERR(vmshm_broadcast_recv(r, buf, 4, &lost, VMSHM_FOREVER), err);
	T_EQ(lost, 0);
	L_ERR(vmshm_broadcast_recv(r, buf, 4, NULL, VMSHM_NOW), err);
}

T_TEST(everybody_gets_everything)
{
	const char *name = l_name("x");
	struct vmshm_broadcast *w = new_writer(name, 4, 8);
	struct vmshm_broadcast *r[20];
	uint32_t i, j;

	for (j = 0; j < 20; j++)
		r[j] = new_reader(name);
	for (i = 0; i < 50; i++) {
		b_send(w, i);
		for (j = 0; j < 20; j++)
			b_recv(r[j], i, 0);
	}
	vmshm_broadcast_close(w);
	for (j = 0; j < 20; j++) {
		b_end(r[j], EPIPE);
		vmshm_broadcast_close(r[j]);
	}
	vmshm_broadcast_close(NULL);
}

T_TEST(impossible_sizes)
{
	static const struct {
		size_t size;
		uint32_t entries;
	} bad[] = {
		{ 0, 2 }, { 4, 0 }, { 4, 1 }, { SIZE_MAX, 2 },
		{ SIZE_MAX / 2, 3 },
		{ 1ul << 62, UINT32_MAX }, { 1ul << 40, 1u << 24 },
		{ 4, UINT32_MAX },
	};
	struct vmshm_broadcast *b;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		const char *name = l_name("x");

		L_ERR(vmshm_broadcast_create(&b, NULL, name, bad[i].size,
					     bad[i].entries, 0600),
		      EINVAL);
		T_ASSERT(!b);
		/* No object was created. */
		L_ERR(vmshm_unlink(NULL, name), ENOENT);
	}
}

T_TEST(entries_of_all_sizes)
{
	static const size_t maxima[] = {
		1, 63, 64, 65, 4095, 4096, 4097, 9999,
	};
	char out[10000], in[10000];
	size_t i, size;

	for (i = 0; i < sizeof(maxima) / sizeof(*maxima); i++) {
		const char *name = l_name("x");
		struct vmshm_broadcast *w = new_writer(name, maxima[i], 3);
		struct vmshm_broadcast *r = new_reader(name);
		size_t step = maxima[i] > 100 ? maxima[i] / 50 : 1;

		T_EQ(vmshm_broadcast_max(w), maxima[i]);
		T_EQ(vmshm_broadcast_max(r), maxima[i]);
		for (size = 0; size <= maxima[i]; size += step) {
			if (size + step > maxima[i])
				size = maxima[i];
			t_fill(out, size, size);
			L_OK(vmshm_broadcast_send(w, out, size));
			T_EQ(vmshm_broadcast_recv(r, in, size, NULL,
						  VMSHM_NOW),
			     size);
			T_ASSERT(!memcmp(in, out, size));
		}
		L_ERR(vmshm_broadcast_send(w, out, maxima[i] + 1), EMSGSIZE);
		L_ERR(vmshm_broadcast_recv(r, in, 10000, NULL, VMSHM_NOW),
		      EAGAIN);
		vmshm_broadcast_close(w);
		vmshm_broadcast_close(r);
	}
}

T_TEST(empty_entries_need_no_memory)
{
	const char *name = l_name("x");
	struct vmshm_broadcast *w = new_writer(name, 4, 2);
	struct vmshm_broadcast *r = new_reader(name);

	L_OK(vmshm_broadcast_send(w, NULL, 0));
	T_EQ(vmshm_broadcast_recv(r, NULL, 0, NULL, VMSHM_NOW), 0);
	vmshm_broadcast_close(w);
	vmshm_broadcast_close(r);
}

T_TEST(without_copying)
{
	const char *name = l_name("x");
	struct vmshm_broadcast *w = new_writer(name, 100, 4);
	struct vmshm_broadcast *r = new_reader(name);
	uint64_t lost = 99;
	const void *in;
	size_t size;
	void *out;

	L_ERR(vmshm_broadcast_release(r), EINVAL);
	L_ERR(vmshm_broadcast_publish(w, 0), EINVAL);
	L_OK(vmshm_broadcast_reserve(w, &out));
	strcpy(out, "hello");
	/* Not seen before it is published */
	L_ERR(vmshm_broadcast_peek(r, &in, &size, &lost, VMSHM_NOW), EAGAIN);
	L_ERR(vmshm_broadcast_publish(w, 101), EMSGSIZE);
	L_OK(vmshm_broadcast_publish(w, 6));
	L_ERR(vmshm_broadcast_publish(w, 6), EINVAL);
	L_ERR(vmshm_broadcast_release(w), EINVAL);
	L_OK(vmshm_broadcast_peek(r, &in, &size, &lost, VMSHM_NOW));
	T_EQ(lost, 0);
	T_EQ(size, 6);
	T_ASSERT(!strcmp(in, "hello"));
	L_OK(vmshm_broadcast_release(r));
	L_ERR(vmshm_broadcast_release(r), EINVAL);
	/*
	 * The entry is overwritten while it is peeked at, by the fourth one
	 * after it.
	 */
	b_send(w, 1);
	L_OK(vmshm_broadcast_peek(r, &in, &size, &lost, VMSHM_NOW));
	b_send(w, 2);
	b_send(w, 3);
	b_send(w, 4);
	L_OK(vmshm_broadcast_reserve(w, &out));
	L_ERR(vmshm_broadcast_release(r), EOVERFLOW);
	L_OK(vmshm_broadcast_publish(w, 0));
	b_recv(r, 3, 1);
	b_recv(r, 4, 0);
	vmshm_broadcast_close(w);
	vmshm_broadcast_close(r);
}

T_TEST(what_each_one_can_not)
{
	const char *name = l_name("x");
	struct vmshm_broadcast *w = new_writer(name, 4, 2);
	struct vmshm_broadcast *r = new_reader(name), *b;
	uint64_t lost;
	const void *in;
	size_t size;
	char buf[4];
	void *out;

	L_ERR(vmshm_broadcast_reserve(r, &out), EBADF);
	L_ERR(vmshm_broadcast_publish(r, 1), EBADF);
	L_ERR(vmshm_broadcast_send(r, "x", 1), EBADF);
	L_ERR(vmshm_broadcast_recv(w, buf, 4, &lost, VMSHM_NOW), EBADF);
	L_ERR(vmshm_broadcast_peek(w, &in, &size, &lost, VMSHM_NOW), EBADF);
	L_ERR(vmshm_broadcast_release(w), EINVAL);
	L_ERR(vmshm_broadcast_create(&b, NULL, name, 4, 2, 0600), EBUSY);
	T_ASSERT(!b);
	vmshm_broadcast_close(w);
	vmshm_broadcast_close(r);
}

T_TEST(late_and_slow_readers)
{
	const char *name = l_name("x");
	struct vmshm_broadcast *w = new_writer(name, 4, 8);
	struct vmshm_broadcast *early = new_reader(name), *late;
	uint32_t i, got, sum = 0;
	uint64_t lost;

	for (i = 0; i < 100; i++)
		b_send(w, i);
	late = new_reader(name);
	b_send(w, 100);
	/* A new reader gets the entries from now on. */
	b_recv(late, 100, 0);
	/* One of the entries is always reserved for the writer. */
	b_recv(early, 94, 94);
	for (i = 95; i <= 100; i++)
		b_recv(early, i, 0);
	/* The entries received and lost add up, in any order of calls. */
	for (i = 101; i < 1000; i++) {
		b_send(w, i);
		if (i % 13)
			continue;
		T_EQ(vmshm_broadcast_recv(early, &got, 4, &lost, VMSHM_NOW), 4);
		sum += lost + 1;
		T_EQ(got, 100 + sum);
	}
	vmshm_broadcast_close(w);
	vmshm_broadcast_close(late);
	vmshm_broadcast_close(early);
}

T_TEST(too_long_for_who_receives)
{
	const char *name = l_name("x");
	struct vmshm_broadcast *w = new_writer(name, 100, 4);
	struct vmshm_broadcast *r = new_reader(name);
	uint64_t lost = 99;
	char buf[100];
	uint32_t i;

	for (i = 0; i < 10; i++)
		b_send(w, i);
	L_ERR(vmshm_broadcast_recv(r, buf, 3, &lost, VMSHM_NOW), EMSGSIZE);
	T_EQ(lost, 0);
	L_ERR(vmshm_broadcast_recv(r, buf, 3, NULL, VMSHM_NOW), EMSGSIZE);
	/* A call that fails does not lose the count of lost entries. */
	b_recv(r, 7, 7);
	/* Nor if the entry is overwritten meanwhile. */
	L_ERR(vmshm_broadcast_recv(r, buf, 3, &lost, VMSHM_NOW), EMSGSIZE);
	for (i = 10; i < 20; i++)
		b_send(w, i);
	b_recv(r, 17, 9);
	vmshm_broadcast_close(w);
	vmshm_broadcast_close(r);
}

T_TEST(deadlines)
{
	const char *name = l_name("x");
	struct vmshm_broadcast *w = new_writer(name, 4, 2);
	struct vmshm_broadcast *r = new_reader(name);
	int64_t deadline = vmshm_deadline(20 * MSEC);
	char buf[4];

	L_ERR(vmshm_broadcast_recv(r, buf, 4, NULL, VMSHM_NOW), EAGAIN);
	L_ERR(vmshm_broadcast_recv(r, buf, 4, NULL, deadline), ETIMEDOUT);
	T_ASSERT(l_now() >= deadline);
	L_ERR(vmshm_broadcast_recv(r, buf, 4, NULL, deadline), ETIMEDOUT);
	b_send(w, 1);
	b_recv(r, 1, 0);
	vmshm_broadcast_close(w);
	vmshm_broadcast_close(r);
}

T_TEST(objects_that_are_not_one)
{
	struct vmshm_broadcast *b;
	const char *name = l_name("x");
	struct vmshm *shm;
	uint32_t *words;

	L_ERR(vmshm_broadcast_open(&b, NULL, name), ENOENT);
	T_ASSERT(!b);
	shm = l_object(name, 0);
	L_ERR(vmshm_broadcast_open(&b, NULL, name), ENODATA);
	L_OK(vmshm_grow(shm, 100));
	L_ERR(vmshm_broadcast_open(&b, NULL, name), EINVAL);
	L_ERR(vmshm_broadcast_create(&b, NULL, name, 4, 2, 0600), EINVAL);
	L_OK(vmshm_grow(shm, MIB));
	L_ERR(vmshm_broadcast_open(&b, NULL, name), ENODATA);
	L_ERR(vmshm_broadcast_create(&b, NULL, name, MIB, 2, 0600), EINVAL);
	words = l_map(shm);
	/* An object whose first bytes are zeros may have other contents. */
	words[1023] = 1;
	L_ERR(vmshm_broadcast_open(&b, NULL, name), EINVAL);
	L_ERR(vmshm_broadcast_create(&b, NULL, name, 4, 2, 0600), EINVAL);
	words[1023] = 0;
	words[0] = 1;
	L_ERR(vmshm_broadcast_open(&b, NULL, name), EINVAL);
	L_ERR(vmshm_broadcast_create(&b, NULL, name, 4, 2, 0600), EINVAL);
	/* A channel, and another version */
	words[0] = 0x48434d56;
	L_ERR(vmshm_broadcast_create(&b, NULL, name, 4, 2, 0600), EINVAL);
	words[0] = 0x43424d56;
	words[1] = 2;
	L_ERR(vmshm_broadcast_open(&b, NULL, name), EINVAL);
	L_ERR(vmshm_broadcast_create(&b, NULL, name, 4, 2, 0600), EINVAL);
	T_ASSERT(!b);
	vmshm_close(shm);
}

/* Invalid headers, in an object that was a broadcast */
T_TEST(headers_of_rubbish)
{
	static const uint64_t values[] = {
		0, 1, 2, 63, 4096, 1ul << 20, (1ul << 31) - 1, 1ul << 31,
		UINT32_MAX, 1ul << 32, 1ul << 62, INT64_MAX, UINT64_MAX,
	};
	const int n = sizeof(values) / sizeof(*values);
	const char *name = l_name("x");
	struct vmshm_broadcast *b;
	struct vmshm *shm;
	char buf[64];
	char *p;
	int i, j;

	vmshm_broadcast_close(new_writer(name, 64, 4));
	L_OK(vmshm_open(&shm, NULL, name, O_RDWR, 0));
	p = l_map(shm);
	for (i = 0; i < n; i++) {
		for (j = 0; j < n; j++) {
			*(uint64_t *)(p + 8) = values[i];
			*(uint32_t *)(p + 16) = values[j];
			if (vmshm_broadcast_open(&b, NULL, name)) {
				T_ASSERT(!b);
				continue;
			}
			vmshm_broadcast_recv(b, buf, 64, NULL, VMSHM_NOW);
			vmshm_broadcast_close(b);
		}
	}
	vmshm_close(shm);
}

T_TEST(a_writer_comes_back)
{
	const char *name = l_name("x");
	struct vmshm_broadcast *w = new_writer(name, 4, 8), *b;
	struct vmshm_broadcast *r = new_reader(name), *s;
	uint32_t i;

	for (i = 0; i < 5; i++) {
		b_send(w, i);
		b_recv(r, i, 0);
		vmshm_broadcast_close(w);
		b_end(r, EPIPE);
		s = new_reader(name);
		b_end(s, EPIPE);
		L_ERR(vmshm_broadcast_create(&b, NULL, name, 5, 8, 0600),
		      EINVAL);
		L_ERR(vmshm_broadcast_create(&b, NULL, name, 4, 9, 0600),
		      EINVAL);
		w = new_writer(name, 4, 8);
		b_send(w, 100 + i);
		/* No entry was lost. */
		b_recv(r, 100 + i, 0);
		b_recv(s, 100 + i, 0);
		vmshm_broadcast_close(s);
	}
	vmshm_broadcast_close(w);
	vmshm_broadcast_close(r);
}

/* Readers wait for a writer that has come back as they did for the first. */
T_TEST(waiting_for_a_writer_that_came_back)
{
	struct l_bell there = l_bell(), told = l_bell();
	const char *name = l_name("x");
	struct vmshm_broadcast *w;
	pid_t pid = t_fork();

	if (!pid) {
		struct vmshm_broadcast *r;
		uint32_t got;
		int err;

		l_heard(there);
		r = new_reader(name);
		l_ring(told);
		b_end(r, EPIPE);
		l_ring(told);
		do
			err = vmshm_broadcast_recv(r, &got, 4, NULL,
						   VMSHM_FOREVER);
		while (err == -EPIPE);
		T_EQ(err, 4);
		T_EQ(got, 7);
		b_end(r, ECONNRESET);
		_exit(0);
	}
	/*
	 * The writer is opened after the fork: in a guest the child would keep
	 * its file open.
	 */
	w = new_writer(name, 4, 8);
	l_ring(there);
	l_heard(told);
	vmshm_broadcast_close(w);
	l_heard(told);
	if (!t_fork()) {
		w = new_writer(name, 4, 8);
		l_asleep(pid);
		b_send(w, 7);
		_exit(0);
	}
	t_wait(pid);
}

/* A child that reads numbers until the end, and counts the lost ones */
static pid_t counting_reader(const char *name, struct l_bell ready, int end,
			     uint32_t first)
{
	struct vmshm_broadcast *r;
	uint32_t entry[16], expected = first;
	pid_t pid = t_fork();
	uint64_t lost;
	ssize_t n;
	int i;

	if (pid)
		return pid;
	r = new_reader(name);
	l_ring(ready);
	while ((n = vmshm_broadcast_recv(r, entry, sizeof(entry), &lost,
					 VMSHM_FOREVER)) >= 0) {
		expected += lost;
		T_EQ(n, 4 + expected % 16 * 4);
		for (i = 0; i < n / 4; i++)
			T_EQ(entry[i], expected);
		expected++;
	}
	T_EQ(n, end);
	/* The last entry is never lost. */
	T_EQ(expected, first + 20000);
	_exit(0);
}

static void write_numbers(struct vmshm_broadcast *w)
{
	uint32_t i, j, entry[16];

	for (i = 0; i < 20000; i++) {
		for (j = 0; j < 16; j++)
			entry[j] = i;
		/* The length of an entry also depends on its number. */
		L_OK(vmshm_broadcast_send(w, entry, 4 + i % 16 * 4));
	}
}

#define READERS 4

static void many_readers(uint32_t entries, bool killed)
{
	struct l_bell ready = l_bell();
	const char *name = l_name("x");
	struct vmshm_broadcast *w;
	pid_t pid[READERS], writer;
	struct l_bell go = l_bell();
	int i;

	writer = t_fork();
	if (!writer) {
		w = new_writer(name, 64, entries);
		l_ring(ready);
		l_heard(go);
		write_numbers(w);
		if (!killed)
			vmshm_broadcast_close(w);
		kill(getpid(), SIGKILL);
	}
	l_heard(ready);
	for (i = 0; i < READERS; i++)
		pid[i] = counting_reader(name, ready,
					 killed ? -ECONNRESET : -EPIPE, 0);
	for (i = 0; i < READERS; i++)
		l_heard(ready);
	l_ring(go);
	for (i = 0; i < READERS; i++)
		t_wait(pid[i]);
	waitpid(writer, NULL, 0);
}

T_TEST(many_readers_of_two_entries)
{
	many_readers(2, false);
}

T_TEST(many_readers_of_a_hundred_entries)
{
	many_readers(100, false);
}

T_TEST(the_writer_is_killed)
{
	many_readers(100, true);
}

/* A reader sleeps; it can open only to read. */
static pid_t sleeping_reader(const char *name, struct l_bell ready, int end)
{
	struct vmshm_broadcast *r;
	pid_t pid = t_fork();
	char buf[4];

	if (pid)
		return pid;
	r = new_reader(name);
	l_ring(ready);
	T_EQ(vmshm_broadcast_recv(r, buf, 4, NULL, VMSHM_FOREVER), end);
	_exit(0);
}

T_TEST(readers_are_killed)
{
	struct l_bell ready = l_bell();
	const char *name = l_name("x");
	struct vmshm_broadcast *w = new_writer(name, 4, 8);
	struct vmshm_broadcast *r = new_reader(name);
	uint32_t i;

	for (i = 0; i < 50; i++) {
		pid_t pid = sleeping_reader(name, ready, 0);

		l_heard(ready);
		if (i % 2)
			l_asleep(pid);
		l_kill(pid);
		b_send(w, i);
		b_recv(r, i, 0);
	}
	vmshm_broadcast_close(w);
	b_end(r, EPIPE);
	vmshm_broadcast_close(r);
}

/*
 * The writer and some readers are killed at the same time: the kernel's one
 * wake-up may go to one of these readers. The other readers have to notice the
 * death all the same.
 */
T_TEST(the_writer_is_killed_with_readers)
{
	struct l_bell ready = l_bell();
	const char *name = l_name("x");
	int round, i;

	for (round = 0; round < 5; round++) {
		pid_t writer, dies[3], lives[2];

		writer = t_fork();
		if (!writer) {
			new_writer(name, 4, 8);
			l_ring(ready);
			pause();
		}
		l_heard(ready);
		for (i = 0; i < 3; i++) {
			dies[i] = sleeping_reader(name, ready, 0);
			l_heard(ready);
			l_asleep(dies[i]);
		}
		for (i = 0; i < 2; i++) {
			lives[i] = sleeping_reader(name, ready, -ECONNRESET);
			l_heard(ready);
			l_asleep(lives[i]);
		}
		/*
		 * A stopped reader cannot pass the wake-up on before it dies.
		 */
		for (i = 0; i < 3; i++)
			kill(dies[i], SIGSTOP);
		l_kill(writer);
		for (i = 0; i < 3; i++)
			l_kill(dies[i]);
		for (i = 0; i < 2; i++)
			t_wait(lives[i]);
	}
}

T_TEST(readers_need_no_right_to_write)
{
	struct l_bell there = l_bell(), ready = l_bell();
	const char *name = l_name("x");
	struct vmshm_broadcast *w;
	pid_t pid;

	if (geteuid())
		t_skip("only root can become another user");
	umask(0);
	pid = t_fork();
	if (!pid) {
		struct vmshm_broadcast *r;

		l_heard(there);
		T_EQ(setuid(NOBODY), 0);
		L_ERR(vmshm_broadcast_create(&r, NULL, name, 4, 4, 0644),
		      EACCES);
		r = new_reader(name);
		l_ring(ready);
		b_recv(r, 1, 0);
		b_end(r, EPIPE);
		vmshm_broadcast_close(r);
		_exit(0);
	}
	L_OK(vmshm_broadcast_create(&w, NULL, name, 4, 4, 0644));
	l_ring(there);
	l_heard(ready);
	l_asleep(pid);
	b_send(w, 1);
	l_asleep(pid);
	vmshm_broadcast_close(w);
	t_wait(pid);
}

static void nothing(int sig)
{
	(void)sig;
}

T_TEST(a_signal_ends_waiting)
{
	struct sigaction sa = { .sa_handler = nothing };
	struct l_bell ready = l_bell();
	const char *name = l_name("x");
	struct vmshm_broadcast *w = new_writer(name, 4, 4);
	pid_t pid;

	sigaction(SIGUSR1, &sa, NULL);
	pid = sleeping_reader(name, ready, -EINTR);
	l_heard(ready);
	while (!waitpid(pid, NULL, WNOHANG))
		kill(pid, SIGUSR1);
	vmshm_broadcast_close(w);
}

/* The writer's actions when the reader begins to copy to its buffer */
static struct {
	struct vmshm_broadcast *writer;
	char *buffer;
	int64_t deadline;
	uint32_t next;
} overtake;

static void on_fault(int sig)
{
	int i;

	(void)sig;
	for (i = 0; i < 4; i++)
		b_send(overtake.writer, overtake.next++);
	while (overtake.deadline > l_now())
		;
	T_EQ(mprotect(overtake.buffer, 4096, PROT_READ | PROT_WRITE), 0);
}

/* The writer overtakes the reader while it copies, and the deadline passes. */
static void recv_overtaken(struct vmshm_broadcast *r, int64_t deadline)
{
	uint64_t lost;

	T_EQ(mprotect(overtake.buffer, 4096, PROT_NONE), 0);
	b_send(overtake.writer, overtake.next++);
	overtake.deadline = deadline;
	T_EQ(vmshm_broadcast_recv(r, overtake.buffer, 4, &lost, deadline), 4);
	/*
	 * The oldest of four entries, one of which is always reserved for the
	 * writer
	 */
	T_EQ(*(uint32_t *)overtake.buffer, overtake.next - 3);
	T_EQ(lost, 2);
	b_recv(r, overtake.next - 2, 0);
	b_recv(r, overtake.next - 1, 0);
}

/* An overtaken reader gets an entry, not EAGAIN or ETIMEDOUT. */
T_TEST(overtaken_while_it_copies)
{
	struct sigaction sa = { .sa_handler = on_fault };
	const char *name = l_name("x");
	struct vmshm_broadcast *w = new_writer(name, 4, 4);
	struct vmshm_broadcast *r = new_reader(name);

	sigaction(SIGSEGV, &sa, NULL);
	overtake.writer = w;
	overtake.buffer = mmap(NULL, 4096, PROT_NONE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	T_ASSERT(overtake.buffer != MAP_FAILED);
	recv_overtaken(r, VMSHM_NOW);
	recv_overtaken(r, vmshm_deadline(MSEC));
	vmshm_broadcast_close(w);
	vmshm_broadcast_close(r);
}

/* A call of a reader that is overtaken again and again returns nevertheless. */
T_TEST(large_entries_and_a_fast_writer)
{
	struct l_bell ready = l_bell();
	const char *name = l_name("x");
	size_t i, size = l_in_guest() ? 65536 : MIB;
	uint32_t *data = malloc(size);
	struct vmshm_broadcast *r;
	uint64_t lost, seen = 0;
	int whole = 0, turns;
	pid_t pid = t_fork();

	if (!pid) {
		struct vmshm_broadcast *w = new_writer(name, size, 2);
		uint32_t n;

		for (n = 0;; n++) {
			for (i = 0; i < size / 4; i++)
				data[i] = n;
			L_OK(vmshm_broadcast_send(w, data, size));
			if (n == 0)
				l_ring(ready);
		}
	}
	l_heard(ready);
	r = new_reader(name);
	for (turns = 0; turns < 50; turns++) {
		ssize_t n = vmshm_broadcast_recv(r, data, size, &lost,
						 vmshm_deadline(10 * MSEC));

		if (n == -ETIMEDOUT)
			continue;
		T_EQ(n, size);
		for (i = 1; i < size / 4; i++)
			T_EQ(data[i], data[0]);
		/* Each entry is either received whole or counted as lost. */
		if (whole++)
			T_EQ(data[0], seen + lost + 1);
		seen = data[0];
	}
	l_kill(pid);
	vmshm_broadcast_close(r);
	free(data);
}
