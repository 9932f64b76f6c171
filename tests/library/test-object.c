// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * <vmshm/vmshm.h>: objects, waiting and waking, words for event loops.
 *
 * qemu: channels
 * host: address
 */
#define _GNU_SOURCE
#include <poll.h>
#include <sys/resource.h>

#include "library.h"

#define PAGE 4096

T_TEST(what_one_writes_another_one_reads)
{
	const char *name = l_name("x");
	struct vmshm *a = l_object(name, PAGE), *b;

	/* The slash may be left out. */
	L_OK(vmshm_open(&b, NULL, name + 1, O_RDONLY, 0));
	strcpy(l_map(a), "hello");
	T_ASSERT(!strcmp(l_map(b), "hello"));
	vmshm_close(b);
	vmshm_close(a);
}

T_TEST(a_folder_can_be_named)
{
	const char *name = l_name("x");
	struct vmshm *a = l_object(name, PAGE), *b;

	L_OK(vmshm_open(&b, "/dev/shm", name, O_RDWR, 0));
	strcpy(l_map(a), "hello");
	T_ASSERT(!strcmp(l_map(b), "hello"));
	vmshm_close(b);
	L_ERR(vmshm_open(&b, "/nowhere", name, O_RDWR, 0), ENOENT);
	L_ERR(vmshm_open(&b, "vmshm77", name, O_RDWR, 0), ENOENT);
	L_ERR(vmshm_open(&b, "", name, O_RDWR, 0), EINVAL);
	L_ERR(vmshm_open(&b, "a/b", name, O_RDWR, 0), EINVAL);
	vmshm_close(a);
}

static void fill_text(char *text, size_t length)
{
	memset(text, 'x', length);
	text[length] = '\0';
}

T_TEST(impossible_names)
{
	static const char *const bad[] = {
		"", "/", ".", "/.", "..", "/..", "a/b", "/a/b", "//a", "a/",
	};
	char where[5000];
	struct vmshm *shm;
	char name[300];
	size_t i;

	l_mount();
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		L_ERR(vmshm_open(&shm, NULL, bad[i], O_RDWR, 0), EINVAL);
		L_ERR(vmshm_unlink(NULL, bad[i]), EINVAL);
	}
	fill_text(name, 256);
	L_ERR(vmshm_open(&shm, NULL, name, O_RDWR, 0), ENAMETOOLONG);
	fill_text(name, 255);
	L_ERR(vmshm_open(&shm, NULL, name, O_RDWR, 0), ENOENT);
	fill_text(where, sizeof(where) - 1);
	where[0] = '/';
	L_ERR(vmshm_open(&shm, where, "x", O_RDWR, 0), ENAMETOOLONG);
	where[4090] = '\0';
	L_ERR(vmshm_open(&shm, where, "123456", O_RDWR, 0), ENAMETOOLONG);
}

T_TEST(the_longest_name)
{
	const char *prefix = l_name("");
	struct vmshm *shm;
	char name[300];

	fill_text(name, 256);
	memcpy(name, prefix, strlen(prefix));
	shm = l_object(name, PAGE);
	vmshm_close(shm);
	L_OK(vmshm_open(&shm, NULL, name, O_RDWR, 0));
	vmshm_close(shm);
	L_OK(vmshm_unlink(NULL, name));
}

T_TEST(impossible_flags)
{
	const char *name = l_name("x");
	struct vmshm *shm;

	vmshm_close(l_object(name, PAGE));
	L_ERR(vmshm_open(&shm, NULL, name, O_WRONLY, 0), EINVAL);
	L_ERR(vmshm_open(&shm, NULL, name, O_RDWR | O_TRUNC, 0), EINVAL);
	L_ERR(vmshm_open(&shm, NULL, name, O_RDWR | O_APPEND, 0), EINVAL);
	L_ERR(vmshm_open(&shm, NULL, name, O_RDWR | O_NONBLOCK, 0), EINVAL);
	L_ERR(vmshm_open(&shm, NULL, name, O_ACCMODE, 0), EINVAL);
}

T_TEST(objects_that_are_there_and_not)
{
	const char *name = l_name("x");
	struct vmshm *shm, *kept;

	L_ERR(vmshm_open(&shm, NULL, name, O_RDWR, 0), ENOENT);
	L_ERR(vmshm_open(&shm, NULL, name, O_RDONLY, 0), ENOENT);
	L_ERR(vmshm_unlink(NULL, name), ENOENT);
	kept = l_object(name, PAGE);
	L_ERR(vmshm_open(&shm, NULL, name, O_RDWR | O_CREAT | O_EXCL, 0600),
	      EEXIST);
	L_OK(vmshm_open(&shm, NULL, name, O_RDWR | O_CREAT, 0600));
	vmshm_close(shm);
	L_OK(vmshm_unlink(NULL, name));
	L_ERR(vmshm_open(&shm, NULL, name, O_RDWR, 0), ENOENT);
	/* An open object remains after its name was removed. */
	strcpy(l_map(kept), "hello");
	T_ASSERT(!strcmp(l_map(kept), "hello"));
	vmshm_close(kept);
	vmshm_close(NULL);
}

T_TEST(a_link_is_no_object)
{
	const char *name = l_name("x"), *link = l_name("link");
	struct vmshm *shm;

	if (l_in_guest())
		t_skip("no links there");
	vmshm_close(l_object(name, PAGE));
	T_EQ(symlink(l_path(name), l_path(link)), 0);
	L_ERR(vmshm_open(&shm, NULL, link, O_RDWR, 0), ELOOP);
}

T_TEST(what_is_no_file_of_memory)
{
	static const int flags[] = { O_RDONLY, O_RDWR, O_RDWR | O_CREAT };
	const char *fifo = l_name("fifo");
	struct vmshm *shm;
	int i;

	if (l_in_guest())
		t_skip("there are only objects");
	T_EQ(mkfifo(l_path(fifo), 0600), 0);
	/* The open does not wait for a process at the other end of the FIFO. */
	for (i = 0; i < 3; i++)
		L_ERR(vmshm_open(&shm, NULL, fifo, flags[i], 0600), EINVAL);
	L_ERR(vmshm_open(&shm, "/", "dev", O_RDONLY, 0), EINVAL);
	L_ERR(vmshm_open(&shm, "/dev", "null", O_RDWR, 0), EINVAL);
}

T_TEST(mode_and_file)
{
	const char *name = l_name("x");
	struct vmshm *shm;
	struct stat st;

	umask(022);
	L_OK(vmshm_open(&shm, NULL, name, O_RDWR | O_CREAT, 0666));
	T_EQ(fstat(vmshm_fd(shm), &st), 0);
	T_EQ(st.st_mode & 07777, 0644);
	T_EQ(st.st_size, 0);
	T_ASSERT(fcntl(vmshm_fd(shm), F_GETFD) & FD_CLOEXEC);
	vmshm_close(shm);
}

T_TEST(no_right_to_it)
{
	const char *mine = l_name("mine"), *seen = l_name("seen");
	struct vmshm *shm;
	pid_t pid;

	if (geteuid())
		t_skip("only root can become another user");
	umask(0);
	vmshm_close(l_object(mine, PAGE));
	L_OK(vmshm_open(&shm, NULL, seen, O_RDWR | O_CREAT, 0644));
	L_OK(vmshm_grow(shm, PAGE));
	pid = t_fork();
	if (!pid) {
		T_EQ(setuid(NOBODY), 0);
		L_ERR(vmshm_open(&shm, NULL, mine, O_RDWR, 0), EACCES);
		L_ERR(vmshm_open(&shm, NULL, mine, O_RDONLY, 0), EACCES);
		L_ERR(vmshm_open(&shm, NULL, seen, O_RDWR, 0), EACCES);
		L_OK(vmshm_open(&shm, NULL, seen, O_RDONLY, 0));
		l_map(shm);
		_exit(0);
	}
	t_wait(pid);
	vmshm_close(shm);
}

T_TEST(no_more_files)
{
	const char *name = l_name("x");
	struct vmshm *shm = l_object(name, PAGE), *more[64];
	struct rlimit limit = { 32, 32 };
	int i, err = 0;

	T_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
	for (i = 0; i < 64 && !err; i++)
		err = vmshm_open(&more[i], "/dev/shm", name, O_RDWR, 0);
	T_EQ(err, -EMFILE);
	/* In a guest a polled word needs no further descriptor. */
	if (!l_in_guest()) {
		L_ERR(vmshm_poll_fd(shm), EMFILE);
		L_ERR(vmshm_poll_arm(shm, 0, 0), EMFILE);
	}
	for (i -= 2; i >= 0; i--)
		vmshm_close(more[i]);
	vmshm_close(shm);
}

T_TEST(size_and_growing)
{
	const char *name = l_name("x");
	struct vmshm *shm = l_object(name, 0), *reader;
	uint64_t size;
	struct stat st;

	L_OK(vmshm_grow(shm, 0));
	L_OK(vmshm_size(shm, &size));
	T_EQ(size, 0);
	L_OK(vmshm_grow(shm, 10000));
	L_OK(vmshm_size(shm, &size));
	T_EQ(size, 10000);
	T_EQ(fstat(vmshm_fd(shm), &st), 0);
	T_ASSERT(st.st_blocks * 512 >= 10000);
	/* vmshm_grow() never shrinks the object. */
	L_OK(vmshm_grow(shm, 1));
	L_OK(vmshm_size(shm, &size));
	T_EQ(size, 10000);
	L_ERR(vmshm_grow(shm, 1ull << 63), EFBIG);
	L_ERR(vmshm_grow(shm, UINT64_MAX), EFBIG);
	L_OK(vmshm_open(&reader, NULL, name, O_RDONLY, 0));
	L_ERR(vmshm_grow(reader, 20000), EBADF);
	/* A growth by another process is also seen. */
	L_OK(vmshm_grow(shm, 20000));
	L_OK(vmshm_size(reader, &size));
	T_EQ(size, 20000);
	vmshm_close(reader);
	vmshm_close(shm);
}

T_TEST(growing_without_memory)
{
	struct vmshm *shm;
	uint64_t size;
	char folder[] = "/tmp/vmshm-test-XXXXXX";

	if (l_in_guest() || geteuid())
		t_skip("needs root, and a file system of its own");
	T_EQ(unshare(CLONE_NEWNS), 0);
	T_EQ(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	T_ASSERT(mkdtemp(folder));
	T_EQ(mount("none", folder, "tmpfs", 0, "size=1M"), 0);
	L_OK(vmshm_open(&shm, folder, "x", O_RDWR | O_CREAT, 0600));
	L_ERR(vmshm_grow(shm, 2 * MIB), ENOSPC);
	L_OK(vmshm_grow(shm, MIB / 2));
	L_OK(vmshm_size(shm, &size));
	T_EQ(size, MIB / 2);
	vmshm_close(shm);
	T_EQ(umount(folder), 0);
	T_EQ(rmdir(folder), 0);
}

T_TEST(mapping)
{
	const char *name = l_name("x");
	struct vmshm *shm = l_object(name, 0);
	void *data, *again;
	size_t size;

	L_ERR(vmshm_map(shm, &data, &size), ENODATA);
	L_OK(vmshm_grow(shm, 10000));
	L_OK(vmshm_map(shm, &data, &size));
	T_EQ(size, 10000);
	memset(data, 1, size);
	/* A second call returns the same mapping. */
	L_OK(vmshm_grow(shm, 20000));
	L_OK(vmshm_map(shm, &again, &size));
	T_ASSERT(again == data);
	T_EQ(size, 10000);
	vmshm_close(shm);
}

static bool is_mapped(const void *p)
{
	unsigned char resident;

	return !mincore((void *)p, 1, &resident);
}

T_TEST(close_unmaps)
{
	struct vmshm *shm = l_object(l_name("x"), PAGE);
	void *data = l_map(shm);

	T_ASSERT(is_mapped(data));
	vmshm_close(shm);
	T_ASSERT(!is_mapped(data));
}

T_TEST(a_reader_cannot_write)
{
	const char *name = l_name("x");
	struct vmshm *shm;
	volatile char *p;
	int status;
	pid_t pid;

	vmshm_close(l_object(name, PAGE));
	L_OK(vmshm_open(&shm, NULL, name, O_RDONLY, 0));
	p = l_map(shm);
	pid = t_fork();
	if (!pid) {
		signal(SIGSEGV, SIG_DFL);
		*p = 1;
		_exit(0);
	}
	T_EQ(waitpid(pid, &status, 0), pid);
	T_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	vmshm_close(shm);
}

T_TEST(deadlines)
{
	int64_t before = l_now(), deadline = vmshm_deadline(MSEC);

	T_ASSERT(deadline >= before + MSEC);
	T_ASSERT(deadline <= l_now() + MSEC);
	T_EQ(vmshm_deadline(-1), VMSHM_FOREVER);
	T_EQ(vmshm_deadline(INT64_MIN), VMSHM_FOREVER);
	T_EQ(vmshm_deadline(INT64_MAX), VMSHM_FOREVER);
	T_ASSERT(vmshm_deadline(0) >= before);
}

T_TEST(waiting_for_the_wrong_thing)
{
	const char *name = l_name("x");
	struct vmshm *shm = l_object(name, 0);

	L_ERR(vmshm_wait(shm, 0, 0, VMSHM_FOREVER), EFAULT);
	L_ERR(vmshm_wake(shm, 0, 1), EFAULT);
	L_OK(vmshm_grow(shm, PAGE));
	L_ERR(vmshm_wait(shm, 1, 0, VMSHM_FOREVER), EINVAL);
	L_ERR(vmshm_wait(shm, PAGE, 0, VMSHM_FOREVER), EFAULT);
	L_ERR(vmshm_wait(shm, PAGE - 2, 0, VMSHM_FOREVER), EINVAL);
	L_ERR(vmshm_wait(shm, UINT64_MAX - 3, 0, VMSHM_FOREVER), EFAULT);
	L_ERR(vmshm_wait(shm, 0, 1, VMSHM_FOREVER), EAGAIN);
	L_ERR(vmshm_wait(shm, 0, 1, VMSHM_NOW), EAGAIN);
	L_ERR(vmshm_wait(shm, PAGE - 4, 0, VMSHM_NOW), ETIMEDOUT);
	L_ERR(vmshm_wake(shm, 2, 1), EINVAL);
	L_ERR(vmshm_wake(shm, PAGE, 1), EFAULT);
	L_OK(vmshm_wake(shm, PAGE - 4, 1));
	vmshm_close(shm);
}

T_TEST(waiting_until_a_deadline)
{
	struct vmshm *shm = l_object(l_name("x"), PAGE);
	int64_t deadline = vmshm_deadline(20 * MSEC);

	L_ERR(vmshm_wait(shm, 0, 0, deadline), ETIMEDOUT);
	T_ASSERT(l_now() >= deadline);
	L_ERR(vmshm_wait(shm, 0, 0, deadline), ETIMEDOUT);
	vmshm_close(shm);
}

/* Waits until word 1 changes; other results of the wait are errors. */
static void wait_for_word(struct vmshm *shm, _Atomic uint32_t *word)
{
	int err;

	while (!atomic_load(word)) {
		err = vmshm_wait(shm, 4, 0, VMSHM_FOREVER);
		T_ASSERT(!err || err == -EAGAIN);
	}
}

T_TEST(woken_by_another_process)
{
	const char *name = l_name("x");
	struct vmshm *shm = l_object(name, PAGE);
	_Atomic uint32_t *word = l_map(shm);
	pid_t pid = t_fork();

	if (!pid) {
		/* A reader can also wait. */
		vmshm_close(shm);
		L_OK(vmshm_open(&shm, NULL, name, O_RDONLY, 0));
		wait_for_word(shm, (_Atomic uint32_t *)l_map(shm) + 1);
		vmshm_close(shm);
		_exit(0);
	}
	l_asleep(pid);
	atomic_store(&word[1], 1);
	L_OK(vmshm_wake(shm, 4, 1));
	t_wait(pid);
	vmshm_close(shm);
}

#define WAITERS 5

/* Each waiter wakes up once and counts itself. */
static void waiter(struct vmshm *shm, _Atomic uint32_t *word)
{
	L_OK(vmshm_wait(shm, 0, 0, VMSHM_FOREVER));
	atomic_fetch_add(&word[1], 1);
	L_OK(vmshm_wake(shm, 4, UINT32_MAX));
	_exit(0);
}

static void until_counted(struct vmshm *shm, _Atomic uint32_t *word, uint32_t n)
{
	uint32_t count;

	while ((count = atomic_load(&word[1])) < n)
		vmshm_wait(shm, 4, count, VMSHM_FOREVER);
	T_EQ(count, n);
}

T_TEST(as_many_are_woken_as_asked_for)
{
	const char *name = l_name("x");
	struct vmshm *shm = l_object(name, PAGE);
	_Atomic uint32_t *word = l_map(shm);
	pid_t pid[WAITERS];
	int i;

	for (i = 0; i < WAITERS; i++) {
		pid[i] = t_fork();
		if (!pid[i])
			waiter(shm, word);
	}
	/* The word does not change, so the waiters must be in the queue. */
	t_host("waiting %s 0 %d", name, WAITERS);
	L_OK(vmshm_wake(shm, 0, 0));
	L_OK(vmshm_wake(shm, 0, 1));
	until_counted(shm, word, 1);
	L_OK(vmshm_wake(shm, 0, 2));
	until_counted(shm, word, 3);
	L_OK(vmshm_wake(shm, 0, UINT32_MAX));
	until_counted(shm, word, WAITERS);
	for (i = 0; i < WAITERS; i++)
		t_wait(pid[i]);
	vmshm_close(shm);
}

static void nothing(int sig)
{
	(void)sig;
}

T_TEST(a_signal_ends_waiting)
{
	struct vmshm *shm = l_object(l_name("x"), PAGE);
	struct sigaction sa = { .sa_handler = nothing };
	pid_t pid;

	sigaction(SIGUSR1, &sa, NULL);
	pid = t_fork();
	if (!pid) {
		L_ERR(vmshm_wait(shm, 0, 0, VMSHM_FOREVER), EINTR);
		_exit(0);
	}
	l_asleep(pid);
	T_EQ(kill(pid, SIGUSR1), 0);
	t_wait(pid);
	vmshm_close(shm);
}

static bool readable(int fd, int timeout)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int n = poll(&p, 1, timeout);

	T_ASSERT(n >= 0);
	if (n)
		T_EQ(p.revents, POLLIN);
	return n;
}

T_TEST(a_word_to_poll)
{
	struct vmshm *shm = l_object(l_name("x"), PAGE);
	_Atomic uint32_t *word = l_map(shm);
	int fd = vmshm_poll_fd(shm);

	T_ASSERT(fd >= 0);
	T_EQ(vmshm_poll_fd(shm), fd);
	/* The word has another value than the expected one. */
	L_OK(vmshm_poll_arm(shm, 8, 1));
	T_ASSERT(readable(fd, -1));
	T_ASSERT(readable(fd, 0));
	/* The word was not woken yet. */
	L_OK(vmshm_poll_arm(shm, 8, 0));
	T_ASSERT(!readable(fd, 20));
	/* A wake-up of another word does not count. */
	L_OK(vmshm_wake(shm, 12, UINT32_MAX));
	T_ASSERT(!readable(fd, 20));
	atomic_store(&word[2], 7);
	L_OK(vmshm_wake(shm, 8, UINT32_MAX));
	T_ASSERT(readable(fd, -1));
	/* The file stays readable until it is armed again, for any word. */
	T_ASSERT(readable(fd, 0));
	L_OK(vmshm_poll_arm(shm, 12, 0));
	T_ASSERT(!readable(fd, 20));
	L_OK(vmshm_poll_arm(shm, 8, 0));
	T_ASSERT(readable(fd, -1));
	vmshm_close(shm);
}

T_TEST(words_that_cannot_be_polled)
{
	struct vmshm *shm = l_object(l_name("x"), PAGE);

	L_ERR(vmshm_poll_arm(shm, 2, 0), EINVAL);
	L_ERR(vmshm_poll_arm(shm, PAGE, 0), EFAULT);
	vmshm_close(shm);
}

#define TURNS 3000

static void polling_party(const char *name, int me)
{
	struct vmshm *shm;
	_Atomic uint32_t *word;
	uint32_t turn;

	L_OK(vmshm_open(&shm, NULL, name, O_RDWR, 0));
	word = l_map(shm);
	while ((turn = atomic_load(word)) < TURNS) {
		if (turn % 2 != (uint32_t)me) {
			L_OK(vmshm_poll_arm(shm, 0, turn));
			T_ASSERT(readable(vmshm_poll_fd(shm), -1));
		} else {
			atomic_store(word, turn + 1);
			L_OK(vmshm_wake(shm, 0, 1));
		}
	}
	vmshm_close(shm);
}

T_TEST(polling_in_turns)
{
	const char *name = l_name("x");
	pid_t pid;

	vmshm_close(l_object(name, PAGE));
	pid = t_fork();
	polling_party(name, !pid);
	if (!pid)
		_exit(0);
	t_wait(pid);
}

/* A poller that is armed for another word passes its wake-up on. */
T_TEST(a_wake_up_is_not_taken_from_others)
{
	struct vmshm *shm = l_object(l_name("x"), PAGE);
	_Atomic uint32_t *word = l_map(shm);
	pid_t pid;
	int i;

	for (i = 1; i <= 500; i++) {
		L_OK(vmshm_poll_arm(shm, 4, 0));
		atomic_store(&word[1], 0);
		pid = t_fork();
		if (!pid) {
			wait_for_word(shm, word + 1);
			_exit(0);
		}
		L_OK(vmshm_poll_arm(shm, 8, 0));
		atomic_store(&word[1], 1);
		L_OK(vmshm_wake(shm, 4, 1));
		t_wait(pid);
	}
	vmshm_close(shm);
}
