/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A thousand threads that wait: while they sleep, neither the guest nor QEMU
 * executes anything for them, and all of them are woken.
 *
 * qemu: files
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "t.h"
#include "words.h"

#define WAITERS 1000
/* The word in which waiters count their spurious wake-ups */
#define COUNT 1024
/* The number of slots that are not shared between waiters */
#define UNSHARED 48

static volatile unsigned int *words;
static int words_used;
static pthread_t thread[WAITERS];

static void *wait_in_thread(void *arg)
{
	long word = (long)arg % words_used;

	while (!words[word]) {
		wait_word(word, 0, -1);
		__sync_fetch_and_add(&words[COUNT], 1);
	}
	return NULL;
}

/* The lines of /proc/self/task/TID/FILE that begin so, as one sum */
static long sum_of_tasks(const char *file, const char *begin)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *entry;
	long sum = 0;

	T_ASSERT(tasks);
	while ((entry = readdir(tasks))) {
		char path[512], line[256];
		FILE *f;

		/* This thread does not wait. */
		if (atoi(entry->d_name) <= 0 ||
		    atoi(entry->d_name) == getpid())
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%s/%s",
			 entry->d_name, file);
		f = fopen(path, "r");
		T_ASSERT(f);
		while (fgets(line, sizeof(line), f))
			if (!strncmp(line, begin, strlen(begin)))
				sum += atol(line + strlen(begin));
		fclose(f);
	}
	closedir(tasks);
	return sum;
}

/* Waits until all threads and this number of slots on the host sleep. */
static void all_asleep(int slots)
{
	int waiting;
	long runs;

	do {
		T_EQ(sscanf(t_host("sleepers"), "%d %ld", &waiting, &runs), 2);
	} while (waiting < slots);
	T_EQ(waiting, slots);
}

static void threads_wait(int count_of_words)
{
	pthread_attr_t attr;
	long i;

	words_used = count_of_words;
	T_EQ(pthread_attr_init(&attr), 0);
	/* The minimum of arm64 */
	T_EQ(pthread_attr_setstacksize(&attr, 131072), 0);
	for (i = 0; i < WAITERS; i++)
		T_EQ(pthread_create(&thread[i], &attr, wait_in_thread,
				    (void *)i), 0);
}

/*
 * Nothing runs for a time in which each waiter could have polled many times. A
 * polling waiter would run in each attempt; the end of an earlier test may
 * still run in one.
 */
static void nothing_runs(void)
{
	const struct timespec time = { .tv_nsec = 200000000 };
	long here, count, accesses;
	int attempts = 5, same;
	char *there;

	do {
		here = sum_of_tasks("status", "voluntary_ctxt_switches:");
		there = strdup(t_host("sleepers"));
		count = words[COUNT];
		t_host("accesses on");
		nanosleep(&time, NULL);
		accesses = atol(t_host("accesses off"));
		same = !strcmp(t_host("sleepers"), there);
		here -= sum_of_tasks("status", "voluntary_ctxt_switches:");
		count -= words[COUNT];
	} while ((accesses || !same || here || count) && --attempts);
	T_EQ(accesses, 0);
	T_ASSERT(same);
	T_EQ(here, 0);
	T_EQ(count, 0);
}

static void all_are_woken(const char *name)
{
	int i;

	wake_in_turns(name, words, words_used);
	for (i = 0; i < WAITERS; i++)
		T_EQ(pthread_join(thread[i], NULL), 0);
}

T_TEST(of_one_word)
{
	const char *name = words_name();

	words = words_map(name);
	threads_wait(1);
	all_asleep(UNSHARED);
	nothing_runs();
	all_are_woken(name);
}

/* One user other than root may have that many slots. */
T_TEST(of_as_many_words)
{
	const char *name = words_name();

	words = words_map(name);
	/* Changes the user of this thread and of those that it creates. */
	T_EQ(syscall(SYS_setresuid, 65534, 65534, 0), 0);
	threads_wait(WAITERS);
	T_EQ(syscall(SYS_setresuid, 0, 0, 0), 0);
	all_asleep(WAITERS);
	nothing_runs();
	all_are_woken(name);
}
