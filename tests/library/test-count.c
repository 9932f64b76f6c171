// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How many instructions a call executes, in this program and the C library: a
 * tracer counts them, so that the result does not depend on the machine's load.
 *
 * qemu: channels
 * needs: x86
 * host: plain
 */
#define _GNU_SOURCE
#include "pair.h"
#include "step.h"

#ifndef __x86_64__
#error "the tracer reads the registers of x86-64"
#endif

#define MESSAGES 64
#define SIZE 64
#define MOST 80 /* instructions of a call */
#define BATCH_MOST 70 /* and of each message of a batch */

/* A larger message; the C library copies it with vector instructions */
#define LARGE 1500
/* Few, because a guest takes a second to step through one */
#define LARGE_MESSAGES 4
/* Instructions to look for a large message, and to receive it */
#define LARGE_MOST 500

static char data[SIZE];
static char large[LARGE];

static void send_all(struct pair *p)
{
	int i;

	for (i = 0; i < MESSAGES; i++)
		L_OK(vmshm_channel_send(p->a, data, SIZE, VMSHM_NOW));
}

static void recv_all(struct pair *p)
{
	int i;

	for (i = 0; i < MESSAGES; i++)
		T_EQ(vmshm_channel_recv(p->b, data, SIZE, VMSHM_NOW), SIZE);
}

static struct vmshm_message batch[MESSAGES];

static void send_batch(struct pair *p)
{
	T_EQ(vmshm_channel_sendv(p->a, batch, MESSAGES, VMSHM_NOW), MESSAGES);
}

static void recv_batch(struct pair *p)
{
	T_EQ(vmshm_channel_recvv(p->b, batch, MESSAGES, VMSHM_NOW), MESSAGES);
}

/* The receiver does not see a message before it checks. */
static void take_turns(struct pair *p)
{
	int i;

	for (i = 0; i < LARGE_MESSAGES; i++) {
		L_OK(vmshm_channel_send(p->a, large, LARGE, VMSHM_NOW));
		T_EQ(vmshm_channel_recv(p->b, large, LARGE, VMSHM_NOW), LARGE);
	}
}

/* The child's stack pointer and instruction after a step; 0: it has ended */
static unsigned long long stack_after_step(pid_t pid, unsigned long long *at)
{
	struct user_regs_struct regs;
	int status;

	T_EQ(ptrace(PTRACE_SINGLESTEP, pid, NULL, 0), 0);
	T_EQ(waitpid(pid, &status, __WALL), pid);
	if (WIFEXITED(status)) {
		T_EQ(WEXITSTATUS(status), 0);
		*at = 0;
		return 0;
	}
	T_ASSERT(WIFSTOPPED(status));
	T_EQ(ptrace(PTRACE_GETREGS, pid, NULL, &regs), 0);
	*at = regs.rip;
	return regs.rsp;
}

/* Instructions of all calls of @function until the child ends */
static long count(pid_t pid, void *function)
{
	unsigned long long at, stack, entry;
	long n = 0;

	for (;;) {
		stack = stack_after_step(pid, &at);
		if (!at)
			return n;
		if (at != (uintptr_t)function)
			continue;
		/*
		 * The call has returned when its return address is off the
		 * stack.
		 */
		for (entry = stack; stack <= entry; n++)
			stack = stack_after_step(pid, &at);
	}
}

/*
 * Instructions for a message: the calls of @function that @run makes, in a
 * child, for @messages
 */
static long each(void *function, void (*run)(struct pair *p), int messages,
		 bool receives)
{
	struct step s;
	char object[STEP_BYTES];
	pid_t pid = t_fork();
	long all;

	if (!pid) {
		struct pair p = pair_open(MIB);

		/* Not the first messages, for which functions are resolved */
		send_all(&p);
		recv_all(&p);
		take_turns(&p);
		if (receives)
			send_all(&p);
		step_begin();
		run(&p);
		_exit(0);
	}
	step_attach(&s, pid, object);
	all = count(pid, function);
	fprintf(stderr, "%ld instructions for each message\n", all / messages);
	return all / messages;
}

static void make_batch(void)
{
	int i;

	for (i = 0; i < MESSAGES; i++)
		batch[i] = (struct vmshm_message){ data, SIZE, SIZE };
}

T_TEST(of_sending)
{
	T_ASSERT(each(vmshm_channel_send, send_all, MESSAGES, false) <= MOST);
}

T_TEST(of_receiving)
{
	T_ASSERT(each(vmshm_channel_recv, recv_all, MESSAGES, true) <= MOST);
}

/* The compiler must not copy byte by byte where it optimises for size. */
T_TEST(of_receiving_a_large_message)
{
	T_ASSERT(each(vmshm_channel_recv, take_turns, LARGE_MESSAGES, false) <=
		 LARGE_MOST);
}

T_TEST(of_batches)
{
	make_batch();
	T_ASSERT(each(vmshm_channel_sendv, send_batch, MESSAGES, false) <=
		 BATCH_MOST);
	T_ASSERT(each(vmshm_channel_recvv, recv_batch, MESSAGES, true) <=
		 BATCH_MOST);
}
