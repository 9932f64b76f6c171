/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * futex(2) on files of the mounted file system, which the driver's parameter
 * "futex" makes act on the host: unmodified programs synchronise with each
 * other across the border.
 *
 * driver: futex=1
 * qemu: programs
 * needs: x86
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>

#include "t.h"
#include "words.h"
#include "futex.h"
#include "accesses.h"

#define ROUNDS 300

T_TEST(is_on)
{
	futex_map(words_name());
}

enum { BOTH_HERE, FIRST_ON_THE_HOST, SECOND_ON_THE_HOST };

static void primitive_between(const char *name, const char *kind, int where,
			      int rounds)
{
	int role = where == FIRST_ON_THE_HOST;
	pid_t pid;

	T_EQ(t_system("primitives %s init", words_path(name)), 0);
	if (where == BOTH_HERE) {
		pid = t_fork();
		if (!pid)
			_exit(t_system("primitives %s %s 1 %d",
				       words_path(name), kind, rounds));
	} else {
		t_host("spawn primitives %s %s %d %d", name, kind, !role,
		       rounds);
	}
	T_EQ(t_system("primitives %s %s %d %d", words_path(name), kind, role,
		      rounds), 0);
	if (where == BOTH_HERE)
		t_wait(pid);
	else
		t_host("reap");
}

/* An unmodified program, in all combinations of host and guest */
static void primitive(const char *kind, int rounds)
{
	const char *name = words_name();

	futex_map(name);
	primitive_between(name, kind, BOTH_HERE, rounds);
	primitive_between(name, kind, FIRST_ON_THE_HOST, rounds);
	primitive_between(name, kind, SECOND_ON_THE_HOST, rounds);
}

T_TEST(semaphore)
{
	primitive("semaphore", ROUNDS);
}

T_TEST(mutex)
{
	primitive("mutex", ROUNDS);
}

T_TEST(condition)
{
	primitive("condition", ROUNDS);
}

T_TEST(condition_with_deadline)
{
	primitive("deadline", ROUNDS);
}

T_TEST(barrier)
{
	primitive("barrier", ROUNDS);
}

T_TEST(rwlock)
{
	primitive("rwlock", ROUNDS);
}

T_TEST(robust_mutex)
{
	primitive("robust", ROUNDS / 10);
}

/* One mutex and one condition variable on the host and in two guests */
T_TEST(two_guests_and_the_host)
{
	const char *name = words_name();

	futex_map(name);
	T_EQ(t_system("primitives %s init", words_path(name)), 0);
	t_host("machine primitives %s ring 2 100", words_path(name));
	t_host("spawn primitives %s ring 1 100", name);
	T_EQ(t_system("primitives %s ring 0 100", words_path(name)), 0);
	t_host("reap");
	t_host("machine_end");
}

enum { CROWD = 1000 };

static volatile unsigned int *crowd_word;
static int crowd_asleep;

static void *crowd_waits(void *arg)
{
	__atomic_add_fetch(&crowd_asleep, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(crowd_word, __ATOMIC_SEQ_CST))
		futex(crowd_word, FUTEX_WAIT, 0, NULL, NULL, 0);
	return NULL;
}

static void crowd_start(pthread_t *threads)
{
	pthread_attr_t attr;
	int i;

	crowd_asleep = 0;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 32768);
	for (i = 0; i < CROWD; i++)
		T_EQ(pthread_create(&threads[i], &attr, crowd_waits, NULL), 0);
	while (__atomic_load_n(&crowd_asleep, __ATOMIC_SEQ_CST) < CROWD)
		sched_yield();
}

static void crowd_end(pthread_t *threads)
{
	int i;

	for (i = 0; i < CROWD; i++)
		T_EQ(pthread_join(threads[i], NULL), 0);
}

/* No wake-up is lost, whether the guest or the host wakes. */
T_TEST(a_thousand_threads_on_a_word)
{
	static pthread_t threads[CROWD];
	const char *name = words_name();

	crowd_word = futex_map(name);
	crowd_start(threads);
	__atomic_store_n(crowd_word, 1, __ATOMIC_SEQ_CST);
	futex(crowd_word, FUTEX_WAKE, CROWD, NULL, NULL, 0);
	crowd_end(threads);
	__atomic_store_n(crowd_word, 0, __ATOMIC_SEQ_CST);
	crowd_start(threads);
	t_host("write %s 0 01000000", name);
	t_host("wake %s 0 %d", name, CROWD);
	crowd_end(threads);
}

T_TEST(wakes_those_here_first)
{
	volatile unsigned int *words = futex_map(words_name());
	pid_t pid[3];
	int i;

	for (i = 0; i < 3; i++) {
		pid[i] = t_fork();
		if (!pid[i])
			_exit(futex(words, FUTEX_WAIT, 0, NULL, NULL, 0));
	}
	for (i = 0; i < 3; i++)
		futex_asleep(pid[i]);
	/* FUTEX_WAKE counts the waiters of this guest. */
	T_EQ(futex(words, FUTEX_WAKE, 2, NULL, NULL, 0), 2);
	T_EQ(futex(words, FUTEX_WAKE, 2, NULL, NULL, 0), 1);
	T_EQ(futex(words, FUTEX_WAKE, 2, NULL, NULL, 0), 0);
	for (i = 0; i < 3; i++)
		t_wait(pid[i]);
}

/* Another process, which sleeps until the word is woken */
static pid_t sleeper(volatile unsigned int *word)
{
	pid_t pid = t_fork();

	if (!pid)
		_exit(futex(word, FUTEX_WAIT, 0, NULL, NULL, 0));
	futex_asleep(pid);
	return pid;
}

T_TEST(the_ioctls_meet_it)
{
	volatile unsigned int *words = futex_map(words_name());
	pid_t pid = sleeper(words);

	T_EQ(wake_word(0, 1), 0);
	t_wait(pid);
	pid = t_fork();
	if (!pid)
		_exit(wait_word(0, 0, -1));
	words_asleep(pid);
	T_EQ(futex(words, FUTEX_WAKE, 1, NULL, NULL, 0), 1);
	t_wait(pid);
}

T_TEST(other_value_and_deadlines)
{
	volatile unsigned int *words = futex_map(words_name());
	struct timespec t = { .tv_nsec = 20000000 };
	long long start = now();

	words[3] = 9;
	T_ERRNO(futex(words + 3, FUTEX_WAIT, 8, NULL, NULL, 0), EAGAIN);
	T_ERRNO(futex(words, FUTEX_WAIT, 0, &t, NULL, 0), ETIMEDOUT);
	T_ASSERT(now() - start >= 20000000);
	clock_gettime(CLOCK_REALTIME, &t);
	T_ERRNO(futex(words, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &t,
		      NULL, FUTEX_BITSET_MATCH_ANY), ETIMEDOUT);
	clock_gettime(CLOCK_MONOTONIC, &t);
	T_ERRNO(futex(words, FUTEX_WAIT_BITSET, 0, &t, NULL,
		      FUTEX_BITSET_MATCH_ANY), ETIMEDOUT);
}

static void on_signal(int number)
{
}

/* A handler ends a wait with a time-out; SIGSTOP and SIGCONT do not. */
T_TEST(signals)
{
	struct sigaction act = { .sa_handler = on_signal };
	volatile unsigned int *words = futex_map(words_name());
	const struct timespec t = { .tv_sec = 1000 };
	pid_t pid;
	int status;

	sigaction(SIGUSR1, &act, NULL);
	pid = t_fork();
	if (!pid) {
		T_ERRNO(futex(words, FUTEX_WAIT, 0, &t, NULL, 0), EINTR);
		T_EQ(futex(words, FUTEX_WAIT, 0, &t, NULL, 0), 0);
		_exit(0);
	}
	futex_asleep(pid);
	kill(pid, SIGUSR1);
	words[1] = 0;
	futex_asleep(pid);
	kill(pid, SIGSTOP);
	T_EQ(waitpid(pid, &status, WUNTRACED), pid);
	T_ASSERT(WIFSTOPPED(status));
	kill(pid, SIGCONT);
	T_EQ(waitpid(pid, &status, WCONTINUED), pid);
	/*
	 * Before the waiter sleeps again, FUTEX_WAKE may wake it and not count
	 * it: see docs/waiting.md.
	 */
	words_sleeps_in(pid, SYS_restart_syscall);
	T_EQ(futex(words, FUTEX_WAKE, 1, NULL, NULL, 0), 1);
	t_wait(pid);
}

/* A thread with all signals blocked is woken by the host as any other. */
T_TEST(signals_are_blocked)
{
	const char *name = words_name();
	volatile unsigned int *words = futex_map(name);
	sigset_t all;
	pid_t pid;

	sigfillset(&all);
	T_EQ(sigprocmask(SIG_BLOCK, &all, NULL), 0);
	pid = sleeper(words);
	t_host("waiting %s 0 1", name);
	T_EQ(atoi(t_host("wake %s 0 1", name)), 1);
	t_wait(pid);
}

/* Operations that the host's futexes cannot do for a guest are refused. */
T_TEST(what_is_refused)
{
	volatile unsigned int *words = futex_map(words_name());
	const struct timespec t = { .tv_nsec = 1000000 };
	struct futex_waitv wait = {
		.uaddr = (uintptr_t)words, .flags = FUTEX_32,
	};
	volatile unsigned int private;

	T_ERRNO(futex(words, FUTEX_LOCK_PI, 0, NULL, NULL, 0), EOPNOTSUPP);
	T_ERRNO(futex(words, FUTEX_LOCK_PI2, 0, NULL, NULL, 0), EOPNOTSUPP);
	T_ERRNO(futex(words, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0), EAGAIN);
	T_ERRNO(futex(words, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), ENOSYS);
	T_ERRNO(futex(words, FUTEX_REQUEUE, 1, (void *)1, words + 1, 0),
		ENOSYS);
	T_ERRNO(futex(words, FUTEX_CMP_REQUEUE, 1, (void *)1, &private, 0),
		ENOSYS);
	T_ERRNO(futex(&private, FUTEX_CMP_REQUEUE, 1, (void *)1, words, 0),
		ENOSYS);
	T_ERRNO(futex(words, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, words + 1, 0),
		ENOSYS);
	T_ERRNO(futex(words, FUTEX_WAKE_OP, 1, (void *)1, words + 1, 0),
		ENOSYS);
	T_ERRNO(futex(&private, FUTEX_WAKE_OP, 1, (void *)1, words + 1, 0),
		ENOSYS);
	T_ERRNO(futex(words, FUTEX_WAIT_REQUEUE_PI, 0, NULL, words + 1, 0),
		ENOSYS);
	T_ERRNO(futex(words, FUTEX_WAIT_BITSET, 0, NULL, NULL, 1), ENOSYS);
	T_ERRNO(futex(words, FUTEX_WAKE_BITSET, 1, NULL, NULL, 1), ENOSYS);
	T_ERRNO(futex(words, FUTEX_WAIT_BITSET, 0, NULL, NULL, 0), EINVAL);
	T_ERRNO(syscall(SYS_futex_waitv, &wait, 1, 0, NULL, 0), ENOSYS);
	/*
	 * Private futexes stay in the guest's kernel, also in the memory of
	 * objects.
	 */
	T_ERRNO(futex(words, FUTEX_WAIT_PRIVATE, 0, &t, NULL, 0), ETIMEDOUT);
	T_ERRNO(futex((void *)words + 2, FUTEX_WAIT, 0, NULL, NULL, 0),
		EINVAL);
}

/*
 * From Linux 7.2 on, FUTEX_WAKE can unlock a robust mutex before it wakes a
 * waiter. Older kernels know no such operation.
 */
T_TEST(robust_mutex_that_the_kernel_unlocks)
{
	const int unlock = 512 /* FUTEX_ROBUST_UNLOCK */;
	const char *name = words_name();
	volatile unsigned int *words = futex_map(name);
	unsigned long pending = 1;
	unsigned int *entry = (void *)&pending;
	pid_t pid;

	words[1] = 5;
	if (futex(words + 1, FUTEX_WAKE | unlock, 1, NULL, entry, 0) < 0) {
		T_EQ(errno, ENOSYS);
		T_EQ(words[1], 5);
		T_EQ(pending, 1);
		return;
	}
	T_EQ(words[1], 0);
	T_EQ(pending, 0);
	pid = sleeper(words);
	t_host("waiting %s 0 1", name);
	pending = 1;
	T_EQ(futex(words, FUTEX_WAKE | unlock, 1, NULL, entry, 0), 1);
	T_EQ(pending, 0);
	t_wait(pid);
	T_ERRNO(futex(words, FUTEX_WAKE | unlock, 1, NULL, (void *)8, 0),
		EFAULT);
}

/* FUTEX_REQUEUE by the host also moves waiters of the guest. */
T_TEST(the_host_requeues_a_waiter)
{
	const char *name = words_name();
	volatile unsigned int *words = futex_map(name);
	pid_t pid = sleeper(words);

	t_host("waiting %s 0 1", name);
	T_EQ(atoi(t_host("requeue %s 0 4", name)), 1);
	T_EQ(atoi(t_host("wake %s 0 1", name)), 0);
	T_EQ(atoi(t_host("wake %s 4 1", name)), 1);
	t_wait(pid);
}

/* Waiters and wake-ups of the guest have all bits. */
T_TEST(bits_of_the_host)
{
	const char *name = words_name();
	volatile unsigned int *words = futex_map(name);
	pid_t pid = sleeper(words);

	t_host("waiting %s 0 1", name);
	T_EQ(atoi(t_host("wake %s 0 1 4", name)), 1);
	t_wait(pid);
	t_host("wait %s 4 0 2", name);
	T_EQ(atoi(t_host("wake %s 4 1 1", name)), 0);
	T_EQ(futex(words + 1, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
	while (!atoi(t_host("waited %s", name)))
		;
}

/*
 * The C library locks a free PI mutex without the kernel. A process that finds
 * it locked dies by abort(). With ENOSYS it would go on without the mutex.
 */
T_TEST(a_contended_pi_mutex_aborts)
{
	volatile unsigned int *words = futex_map(words_name());
	pthread_mutex_t *mutex = (pthread_mutex_t *)words;
	pthread_mutexattr_t attr;
	int status;
	pid_t pid;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
	T_EQ(pthread_mutex_init(mutex, &attr), 0);
	T_EQ(pthread_mutex_lock(mutex), 0);
	pid = t_fork();
	if (!pid) {
		pthread_mutex_lock(mutex);
		_exit(0);
	}
	T_EQ(waitpid(pid, &status, 0), pid);
	T_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

/* If the page tables do not have the page yet, the mapping identifies it. */
T_TEST(a_page_that_was_not_touched)
{
	const char *name = words_name();
	volatile unsigned int *words = futex_map(name);

	t_host("wait %s 4096 0", name);
	T_EQ(futex(words + 1024, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
	while (!atoi(t_host("waited %s", name)))
		;
}

static volatile unsigned int *other_memory(void)
{
	volatile unsigned int *words;
	int file = memfd_create("other", 0);

	T_ASSERT(file >= 0);
	T_EQ(ftruncate(file, 4096), 0);
	words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	T_ASSERT(words != MAP_FAILED);
	return words;
}

/* Futexes in other memory and in private copies are left to the kernel. */
T_TEST(other_memory)
{
	volatile unsigned int *shared = other_memory();
	volatile unsigned int *words = futex_map(words_name());
	const struct timespec t = { .tv_nsec = 1000000 };
	volatile unsigned int *copy;
	pid_t pid = t_fork();

	if (!pid)
		_exit(futex(shared, FUTEX_WAIT, 0, NULL, NULL, 0));
	while (futex(shared, FUTEX_WAKE, 1, NULL, NULL, 0) != 1)
		;
	t_wait(pid);
	copy = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	T_ASSERT(copy != MAP_FAILED);
	T_ERRNO(futex(copy, FUTEX_WAIT, *words, &t, NULL, 0), ETIMEDOUT);
	T_ERRNO(futex(NULL, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT);
	T_EQ(futex(shared, FUTEX_CMP_REQUEUE, 1, (void *)1, shared + 1, 0), 0);
}

static volatile unsigned int *object_words, *other_words;

static void op_wake(int round)
{
	const struct timespec none = { .tv_nsec = 1 };

	T_EQ(futex(object_words, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
	T_EQ(futex(object_words, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 0);
	T_ERRNO(futex(object_words, FUTEX_WAIT, 1, NULL, NULL, 0), EAGAIN);
	T_EQ(futex(other_words, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
	T_ERRNO(futex(other_words, FUTEX_WAIT, 0, &none, NULL, 0), ETIMEDOUT);
}

/*
 * A wake-up on an object goes to the host, also if there is no waiter. The
 * other calls here stay in the guest.
 */
T_TEST(accesses_of_a_call)
{
	object_words = futex_map(words_name());
	other_words = other_memory();
	at_most("futex(2)", op_wake, 1);
}

T_TEST(an_unbind_ends_it)
{
	volatile unsigned int *words = futex_map(words_name());
	pid_t pid = t_fork();

	if (!pid) {
		T_ERRNO(futex(words, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT);
		_exit(0);
	}
	futex_asleep(pid);
	words_unbind();
	t_wait(pid);
}

T_TEST(the_module_stays_while_a_thread_sleeps)
{
	volatile unsigned int *words = futex_map(words_name());
	pid_t pid = sleeper(words);

	T_ASSERT(t_system("rmmod vmshm 2>/dev/null"));
	T_EQ(futex(words, FUTEX_WAKE, 1, NULL, NULL, 0), 1);
	t_wait(pid);
}

static bool unload(void)
{
	return !t_system("rmmod vmshm 2>/dev/null");
}

/* Maps an object, and unmaps it. */
static void map_for_a_moment(const char *name)
{
	volatile unsigned int *words = words_map(name);

	T_EQ(words[0], 0);
	T_EQ(munmap((void *)words, WORDS_SIZE), 0);
	close(fd);
	T_EQ(umount("/dev/shm"), 0);
}

/*
 * From here on the module is loaded anew. A process that had a mapping of an
 * object waits for a word in other memory, whose page was not touched: it does
 * not hold the module.
 */
T_TEST(unloaded_while_a_former_user_waits)
{
	volatile unsigned int *shared = other_memory();
	pid_t pid;

	if (t_system(IS_ON))
		t_skip("this kernel has no ftrace");
	pid = t_fork();
	if (!pid) {
		map_for_a_moment(words_name());
		_exit(futex(shared, FUTEX_WAIT, 0, NULL, NULL, 0));
	}
	futex_asleep(pid);
	/* The mounts of earlier tests end a little later than the tests. */
	while (!unload())
		sched_yield();
	T_EQ(t_system("insmod /vmshm.ko futex=1"), 0);
	T_EQ(futex(shared, FUTEX_WAKE, 1, NULL, NULL, 0), 1);
	t_wait(pid);
}

/*
 * The last test: the module is loaded anew. Waiters of words in other memory do
 * not hold it.
 */
T_TEST(loaded_and_unloaded_while_others_wait)
{
	volatile unsigned int *shared = other_memory();
	pid_t pid[4];
	int i;

	if (t_system(IS_ON))
		t_skip("this kernel has no ftrace");
	for (i = 0; i < 4; i++) {
		pid[i] = t_fork();
		/* A program reads a word before it waits for it. */
		if (!pid[i])
			_exit(futex(shared, FUTEX_WAIT, *shared, NULL, NULL,
				    0));
		futex_asleep(pid[i]);
	}
	for (i = 0; i < 4; i++) {
		while (!unload())
			sched_yield();
		T_EQ(t_system("insmod /vmshm.ko futex=%d", i % 2), 0);
		/* The wake-up goes through the new module, or past it. */
		T_EQ(futex(shared, FUTEX_WAKE, 1, NULL, NULL, 0), 1);
		t_wait(pid[i]);
	}
	T_EQ(t_system(IS_ON), 0);
}
