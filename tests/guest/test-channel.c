// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Channels and broadcasts between the guest and processes of the host, which
 * are party.c.
 *
 * qemu: channels
 */
#define _GNU_SOURCE
#include <glob.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <vmshm/broadcast.h>

#include "t.h"
#include "dev.h"
#include "flow.h"
#include "meet.h"

#define HOLDS 32
/* Device nodes of which no file system is mounted */
#define NODE "vmshm1"
#define READONLY "vmshm2"

/*
 * All parties find the same rings, whether they open the object through a node
 * or not.
 */
T_TEST(small_objects_through_the_node)
{
	const char *name = new_name("x", 12288);
	struct vmshm_broadcast *w;
	struct vmshm_channel *ch;

	ch = join(NODE, name);
	T_EQ(vmshm_channel_max(ch), 4088);
	t_host("spawn party %s echo", name);
	T_EQ(vmshm_channel_peer(ch, VMSHM_FOREVER), 0);
	vmshm_channel_close(ch);
	t_host("reap");
	name = new_name("small", 8192);
	T_EQ(vmshm_channel_open(&ch, NODE, name, 0, 0), -ENODATA);
	/*
	 * The broadcast is larger than the object: nothing may be written
	 * behind the object's end.
	 */
	name = new_name("broadcast", 12288);
	T_EQ(vmshm_broadcast_create(&w, NODE, name, 4096, 16, 0), -EINVAL);
	T_EQ(vmshm_broadcast_create(&w, NODE, name, 64, 16, 0), 0);
	vmshm_broadcast_close(w);
}

/*
 * The channel ends with this error, after the messages that were sent before.
 */
static void end(struct vmshm_channel *ch, int err)
{
	char data[64];
	ssize_t n;

	do
		n = vmshm_channel_recv(ch, data, 64, VMSHM_FOREVER);
	while (n >= 0);
	T_EQ(n, -err);
}

static void echo(const char *where, size_t size, const char *name)
{
	struct vmshm_channel *ch = join(where, name);
	size_t i, sizes[] = { 0, 1, 7, 8, 9, 100, 4000, size };
	char *out = malloc(size), *in = malloc(size);

	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		flow_make(out, sizes[i], i + 1);
		T_EQ(vmshm_channel_send(ch, out, sizes[i], VMSHM_FOREVER), 0);
		T_EQ(vmshm_channel_recv(ch, in, size, VMSHM_FOREVER), sizes[i]);
		T_ASSERT(flow_is_made(in, sizes[i], i + 1));
	}
	vmshm_channel_close(ch);
	t_host("reap");
	free(out);
	free(in);
}

T_TEST(echo_through_the_file_system)
{
	const char *name = new_name("x", 4096 + 2 * 65536);

	mount_first();
	t_host("spawn party %s echo", name);
	echo(NULL, 65536 - 8, name);
}

T_TEST(echo_through_the_node)
{
	const char *name = new_name("x", 4096 + 2 * 65536);

	t_host("spawn party %s echo", name);
	echo(NODE, 65536 - 8, name);
}

T_TEST(the_guest_makes_it)
{
	char tail[32];
	const char *name;
	struct vmshm_channel *ch;
	char text[16];

	mount_first();
	snprintf(tail, sizeof(tail), "made%d", getpid());
	name = strdup(t_name(tail));
	T_EQ(vmshm_channel_open(&ch, NULL, name, 4096, 0600), 0);
	T_EQ(vmshm_channel_max(ch), 4088);
	T_EQ(vmshm_channel_peer(ch, VMSHM_NOW), -EAGAIN);
	T_EQ(vmshm_channel_send(ch, "early", 6, VMSHM_NOW), 0);
	t_host("spawn party %s echo", name);
	T_EQ(vmshm_channel_peer(ch, VMSHM_FOREVER), 0);
	T_EQ(vmshm_channel_recv(ch, text, 16, VMSHM_FOREVER), 6);
	T_ASSERT(!strcmp(text, "early"));
	vmshm_channel_close(ch);
	t_host("reap");
}

/* Through a node no object can be created, and at most 1 MiB is accessible. */
T_TEST(what_a_node_can_not)
{
	const char *name = new_name("x", 4096 + 2 * 65536);
	struct vmshm_channel *ch;
	uint64_t size;
	struct vmshm *shm;
	char tail[32];

	snprintf(tail, sizeof(tail), "not-there%d", getpid());
	T_EQ(vmshm_channel_open(&ch, NODE, t_name(tail), 0, 0600),
	     -EOPNOTSUPP);
	T_EQ(vmshm_channel_open(&ch, NODE, t_name(tail), 0, 0), -ENOENT);
	T_EQ(vmshm_open(&shm, NODE, name, O_RDWR | O_CREAT, 0600),
	     -EOPNOTSUPP);
	T_EQ(vmshm_unlink(NODE, name), -EOPNOTSUPP);
	T_EQ(vmshm_open(&shm, NODE, name, O_RDWR, 0), 0);
	T_EQ(vmshm_size(shm, &size), 0);
	T_EQ(size, MIB);
	T_EQ(vmshm_grow(shm, MIB), -EOPNOTSUPP);
	vmshm_close(shm);
	T_EQ(vmshm_open(&shm, "vmshm7", name, O_RDWR, 0), -ENOENT);
}

static void both_ways(const char *where, const char *name, long bytes)
{
	struct vmshm_channel *ch;
	struct flow out = { NULL, 8, bytes, 0 }, in = { NULL, 7, bytes, 0 };
	pthread_t thread;

	t_host("spawn party %s both 7 %ld", name, bytes);
	ch = join(where, name);
	out.ch = ch;
	in.ch = ch;
	T_EQ(pthread_create(&thread, NULL, flow_out, &out), 0);
	flow_in(&in);
	pthread_join(thread, NULL);
	T_EQ(out.result, 0);
	T_EQ(in.result, 0);
	t_host("reap");
	vmshm_channel_close(ch);
}

T_TEST(bulk_both_ways)
{
	mount_first();
	both_ways(NULL, new_name("x", 4096 + 4 * MIB), 50 * MIB);
}

T_TEST(bulk_both_ways_through_the_node)
{
	both_ways(NODE, new_name("x", 4096 + 2 * 65536), 10 * MIB);
}

/* The result of each call of the host's party when the guest's party ends */
static void guest_ends(const char *where, int err, bool killed)
{
	static const char *const calls[] = { "recv", "send", "drain" };
	const char *name = new_name("x", 4096 + 2 * 4096);
	int i;

	for (i = 0; i < 3; i++) {
		pid_t pid;

		t_host("spawn party %s end %s %d", name, calls[i], err);
		pid = t_fork();
		if (!pid) {
			struct vmshm_channel *ch = join(where, name);
			const void *data;
			size_t size;

			/*
			 * The message is not released, so the peer's drain()
			 * sleeps.
			 */
			T_EQ(vmshm_channel_peek(ch, &data, &size,
						VMSHM_FOREVER), 0);
			if (killed)
				kill(getpid(), SIGKILL);
			vmshm_channel_close(ch);
			_exit(0);
		}
		T_EQ(waitpid(pid, NULL, 0), pid);
		t_host("reap");
	}
}

T_TEST(the_guest_closes)
{
	mount_first();
	guest_ends(NULL, EPIPE, false);
}

T_TEST(the_guests_process_is_killed)
{
	mount_first();
	guest_ends(NULL, ECONNRESET, true);
}

T_TEST(the_guests_process_is_killed_with_a_node)
{
	guest_ends(NODE, ECONNRESET, true);
}

static void host_is_killed(const char *where)
{
	const char *name = new_name("x", 4096 + 2 * 4096);
	struct vmshm_channel *ch;
	char data[4000] = "";
	int err;

	/* The guest's party sleeps in recv, send and drain. */
	t_host("spawn party %s die", name);
	ch = join(where, name);
	T_EQ(vmshm_channel_send(ch, "x", 1, VMSHM_FOREVER), 0);
	end(ch, ECONNRESET);
	T_EQ(vmshm_channel_send(ch, "x", 1, VMSHM_FOREVER), -ECONNRESET);
	vmshm_channel_close(ch);
	T_ASSERT(!t_host_try("reap"));
	t_host("spawn party %s die", name);
	ch = join(where, name);
	do
		err = vmshm_channel_send(ch, data, 4000, VMSHM_FOREVER);
	while (!err);
	T_EQ(err, -ECONNRESET);
	vmshm_channel_close(ch);
	T_ASSERT(!t_host_try("reap"));
	t_host("spawn party %s die", name);
	ch = join(where, name);
	T_EQ(vmshm_channel_send(ch, data, 4000, VMSHM_FOREVER), 0);
	T_EQ(vmshm_channel_drain(ch, VMSHM_FOREVER), -ECONNRESET);
	vmshm_channel_close(ch);
	T_ASSERT(!t_host_try("reap"));
}

T_TEST(the_hosts_process_is_killed)
{
	mount_first();
	host_is_killed(NULL);
}

T_TEST(the_hosts_process_is_killed_with_a_node)
{
	host_is_killed(NODE);
}

static void event_loop(const char *where)
{
	const char *name = new_name("x", 4096 + 2 * 4096);
	struct epoll_event event = { .events = EPOLLIN };
	int poll = epoll_create1(EPOLL_CLOEXEC);
	int i, got = 0, err, armed;
	struct vmshm_channel *ch = join(where, name);

	T_EQ(epoll_ctl(poll, EPOLL_CTL_ADD, vmshm_channel_fd(ch), &event), 0);
	t_host("spawn party %s messages 2000", name);
	do {
		armed = vmshm_channel_arm(ch);
		T_ASSERT(armed >= 0);
		if (!armed)
			T_EQ(epoll_wait(poll, &event, 1, -1), 1);
		while ((err = vmshm_channel_recv(ch, &i, 4, VMSHM_NOW)) == 4)
			T_EQ(i, got++);
	} while (err == -EAGAIN);
	T_EQ(err, -EPIPE);
	T_EQ(got, 2000);
	t_host("reap");
	vmshm_channel_close(ch);
}

T_TEST(an_event_loop)
{
	mount_first();
	event_loop(NULL);
}

T_TEST(an_event_loop_with_a_node)
{
	event_loop(NODE);
}

T_TEST(as_many_as_the_device_has)
{
	struct vmshm_channel *ch[HOLDS + 1];
	const char *name[HOLDS + 1];
	char tail[16], text[16];
	int i;

	mount_first();
	for (i = 0; i <= HOLDS; i++) {
		sprintf(tail, "many%d", i);
		name[i] = new_name(tail, 12288);
	}
	for (i = 0; i < HOLDS; i++)
		ch[i] = join(NULL, name[i]);
	T_EQ(vmshm_channel_open(&ch[i], NULL, name[i], 0, 0), -ENOSPC);
	T_ASSERT(!ch[i]);
	/* All of the channels can be used. */
	for (i = 0; i < HOLDS; i++)
		t_host("spawn party %s echo", name[i]);
	for (i = 0; i < HOLDS; i++)
		T_EQ(vmshm_channel_send(ch[i], name[i], strlen(name[i]) + 1,
					VMSHM_FOREVER), 0);
	for (i = HOLDS - 1; i >= 0; i--) {
		char got[256];
		ssize_t n;

		n = vmshm_channel_recv(ch[i], got, 256, VMSHM_FOREVER);
		T_ASSERT(n > 0);
		T_ASSERT(!strcmp(got, name[i]));
	}
	/* A channel that is closed makes room for another one. */
	vmshm_channel_close(ch[0]);
	ch[0] = join(NULL, name[HOLDS]);
	t_host("spawn party %s echo", name[HOLDS]);
	T_EQ(vmshm_channel_send(ch[0], "room", 5, VMSHM_FOREVER), 0);
	T_EQ(vmshm_channel_recv(ch[0], text, 16, VMSHM_FOREVER), 5);
	for (i = 0; i < HOLDS; i++)
		vmshm_channel_close(ch[i]);
	t_host("reap");
}

T_TEST(an_ordinary_user)
{
	const char *name = new_name("x", 12288), *other = new_name("y", 12288);
	struct vmshm_channel *ch;
	char text[16];
	pid_t pid;

	mount_first();
	t_host("mode %s 666", name);
	t_host("spawn party %s end recv %d", name, EPIPE);
	pid = t_fork();
	if (!pid) {
		T_EQ(setuid(65534), 0);
		T_EQ(vmshm_channel_open(&ch, NULL, other, 0, 0), -EACCES);
		ch = join(NULL, name);
		T_EQ(vmshm_channel_recv(ch, text, 16, VMSHM_FOREVER), 6);
		T_EQ(vmshm_channel_send(ch, "x", 1, VMSHM_FOREVER), 0);
		vmshm_channel_close(ch);
		_exit(0);
	}
	t_wait(pid);
	t_host("reap");
}

/* Reads the numbers of "party write" until the end. */
static void read_numbers(const char *where, const char *name, uint32_t n)
{
	struct vmshm_broadcast *r;
	uint32_t got, expected = 0;
	uint64_t lost;
	ssize_t size;
	int err;

	while ((err = vmshm_broadcast_open(&r, where, name)) == -ENODATA)
		sched_yield();
	T_EQ(err, 0);
	for (;;) {
		size = vmshm_broadcast_recv(r, &got, 4, &lost, VMSHM_FOREVER);
		if (size < 0)
			break;
		if (!expected)
			expected = got - lost;
		T_EQ(got, expected + lost);
		expected = got + 1;
	}
	T_EQ(size, -EPIPE);
	/* Or the reader opened after the last number. */
	if (expected)
		T_EQ(expected, n);
	vmshm_broadcast_close(r);
}

T_TEST(a_broadcast_of_the_host)
{
	static const char *const where[] = { NULL, NODE, READONLY };
	const char *name = new_name("x", 65536);
	pid_t pid[3];
	int i;

	mount_first();
	for (i = 0; i < 3; i++) {
		pid[i] = t_fork();
		if (!pid[i]) {
			read_numbers(where[i], name, 50000);
			_exit(0);
		}
	}
	t_host("spawn party %s write 50000", name);
	for (i = 0; i < 3; i++)
		t_wait(pid[i]);
	t_host("reap");
}

static void broadcast_of_the_guest(int err)
{
	const char *name = new_name("x", 65536);
	struct vmshm_broadcast *w;
	uint32_t i;
	pid_t pid;

	t_host("spawn party %s read 20000 %d", name, err);
	t_host("spawn party %s read 20000 %d", name, err);
	pid = t_fork();
	if (!pid) {
		T_EQ(vmshm_broadcast_create(&w, NULL, name, 64, 16, 0600), 0);
		for (i = 0; i < 20000; i++)
			T_EQ(vmshm_broadcast_send(w, &i, 4), 0);
		if (err == ECONNRESET)
			kill(getpid(), SIGKILL);
		vmshm_broadcast_close(w);
		_exit(0);
	}
	T_EQ(waitpid(pid, NULL, 0), pid);
	t_host("reap");
}

T_TEST(a_broadcast_of_the_guest)
{
	mount_first();
	broadcast_of_the_guest(EPIPE);
}

T_TEST(a_broadcast_of_a_killed_guest)
{
	mount_first();
	broadcast_of_the_guest(ECONNRESET);
}

/* The driver is unbound while parties sleep: recv, peer, poll, broadcast. */
static void sleep_until_unbound(int how, const char *name, int ready)
{
	struct vmshm_channel *ch = NULL;
	struct vmshm_broadcast *r;
	char data[4000] = "";
	struct pollfd p = { .events = POLLIN };
	int err;

	if (how == 3) {
		T_EQ(vmshm_broadcast_open(&r, NODE, name), 0);
		T_EQ(write(ready, "x", 1), 1);
		T_EQ(vmshm_broadcast_recv(r, data, 64, NULL, VMSHM_FOREVER),
		     -ENODEV);
		vmshm_broadcast_close(r);
		return;
	}
	ch = join(NODE, name);
	/* A party that waits for its peer has received nothing. */
	if (how != 1)
		T_EQ(vmshm_channel_recv(ch, data, 16, VMSHM_FOREVER), 6);
	p.fd = vmshm_channel_fd(ch);
	T_EQ(vmshm_channel_arm(ch), 0);
	vmshm_channel_spin(ch, 0);
	T_EQ(write(ready, "x", 1), 1);
	if (how == 2) {
		T_EQ(poll(&p, 1, -1), 1);
		T_ASSERT(p.revents & POLLHUP);
		return;
	}
	if (how == 0)
		err = vmshm_channel_recv(ch, data, 16, VMSHM_FOREVER);
	else
		err = vmshm_channel_peer(ch, VMSHM_FOREVER);
	T_EQ(err, -ENODEV);
	/* The channel can be closed without an access to the memory. */
	T_EQ(vmshm_channel_recv(ch, data, 16, VMSHM_NOW), -ENODEV);
	T_EQ(vmshm_channel_peer(ch, VMSHM_NOW), -ENODEV);
	vmshm_channel_close(ch);
}

static bool is_asleep(const char *path)
{
	FILE *f = fopen(path, "re");
	char text[512] = "";
	const char *state;

	if (f) {
		T_ASSERT(fgets(text, sizeof(text), f));
		fclose(f);
	}
	state = strrchr(text, ')');
	return state && state[2] == 'S';
}

/* Waits for all threads: the library's own thread also accesses the memory. */
static void all_asleep(pid_t pid)
{
	glob_t tasks;
	char path[64];
	size_t i, awake;

	snprintf(path, sizeof(path), "/proc/%d/task/*/stat", pid);
	do {
		sched_yield();
		T_EQ(glob(path, 0, NULL, &tasks), 0);
		awake = tasks.gl_pathc;
		for (i = 0; i < tasks.gl_pathc; i++)
			awake -= is_asleep(tasks.gl_pathv[i]);
		globfree(&tasks);
	} while (awake);
}

T_TEST(unbound)
{
	char *address = dev_address(1);
	struct vmshm_broadcast *w;
	int round, i, fds[2];
	pid_t pid[4];
	char byte;

	mount_first();
	T_EQ(pipe(fds), 0);
	for (round = 0; round < 5; round++) {
		const char *name[4];

		for (i = 0; i < 4; i++) {
			char tail[8];

			sprintf(tail, "%d-%d", round, i);
			name[i] = new_name(tail, 12288);
			if (i == 0 || i == 2)
				t_host("spawn party %s end recv %d", name[i],
				       ECONNRESET);
		}
		T_EQ(vmshm_broadcast_create(&w, NULL, name[3], 64, 4, 0), 0);
		for (i = 0; i < 4; i++) {
			pid[i] = t_fork();
			if (!pid[i]) {
				sleep_until_unbound(i, name[i], fds[1]);
				_exit(0);
			}
		}
		for (i = 0; i < 4; i++)
			T_EQ(read(fds[0], &byte, 1), 1);
		for (i = 0; i < 4; i++)
			all_asleep(pid[i]);
		dev_driver("unbind", address);
		for (i = 0; i < 4; i++)
			t_wait(pid[i]);
		dev_driver("bind", address);
		vmshm_broadcast_close(w);
		t_host("reap");
	}
}
