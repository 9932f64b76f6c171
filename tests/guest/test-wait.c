/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Waiting and waking across the border: the ioctls of <vmshm/ioctl.h> here,
 * futex(2) on the host.
 *
 * qemu: -device vmshm,id=vmshm0
 * expect-log: a pipe or a transfer has a page
 * expect-log: a page of BAR4 is in use since
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "t.h"
#include "words.h"

T_TEST(other_value)
{
	volatile unsigned int *words = words_map(words_name());

	words[5] = 7;
	T_ERRNO(wait_word(5, 8, -1), EAGAIN);
}

T_TEST(deadline)
{
	long long start;

	words_map(words_name());
	start = now();
	T_ERRNO(wait_word(0, 0, start + 20000000), ETIMEDOUT);
	T_ASSERT(now() - start >= 20000000);
	T_ERRNO(wait_word(0, 0, 0), ETIMEDOUT);
}

static void busy_for(long long nanoseconds)
{
	long long end = now() + nanoseconds;

	while (now() < end)
		;
}

/* Changes a word that a child waits for, 2 ms later, without a wake-up. */
static int changed_and_not_woken(volatile unsigned int *words, int i)
{
	int began = 512 + i;
	pid_t pid = t_fork();
	int status;

	if (!pid) {
		words[began] = 1;
		wait_word(i, 0, now() + 50000000);
		_exit(errno);
	}
	while (!words[began])
		;
	busy_for(2000000);
	words[i] = 1;
	T_EQ(waitpid(pid, &status, 0), pid);
	T_ASSERT(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Where busy-polling helps, the driver polls for a while before it sleeps. */
T_TEST(looks_before_it_sleeps)
{
	volatile unsigned int *words = words_map(words_name());
	int i;

	look_for(1000000);
	for (i = 0; i < 500; i++)
		if (changed_and_not_woken(words, i) == EAGAIN)
			break;
	look_for(50);
	T_ASSERT(i < 500);
}

T_TEST(sleeps_without_a_look)
{
	const char *name = words_name();
	volatile unsigned int *words = words_map(name);
	pid_t pid;

	look_for(0);
	pid = t_fork();
	if (!pid)
		_exit(wait_word(0, 0, -1));
	t_host("waiting %s 0 1", name);
	/*
	 * The sleeping waiter does not see the new value, so it returns 0, not
	 * EAGAIN.
	 */
	words[0] = 1;
	host_wakes(name, 0, 1);
	t_wait(pid);
	look_for(50);
}

T_TEST(host_wakes_guest)
{
	const char *name = words_name();
	pid_t pid;

	words_map(name);
	pid = t_fork();
	if (!pid)
		_exit(wait_word(3, 0, -1));
	host_wakes(name, 3, 1);
	t_wait(pid);
}

T_TEST(guest_wakes_guest)
{
	volatile unsigned int *words = words_map(words_name());
	pid_t pid = t_fork();

	if (!pid) {
		while (!words[1])
			T_ASSERT(!wait_word(1, 0, -1) || errno == EAGAIN);
		_exit(0);
	}
	words[1] = 1;
	T_EQ(wake_word(1, 1), 0);
	t_wait(pid);
}

T_TEST(guest_wakes_host)
{
	const char *name = words_name();

	words_map(name);
	t_host("wait %s %d 0", name, 4);
	while (!atoi(t_host("waited %s", name)))
		T_EQ(wake_word(1, 1), 0);
}

T_TEST(wakes_as_many_as_asked)
{
	const char *name = words_name();
	pid_t pid[5];
	int i, status;

	words_map(name);
	for (i = 0; i < 5; i++) {
		pid[i] = t_fork();
		if (!pid[i])
			_exit(wait_word(0, 0, -1));
	}
	host_wakes(name, 0, 2);
	for (i = 0; i < 2; i++)
		T_ASSERT(waitpid(-1, &status, 0) > 0 && !status);
	/* The other three sleep on. */
	T_EQ(waitpid(-1, &status, WNOHANG), 0);
	host_wakes(name, 0, 3);
	for (i = 0; i < 3; i++)
		T_ASSERT(waitpid(-1, &status, 0) > 0 && !status);
}

/*
 * Waiters of one word share slots if slots are few. Waiters of many words get a
 * slot by turns. No waiter is left asleep.
 */
static void many_waiters(int count, int words_used)
{
	const char *name = words_name();
	volatile unsigned int *words = words_map(name);
	int i, status;

	for (i = 0; i < count; i++)
		if (!t_fork()) {
			while (!words[i % words_used])
				wait_word(i % words_used, 0, -1);
			_exit(0);
		}
	wake_in_turns(name, words, words_used);
	for (i = 0; i < count; i++)
		T_ASSERT(waitpid(-1, &status, 0) > 0 && !status);
}

T_TEST(five_hundred_waiters_of_one_word)
{
	many_waiters(500, 1);
}

T_TEST(five_hundred_waiters_of_as_many_words)
{
	many_waiters(500, 500);
}

/* With two words, the waiters of one word do not hide those of the other. */
T_TEST(five_hundred_waiters_of_two_words)
{
	many_waiters(500, 2);
}

T_TEST(waiters_that_sleep_make_no_calls)
{
	volatile unsigned int *words = words_map(words_name());
	enum { WAITERS = 200, COUNT = 1024 };
	int i, status;

	/* Each waiter counts its spurious wake-ups. */
	for (i = 0; i < WAITERS; i++) {
		pid_t pid = t_fork();

		if (!pid) {
			while (!words[i]) {
				wait_word(i, 0, -1);
				__sync_fetch_and_add(&words[COUNT], 1);
			}
			_exit(0);
		}
		words_asleep(pid);
	}
	/* A time in which each waiter could have polled ten times */
	T_ERRNO(wait_word(COUNT + 1, 0, now() + 100000000), ETIMEDOUT);
	T_EQ(words[COUNT], 0);
	for (i = 0; i < WAITERS; i++) {
		words[i] = 1;
		T_EQ(wake_word(i, 1), 0);
	}
	for (i = 0; i < WAITERS; i++)
		T_ASSERT(waitpid(-1, &status, 0) > 0 && !status);
}

T_TEST(wakes_and_waits_in_one_call)
{
	const char *name = words_name();
	volatile unsigned int *words = words_map(name);
	long long soon;
	pid_t pid[2];

	t_host("wait %s 4 0", name);
	pid[0] = t_fork();
	if (!pid[0])
		_exit(wait_word(1, 0, -1));
	words_asleep(pid[0]);
	pid[1] = t_fork();
	if (!pid[1]) {
		words[1] = 1;
		_exit(wake_and_wait(1, 0xffff, 2, 0, -1));
	}
	/* The call has woken both waiters, and waits for the other word. */
	t_wait(pid[0]);
	while (!atoi(t_host("waited %s", name)))
		;
	host_wakes(name, 2, 1);
	t_wait(pid[1]);

	/*
	 * The call wakes at most as many waiters as requested, and never
	 * itself.
	 */
	t_host("wait %s 12 0", name);
	soon = now() + 10000000;
	T_ERRNO(wake_and_wait(3, 0, 4, 0, soon), ETIMEDOUT);
	T_EQ(atoi(t_host("waited %s", name)), 1);
	soon = now() + 10000000;
	T_ERRNO(wake_and_wait(4, 0xffff, 4, 0, soon), ETIMEDOUT);
	/* The call wakes also if it does not wait. */
	T_ERRNO(wake_and_wait(3, 1, 4, 1, -1), EAGAIN);
	while (atoi(t_host("waited %s", name)) < 2)
		;
}

T_TEST(wakes_and_waits_only_for_words_that_exist)
{
	const char *name = words_name();

	words_map(name);
	t_host("wait %s 0 0", name);
	T_ERRNO(wake_and_wait(0, 1, 2048, 0, -1), EFAULT);
	T_ERRNO(wake_and_wait(2048, 1, 0, 1, -1), EFAULT);
	T_ERRNO(wake_and_wait(-1, 1, 0, 1, -1), EFAULT);
	T_ERRNO(ioctl(fd, VMSHM_IOC_WAKE_WAIT, NULL), EFAULT);
	T_ERRNO(ioctl(fd, VMSHM_IOC_WAKE_WAIT,
		      &(struct vmshm_ioc_wake_wait){ .offset = 2 }), EINVAL);
	T_ERRNO(ioctl(fd, VMSHM_IOC_WAKE_WAIT,
		      &(struct vmshm_ioc_wake_wait){ .wake = 2 }), EINVAL);
	T_EQ(atoi(t_host("waited %s", name)), 0);
	host_wakes(name, 0, 1);
}

/* Interrupts of the device's vector that the CPU has taken */
static long interrupts(int vector, int cpu)
{
	char line[512], name[16];
	FILE *file = fopen("/proc/interrupts", "r");
	long count = -1;

	T_ASSERT(file);
	snprintf(name, sizeof(name), "vmshm-%d", vector);
	while (count < 0 && fgets(line, sizeof(line), file))
		if (strstr(line, name)) {
			char *at = strchr(line, ':') + 1;

			count = strtol(at, &at, 10);
			while (cpu--)
				count = strtol(at, &at, 10);
		}
	fclose(file);
	T_ASSERT(count >= 0);
	return count;
}

/*
 * A wake-up raises an interrupt on the CPU of the waiter, by that CPU's vector.
 */
T_TEST(each_cpu_has_a_vector)
{
	const char *name = words_name();
	cpu_set_t set;
	int cpu;

	words_map(name);
	for (cpu = 0; cpu < 2; cpu++) {
		long before = interrupts(cpu, cpu);
		long second = interrupts(1, 0) + interrupts(1, 1);
		pid_t pid = t_fork();

		if (!pid) {
			CPU_ZERO(&set);
			CPU_SET(cpu, &set);
			T_EQ(sched_setaffinity(0, sizeof(set), &set), 0);
			_exit(wait_word(cpu, 0, -1));
		}
		host_wakes(name, cpu, 1);
		t_wait(pid);
		T_ASSERT(interrupts(cpu, cpu) > before);
		/*
		 * The first CPU's vector also has the interrupts of commands.
		 */
		if (!cpu)
			T_EQ(interrupts(1, 0) + interrupts(1, 1), second);
	}
}

static void on_signal(int number)
{
}

T_TEST(signals)
{
	struct sigaction act = { .sa_handler = on_signal };
	const char *name = words_name();
	volatile unsigned int *words;
	pid_t pid;
	int i;

	words = words_map(name);
	sigaction(SIGUSR1, &act, NULL);
	act.sa_flags = SA_RESTART;
	sigaction(SIGUSR2, &act, NULL);
	pid = t_fork();
	if (!pid) {
		T_ERRNO(wait_word(0, 0, -1), EINTR);
		signal(SIGUSR1, SIG_IGN);
		words[1] = 1;
		T_EQ(wake_word(1, 1), 0);
		while (!words[0])
			T_ASSERT(!wait_word(0, 0, -1) || errno == EAGAIN);
		_exit(0);
	}
	t_host("wait %s 4 0", name);
	while (!atoi(t_host("waited %s", name)))
		kill(pid, SIGUSR1);
	for (i = 0; i < 50; i++)
		kill(pid, SIGUSR2);
	/*
	 * The word is changed, because the waiter may be on its way back to
	 * sleep when it is woken.
	 */
	t_host("write %s 0 01", name);
	t_host("wake %s 0 1", name);
	t_wait(pid);
}

T_TEST(killed_waiters_leave_their_slots)
{
	const char *name = words_name();
	int i, round;

	words_map(name);
	for (round = 0; round < 3; round++) {
		pid_t pid[64];

		for (i = 0; i < 64; i++) {
			pid[i] = t_fork();
			if (!pid[i]) {
				wait_word(0, 0, -1);
				_exit(0);
			}
		}
		for (i = 0; i < 64; i++)
			kill(pid[i], SIGKILL);
		while (wait(NULL) > 0)
			;
	}
	/* A waiter may still be on its way out of the queue. */
	while (atoi(t_host("wake %s 0 1000", name)))
		;
	if (!t_fork())
		_exit(wait_word(0, 0, -1));
	host_wakes(name, 0, 1);
	T_ASSERT(wait(NULL) > 0);
}

T_TEST(refused)
{
	struct vmshm_ioc_wait wait = { .reserved = 1 };
	struct vmshm_ioc_wake wake = { .reserved = 1 };

	words_map(words_name());
	T_ERRNO(ioctl(fd, VMSHM_IOC_WAIT, &wait), EINVAL);
	T_ERRNO(ioctl(fd, VMSHM_IOC_WAKE, &wake), EINVAL);
	T_ERRNO(ioctl(fd, VMSHM_IOC_WAIT, NULL), EFAULT);
	T_ERRNO(ioctl(fd, VMSHM_IOC_WAKE, (void *)8), EFAULT);
	wait.reserved = 0;
	wake.reserved = 0;
	wait.offset = wake.offset = 2;
	T_ERRNO(ioctl(fd, VMSHM_IOC_WAIT, &wait), EINVAL);
	T_ERRNO(ioctl(fd, VMSHM_IOC_WAKE, &wake), EINVAL);
	wait.offset = wake.offset = 8192;
	T_ERRNO(ioctl(fd, VMSHM_IOC_WAIT, &wait), EFAULT);
	T_ERRNO(ioctl(fd, VMSHM_IOC_WAKE, &wake), EFAULT);
	wait.offset = wake.offset = -4ULL;
	T_ERRNO(ioctl(fd, VMSHM_IOC_WAIT, &wait), EFAULT);
	T_ERRNO(ioctl(fd, VMSHM_IOC_WAKE, &wake), EFAULT);
	T_ERRNO(ioctl(fd, 0x1234), ENOTTY);
}

T_TEST(through_the_device_node)
{
	const char *name = words_name();
	struct vmshm_ioc_wait wait = { .deadline = -1 };
	int node = open("/dev/vmshm0", O_RDWR);
	pid_t pid;

	words_map(name);
	T_ERRNO(ioctl(node, VMSHM_IOC_WAIT, &wait), ENXIO);
	T_EQ(ioctl(node, 0, name), 0);
	pid = t_fork();
	if (!pid)
		_exit(ioctl(node, VMSHM_IOC_WAIT, &wait));
	host_wakes(name, 0, 1);
	t_wait(pid);
}

T_TEST(unbind_ends_it)
{
	pid_t pid[3];
	int i;

	words_map(words_name());
	for (i = 0; i < 3; i++) {
		pid[i] = t_fork();
		if (!pid[i]) {
			T_ERRNO(wait_word(i, 0, -1), ENODEV);
			_exit(0);
		}
	}
	words_unbind();
	for (i = 0; i < 3; i++)
		t_wait(pid[i]);
	T_ERRNO(wait_word(0, 0, -1), ENODEV);
	T_ERRNO(wake_word(0, 1), ENODEV);
}

/* Both processors wake a word without waiters. Other calls are not delayed. */
T_TEST(waking_in_a_loop_hinders_no_other_call)
{
	const char *name = words_name();
	volatile unsigned int *words = words_map(name);
	pid_t pid[2];
	int i;

	t_host("wait %s 2000 0", name);
	for (i = 0; i < 2; i++) {
		pid[i] = t_fork();
		if (!pid[i])
			for (;;)
				wake_word(600, 0xffff);
	}
	words[4] = 1;
	t_host("spawn tokens %s turns 1 2 300", name);
	T_EQ(t_system("tokens %s turns 0 2 300", words_path(name)), 0);
	t_host("reap");
	T_EQ(words[3], 600);
	for (i = 0; i < 20; i++)
		t_host("hmp info status");
	T_EQ(atoi(t_host("waited %s", name)), 0);
	for (i = 0; i < 2; i++)
		kill(pid[i], SIGKILL);
	host_wakes(name, 500, 1);
}

/*
 * A page in a pipe delays the removal of the device. Meanwhile the slots take
 * no wake-up from other waiters, and held words are marked.
 */
T_TEST(unbind_with_a_page_in_use)
{
	const char *name = words_name();
	volatile unsigned int *words = words_map(name);
	struct iovec iov = { (char *)words + 4096, 1 };
	int end[2], file = words_open(name, O_RDWR);
	pid_t waiter, unbinder;

	T_EQ(pipe(end), 0);
	T_EQ(vmsplice(end[1], &iov, 1, 0), 1);
	T_EQ(do_word(file, VMSHM_IOC_HOLD, 1, 0), 0);
	waiter = t_fork();
	if (!waiter) {
		T_ERRNO(wait_word(0, 0, -1), ENODEV);
		_exit(0);
	}
	words_asleep(waiter);
	unbinder = t_fork();
	if (!unbinder) {
		close(end[0]);
		close(end[1]);
		words_unbind();
		_exit(0);
	}
	t_wait(waiter);
	while (strcmp(t_host("read %s 4 4", name), "000000c0"))
		;
	t_host("nobody_waits %s 0", name);
	t_wait(unbinder);
	close(end[0]);
	close(end[1]);
	/* The device is bound again, now with an arena. */
	words_unbind();
}

/*
 * Each token is taken exactly once, by a taker in the guest or on the host.
 * Takers that get none sleep. See tokens.c.
 */
T_TEST(every_token_is_taken_once)
{
	const char *name = words_name();
	char read[64];

	words_map(name);
	t_host("spawn tokens %s take 4 4 5000 2", name);
	T_EQ(t_system("tokens %s take 4 4 5000 2", words_path(name)), 0);
	t_host("reap");
	/*
	 * No token is left; 40000 were taken, and one by each of 8 takers at
	 * the end.
	 */
	snprintf(read, sizeof(read), "%s", t_host("read %s 0 8", name));
	T_ASSERT(!strcmp(read, "00000000489c0000"));
}

T_TEST(turns_across_the_border)
{
	const char *name = words_name();
	volatile unsigned int *words = words_map(name);
	pid_t pid;

	/*
	 * The turns are guest, host, guest, host. The first turn is that of the
	 * guest.
	 */
	t_host("spawn tokens %s turns 1 4 1500", name);
	t_host("spawn tokens %s turns 3 4 1500", name);
	words[4] = 1;
	pid = t_fork();
	if (!pid)
		_exit(t_system("tokens %s turns 2 4 1500", words_path(name)));
	T_EQ(t_system("tokens %s turns 0 4 1500", words_path(name)), 0);
	t_wait(pid);
	t_host("reap");
	T_EQ(words[3], 6000);
}
