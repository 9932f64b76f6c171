// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Calls in a signal handler and in the child of a fork(), at each instruction
 * of a call that they interrupt; and output arguments after failures.
 *
 * qemu: channels
 * host: plain
 */
#define _GNU_SOURCE
#include <vmshm/broadcast.h>

#include "pair.h"
#include "step.h"

static struct vmshm *interrupted;

static void wake_in_handler(int sig)
{
	(void)sig;
	errno = 77;
	L_OK(vmshm_wake(interrupted, 4, UINT32_MAX));
	T_EQ(errno, 77);
	L_ERR(vmshm_wake(interrupted, 2, UINT32_MAX), EINVAL);
	T_EQ(errno, 77);
	L_ERR(vmshm_wait(interrupted, 4, 1, VMSHM_NOW), EAGAIN);
}

static void all_calls_in_child(void)
{
	struct vmshm *shm = interrupted;
	uint64_t bytes;
	size_t size;
	void *data;

	L_OK(vmshm_wake(shm, 4, UINT32_MAX));
	L_ERR(vmshm_wait(shm, 4, 1, VMSHM_NOW), EAGAIN);
	L_OK(vmshm_map(shm, &data, &size));
	L_OK(vmshm_size(shm, &bytes));
	T_EQ(size, bytes);
	L_ERR(vmshm_poll_fd(shm), EPERM);
	L_ERR(vmshm_poll_arm(shm, 4, 0), EPERM);
	vmshm_close(shm);
	_exit(0);
}

static void fork_in_handler(int sig)
{
	pid_t pid;

	(void)sig;
	pid = fork();
	if (!pid)
		all_calls_in_child();
	t_wait(pid);
}

static void call_wake(void)
{
	L_OK(vmshm_wake(interrupted, 0, 1));
}

static void call_map(void)
{
	l_map(interrupted);
}

static void call_arm(void)
{
	L_OK(vmshm_poll_arm(interrupted, 0, 0));
}

/* Runs @n instructions of the call; false if it has ended before. */
static bool run_instructions(pid_t pid, int n)
{
	int status;

	while (n--) {
		T_EQ(ptrace(PTRACE_SINGLESTEP, pid, NULL, 0), 0);
		T_EQ(waitpid(pid, &status, __WALL), pid);
		if (!WIFSTOPPED(status))
			return false;
		/* The child raises SIGUSR2 at the end of the call. */
		if (WSTOPSIG(status) == SIGUSR2)
			return false;
	}
	return true;
}

/*
 * A signal arrives after @n instructions of the call; its handler may not wait
 * for anything that the call has locked.
 */
static bool interrupt_after(int n, void (*call)(void), void (*handler)(int))
{
	bool again = call == call_arm;
	const char *name = l_name("x");
	int status;
	pid_t pid;
	bool more;

	vmshm_close(l_object(name, 4096));
	pid = t_fork();
	if (!pid) {
		signal(SIGUSR1, handler);
		signal(SIGUSR2, SIG_IGN);
		L_OK(vmshm_open(&interrupted, NULL, name, O_RDWR, 0));
		/* The first call uses malloc(), whose lock fork() takes. */
		if (again)
			call();
		raise(SIGSTOP);
		call();
		raise(SIGUSR2);
		_exit(0);
	}
	T_EQ(ptrace(PTRACE_SEIZE, pid, NULL, PTRACE_O_EXITKILL), 0);
	do
		T_EQ(waitpid(pid, &status, __WALL), pid);
	while (WIFSTOPPED(status) && WSTOPSIG(status) != SIGSTOP);
	T_EQ(kill(pid, SIGCONT), 0);
	more = run_instructions(pid, n);
	T_EQ(ptrace(PTRACE_DETACH, pid, NULL, more ? SIGUSR1 : 0), 0);
	t_wait(pid);
	L_OK(vmshm_unlink(NULL, name));
	return more;
}

static void interrupt_everywhere(void (*call)(void), void (*handler)(int))
{
	/* The step is shorter than any time for which a lock would be held. */
	int step = l_in_guest() ? 37 : 11, n;

	for (n = 1; interrupt_after(n, call, handler); n += step)
		;
	/* The test has interrupted the call. */
	T_ASSERT(n > 30);
}

T_TEST(waking_in_a_handler)
{
	interrupt_everywhere(call_wake, wake_in_handler);
}

T_TEST(waking_in_a_handler_during_a_map)
{
	interrupt_everywhere(call_map, wake_in_handler);
}

T_TEST(forking_in_a_handler)
{
	interrupt_everywhere(call_wake, fork_in_handler);
}

T_TEST(forking_in_a_handler_during_an_arm)
{
	interrupt_everywhere(call_arm, fork_in_handler);
}

/*
 * After a fork() all calls of a channel fail in the child; its close does not
 * disturb the parent.
 */
T_TEST(a_channel_in_a_child)
{
	struct vmshm_message message = { .data = "x", .size = 1, .length = 1 };
	struct pair p = pair_open(LEAST);
	struct vmshm_channel *ch = p.a;
	const void *in = "";
	size_t size = 1;
	char byte;
	pid_t pid;
	void *out = &byte;
	int i, sent;

	ch_send(p.b, "for the parent");
	/* The channel has threads, a reserved message and a peeked one. */
	T_EQ(vmshm_channel_arm(ch), 1);
	L_OK(vmshm_channel_peek(ch, &in, &size, VMSHM_NOW));
	L_OK(vmshm_channel_reserve(ch, &out, 1, VMSHM_NOW));
	for (i = 0; i < 20; i++) {
		pid = t_fork();
		if (pid) {
			t_wait(pid);
			continue;
		}
		L_ERR(vmshm_channel_commit(ch, 1), EPERM);
		L_ERR(vmshm_channel_release(ch), EPERM);
		L_ERR(vmshm_channel_send(ch, "x", 1, VMSHM_FOREVER), EPERM);
		L_ERR(vmshm_channel_sendv(ch, &message, 1, VMSHM_FOREVER),
		      EPERM);
		L_ERR(vmshm_channel_call(ch, "x", 1, &byte, 1, &sent,
					 VMSHM_FOREVER), EPERM);
		L_ERR(vmshm_channel_write(ch, "x", 1, VMSHM_FOREVER), EPERM);
		L_ERR(vmshm_channel_reserve(ch, &out, 1, VMSHM_FOREVER), EPERM);
		T_ASSERT(!out);
		L_ERR(vmshm_channel_drain(ch, VMSHM_FOREVER), EPERM);
		L_ERR(vmshm_channel_shutdown(ch), EPERM);
		L_ERR(vmshm_channel_recv(ch, &byte, 1, VMSHM_FOREVER), EPERM);
		L_ERR(vmshm_channel_recvv(ch, &message, 1, VMSHM_FOREVER),
		      EPERM);
		L_ERR(vmshm_channel_read(ch, &byte, 1, VMSHM_FOREVER), EPERM);
		L_ERR(vmshm_channel_peek(ch, &in, &size, VMSHM_FOREVER), EPERM);
		T_ASSERT(!in && !size);
		L_ERR(vmshm_channel_peer(ch, VMSHM_FOREVER), EPERM);
		L_ERR(vmshm_channel_fd(ch), EPERM);
		L_ERR(vmshm_channel_arm(ch), EPERM);
		T_EQ(vmshm_channel_max(ch), LEAST - 8);
		vmshm_channel_close(p.b);
		vmshm_channel_close(ch);
		_exit(0);
	}
	L_OK(vmshm_channel_commit(ch, 0));
	ch_recv(ch, "for the parent");
	L_ERR(vmshm_channel_recv(ch, &byte, 1, VMSHM_NOW), EAGAIN);
	T_EQ(vmshm_channel_recv(p.b, &byte, 1, VMSHM_NOW), 0);
	ch_send(ch, "still there");
	ch_recv(p.b, "still there");
	pair_close(&p);
}

T_TEST(a_broadcast_in_a_child)
{
	const char *name = l_name("x");
	struct vmshm_broadcast *w, *r;
	const void *in = "";
	uint64_t lost;
	size_t size;
	char byte;
	pid_t pid;
	void *out;
	int i;

	L_OK(vmshm_broadcast_create(&w, NULL, name, 8, 4, 0600));
	L_OK(vmshm_broadcast_open(&r, NULL, name));
	L_OK(vmshm_broadcast_reserve(w, &out));
	for (i = 0; i < 20; i++) {
		pid = t_fork();
		if (pid) {
			t_wait(pid);
			continue;
		}
		L_ERR(vmshm_broadcast_publish(w, 1), EPERM);
		L_ERR(vmshm_broadcast_reserve(w, &out), EPERM);
		T_ASSERT(!out);
		L_ERR(vmshm_broadcast_send(w, "x", 1), EPERM);
		L_ERR(vmshm_broadcast_recv(r, &byte, 1, &lost, VMSHM_FOREVER),
		      EPERM);
		L_ERR(vmshm_broadcast_peek(r, &in, &size, NULL, VMSHM_FOREVER),
		      EPERM);
		T_ASSERT(!in && !size);
		L_ERR(vmshm_broadcast_release(r), EPERM);
		T_EQ(vmshm_broadcast_max(r), 8);
		vmshm_broadcast_close(w);
		vmshm_broadcast_close(r);
		_exit(0);
	}
	L_OK(vmshm_broadcast_publish(w, 1));
	T_EQ(vmshm_broadcast_recv(r, &byte, 1, &lost, VMSHM_FOREVER), 1);
	L_ERR(vmshm_broadcast_recv(r, &byte, 1, &lost, VMSHM_NOW), EAGAIN);
	vmshm_broadcast_close(w);
	L_ERR(vmshm_broadcast_recv(r, &byte, 1, &lost, VMSHM_FOREVER), EPIPE);
	vmshm_broadcast_close(r);
}

/* A child that opens the same objects as its parent has separate handles. */
T_TEST(a_child_opens_for_itself)
{
	const char *name = l_name("x"), *other = l_name("y");
	struct vmshm *shm = l_object(other, 4096), *mine;
	struct vmshm_channel *a = ch_open(name, LEAST), *b;
	pid_t pid = t_fork();

	if (!pid) {
		vmshm_channel_close(a);
		b = ch_open(name, LEAST);
		ch_send(b, "from the child");
		L_OK(vmshm_open(&mine, NULL, other, O_RDWR, 0));
		L_OK(vmshm_poll_arm(mine, 0, 0));
		vmshm_close(mine);
		L_ERR(vmshm_poll_arm(shm, 0, 0), EPERM);
		vmshm_channel_close(b);
		_exit(0);
	}
	ch_recv(a, "from the child");
	ch_end(a, EPIPE);
	t_wait(pid);
	L_OK(vmshm_poll_arm(shm, 0, 0));
	vmshm_channel_close(a);
	vmshm_close(shm);
}

#define POISON ((void *)1)

T_TEST(outputs_after_failures)
{
	struct vmshm *empty = l_object(l_name("x"), 0), *shm = POISON;
	struct pair p = pair_open(LEAST);
	struct vmshm_channel *ch = POISON;
	struct vmshm_broadcast *b = POISON;
	void *data = POISON;
	const void *in = POISON;
	size_t size = 1;

	L_ERR(vmshm_open(&shm, NULL, "a/b", O_RDWR, 0), EINVAL);
	T_ASSERT(!shm);
	shm = POISON;
	L_ERR(vmshm_open(&shm, NULL, "x", O_WRONLY, 0), EINVAL);
	T_ASSERT(!shm);
	shm = POISON;
	L_ERR(vmshm_open(&shm, "/nowhere", "x", O_RDWR, 0), ENOENT);
	T_ASSERT(!shm);
	L_ERR(vmshm_map(empty, &data, &size), ENODATA);
	T_ASSERT(!data && !size);
	L_ERR(vmshm_channel_open(&ch, NULL, "a/b", 0, 0), EINVAL);
	T_ASSERT(!ch);
	data = POISON;
	L_ERR(vmshm_channel_reserve(p.a, &data, LEAST, VMSHM_NOW), EMSGSIZE);
	T_ASSERT(!data);
	ch_fill(p.a, 248);
	data = POISON;
	L_ERR(vmshm_channel_reserve(p.a, &data, 1, VMSHM_NOW), EAGAIN);
	T_ASSERT(!data);
	size = 1;
	L_ERR(vmshm_channel_peek(p.a, &in, &size, VMSHM_NOW), EAGAIN);
	T_ASSERT(!in && !size);
	L_ERR(vmshm_broadcast_create(&b, NULL, "a/b", 4, 4, 0600), EINVAL);
	T_ASSERT(!b);
	b = POISON;
	L_ERR(vmshm_broadcast_open(&b, NULL, "a/b"), EINVAL);
	T_ASSERT(!b);
	L_OK(vmshm_broadcast_create(&b, NULL, l_name("b"), 4, 4, 0600));
	in = POISON;
	size = 1;
	L_ERR(vmshm_broadcast_peek(b, &in, &size, NULL, VMSHM_NOW), EBADF);
	T_ASSERT(!in && !size);
	vmshm_broadcast_close(b);
	pair_close(&p);
	vmshm_close(empty);
}
