// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * usage: messages NAME count|single|batch N
 *
 * N messages of 64 bytes through a channel on this host. "count" has both
 * parties in one thread, for a program that counts instructions. The others
 * have two processes, and print messages per second and CPU time, nanoseconds
 * per message, of both; "batch" is there if the library has it (-DBATCHES).
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <vmshm/channel.h>

#define SIZE 64
#define RUN 64 /* messages of a batch */

static char data[RUN][SIZE];

static void check(long got, long wanted)
{
	if (got == wanted)
		return;
	fprintf(stderr, "messages: %ld, not %ld\n", got, wanted);
	exit(1);
}

static struct vmshm_channel *join(const char *name)
{
	struct vmshm_channel *ch;

	check(vmshm_channel_open(&ch, NULL, name, 0, 0600), 0);
	return ch;
}

static void count(const char *name, long n)
{
	struct vmshm_channel *a = join(name), *b = join(name);
	long done;
	int i;

	for (done = 0; done < n; done += RUN) {
		for (i = 0; i < RUN; i++)
			check(vmshm_channel_send(a, data[i], SIZE, VMSHM_NOW),
			      0);
		for (i = 0; i < RUN; i++)
			check(vmshm_channel_recv(b, data[i], SIZE, VMSHM_NOW),
			      SIZE);
	}
	vmshm_channel_close(a);
	vmshm_channel_close(b);
}

#ifdef BATCHES
static struct vmshm_message batch[RUN];

static void send_batches(struct vmshm_channel *ch, long n)
{
	for (; n > 0; n -= RUN)
		check(vmshm_channel_sendv(ch, batch, RUN, VMSHM_FOREVER), RUN);
}

static void recv_batches(struct vmshm_channel *ch, long n)
{
	while (n > 0) {
		ssize_t got = vmshm_channel_recvv(ch, batch, RUN,
						  VMSHM_FOREVER);

		check(got > 0, 1);
		n -= got;
	}
}
#endif

static void send_all(struct vmshm_channel *ch, long n, bool batches)
{
#ifdef BATCHES
	if (batches) {
		send_batches(ch, n);
		return;
	}
#endif
	check(batches, false);
	while (n--)
		check(vmshm_channel_send(ch, data[0], SIZE, VMSHM_FOREVER), 0);
}

static void recv_all(struct vmshm_channel *ch, long n, bool batches)
{
#ifdef BATCHES
	if (batches) {
		recv_batches(ch, n);
		return;
	}
#endif
	while (n--)
		check(vmshm_channel_recv(ch, data[0], SIZE, VMSHM_FOREVER),
		      SIZE);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Of this process and of the children that it has waited for */
static double cpu_time(void)
{
	struct rusage self, children;

	getrusage(RUSAGE_SELF, &self);
	getrusage(RUSAGE_CHILDREN, &children);
	return self.ru_utime.tv_sec + self.ru_utime.tv_usec / 1e6 +
	       self.ru_stime.tv_sec + self.ru_stime.tv_usec / 1e6 +
	       children.ru_utime.tv_sec + children.ru_utime.tv_usec / 1e6 +
	       children.ru_stime.tv_sec + children.ru_stime.tv_usec / 1e6;
}

static void measure(const char *name, long n, bool batches)
{
	struct vmshm_channel *ch = join(name);
	double begin, time;
	int status;
	pid_t pid;

	pid = fork();
	check(pid >= 0, 1);
	if (!pid) {
		recv_all(join(name), n, batches);
		_exit(0);
	}
	check(vmshm_channel_peer(ch, VMSHM_FOREVER), 0);
	begin = now();
	send_all(ch, n, batches);
	check(vmshm_channel_drain(ch, VMSHM_FOREVER), 0);
	time = now() - begin;
	check(waitpid(pid, &status, 0) == pid && !status, 1);
	printf("%.0f %.1f\n", n / time, cpu_time() / n * 1e9);
	vmshm_channel_close(ch);
}

int main(int argc, char **argv)
{
	long n = argc > 3 ? atol(argv[3]) / RUN * RUN : 0;

	if (n <= 0)
		return 2;
#ifdef BATCHES
	for (int i = 0; i < RUN; i++)
		batch[i] = (struct vmshm_message){ data[i], SIZE, SIZE };
#endif
	if (!strcmp(argv[2], "count"))
		count(argv[1], n);
	else
		measure(argv[1], n, !strcmp(argv[2], "batch"));
	vmshm_unlink(NULL, argv[1]);
	return 0;
}
