/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The interface for test programs in a guest; tests/guest/run.py runs them.
 *
 * A program is one file test-NAME.c with T_TEST()s and without main(). Each
 * test runs in a child process of its own, in the order of the file. A test has
 * passed when it returns. Another end (a failed check, a signal, exit,
 * boot.py's T_TIMEOUT) is a failure. The name of the test is KERNEL/NAME/test.
 *
 *	#include "t.h"
 *
 *	T_TEST(reads_what_the_host_wrote)
 *	{
 *		const char *name = t_name("hello");
 *		int fd = open("/dev/vmshm0", O_RDWR);
 *
 *		t_host("create %s 4096", name);
 *		t_host("write %s 0 68656c6c6f", name);
 *		T_ASSERT(fd >= 0);
 *		T_EQ(ioctl(fd, 0, name), 0);
 *		...
 *	}
 *
 * Directives for the runner, as lines in any comment of the file:
 *
 *	qemu: ARGS	boot with these arguments instead of the default
 *			"-device vmshm,id=vmshm0"; files with the same
 *			arguments share a boot. Two root ports for hot-plug,
 *			rp0 and rp1, always exist.
 *			ARGS can also be a name in program.py's MACHINES.
 *	qemu VARIANT: ARGS	the same. With several of these lines the file
 *			is run once for each, as NAME@VARIANT.
 *	needs: python FILE	this program as /FILE, without its directory,
 *			and bin/python3 to run it; neither, if the program does
 *			not run on this host
 *	needs: library	libvmshm.so.0
 *	needs: rounds	runs with T_ROUNDS only: "make check-lifecycle"
 *	needs: tool	the tool vmshm of tools/, as bin/vmshm
 *	needs: rpc	examples/rpc/ and tests/rpc/products.c, with their
 *			libraries
 *	needs: abi	the helper program party for other ABIs, as
 *			bin/party-musl and bin/party-i386, where there is a
 *			compiler for it
 *	needs: linked	the helper program primitives, linked in other ways;
 *			see linked.py
 *	needs: x86	runs in guests with x86-64 only
 *	needs: programs	software of Debian; see programs.py
 *	needs: posix-tests, needs: futex-selftests
 *			tests of others; see posix_tests.py, futex_selftests.py
 *	longer: FACTOR	a test of this file may take this many times as long as
 *			another one; it has to write notes
 *	order: last	after all other files of the boot, which it ends
 *	modules: NAMES	also load these modules of the kernel package
 *	driver: none	do not load vmshm.ko (it is /vmshm.ko; see t_system)
 *	driver: ARGS	load vmshm.ko with these parameters
 *	driver VARIANT: ARGS	the same, for this variant only
 *	expect-log: RE	a kernel message of level "warning" or worse that
 *			mentions vmshm, or any of level "err" or worse, is a
 *			failure unless it matches one of these
 *	expect-trace: RE	the kernel itself may write such a message with
 *			a call trace
 *
 * A helper program is a file of tests/guest/helpers/; it is linked without t.c
 * and found in the guest's PATH under its name without ".c".
 */
#ifndef T_H
#define T_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct t_test {
	const char *name;
	void (*run)(void);
	struct t_test *next;
};

void t_register(struct t_test *t);

#define T_TEST(id)							\
	static void t_run_##id(void);					\
	static struct t_test t_test_##id = { #id, t_run_##id, NULL };	\
	static void __attribute__((constructor)) t_reg_##id(void)	\
	{								\
		t_register(&t_test_##id);				\
	}								\
	static void t_run_##id(void)

/* End this test, from any of its processes. */
void t_fail(const char *fmt, ...)
	__attribute__((noreturn, format(printf, 1, 2)));
void t_skip(const char *fmt, ...)
	__attribute__((noreturn, format(printf, 1, 2)));

/* The condition holds, or the test fails with its text, line and errno. */
#define T_ASSERT(cond)							\
	do {								\
		if (!(cond))						\
			t_assert_failed(__FILE__, __LINE__, #cond);	\
	} while (0)

/* Two integers are the same, or the test fails with both. */
#define T_EQ(a, b) t_eq(__FILE__, __LINE__, #a, (long long)(a), (long long)(b))

/* The call returns -1 and errno is this, or the test fails. */
#define T_ERRNO(call, err)						\
	do {								\
		long t_ret = (errno = 0, (long)(call));			\
		t_errno(__FILE__, __LINE__, #call, t_ret, (err));	\
	} while (0)

void t_assert_failed(const char *file, int line, const char *cond)
	__attribute__((noreturn));
void t_eq(const char *file, int line, const char *what, long long a,
	  long long b);
void t_errno(const char *file, int line, const char *what, long ret, int err);

/* A line for people, also if the test passes */
void t_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The name of a host object of this run: "/vmshm-test-1234-hello". */
const char *t_name(const char *tail);

/*
 * Sends a request to the host and waits until it is done. The result is the
 * answer of the host ("" if there is none), valid until the next call. The test
 * fails if the request fails. Any process of the test may call. The requests
 * (NAME is from t_name(), numbers are decimal):
 *
 *	create NAME SIZE [MODE]		make an object (octal mode, default 600)
 *	many NAME COUNT SIZE		NAME0, NAME1, ... each beginning with
 *					its number, 4 bytes
 *	truncate NAME SIZE
 *	unlink NAME			no error if it does not exist
 *	write NAME OFFSET HEX		the bytes 68656c6c6f are "hello"
 *	read NAME OFFSET LENGTH		answers HEX
 *	text NAME [OFFSET]		answers the text up to its NUL
 *	fill NAME OFFSET LENGTH SEED	the bytes of t_fill()
 *	sum NAME OFFSET LENGTH		answers the result of t_sum(), decimal
 *	size NAME			answers the size of the object
 *	mode NAME MODE, owner NAME UID GID
 *	bits NAME			answers its permission bits, octal
 *	blocks NAME			answers its memory in 512-byte blocks
 *	hex create|unlink HEX		create or unlink for any name, with the
 *					prefix
 *	python VERB NAME [TEXT]		runs shared_memory.py on the host
 *	semaphore_post NAME		opens the named semaphore on the host
 *					with sem_open(3) and posts it; answers
 *					the value before
 *	mkdir|mkfifo NAME, symlink NAME TARGET, link NAME NAME
 *	mapped NAME			answers QEMU's number of mappings of it
 *	mapped_all			and of all objects of this run
 *	descriptors			answers QEMU's number of descriptors
 *	memory				answers QEMU's VmSize and VmRSS in KiB
 *	heap				answers the resident memory of QEMU's
 *					heap and stacks in KiB
 *	scarce BYTES			from now on QEMU can map fewer than
 *					that many bytes, and open no file
 *	ample				the limits of "scarce" end, as at the
 *					end of the test
 *	keep KEY TEXT			for the test after a restart
 *	kept KEY			answers the text; empty if there is none
 *	restart [COMMAND]		the guest is going to end, or the
 *					monitor's COMMAND ends it. It starts
 *					again with all tests of the boot; the
 *					results of those that had ended are
 *					ignored. Needs "-action reboot=reset".
 *	asleep, awake			around a sleep (S3) with an alarm; wakes
 *					a guest up that has missed its alarm;
 *					"awake" answers "slept" if QEMU has
 *					suspended the machine
 *	wake NAME OFFSET COUNT [BITS]	futex(2); answers the number of woken
 *					waiters
 *	wait NAME OFFSET EXPECTED [BITS]	begins to wait with futex(2);
 *					returns when the waiter sleeps, or has
 *					ended
 *	requeue NAME OFFSET TARGET	FUTEX_REQUEUE of all waiters to the word
 *					at TARGET; answers the number of waiters
 *	waited NAME			answers the number of ended waits
 *	waiting NAME OFFSET COUNT	until COUNT waiters are in the word's
 *					queue, on the host and in all guests. A
 *					process that sleeps in its call may not
 *					be there yet: see "Change the word
 *					before the wake-up" in docs/waiting.md.
 *	nobody_waits NAME OFFSET	until no waiter is in that queue; a slot
 *					leaves it a little after its wait
 *	spawn PROGRAM NAME ARG...	runs a helper program on the host
 *	spawn_turns NAME SIDE ROUNDS	runs examples/turns.c on the host
 *	python_spawn FILE WORD...	runs a Python program on the host
 *	reap				waits for all of them; they must
 *					succeed; answers what Python printed
 *	vmshm COMMAND NAME [SIZE [open]]	begins "vmshm COMMAND NAME" on
 *					the host, with SIZE random bytes as its
 *					input, which does not end with "open";
 *					answers the MD5 of the input
 *	vmshm_kill			kills it
 *	vmshm_end			waits for its end; answers its exit code
 *					and the MD5 of its output
 *	blas NAME			begins blas-service at that channel and
 *					at a port; answers the port
 *	blas_kill, blas_end		the latter answers its exit code
 *	device_add DRIVER,id=ID,...	as QEMU's option -device
 *	cpu_add ID			adds the first processor that the
 *					machine does not have; QEMU needs
 *					"-smp maxcpus=N"
 *	device_del ID			and wait until the guest has released it
 *	unplug ID			as device_del, without waiting
 *	gone ID				wait for the end of "unplug"
 *	machine PROGRAM ARG... [; ...]	boots another VM, which runs these
 *					helper programs at the same time, with
 *					the host's objects in its /dev/shm
 *	machine_works			fails if one of them has failed up to
 *					now
 *	machine_end			waits for their end; they must succeed
 *	machine_kill			kill -9 of that VM
 *	accesses on			begins to count register accesses; QEMU
 *					needs "-D @FOLDER@/FILE"
 *	accesses off			answers their number
 *	sleepers			answers how many slots wait in a queue
 *					of the host, and how often the threads
 *					of slots have run
 *	move live|saved			moves the guest to another QEMU
 *	hmp COMMAND...			QEMU's monitor; lines are joined by '|'
 *	qmp JSON			answers JSON
 *	ping				nothing
 *	die				kill -9 of QEMU, at the end of its last
 *					test, which has passed if "reap" then
 *					answers "done"
 */
const char *t_host(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The same, but the result is NULL if the request fails. */
const char *t_host_try(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));

/* Numbers that differ in each 4 KiB page and for each seed, and their check. */
void t_fill(void *buf, size_t len, uint32_t seed);
uint32_t t_sum(const void *buf, size_t len);

/* fork() that cannot fail, and waiting for the child's exit(0). */
pid_t t_fork(void);
void t_wait(pid_t pid);

/*
 * The factor by which this kernel is slower than one of Debian, for times that
 * something needs
 */
int t_slower(void);

/* Run a shell command; the result is its exit code. */
int t_system(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Access one byte and say whether that was a SIGBUS (1) or not (0). Only for
 * the calling thread; restores the handler.
 */
int t_read_faults(const volatile void *p);
int t_write_faults(volatile void *p);

#endif
