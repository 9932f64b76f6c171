// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How many instructions a call executes, in this program and the C library, and
 * how often it pauses the processor: a tracer counts them, so that the result
 * does not depend on the machine's load.
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

/* Pauses before a wait: of a channel that is not busy, and the most */
#define PAUSES_LEAST 4
#define PAUSES_MOST 64
#define PAUSE 0x90f3 /* the instruction */
/* Messages that are found at a time, until the pauses do not change any more */
#define ROUNDS 10
#define SOME 2
#define MANY 60

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

/* The receiver finds that many messages at a time. */
static void stream(struct pair *p, int messages)
{
	int i, round;

	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < messages; i++)
			ch_send(p->a, "");
		for (i = 0; i < messages; i++)
			ch_recv(p->b, "");
	}
	ch_send(p->a, "");
}

static void stream_one(struct pair *p)
{
	stream(p, 1);
}

static void stream_some(struct pair *p)
{
	stream(p, SOME);
}

/* All bytes of these messages are enough for one look. */
static void stream_many(struct pair *p)
{
	static char more[SIZE];
	int i, round;

	stream(p, SOME);
	ch_recv(p->b, "");
	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < MANY; i++)
			L_OK(vmshm_channel_send(p->a, more, SIZE, VMSHM_NOW));
		for (i = 0; i < MANY; i++)
			T_EQ(vmshm_channel_recv(p->b, more, SIZE,
						VMSHM_FOREVER),
			     SIZE);
	}
	ch_send(p->a, "");
}

static void stream_and_answer(struct pair *p)
{
	stream(p, SOME);
	ch_send(p->b, "");
	ch_recv(p->a, "");
}

static void stream_without_polling(struct pair *p)
{
	stream(p, SOME);
	vmshm_channel_spin(p->b, 0);
}

/* The sender finds room for some messages at a time. */
static void fill(struct pair *p)
{
	int i, round;

	ch_fill(p->a, SIZE);
	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < SOME; i++)
			T_EQ(vmshm_channel_recv(p->b, data, SIZE, VMSHM_NOW),
			     SIZE);
		if (round < ROUNDS - 1)
			for (i = 0; i < SOME; i++)
				L_OK(vmshm_channel_send(p->a, data, SIZE,
							VMSHM_FOREVER));
	}
}

static void recv_now(struct pair *p)
{
	L_OK(vmshm_channel_recv(p->b, data, SIZE, VMSHM_NOW) == 1 ? 0 : -1);
}

static void recv_whenever(struct pair *p)
{
	L_OK(vmshm_channel_recv(p->b, data, SIZE, VMSHM_FOREVER) == 1 ? 0 : -1);
}

static void send_whenever(struct pair *p)
{
	L_OK(vmshm_channel_send(p->a, data, SIZE, VMSHM_FOREVER));
}

/* Pauses of the processor until the child ends */
static int count_pauses(pid_t pid)
{
	unsigned long long at;
	int pauses = 0;

	for (;;) {
		stack_after_step(pid, &at);
		if (!at)
			return pauses;
		if ((ptrace(PTRACE_PEEKTEXT, pid, at, 0) & 0xffff) == PAUSE)
			pauses++;
	}
}

/* Pauses of a call, in a child that has prepared its channel */
static int pauses(void (*prepare)(struct pair *p), void (*call)(struct pair *p))
{
	struct step s;
	char object[STEP_BYTES];
	pid_t pid = t_fork();

	if (!pid) {
		struct pair p = pair_open(MIB);

		prepare(&p);
		step_begin();
		call(&p);
		_exit(0);
	}
	step_attach(&s, pid, object);
	return count_pauses(pid);
}

/* A receiver that is faster than its peer lets messages gather. */
T_TEST(of_pauses_of_a_receiver)
{
	T_EQ(pauses(stream_some, recv_whenever), PAUSES_MOST);
	T_EQ(pauses(stream_many, recv_whenever), 0);
	T_EQ(pauses(stream_one, recv_whenever), PAUSES_LEAST);
}

/* A sender lets the receiver release more room. */
T_TEST(of_pauses_of_a_sender)
{
	T_EQ(pauses(fill, send_whenever), PAUSES_MOST);
}

T_TEST(of_no_pause_if_the_peer_may_wait_for_an_answer)
{
	T_EQ(pauses(stream_and_answer, recv_whenever), 0);
}

T_TEST(of_no_pause_if_the_call_must_not_wait)
{
	T_EQ(pauses(stream_some, recv_now), 0);
	T_EQ(pauses(stream_without_polling, recv_whenever), 0);
}
