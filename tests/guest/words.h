/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Common functions of the tests of words: an object of the host, mapped, and
 * the ioctls of <vmshm/ioctl.h> on it. Include t.h first.
 */
#ifndef WORDS_H
#define WORDS_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <vmshm/ioctl.h>

#define WORDS_SIZE 8192

/* The device of the test */
#ifndef WORDS_DEVICE
#define WORDS_DEVICE "vmshm0"
#endif

/* A file of the object that words_map() has mapped */
static int fd = -1;

static inline const char *words_path(const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "/dev/shm%s", name);
	return path;
}

/* The name of an object of this test, which is a separate process */
static inline const char *words_name(void)
{
	char tail[32];

	snprintf(tail, sizeof(tail), "w%d", getpid());
	return t_name(tail);
}

static inline int words_open(const char *name, int flags)
{
	int file = open(words_path(name), flags | O_CLOEXEC);

	T_ASSERT(file >= 0);
	return file;
}

/* Creates an object on the host and maps its words through the file system. */
static inline volatile unsigned int *words_map(const char *name)
{
	volatile unsigned int *words;

	T_EQ(unshare(CLONE_NEWNS), 0);
	T_EQ(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	T_EQ(mount(WORDS_DEVICE, "/dev/shm", "vmshm", 0, NULL), 0);
	t_host("create %s %d", name, WORDS_SIZE);
	fd = words_open(name, O_RDWR);
	words = mmap(NULL, WORDS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		     0);
	T_ASSERT(words != MAP_FAILED);
	return words;
}

static inline long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static inline int wait_word(long word, unsigned int expected,
			    long long deadline)
{
	struct vmshm_ioc_wait wait = {
		.offset = word * 4,
		.expected = expected,
		.deadline = deadline,
	};

	return ioctl(fd, VMSHM_IOC_WAIT, &wait);
}

static inline int wake_word(long word, unsigned int count)
{
	struct vmshm_ioc_wake wake = { .offset = word * 4, .count = count };

	return ioctl(fd, VMSHM_IOC_WAKE, &wake);
}

/* Wakes waiters of one word, and waits for another one. */
static inline int wake_and_wait(long wake, unsigned int count, long word,
				unsigned int expected, long long deadline)
{
	struct vmshm_ioc_wake_wait both = {
		.offset = word * 4,
		.deadline = deadline,
		.expected = expected,
		.count = count,
		.wake = wake * 4,
	};

	return ioctl(fd, VMSHM_IOC_WAKE_WAIT, &both);
}

#define LOOK_US "/sys/module/vmshm/parameters/look_us"

/* How long the driver busy-polls; 50 is the default. */
static inline void look_for(int microseconds)
{
	T_EQ(t_system("echo %d >" LOOK_US, microseconds), 0);
}

/* VMSHM_IOC_POLL or VMSHM_IOC_HOLD on any file */
static inline int do_word(int file, unsigned long request, long word,
			  unsigned int expected)
{
	struct vmshm_ioc_word arg = {
		.offset = word * 4,
		.expected = expected,
	};

	return ioctl(file, request, &arg);
}

/* Wakes on the host until as many as this were woken. */
static inline void host_wakes(const char *name, long word, int count)
{
	while (count > 0)
		count -= atoi(t_host("wake %s %ld %d", name, word * 4, count));
}

/* Changes and wakes words, by turns from here and from the host. */
static inline void wake_in_turns(const char *name,
				 volatile unsigned int *words, int count)
{
	int i;

	for (i = 0; i < count; i++) {
		words[i] = 1;
		if (i % 2)
			T_EQ(wake_word(i, 0xffff), 0);
		else
			t_host("wake %s %d 10000", name, i * 4);
	}
}

static inline char words_state(pid_t pid)
{
	char path[64], state;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "r");
	T_ASSERT(file && fscanf(file, "%*d %*s %c", &state) == 1);
	fclose(file);
	return state;
}

/* The system call in which the process does not run, or -1 */
static inline long words_call(pid_t pid)
{
	char path[64], text[256];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
	file = fopen(path, "r");
	T_ASSERT(file && fgets(text, sizeof(text), file));
	fclose(file);
	return strncmp(text, "running", 7) ? atol(text) : -1;
}

/*
 * Returns when the process sleeps in the system call, and is in the queue of
 * its guest. The state comes first: a waiter sets it when it is in the queue,
 * or just before that, and the kernel reports the system call of a process that
 * has been scheduled out.
 */
static inline void words_sleeps_in(pid_t pid, long call)
{
	char state;

	do {
		sched_yield();
		state = words_state(pid);
		/* A process that has ended will never sleep. */
		T_ASSERT(state != 'Z');
	} while (state != 'S' || words_call(pid) != call);
}

/* Returns when the process sleeps in a system call that is an ioctl. */
static inline void words_asleep(pid_t pid)
{
	words_sleeps_in(pid, SYS_ioctl);
}

/* Unbinds the driver, as root can, and binds it again at once. */
static inline void words_unbind(void)
{
	T_EQ(t_system("cd /sys/bus/pci/drivers/vmshm && "
		      "f=$(ls -d 0* | head -n 1) && "
		      "echo $f >unbind && echo $f >bind"),
	     0);
}

#endif
