// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Channels and broadcasts between two virtual machines; the other one runs
 * party.c. And files to which both append, and the host.
 *
 * qemu: channels
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <vmshm/broadcast.h>

#include "t.h"
#include "flow.h"
#include "meet.h"

static void echoes(const char *name)
{
	struct vmshm_channel *ch = join(NULL, name);
	size_t size, most = vmshm_channel_max(ch);
	char *out = malloc(most), *in = malloc(most);
	uint32_t seed = 1, i;

	for (i = 0; i < 500; i++) {
		size = flow_size(&seed, most);
		flow_make(out, size, i);
		T_EQ(vmshm_channel_send(ch, out, size, VMSHM_FOREVER), 0);
		T_EQ(vmshm_channel_recv(ch, in, most, VMSHM_FOREVER), size);
		T_ASSERT(flow_is_made(in, size, i));
	}
	vmshm_channel_close(ch);
}

static void numbers(const char *name)
{
	struct vmshm_channel *ch = join(NULL, name);
	uint32_t i, got;

	for (i = 0; i < 3000; i++) {
		T_EQ(vmshm_channel_recv(ch, &got, 4, VMSHM_FOREVER), 4);
		T_EQ(got, i);
	}
	T_EQ(vmshm_channel_recv(ch, &got, 4, VMSHM_FOREVER), -EPIPE);
	vmshm_channel_close(ch);
}

static void broadcast(const char *name)
{
	struct vmshm_broadcast *w;
	uint32_t i;

	T_EQ(vmshm_broadcast_create(&w, NULL, name, 64, 16, 0), 0);
	for (i = 0; i < 3000; i++) {
		T_EQ(vmshm_broadcast_send(w, &i, 4), 0);
		if (i % 8 == 0)
			sched_yield();
	}
	vmshm_broadcast_close(w);
}

T_TEST(between_machines)
{
	const char *echo = new_name("echo", 4096 + 2 * 65536);
	const char *count = new_name("count", 12288);
	const char *news = new_name("news", 12288);

	mount_first();
	t_host("machine party /dev/shm%s echo ; "
	       "party /dev/shm%s messages 3000 ; "
	       "party /dev/shm%s read 3000 %d",
	       echo, count, news, EPIPE);
	echoes(echo);
	numbers(count);
	broadcast(news);
	t_host("machine_end");
}

#define LINE 64
#define LINES_HERE 1000
#define LINES_THERE 2000
#define LINES_HOST 50000

static off_t size_of(const char *path)
{
	struct stat st;

	T_EQ(stat(path, &st), 0);
	return st.st_size;
}

/*
 * Two programs can append to the same offset, but none of them makes the file
 * shorter, and no line is missing between others.
 */
T_TEST(all_sides_append)
{
	const char *name = new_name("log", 0);
	char path[300], lines[16];
	off_t size, last = 0, at;
	int status = 0;
	pid_t pid;
	char *p;

	mount_first();
	snprintf(path, sizeof(path), "/dev/shm%s", name);
	t_host("machine appender %s %d b", path, LINES_THERE);
	while (!size_of(path))
		t_host("machine_works");
	t_host("spawn appender %s %d c", name, LINES_HOST);
	pid = t_fork();
	if (!pid) {
		snprintf(lines, sizeof(lines), "%d", LINES_HERE);
		execlp("appender", "appender", path, lines, "a", NULL);
		_exit(1);
	}
	do {
		size = size_of(path);
		T_ASSERT(size >= last);
		last = size;
	} while (waitpid(pid, &status, WNOHANG) == 0);
	T_EQ(status, 0);
	t_host("reap");
	t_host("machine_end");
	size = size_of(path);
	t_note("%lld lines", (long long)size / LINE);
	T_EQ(size % LINE, 0);
	T_ASSERT(size >= LINES_HOST * LINE);
	p = mmap(NULL, size, PROT_READ, MAP_SHARED, open(path, O_RDONLY), 0);
	T_ASSERT(p != MAP_FAILED);
	for (at = 0; at < size; at++)
		T_ASSERT(p[at] == '\n' || (p[at] >= 'a' && p[at] <= 'c'));
}

enum call { RECV, SEND, DRAIN, READ, NODE, CALLS };

/*
 * The call in which this VM sleeps, and the call of the other VM meanwhile. The
 * other VM never causes the event for which the sleeper waits.
 */
static const char *const call_name[] = { "recv", "send", "drain", "read",
					 "node" };
static const char *const other[] = { "end recv 0", "end drain 0",
				     "end drain 0", "write 1000000000",
				     "end recv 0" };

static void read_on(const char *name, int ready)
{
	struct vmshm_broadcast *r;
	char data[64];
	ssize_t n;

	while (vmshm_broadcast_open(&r, NULL, name))
		sched_yield();
	T_EQ(vmshm_broadcast_recv(r, data, 64, NULL, VMSHM_FOREVER), 4);
	T_EQ(write(ready, "x", 1), 1);
	do
		n = vmshm_broadcast_recv(r, data, 64, NULL, VMSHM_FOREVER);
	while (n == 4);
	T_EQ(n, -ECONNRESET);
	vmshm_broadcast_close(r);
}

static int call(enum call c, struct vmshm_channel *ch)
{
	static char data[4000];

	switch (c) {
	case SEND:
		return vmshm_channel_send(ch, data, 4000, VMSHM_FOREVER);
	case DRAIN:
		return vmshm_channel_drain(ch, VMSHM_FOREVER);
	default:
		return vmshm_channel_recv(ch, data, 4000, VMSHM_FOREVER);
	}
}

static void call_on(enum call c, const char *name, int ready)
{
	struct vmshm_channel *ch = join(c == NODE ? "vmshm1" : NULL, name);
	const void *data;
	size_t size;
	int ret;

	/* The message of the other VM shows that its party is there. */
	T_EQ(vmshm_channel_peek(ch, &data, &size, VMSHM_FOREVER), 0);
	if (c == RECV || c == NODE)
		T_EQ(vmshm_channel_release(ch), 0);
	else
		T_EQ(vmshm_channel_send(ch, "", 1, VMSHM_FOREVER), 0);
	T_EQ(write(ready, "x", 1), 1);
	do
		ret = call(c, ch);
	while (ret >= 0);
	T_EQ(ret, -ECONNRESET);
	vmshm_channel_close(ch);
}

T_TEST(the_other_machine_is_killed)
{
	char programs[1024] = "";
	const char *name[CALLS];
	pid_t pid[CALLS];
	int c, fds[2];
	char byte;

	T_EQ(pipe(fds), 0);
	for (c = 0; c < CALLS; c++) {
		size_t length = strlen(programs);

		name[c] = new_name(call_name[c], 12288);
		snprintf(programs + length, sizeof(programs) - length,
			 "%sparty /dev/shm%s %s", c ? " ; " : "", name[c],
			 other[c]);
	}
	mount_first();
	t_host("machine %s", programs);
	for (c = 0; c < CALLS; c++) {
		pid[c] = t_fork();
		if (!pid[c]) {
			if (c == READ)
				read_on(name[c], fds[1]);
			else
				call_on(c, name[c], fds[1]);
			_exit(0);
		}
	}
	for (c = 0; c < CALLS; c++)
		T_EQ(read(fds[0], &byte, 1), 1);
	t_host("machine_kill");
	for (c = 0; c < CALLS; c++)
		t_wait(pid[c]);
}
