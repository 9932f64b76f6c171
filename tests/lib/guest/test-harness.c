// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tests of the harness, on which the other test programs rely.
 *
 * qemu: -device vmshm,id=vmshm0
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "t.h"

#include "memory.h"

/* Bytes */
#define LEAK (512 * 1024)

T_TEST(host_answers)
{
	T_EQ(strlen(t_host("ping")), 0);
	T_ASSERT(!t_host_try("no-such-request"));
}

T_TEST(host_answers_two_processes)
{
	const char *names[] = { t_name("one"), t_name("two") };
	pid_t pids[2];
	int i, j;

	for (i = 0; i < 2; i++) {
		pids[i] = t_fork();
		if (pids[i])
			continue;
		t_host("create %s %d", names[i], 1000 * (i + 1));
		for (j = 0; j < 20; j++)
			T_EQ(atoi(t_host("size %s", names[i])), 1000 * (i + 1));
		_exit(0);
	}
	t_wait(pids[0]);
	t_wait(pids[1]);
}

T_TEST(host_objects)
{
	const char *name = t_name("object");
	static char buf[10000];

	t_host("create %s %zu", name, sizeof(buf));
	t_host("fill %s 0 %zu 7", name, sizeof(buf));
	t_fill(buf, sizeof(buf), 7);
	T_EQ(atoll(t_host("sum %s 0 %zu", name, sizeof(buf))),
	     t_sum(buf, sizeof(buf)));
	t_host("write %s 5000 68656c6c6f", name);
	T_EQ(strcmp(t_host("read %s 5000 5", name), "68656c6c6f"), 0);
	T_EQ(strncmp(t_host("text %s 5000", name), "hello", 5), 0);
	t_host("truncate %s 1", name);
	T_EQ(atoi(t_host("size %s", name)), 1);
	t_host("unlink %s", name);
	T_ASSERT(!t_host_try("size %s", name));
	T_ASSERT(!t_host_try("unlink /not-of-this-run"));
}

T_TEST(faults_are_caught)
{
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED,
		       fileno(tmpfile()), 0);

	T_ASSERT(p != MAP_FAILED);
	T_EQ(t_read_faults(p), 1);
	T_EQ(t_write_faults(p), 1);
	T_EQ(t_read_faults(&p), 0);
}

static int times;

/* The pages of a file in the initramfs stay allocated until it is removed. */
static void leak(void)
{
	static const char zeros[LEAK];
	FILE *file = fopen("/leak", "ae");

	T_ASSERT(file);
	T_EQ(fwrite(zeros, 1, LEAK, file), LEAK);
	fclose(file);
	times++;
}

static void leak_twice(void)
{
	if (times < 2)
		leak();
}

T_TEST(leak_is_found)
{
	T_ASSERT(memory_lost(leak, LEAK / 2) > LEAK / 2);
	T_EQ(times, MEMORY_BATCHES);
	T_EQ(unlink("/leak"), 0);
}

/* Memory that a part of the kernel keeps from now on is not a leak. */
T_TEST(noise_is_no_leak)
{
	T_EQ(memory_lost(leak_twice, LEAK / 2), 0);
	T_EQ(times, 2);
	T_EQ(unlink("/leak"), 0);
}
