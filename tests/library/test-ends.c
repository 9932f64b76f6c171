// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How a channel ends for a party that sleeps or busy-polls in a call, in each
 * way in which its peer can end; signals, forks, and what is left over.
 *
 * qemu: channels
 * host: address
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/resource.h>

#include "pair.h"

/* Calls that sleep until the other one does something */
enum call { RECV, PEEK, READ, SEND, RESERVE, WRITE, DRAIN, CALLS };

static bool receives(enum call call)
{
	return call == RECV || call == PEEK || call == READ;
}

static int do_call(struct vmshm_channel *ch, enum call call)
{
	char data[1000] = "";
	const void *in;
	size_t size;
	void *out;

	switch (call) {
	case RECV:
		return vmshm_channel_recv(ch, data, 1000, VMSHM_FOREVER);
	case PEEK:
		return vmshm_channel_peek(ch, &in, &size, VMSHM_FOREVER);
	case READ:
		return vmshm_channel_read(ch, data, 1000, VMSHM_FOREVER);
	case SEND:
		return vmshm_channel_send(ch, data, 1000, VMSHM_FOREVER);
	case RESERVE:
		return vmshm_channel_reserve(ch, &out, 1000, VMSHM_FOREVER);
	case WRITE:
		return vmshm_channel_write(ch, data, 1000, VMSHM_FOREVER);
	default:
		return vmshm_channel_drain(ch, VMSHM_FOREVER);
	}
}

/* The ways in which a peer ends */
enum way {
	CLOSE, SHUTDOWN, KILL, KILL_RESERVED, KILL_PEEKED, EXIT, EXEC, WAYS
};

static int expected(enum call call, enum way way)
{
	bool well = way == CLOSE || way == SHUTDOWN;

	if (well && call == READ)
		return 0;
	return well ? -EPIPE : -ECONNRESET;
}

/* The peer: it opens the channel, waits for a byte, and ends in this way. */
static void other(const char *name, struct l_bell ready, struct l_bell go,
		  enum way way)
{
	struct vmshm_channel *ch = ch_open(name, LEAST);
	const void *in;
	size_t size;
	void *out;

	if (way == KILL_RESERVED)
		L_OK(vmshm_channel_reserve(ch, &out, 100, VMSHM_NOW));
	l_ring(ready);
	l_heard(go);
	if (way == KILL_PEEKED)
		vmshm_channel_peek(ch, &in, &size, VMSHM_NOW);
	if (way == CLOSE)
		vmshm_channel_close(ch);
	if (way == SHUTDOWN)
		L_OK(vmshm_channel_shutdown(ch));
	if (way == EXIT)
		_exit(0);
	if (way == EXEC)
		execlp("sleep", "sleep", "1000", NULL);
	if (way == CLOSE || way == SHUTDOWN)
		pause();
	kill(getpid(), SIGKILL);
}

static void one_end(enum call call, enum way way, int64_t spin)
{
	struct l_bell ready = l_bell(), go = l_bell();
	const char *name = l_name("x");
	struct vmshm_channel *ch = ch_open(name, LEAST);
	pid_t helper, pid = t_fork();
	int got;

	if (!pid)
		other(name, ready, go, way);
	l_heard(ready);
	vmshm_channel_spin(ch, spin);
	if (!receives(call))
		ch_fill(ch, 248);
	/* A helper signals the peer when this process sleeps. */
	helper = t_fork();
	if (!helper) {
		if (!spin)
			l_asleep(getppid());
		l_ring(go);
		_exit(0);
	}
	do
		got = do_call(ch, call);
	while (got == -EINTR);
	if (got != expected(call, way))
		t_fail("call %d, way %d, spin %lld: %d", call, way,
		       (long long)spin, got);
	/* The error is permanent. */
	T_EQ(do_call(ch, call), expected(call, way));
	vmshm_channel_close(ch);
	t_wait(helper);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	L_OK(vmshm_unlink(NULL, name));
	close(ready.fds[0]);
	close(ready.fds[1]);
	close(go.fds[0]);
	close(go.fds[1]);
}

static void all_ends(int64_t spin)
{
	int call, way;

	for (call = 0; call < CALLS; call++)
		for (way = 0; way < WAYS; way++)
			/* A shutdown ends only the calls that receive. */
			if (way != SHUTDOWN || receives(call))
				one_end(call, way, spin);
}

T_TEST(every_end_of_every_call_asleep)
{
	all_ends(0);
}

T_TEST(every_end_of_every_call_spinning)
{
	all_ends(VMSHM_FOREVER);
}

T_TEST(waiting_for_a_peer_that_comes)
{
	struct l_bell go = l_bell();
	const char *name = l_name("x");
	struct vmshm_channel *ch;
	pid_t pid = t_fork();

	if (!pid) {
		ch = ch_open(name, LEAST);
		l_ring(go);
		L_OK(vmshm_channel_peer(ch, VMSHM_FOREVER));
		/* The peer has exited without a close, or is about to. */
		ch_end(ch, ECONNRESET);
		L_OK(vmshm_channel_peer(ch, VMSHM_NOW));
		vmshm_channel_close(ch);
		_exit(0);
	}
	l_heard(go);
	l_asleep(pid);
	if (!t_fork()) {
		ch_open(name, LEAST);
		_exit(0);
	}
	t_wait(pid);
}

/* The first sends after a death may succeed. */
static int send_until_it_fails(struct vmshm_channel *ch)
{
	int err;

	do
		err = vmshm_channel_send(ch, "x", 1, VMSHM_FOREVER);
	while (!err);
	return err;
}

/* All messages that were sent before a kill -9 are received. */
T_TEST(what_was_sent_before_a_kill_is_received)
{
	struct l_bell ready = l_bell();
	const char *name = l_name("x");
	struct vmshm_channel *ch;
	char buf[248];
	pid_t pid = t_fork();
	int i;

	if (!pid) {
		ch = ch_open(name, LEAST);
		ch_fill(ch, 248);
		l_ring(ready);
		pause();
	}
	l_heard(ready);
	ch = ch_open(name, LEAST);
	l_kill(pid);
	L_ERR(send_until_it_fails(ch), ECONNRESET);
	for (i = 0; i < 16; i++)
		T_EQ(vmshm_channel_recv(ch, buf, 248, VMSHM_NOW), 248);
	ch_end(ch, ECONNRESET);
	L_ERR(vmshm_channel_read(ch, buf, 1, VMSHM_NOW), ECONNRESET);
	vmshm_channel_close(ch);
}

T_TEST(killed_after_a_shutdown)
{
	struct l_bell ready = l_bell();
	const char *name = l_name("x");
	struct vmshm_channel *ch = ch_open(name, LEAST);
	pid_t pid = t_fork();

	if (!pid) {
		ch = ch_open(name, LEAST);
		ch_send(ch, "all");
		L_OK(vmshm_channel_shutdown(ch));
		l_ring(ready);
		pause();
	}
	l_heard(ready);
	l_kill(pid);
	ch_recv(ch, "all");
	/* The peer had shut its side down before it was killed. */
	ch_end(ch, EPIPE);
	L_ERR(send_until_it_fails(ch), ECONNRESET);
	vmshm_channel_close(ch);
}

T_TEST(used_again_after_kills)
{
	struct l_bell ready = l_bell();
	const char *name = l_name("x");
	struct vmshm_channel *a, *b;
	char byte;
	int i, j;

	for (i = 0; i < 50; i++) {
		pid_t pid[2];

		for (j = 0; j < 2; j++) {
			pid[j] = t_fork();
			if (pid[j])
				continue;
			a = ch_open(name, LEAST);
			ch_fill(a, 100);
			l_ring(ready);
			pause();
		}
		for (j = 0; j < 2; j++)
			l_heard(ready);
		L_ERR(vmshm_channel_open(&a, NULL, name, 0, 0600), EBUSY);
		l_kill(pid[i % 2]);
		L_ERR(vmshm_channel_open(&a, NULL, name, 0, 0600), EBUSY);
		l_kill(pid[(i + 1) % 2]);
		a = ch_open(name, LEAST);
		b = ch_open(name, LEAST);
		L_ERR(vmshm_channel_recv(a, &byte, 1, VMSHM_NOW), EAGAIN);
		L_ERR(vmshm_channel_recv(b, &byte, 1, VMSHM_NOW), EAGAIN);
		ch_send(a, "works");
		ch_recv(b, "works");
		vmshm_channel_close(b);
		vmshm_channel_close(a);
	}
}

static void nothing(int sig)
{
	(void)sig;
}

/*
 * Signals are sent until the call fails with EINTR: it may not sleep at first.
 */
static void interrupted(enum call call)
{
	struct pair p = pair_open(LEAST);
	pid_t pid;

	if (!receives(call))
		ch_fill(p.a, 248);
	pid = t_fork();
	if (!pid) {
		for (;;) {
			kill(getppid(), SIGUSR1);
			sched_yield();
		}
	}
	T_EQ(do_call(p.a, call), -EINTR);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	pair_close(&p);
}

T_TEST(signals_end_each_call)
{
	struct sigaction sa = { .sa_handler = nothing };
	enum call call;

	sigaction(SIGUSR1, &sa, NULL);
	for (call = 0; call < CALLS; call++)
		interrupted(call);
}

/* A child that sends signals to this process all the time */
static pid_t interrupter(void)
{
	struct sigaction sa = { .sa_handler = nothing };
	pid_t pid;

	sigaction(SIGUSR1, &sa, NULL);
	pid = t_fork();
	if (!pid)
		for (;;) {
			kill(getppid(), SIGUSR1);
			sched_yield();
		}
	return pid;
}

T_TEST(signals_end_waiting_for_a_peer)
{
	struct vmshm_channel *ch = ch_open(l_name("x"), LEAST);
	pid_t pid = interrupter();

	L_ERR(vmshm_channel_peer(ch, VMSHM_FOREVER), EINTR);
	kill(pid, SIGKILL);
	vmshm_channel_close(ch);
}

/* Opening waits only a short time for the party that came first. */
T_TEST(signals_do_not_end_opening)
{
	const char *name = l_name("x");
	struct vmshm *shm = l_object(name, CHANNEL_SIZE);
	struct vmshm_channel *ch;
	uint32_t *words = l_map(shm);
	pid_t pid;

	/* The header of a channel whose first seat is taken */
	words[0] = 0x48434d56;
	words[1] = 2;
	words[16] = 0x80000001;
	pid = interrupter();
	L_ERR(vmshm_channel_open(&ch, NULL, name, 0, 0), ETIMEDOUT);
	kill(pid, SIGKILL);
	vmshm_close(shm);
}

/* With SA_RESTART a call may go on; nothing is lost or sent twice. */
T_TEST(nothing_is_lost_to_signals)
{
	struct sigaction sa = { .sa_handler = nothing,
				.sa_flags = SA_RESTART };
	const char *name = l_name("x");
	struct vmshm_channel *ch;
	pid_t sender, bother;
	uint32_t i, got;
	int err;

	sigaction(SIGUSR1, &sa, NULL);
	sender = t_fork();
	if (!sender) {
		ch = ch_open(name, LEAST);
		for (i = 0; i < 20000; i++) {
			do
				err = vmshm_channel_send(ch, &i, 4,
							 VMSHM_FOREVER);
			while (err == -EINTR);
			T_EQ(err, 0);
		}
		vmshm_channel_close(ch);
		_exit(0);
	}
	bother = t_fork();
	if (!bother)
		for (;;) {
			kill(getppid(), SIGUSR1);
			kill(sender, SIGUSR1);
			sched_yield();
		}
	ch = ch_open(name, LEAST);
	for (i = 0; i < 20000; i++) {
		do
			err = vmshm_channel_recv(ch, &got, 4, VMSHM_FOREVER);
		while (err == -EINTR);
		T_EQ(err, 4);
		T_EQ(got, i);
	}
	ch_end(ch, EPIPE);
	kill(bother, SIGKILL);
	T_EQ(waitpid(bother, NULL, 0), bother);
	t_wait(sender);
	vmshm_channel_close(ch);
}

/*
 * After a fork() the child is no party, and its end does not end the channel.
 */
T_TEST(a_child_that_ends)
{
	struct pair p = pair_open(LEAST);
	char byte;
	int i;

	for (i = 0; i < 20; i++) {
		pid_t pid = t_fork();

		if (!pid)
			_exit(0);
		t_wait(pid);
		L_ERR(vmshm_channel_recv(p.a, &byte, 1, VMSHM_NOW), EAGAIN);
		ch_send(p.a, "still");
		ch_recv(p.b, "still");
	}
	T_EQ(t_system("true"), 0);
	ch_send(p.b, "there");
	ch_recv(p.a, "there");
	pair_close(&p);
}

/* A child does not keep its parent's seat either. */
T_TEST(a_child_that_stays)
{
	struct l_bell ready = l_bell();
	const char *name = l_name("x");
	struct vmshm_channel *ch;
	int kills;

	for (kills = 0; kills < 2; kills++) {
		pid_t pid = t_fork();

		if (!pid) {
			ch = ch_open(name, LEAST);
			if (!t_fork())
				pause();
			l_ring(ready);
			ch_recv(ch, "close");
			vmshm_channel_close(ch);
			pause();
		}
		l_heard(ready);
		ch = ch_open(name, LEAST);
		if (kills) {
			l_kill(pid);
			ch_end(ch, ECONNRESET);
		} else {
			ch_send(ch, "close");
			ch_end(ch, EPIPE);
		}
		vmshm_channel_close(ch);
		/*
		 * Both seats are free soon: the peer is told of the end before
		 * they are.
		 */
		while (vmshm_channel_open(&ch, NULL, name, 0, 0600) == -EBUSY)
			sched_yield();
		vmshm_channel_close(ch);
		if (!kills)
			l_kill(pid);
	}
}

T_TEST(no_threads_left)
{
	struct rlimit none = { 0, 0 };
	const char *name = l_name("x");
	struct vmshm_channel *ch;
	struct vmshm *shm;

	if (geteuid())
		t_skip("needs a user that has no process yet");
	umask(0);
	L_OK(vmshm_open(&shm, NULL, name, O_RDWR | O_CREAT, 0666));
	L_OK(vmshm_grow(shm, MIB));
	vmshm_close(shm);
	T_EQ(setuid(NOBODY), 0);
	T_EQ(setrlimit(RLIMIT_NPROC, &none), 0);
	L_ERR(vmshm_channel_open(&ch, NULL, name, 0, 0600), ENOMEM);
}

struct counts {
	int files, threads, maps;
};

static struct counts count(void)
{
	return (struct counts){ l_count_files("fd"), l_count_files("task"),
				l_count_maps() };
}

static void open_use_and_close(const char *name)
{
	struct pair p = { .name = name };
	struct vmshm_channel *third;

	p.a = ch_open(name, LEAST);
	p.b = ch_open(name, LEAST);
	T_ASSERT(vmshm_channel_fd(p.a) >= 0);
	L_OK(vmshm_channel_arm(p.a));
	ch_send(p.a, "x");
	ch_recv(p.b, "x");
	L_ERR(vmshm_channel_open(&third, NULL, name, 0, 0600), EBUSY);
	pair_close(&p);
}

void __lsan_do_leak_check(void) __attribute__((weak));

T_TEST(nothing_is_left_over)
{
	static const char *name;
	struct counts before, after;
	int i, rounds = l_in_guest() ? 100 : 1000;

	name = l_name("x");
	/* The C library keeps some memory for later threads. */
	for (i = 0; i < 10; i++)
		open_use_and_close(name);
	before = count();
	for (i = 0; i < rounds; i++)
		open_use_and_close(name);
	after = count();
	T_EQ(after.files, before.files);
	T_EQ(after.threads, before.threads);
	/* The address sanitizer also keeps some memory. */
	if (after.maps > before.maps + rounds / 10)
		t_fail("%d mappings, and %d before", after.maps, before.maps);
	if (__lsan_do_leak_check)
		__lsan_do_leak_check();
}
