/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process that is stopped just after it has changed something in an object:
 * to be killed there, or to be overtaken. Its first thread runs instruction by
 * instruction, and the tracer looks at the object after each.
 */
#ifndef STEP_H
#define STEP_H

#include <elf.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

#include "library.h"

#define STEP_BYTES 4096 /* of the object that are compared */

struct step {
	pid_t pid;
	const char *object;
	char before[STEP_BYTES];
	bool ended;
};

/* In the child: single-stepping begins here. */
static inline void step_begin(void)
{
	raise(SIGSTOP);
}

/* In the parent, with a child that calls step_begin() */
static inline void step_attach(struct step *s, pid_t pid, const char *object)
{
	int status;

	*s = (struct step){ .pid = pid, .object = object };
	T_EQ(ptrace(PTRACE_SEIZE, pid, NULL, PTRACE_O_EXITKILL), 0);
	do
		T_EQ(waitpid(pid, &status, __WALL), pid);
	while (WIFSTOPPED(status) && WSTOPSIG(status) != SIGSTOP);
	T_ASSERT(WIFSTOPPED(status));
	memcpy(s->before, object, STEP_BYTES);
	/*
	 * The child is stopped by the tracer and by SIGSTOP; the tracer's stop
	 * counts.
	 */
	T_EQ(kill(pid, SIGCONT), 0);
}

/*
 * Steps until the child has changed the object; false if it exited first, with
 * success.
 */
static inline bool step_on(struct step *s)
{
	int status;

	while (!memcmp(s->before, s->object, STEP_BYTES)) {
		T_EQ(ptrace(PTRACE_SINGLESTEP, s->pid, NULL, 0), 0);
		T_EQ(waitpid(s->pid, &status, __WALL), s->pid);
		if (WIFEXITED(status)) {
			T_EQ(WEXITSTATUS(status), 0);
			s->ended = true;
			return false;
		}
		T_ASSERT(WIFSTOPPED(status));
	}
	memcpy(s->before, s->object, STEP_BYTES);
	return true;
}

/*
 * Runs until the child enters or leaves a system call, or gets a signal;
 * returns the register that has the result of a system call.
 */
static inline long step_syscall(struct step *s)
{
	struct user_regs_struct regs;
	struct iovec iov = { &regs, sizeof(regs) };
	int status;

	T_EQ(ptrace(PTRACE_SYSCALL, s->pid, NULL, 0), 0);
	T_EQ(waitpid(s->pid, &status, __WALL), s->pid);
	T_ASSERT(WIFSTOPPED(status));
	T_EQ(ptrace(PTRACE_GETREGSET, s->pid, NT_PRSTATUS, &iov), 0);
#ifdef __aarch64__
	return regs.regs[0];
#else
	return regs.rax;
#endif
}

static inline void step_kill(struct step *s)
{
	int status;

	if (s->ended)
		return;
	T_EQ(kill(s->pid, SIGKILL), 0);
	do
		T_EQ(waitpid(s->pid, &status, __WALL), s->pid);
	while (!WIFSIGNALED(status));
}

/* Detaches, so that the child runs on; t_wait() waits for its end. */
static inline void step_let_go(struct step *s)
{
	if (!s->ended)
		T_EQ(ptrace(PTRACE_DETACH, s->pid, NULL, 0), 0);
}

#endif
