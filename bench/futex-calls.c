// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The cost of futex(2) in a guest, with and without the parameter "futex" of
 * the driver: of a call that returns at once, of two processes of the guest
 * that wake each other, and of a process of the guest and one of the host.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "t.h"

#include "b.h"
#include "talk.h"

#define SIZE 4096
#define CALLS 3000
#define TRIPS 300
#define TRIP 60000.0	/* microseconds */

static const char *state;

static void find_state(void)
{
	state = t_system("grep -q Y /sys/module/vmshm/parameters/futex") ?
			"off" : "on";
}

static volatile unsigned int *map(const char *path)
{
	int fd;
	void *p = b_map(path, SIZE, &fd);

	close(fd);
	memset(p, 0, SIZE);
	return p;
}

static volatile unsigned int *of_tmpfs(void)
{
	return map(b_tmpfs_object("futex", SIZE));
}

static volatile unsigned int *of_vmshm(void)
{
	b_mount();
	return map(b_object("futex", SIZE));
}

static long futex(volatile unsigned int *word, int op, unsigned int value)
{
	return syscall(SYS_futex, word, op, value, NULL, NULL, 0);
}

/* Neither call sleeps: the word has another value, and there is no waiter. */
static void calls(const char *memory, volatile unsigned int *word, int flag)
{
	static const struct {
		const char *name;
		int op;
	} ops[] = { { "wait", FUTEX_WAIT }, { "wake", FUTEX_WAKE } };
	size_t i;
	int n;

	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		double start = b_now();

		for (n = 0; n < CALLS; n++)
			futex(word, ops[i].op | flag, 1);
		b_result("name=futex what=%s memory=%s state=%s us=%.3f",
			 ops[i].name, memory, state,
			 (b_now() - start) / CALLS);
	}
}

T_TEST(calls)
{
	find_state();
	calls("private", of_tmpfs(), FUTEX_PRIVATE_FLAG);
	calls("tmpfs", of_tmpfs(), 0);
	calls("vmshm", of_vmshm(), 0);
}

static void turn(volatile unsigned int *words, int mine, unsigned int n)
{
	while (__atomic_load_n(&words[mine], __ATOMIC_SEQ_CST) != n)
		futex(words + mine, FUTEX_WAIT, n - 1);
}

static void hand_over(volatile unsigned int *words, int other, unsigned int n)
{
	__atomic_store_n(&words[other], n, __ATOMIC_SEQ_CST);
	futex(words + other, FUTEX_WAKE, 1);
}

static void pair(const char *memory, volatile unsigned int *words)
{
	pid_t pid = t_fork();
	unsigned int n;
	double start;

	if (!pid) {
		for (n = 1; n <= TRIPS; n++) {
			turn(words, 1, n);
			hand_over(words, 0, n);
		}
		_exit(0);
	}
	start = b_now();
	for (n = 1; n <= TRIPS; n++) {
		hand_over(words, 1, n);
		turn(words, 0, n);
	}
	b_result("name=futex what=pair memory=%s state=%s us=%.3f", memory,
		 state, (b_now() - start) / TRIPS);
	t_wait(pid);
}

T_TEST(pairs)
{
	find_state();
	pair("tmpfs", of_tmpfs());
	pair("vmshm", of_vmshm());
}

/* A round trip of 64 bytes, with an unmodified program at each end */
T_TEST(host)
{
	static struct talk_times times;
	struct link *l;
	char *path;

	find_state();
	if (!strcmp(state, "off"))
		return;
	b_mount();
	path = (char *)b_object("futex-link", LINK_MEMORY);
	t_host("peer words futex 0 @shm%s", t_name("futex-link"));
	l = link_open((char *[]){ "words", "futex", "1", path, NULL }, 0);
	b_result("name=futex what=pair memory=host state=%s us=%.3f", state,
		 talk_trip(l, 64, TRIP, 0, &times));
	talk_end(l);
	t_host("reap");
}

/* The alternative: a seccomp filter and a handler of SIGSYS */
static void on_trap(int number, siginfo_t *info, void *context)
{
	ucontext_t *user = context;

	(void)number;
	(void)info;
	user->uc_mcontext.gregs[REG_RAX] = -EAGAIN;
}

static void trap(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { ARRAY_SIZE(code), code };
	struct sigaction act = { .sa_sigaction = on_trap,
				 .sa_flags = SA_SIGINFO };

	T_EQ(sigaction(SIGSYS, &act, NULL), 0);
	T_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	T_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0);
}

/* The handler does nothing; what it would have to do comes on top. */
T_TEST(trapped)
{
	state = "trap";
	trap();
	calls("private", of_tmpfs(), FUTEX_PRIVATE_FLAG);
}
