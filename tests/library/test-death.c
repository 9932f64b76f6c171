// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A party is killed after each single change that it makes to the object, or
 * stopped there while others go on.
 *
 * qemu: channels
 * host: plain
 * longer: 2
 */
#define _GNU_SOURCE
#include <sys/resource.h>
#include <vmshm/broadcast.h>

#include "pair.h"
#include "step.h"

#define WHERE "/dev/shm"
#define WRITABLE 448 /* the first party's event, see lib/channel-common.h */

/* An object of zeros for a channel, and where it is mapped */
static const char *new_object(const char **mapped)
{
	const char *name = l_name("x");

	vmshm_close(l_object(name, CHANNEL_SIZE));
	*mapped = l_map_at(name, CHANNEL_SIZE);
	return name;
}

static struct vmshm_channel *join(const char *name)
{
	struct vmshm_channel *ch;

	L_OK(vmshm_channel_open(&ch, WHERE, name, 0, 0));
	return ch;
}

/* Skips tests with very many single steps in an emulated guest. */
static void not_in_guests(void)
{
	if (l_in_guest())
		t_skip("takes too long in an emulated machine");
}

/* Two new parties find empty rings, and each receives the other's messages. */
static void new_pair_works(const char *name)
{
	struct vmshm_channel *a = join(name), *b = join(name);
	char byte;

	L_ERR(vmshm_channel_recv(a, &byte, 1, VMSHM_NOW), EAGAIN);
	L_ERR(vmshm_channel_recv(b, &byte, 1, VMSHM_NOW), EAGAIN);
	ch_send(a, "from a");
	ch_send(b, "from b");
	ch_recv(b, "from a");
	ch_recv(a, "from b");
	vmshm_channel_close(a);
	ch_end(b, EPIPE);
	vmshm_channel_close(b);
}

/*
 * A child that does @act in single steps, on a channel that it has opened
 * before if @opened is true, else on NULL
 */
static pid_t stepped(const char *name, bool opened,
		     void (*act)(struct vmshm_channel *ch, const char *name))
{
	pid_t pid = t_fork();

	if (!pid) {
		struct vmshm_channel *ch = opened ? join(name) : NULL;

		step_begin();
		act(ch, name);
		_exit(0);
	}
	return pid;
}

static void act_open(struct vmshm_channel *ch, const char *name)
{
	vmshm_channel_open(&ch, WHERE, name, 0, 0);
}

static void act_close(struct vmshm_channel *ch, const char *name)
{
	(void)name;
	vmshm_channel_close(ch);
}

static void act_send(struct vmshm_channel *ch, const char *name)
{
	(void)name;
	vmshm_channel_send(ch, "hello", 6, VMSHM_NOW);
}

static void act_recv(struct vmshm_channel *ch, const char *name)
{
	char buf[248];

	(void)name;
	vmshm_channel_recv(ch, buf, 248, VMSHM_NOW);
}

/* Several records, whose position the peer then sees in one step */
static void act_sendv(struct vmshm_channel *ch, const char *name)
{
	struct vmshm_message m = { .data = "hello", .length = 6 };
	struct vmshm_message batch[] = { m, m, m };

	(void)name;
	vmshm_channel_sendv(ch, batch, 3, VMSHM_NOW);
}

/*
 * The child sends, and is killed before or after it wakes the peer. The
 * deadline is longer than single steps take in an emulated guest on a loaded
 * machine.
 */
static void act_call(struct vmshm_channel *ch, const char *name)
{
	char byte;
	int sent;

	(void)name;
	vmshm_channel_call(ch, "hello", 6, &byte, 1, &sent,
			   vmshm_deadline(8000 * MSEC));
}

static void act_recvv(struct vmshm_channel *ch, const char *name)
{
	char buf[248];
	struct vmshm_message m = { .data = buf, .size = 248 };
	struct vmshm_message batch[] = { m, m, m };

	(void)name;
	vmshm_channel_recvv(ch, batch, 3, VMSHM_NOW);
}

/* Steps over @n changes and kills the child; false if it made fewer. */
static bool killed_after(struct step *s, int n)
{
	bool more = true;

	while (more && n--)
		more = step_on(s);
	step_kill(s);
	return more;
}

/*
 * Kills a child after each change of @act, in an object that @prepare has used,
 * if @prepare is not NULL. Later parties work. Returns the number of changes.
 */
static int killed_everywhere(void (*prepare)(const char *name),
			     void (*act)(struct vmshm_channel *ch,
					 const char *name),
			     void (*next_works)(const char *name))
{
	const char *object, *name;
	struct step s;
	int n = 0;

	not_in_guests();
	for (;;) {
		name = new_object(&object);
		if (prepare)
			prepare(name);
		step_attach(&s, stepped(name, false, act), object);
		n++;
		if (!killed_after(&s, n))
			return n;
		next_works(name);
	}
}

T_TEST(killed_while_it_opens_first)
{
	/* The test has seen changes. */
	T_ASSERT(killed_everywhere(NULL, act_open, new_pair_works) > 5);
}

/* A party leaves a message in the channel. */
static void leave_stale(const char *name)
{
	struct vmshm_channel *old = join(name);

	ch_send(old, "stale");
	vmshm_channel_close(old);
}

/* The same in an object that other parties have used */
T_TEST(killed_while_it_opens_a_used_one)
{
	T_ASSERT(killed_everywhere(leave_stale, act_open, new_pair_works) > 5);
}

T_TEST(killed_while_it_opens_second)
{
	const char *object, *name;
	struct vmshm_channel *first;
	struct step s;
	bool more;
	int n = 0;

	not_in_guests();
	do {
		name = new_object(&object);
		first = join(name);
		step_attach(&s, stepped(name, false, act_open), object);
		more = killed_after(&s, ++n);
		/* The party that was there before has to notice the death. */
		L_OK(vmshm_channel_peer(first, VMSHM_FOREVER));
		ch_end(first, ECONNRESET);
		vmshm_channel_close(first);
		new_pair_works(name);
	} while (more);
	T_ASSERT(n > 1);
}

T_TEST(killed_while_it_closes)
{
	const char *object, *name;
	struct vmshm_channel *peer;
	char byte;
	struct step s;
	bool more;
	int err, n = 0;

	not_in_guests();
	do {
		name = new_object(&object);
		peer = join(name);
		step_attach(&s, stepped(name, true, act_close), object);
		more = killed_after(&s, ++n);
		do
			err = vmshm_channel_recv(peer, &byte, 1, VMSHM_FOREVER);
		while (err == -EINTR);
		T_ASSERT(err == -EPIPE || err == -ECONNRESET);
		/* The peer may notice the death only after some messages. */
		do
			err = vmshm_channel_send(peer, &byte, 1, VMSHM_FOREVER);
		while (!err);
		T_ASSERT(err == -EPIPE || err == -ECONNRESET);
		vmshm_channel_close(peer);
		new_pair_works(name);
	} while (more);
	T_ASSERT(n > 2);
}

/* Another process that sleeps in a call, and checks the result */
static pid_t sleeper(const char *name, bool full, struct l_bell ready)
{
	pid_t pid = t_fork();
	struct vmshm_channel *ch;
	char buf[248];
	int err;

	if (pid)
		return pid;
	ch = join(name);
	vmshm_channel_spin(ch, 0);
	if (full)
		ch_fill(ch, 248);
	l_ring(ready);
	if (full) {
		do
			err = vmshm_channel_send(ch, buf, 248, VMSHM_FOREVER);
		while (!err);
	} else {
		do
			err = vmshm_channel_recv(ch, buf, 248, VMSHM_FOREVER);
		while (err >= 0);
	}
	T_EQ(err, -ECONNRESET);
	_exit(0);
}

/*
 * Kills a child after each change of @act, while its peer sleeps until @act
 * wakes it.
 */
static int killed_beside_a_sleeper(bool full,
				   void (*act)(struct vmshm_channel *ch,
					       const char *name))
{
	struct l_bell ready = l_bell();
	const char *object, *name;
	struct step s;
	bool more;
	int n = 0;

	do {
		pid_t actor, other;

		name = new_object(&object);
		actor = stepped(name, true, act);
		/* The child has opened the channel when it raises SIGSTOP. */
		step_attach(&s, actor, object);
		other = sleeper(name, full, ready);
		l_heard(ready);
		l_asleep(other);
		memcpy(s.before, object, STEP_BYTES);
		more = killed_after(&s, ++n);
		t_wait(other);
		new_pair_works(name);
	} while (more);
	return n;
}

T_TEST(killed_while_it_sends_to_a_sleeper)
{
	T_ASSERT(killed_beside_a_sleeper(false, act_send) > 2);
}

T_TEST(killed_while_it_receives_from_a_sleeper)
{
	T_ASSERT(killed_beside_a_sleeper(true, act_recv) > 2);
}

/* A store of arm64 can write 16 bytes. */
#ifdef __aarch64__
#define CHANGES_OF_CALL 3
#else
#define CHANGES_OF_CALL 4
#endif

T_TEST(killed_while_it_calls_a_sleeper)
{
	T_ASSERT(killed_beside_a_sleeper(false, act_call) > CHANGES_OF_CALL);
}

T_TEST(killed_while_it_sends_a_batch_to_a_sleeper)
{
	T_ASSERT(killed_beside_a_sleeper(false, act_sendv) > 2);
}

T_TEST(killed_while_it_receives_a_batch_from_a_sleeper)
{
	T_ASSERT(killed_beside_a_sleeper(true, act_recvv) > 4);
}

/*
 * A newcomer is stopped after each change while it opens; another one comes.
 * They are the next two, and see nothing of what was there before.
 */
T_TEST(overtaken_while_it_opens)
{
	struct vmshm_channel *late;
	const char *object, *name;
	bool more = true;
	struct step s;
	int i, n;

	not_in_guests();
	for (n = 1; more; n++) {
		pid_t pid;

		name = new_object(&object);
		leave_stale(name);
		pid = stepped(name, false, act_open);
		step_attach(&s, pid, object);
		for (i = 0; i < n && more; i++)
			more = step_on(&s);
		if (!more)
			break;
		/* The stopped party has a second to continue, and does not. */
		i = vmshm_channel_open(&late, WHERE, name, 0, 0);
		if (!i) {
			char buf[16];

			L_ERR(vmshm_channel_recv(late, buf, 16, VMSHM_NOW),
			      EAGAIN);
			vmshm_channel_close(late);
		} else {
			T_ASSERT(i == -EBUSY || i == -ETIMEDOUT);
		}
		step_kill(&s);
		new_pair_works(name);
	}
	T_ASSERT(n > 5);
}

/*
 * Opens the channel and answers a message, unless the peer has already closed.
 */
static pid_t answerer(const char *name)
{
	pid_t pid = t_fork();
	struct vmshm_channel *ch;
	char buf[16];
	ssize_t n;

	if (pid)
		return pid;
	step_begin();
	ch = join(name);
	n = vmshm_channel_recv(ch, buf, sizeof(buf), VMSHM_FOREVER);
	if (n >= 0)
		ch_send(ch, "answer");
	else
		T_EQ(n, -EPIPE);
	vmshm_channel_close(ch);
	_exit(0);
}

/*
 * While a party opens as the second, before each of its system calls, the first
 * party leaves and a third one takes its seat. The second party is then the
 * peer of the third one, or that of the first one. In no case does the third
 * party see the death of a peer that was not killed.
 */
T_TEST(another_first_one_while_it_opens_second)
{
	struct vmshm_channel *old, *new;
	const char *object, *name;
	struct step s;
	int err, i, n;

	for (n = 1, err = 0; !err; n++) {
		pid_t pid;

		name = new_object(&object);
		old = join(name);
		pid = answerer(name);
		step_attach(&s, pid, object);
		for (i = 0; i < n; i++)
			step_syscall(&s);
		vmshm_channel_close(old);
		err = vmshm_channel_open(&new, WHERE, name, 0, 0);
		step_let_go(&s);
		if (!err) {
			ch_send(new, "question");
			ch_recv(new, "answer");
			vmshm_channel_close(new);
		}
		t_wait(pid);
	}
	/* The second party has opened before the first one left. */
	T_EQ(err, -EBUSY);
	T_ASSERT(n > 5);
}

/* A party that fails to open as the second leaves no mark of a death. */
T_TEST(no_memory_for_the_second_one)
{
	/* Enough address space for the object and one of the rings */
	struct rlimit most = { 5l << 30, 5l << 30 };
	struct l_bell ready = l_bell();
	const char *name = l_name("x");
	struct vmshm_channel *first, *ch;
	struct vmshm *shm;
	pid_t pid;

	if (l_in_guest())
		t_skip("more than its memory");
	/* The object is sparse: its memory is not used. */
	shm = l_object(name, 0);
	T_EQ(ftruncate(vmshm_fd(shm), (2l << 30) + 4096), 0);
	vmshm_close(shm);
	pid = t_fork();
	if (!pid) {
		l_heard(ready);
		T_EQ(setrlimit(RLIMIT_AS, &most), 0);
		L_ERR(vmshm_channel_open(&ch, WHERE, name, 0, 0), ENOMEM);
		_exit(0);
	}
	first = join(name);
	l_ring(ready);
	t_wait(pid);
	L_ERR(vmshm_channel_peer(first, VMSHM_NOW), EAGAIN);
	ch = join(name);
	ch_send(first, "works");
	ch_recv(ch, "works");
	vmshm_channel_close(ch);
	vmshm_channel_close(first);
}

/*
 * The peer comes after the deadline has ended the wait, and before the call
 * returns.
 */
T_TEST(a_peer_that_comes_at_the_deadline)
{
	const char *object, *name = new_object(&object);
	struct vmshm_channel *ch;
	struct step s;
	pid_t pid = t_fork();

	if (!pid) {
		ch = join(name);
		step_begin();
		L_OK(vmshm_channel_peer(ch, vmshm_deadline(MSEC)));
		_exit(0);
	}
	step_attach(&s, pid, object);
	while (step_syscall(&s) != -ETIMEDOUT)
		;
	memcpy(s.before, object, STEP_BYTES);
	ch = join(name);
	/*
	 * The child's other thread is woken, and increments both event words.
	 */
	while (!memcmp(s.before + WRITABLE, object + WRITABLE, 4))
		sched_yield();
	step_let_go(&s);
	t_wait(pid);
	vmshm_channel_close(ch);
}

#define ENTRIES 4

static void act_create(struct vmshm_channel *ch, const char *name)
{
	struct vmshm_broadcast *b;

	(void)ch;
	vmshm_broadcast_create(&b, WHERE, name, 64, ENTRIES, 0600);
}

static void new_broadcast_works(const char *name)
{
	struct vmshm_broadcast *w, *r;
	uint64_t lost;
	char buf[64];

	L_OK(vmshm_broadcast_create(&w, WHERE, name, 64, ENTRIES, 0600));
	L_OK(vmshm_broadcast_open(&r, WHERE, name));
	L_OK(vmshm_broadcast_send(w, "hello", 6));
	T_EQ(vmshm_broadcast_recv(r, buf, 64, &lost, VMSHM_FOREVER), 6);
	T_EQ(lost, 0);
	T_ASSERT(!strcmp(buf, "hello"));
	vmshm_broadcast_close(w);
	L_ERR(vmshm_broadcast_recv(r, buf, 64, &lost, VMSHM_FOREVER), EPIPE);
	vmshm_broadcast_close(r);
}

T_TEST(killed_while_it_makes_a_broadcast)
{
	T_ASSERT(killed_everywhere(NULL, act_create, new_broadcast_works) > 4);
}

static void act_publish(struct vmshm_channel *ch, const char *name)
{
	struct vmshm_broadcast *b;
	char data[64] = "new";

	(void)ch;
	L_OK(vmshm_broadcast_create(&b, WHERE, name, 64, ENTRIES, 0600));
	step_begin();
	vmshm_broadcast_send(b, data, 64);
	vmshm_broadcast_close(b);
}

/* The reader sleeps; then it gets the new entry, or not, and the end. */
static pid_t reader(const char *name, struct l_bell ready)
{
	pid_t pid = t_fork();
	struct vmshm_broadcast *r;
	char buf[64];
	ssize_t n;

	if (pid)
		return pid;
	L_OK(vmshm_broadcast_open(&r, WHERE, name));
	l_ring(ready);
	do {
		n = vmshm_broadcast_recv(r, buf, 64, NULL, VMSHM_FOREVER);
		if (n >= 0)
			T_ASSERT(n == 64 && !strcmp(buf, "new"));
	} while (n >= 0);
	T_ASSERT(n == -ECONNRESET || n == -EPIPE);
	_exit(0);
}

T_TEST(killed_while_it_publishes_to_a_sleeper)
{
	struct l_bell ready = l_bell();
	const char *object, *name;
	struct vmshm_broadcast *w;
	bool more = true;
	struct step s;
	int n;

	for (n = 1; more; n++) {
		pid_t writer, r;

		name = new_object(&object);
		L_OK(vmshm_broadcast_create(&w, WHERE, name, 64, ENTRIES,
					    0600));
		vmshm_broadcast_close(w);
		writer = t_fork();
		if (!writer) {
			act_publish(NULL, name);
			_exit(0);
		}
		step_attach(&s, writer, object);
		r = reader(name, ready);
		l_heard(ready);
		l_asleep(r);
		memcpy(s.before, object, STEP_BYTES);
		more = killed_after(&s, n);
		t_wait(r);
		new_broadcast_works(name);
	}
	T_ASSERT(n > 3);
}
