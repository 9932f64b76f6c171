/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A mapping is memory like any other: everything that the kernel does with a
 * program's memory works on it.
 *
 * qemu: files
 * expect-trace: WARNING: .*block/bio.c:.*bio_iov_iter_get_pages
 */
#define _GNU_SOURCE
#include <limits.h>
#include <linux/futex.h>
#include <linux/mempolicy.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "pagetable.h"

#include "fs.h"

/* Where the kernel has huge pages for objects, this gets some. */
#define SIZE (4 * MIB)

static long futex(void *word, int op, uint32_t value)
{
	return syscall(SYS_futex, word, op, value, NULL, NULL, 0);
}

/* One process waits at one address, another wakes it at another one. */
static void wakes(void *waits_at, void *wakes_at)
{
	pid_t pid;

	*(uint32_t *)waits_at = 7;
	T_EQ(*(uint32_t *)wakes_at, 7);
	pid = t_fork();
	if (pid == 0) {
		T_ERRNO(futex(waits_at, FUTEX_WAIT, 8), EAGAIN);
		T_EQ(futex(waits_at, FUTEX_WAIT, 7), 0);
		_exit(0);
	}
	T_EQ(futex((char *)wakes_at + 4, FUTEX_WAKE, INT_MAX), 0);
	while (futex(wakes_at, FUTEX_WAKE, INT_MAX) != 1)
		sched_yield();
	t_wait(pid);
}

static void *dev_map(const char *name)
{
	int fd = open("/dev/vmshm0", O_RDWR);

	T_ASSERT(fd >= 0);
	T_EQ(ioctl(fd, 0, name), 0);
	return fs_map_at(fd, 0, MIB);
}

/* All mappings of an object share its futexes. */
T_TEST(futex_in_any_mapping)
{
	const char *name = fs_new("a", SIZE);
	char *p, *again, *part, *mount2, *dev;
	int fd;

	fs_mount(CREATE);
	fs_mount_at(CREATE, "/mnt", NULL);
	p = fs_map(name, SIZE);
	again = fs_map(name, SIZE);
	fd = fs_open(name, O_RDWR);
	part = fs_map_at(fd, 64 * 1024, PAGE);
	mount2 = fs_map_at(open(fs_path("/mnt", name), O_RDWR), 0, SIZE);
	dev = dev_map(name);
	wakes(p, p);
	wakes(p, again);
	wakes(p + 3 * MIB + 8, again + 3 * MIB + 8);
	wakes(p + 64 * 1024 + 16, part + 16);
	wakes(part + 16, p + 64 * 1024 + 16);
	wakes(p + 4092, mount2 + 4092);
	wakes(mount2 + SIZE - 8, p + SIZE - 8);
	wakes(p + 100, dev + 100);
	wakes(dev + MIB - 8, mount2 + MIB - 8);
	wakes(dev + 200, dev_map(name) + 200);
	/* A private futex at the address is a different one. */
	T_EQ(futex(p, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1), 0);
	/* A waiter can also use a read-only mapping. */
	part = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	p[0] = 1;
	T_ERRNO(futex(part, FUTEX_WAIT, 0), EAGAIN);
}

/* Another object has a different futex at the same offset. */
T_TEST(futex_of_another_object)
{
	const char *one = fs_new("one", PAGE), *two = fs_new("two", PAGE);
	char *p, *q;
	pid_t pid;

	fs_mount(PLAIN);
	p = fs_map(one, PAGE);
	q = fs_map(two, PAGE);
	pid = t_fork();
	if (pid == 0) {
		T_EQ(futex(p, FUTEX_WAIT, 0), 0);
		_exit(0);
	}
	while (futex(p, FUTEX_WAKE, 1) != 1)
		T_EQ(futex(q, FUTEX_WAKE, 1), 0);
	t_wait(pid);
}

struct shared {
	pthread_mutex_t mutex;
	pthread_mutex_t robust;
	pthread_cond_t cond;
	pthread_barrier_t barrier;
	pthread_rwlock_t rwlock;
	sem_t sem;
	int turn;
	long sum;
};

static struct shared *shared_new(const char *name)
{
	struct shared *s = (void *)fs_map(name, SIZE);
	pthread_mutexattr_t mutex;
	pthread_condattr_t cond;
	pthread_barrierattr_t barrier;
	pthread_rwlockattr_t rwlock;

	pthread_mutexattr_init(&mutex);
	pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
	T_EQ(pthread_mutex_init(&s->mutex, &mutex), 0);
	pthread_mutexattr_setrobust(&mutex, PTHREAD_MUTEX_ROBUST);
	T_EQ(pthread_mutex_init(&s->robust, &mutex), 0);
	pthread_condattr_init(&cond);
	pthread_condattr_setpshared(&cond, PTHREAD_PROCESS_SHARED);
	T_EQ(pthread_cond_init(&s->cond, &cond), 0);
	pthread_barrierattr_init(&barrier);
	pthread_barrierattr_setpshared(&barrier, PTHREAD_PROCESS_SHARED);
	T_EQ(pthread_barrier_init(&s->barrier, &barrier, 4), 0);
	pthread_rwlockattr_init(&rwlock);
	pthread_rwlockattr_setpshared(&rwlock, PTHREAD_PROCESS_SHARED);
	T_EQ(pthread_rwlock_init(&s->rwlock, &rwlock), 0);
	T_EQ(sem_init(&s->sem, 1, 0), 0);
	return s;
}

/* Four processes with separate mappings take turns. */
static void taker(const char *name, int i)
{
	struct shared *s = (void *)fs_map(name, SIZE);
	int round;

	pthread_barrier_wait(&s->barrier);
	for (round = 0; round < 200; round++) {
		T_EQ(pthread_mutex_lock(&s->mutex), 0);
		while (s->turn % 4 != i)
			T_EQ(pthread_cond_wait(&s->cond, &s->mutex), 0);
		s->turn++;
		T_EQ(pthread_cond_broadcast(&s->cond), 0);
		T_EQ(pthread_mutex_unlock(&s->mutex), 0);
		T_EQ(pthread_rwlock_wrlock(&s->rwlock), 0);
		s->sum++;
		T_EQ(pthread_rwlock_unlock(&s->rwlock), 0);
	}
	T_EQ(sem_post(&s->sem), 0);
	_exit(0);
}

T_TEST(mutex_cond_barrier_rwlock_sem)
{
	const char *name = fs_new("a", SIZE);
	struct shared *s;
	pid_t pids[4];
	int i;

	fs_mount(PLAIN);
	s = shared_new(name);
	for (i = 0; i < 4; i++) {
		pids[i] = t_fork();
		if (pids[i] == 0)
			taker(name, i);
	}
	for (i = 0; i < 4; i++)
		T_EQ(sem_wait(&s->sem), 0);
	for (i = 0; i < 4; i++)
		t_wait(pids[i]);
	T_EQ(s->turn, 800);
	T_EQ(s->sum, 800);
}

/* The kernel marks a robust mutex whose owner died. */
T_TEST(robust_mutex)
{
	const char *name = fs_new("a", SIZE);
	struct shared *s;
	int status;
	pid_t pid;

	fs_mount(PLAIN);
	s = shared_new(name);
	pid = t_fork();
	if (pid == 0) {
		s = (void *)fs_map(name, SIZE);
		T_EQ(pthread_mutex_lock(&s->robust), 0);
		sem_post(&s->sem);
		pause();
	}
	T_EQ(sem_wait(&s->sem), 0);
	T_EQ(pthread_mutex_trylock(&s->robust), EBUSY);
	T_EQ(kill(pid, SIGKILL), 0);
	T_EQ(pthread_mutex_lock(&s->robust), EOWNERDEAD);
	T_EQ(pthread_mutex_consistent(&s->robust), 0);
	T_EQ(pthread_mutex_unlock(&s->robust), 0);
	T_EQ(waitpid(pid, &status, 0), pid);
	T_EQ(pthread_mutex_lock(&s->robust), 0);
}

/* The disk reads and writes the object's memory itself. */
T_TEST(direct_io)
{
	const char *name = fs_object("a", SIZE, 1);
	int disk = open("/dev/vda", O_RDWR | O_DIRECT);
	char *p, *mine;
	struct iovec v[3];

	T_ASSERT(disk >= 0);
	fs_mount(PLAIN);
	p = fs_map(name, SIZE);
	mine = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	/* First with untouched pages, then with touched ones */
	T_EQ(pwrite(disk, p, SIZE, 0), SIZE);
	T_EQ(pread(disk, mine, SIZE, 0), SIZE);
	fs_same(name, mine, SIZE);
	t_fill(mine, SIZE, 2);
	T_EQ(pwrite(disk, mine, SIZE, SIZE), SIZE);
	T_EQ(pread(disk, p, SIZE, SIZE), SIZE);
	T_ASSERT(!memcmp(p, mine, SIZE));
	fs_same(name, mine, SIZE);
	/* Parts of the object that do not begin at a page */
	v[0] = (struct iovec){ p + 3 * MIB + 512, 1024 };
	v[1] = (struct iovec){ p + MIB, PAGE };
	T_EQ(preadv(disk, v, 2, SIZE), 1024 + PAGE);
	T_ASSERT(!memcmp(p + 3 * MIB + 512, mine, 1024));
	T_ASSERT(!memcmp(p + MIB, mine + 1024, PAGE));
	T_EQ(pwritev(disk, v, 2, 2 * SIZE), 1024 + PAGE);
	T_EQ(pread(disk, mine, MIB, 2 * SIZE), MIB);
	T_ASSERT(!memcmp(p + 3 * MIB + 512, mine, 1024));
	T_ASSERT(!memcmp(p + MIB, mine + 1024, PAGE));
	/* Not into a read-only mapping, nor beyond the end */
	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fs_open(name, O_RDWR), 0);
	T_ERRNO(pread(disk, p, PAGE, 0), EFAULT);
	T_EQ(pwrite(disk, p, PAGE, 0), PAGE);
	p = fs_map_at(fs_open(name, O_RDWR), SIZE, PAGE);
	T_ERRNO(pread(disk, p, PAGE, 0), EFAULT);
}

/*
 * Linux 6.17 to 6.19 warns once if the memory of a transfer with O_DIRECT has
 * struct pages of two kinds, such as those of two calls of memremap_pages();
 * docs/design.md has the reason. The transfer of a block device is complete
 * nevertheless. All other kernels die of a warning.
 */
static void expect_a_warning(int expect)
{
	struct utsname u;
	int minor;

	T_EQ(uname(&u), 0);
	if (sscanf(u.release, "6.%d.", &minor) == 1 && minor >= 17)
		T_EQ(t_system("echo %d >/proc/sys/kernel/panic_on_warn",
			      !expect), 0);
}

T_TEST(direct_io_beside_other_memory)
{
	const char *name = fs_object("a", SIZE, 1);
	int disk = open("/dev/vda", O_RDWR | O_DIRECT);
	char *p, *mine;
	struct iovec v[3];

	T_ASSERT(disk >= 0);
	fs_mount(PLAIN);
	p = fs_map(name, SIZE);
	mine = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	t_fill(mine, SIZE, 2);
	T_EQ(pwrite(disk, mine, SIZE, SIZE), SIZE);
	v[0] = (struct iovec){ p + 3 * MIB + 512, 1024 };
	v[1] = (struct iovec){ mine, PAGE };
	v[2] = (struct iovec){ p + MIB, PAGE };
	expect_a_warning(1);
	T_EQ(preadv(disk, v, 3, SIZE), 1024 + 2 * PAGE);
	T_EQ(pwritev(disk, v, 3, 2 * SIZE), 1024 + 2 * PAGE);
	expect_a_warning(0);
	t_fill(p, SIZE, 2);
	T_EQ(pread(disk, mine, SIZE, 2 * SIZE), SIZE);
	T_ASSERT(!memcmp(p, mine, 1024 + 2 * PAGE));
}

/* The arena has struct pages of its own for each 128 MiB; see arena.c. */
T_TEST(direct_io_across_sections)
{
	const size_t size = 256 * MIB;
	const char *name = t_name("long");
	int disk = open("/dev/vda", O_RDWR | O_DIRECT);
	char *p, *middle, *mine = malloc(8 * PAGE);

	T_ASSERT(disk >= 0);
	t_host("create %s %zu", name, size);
	fs_mount(PLAIN);
	p = fs_map(name, size);
	/* The driver attaches it in parts of 128 MiB. */
	middle = p + 128 * MIB - 4 * PAGE;
	t_fill(middle, 8 * PAGE, 3);
	memcpy(mine, middle, 8 * PAGE);
	expect_a_warning(1);
	T_EQ(pwrite(disk, middle, 8 * PAGE, 0), 8 * PAGE);
	memset(middle, 0, 8 * PAGE);
	T_EQ(pread(disk, middle, 8 * PAGE, 0), 8 * PAGE);
	expect_a_warning(0);
	T_ASSERT(!memcmp(middle, mine, 8 * PAGE));
	memset(middle, 0, 8 * PAGE);
	T_EQ(pread(disk, p, 8 * PAGE, 0), 8 * PAGE);
	T_ASSERT(!memcmp(p, mine, 8 * PAGE));
}

/* write() from it and read() into it */
static void through(const char *name, char *p, int in, int out)
{
	char *mine = malloc(MIB);
	size_t done, n;
	pid_t pid;

	t_fill(p, MIB, 3);
	pid = t_fork();
	if (pid == 0) {
		for (done = 0; done < MIB; done += n) {
			n = write(in, p + done, MIB - done);
			T_ASSERT((ssize_t)n > 0);
		}
		_exit(0);
	}
	for (done = 0; done < MIB; done += n) {
		n = read(out, p + 2 * MIB + done, MIB - done);
		T_ASSERT((ssize_t)n > 0);
	}
	t_wait(pid);
	t_fill(mine, MIB, 3);
	T_ASSERT(!memcmp(mine, p + 2 * MIB, MIB));
	T_EQ(t_sum(mine, MIB),
	     atoll(t_host("sum %s %ld %ld", name, 2 * MIB, MIB)));
	memset(p, 0, SIZE);
	free(mine);
}

T_TEST(read_and_write)
{
	const char *name = fs_new("a", SIZE);
	int fds[2], tmp = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	char *p;

	fs_mount(PLAIN);
	p = fs_map(name, SIZE);
	T_EQ(pipe(fds), 0);
	through(name, p, fds[1], fds[0]);
	T_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	through(name, p, fds[1], fds[0]);
	t_fill(p, MIB, 4);
	T_EQ(pwrite(tmp, p, MIB, 0), MIB);
	T_EQ(pread(tmp, p + MIB, MIB, 0), MIB);
	T_ASSERT(!memcmp(p, p + MIB, MIB));
	/* Between the object's file and its own mapping */
	T_EQ(pwrite(fs_open(name, O_RDWR), p, MIB, 3 * MIB), MIB);
	T_ASSERT(!memcmp(p, p + 3 * MIB, MIB));
	T_EQ(pread(fs_open(name, O_RDWR), p + MIB, 2 * MIB, 2 * MIB), 2 * MIB);
	T_ASSERT(!memcmp(p, p + 2 * MIB, MIB));
	/* Beyond the end */
	p = fs_map_at(fs_open(name, O_RDWR), SIZE - PAGE, 2 * PAGE);
	T_EQ(pread(tmp, p, 2 * PAGE, 0), PAGE);
	T_ERRNO(pread(tmp, p + PAGE, PAGE, 0), EFAULT);
	T_ERRNO(write(fds[0], p + PAGE, PAGE), EFAULT);
}

T_TEST(splice_tee_vmsplice)
{
	const char *name = fs_object("a", SIZE, 5);
	const char *other = fs_new("b", SIZE);
	int one[2], two[2], fd, fd2, tmp;
	char buf[2 * PAGE], *p;
	struct iovec iov;
	loff_t offset = MIB;

	fs_mount(PLAIN);
	p = fs_map(name, SIZE);
	fd = fs_open(name, O_RDWR);
	fd2 = fs_open(other, O_RDWR);
	tmp = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	T_EQ(pipe(one), 0);
	T_EQ(pipe(two), 0);
	/*
	 * vmsplice() puts the pages themselves into the pipe: a later change is
	 * visible.
	 */
	iov = (struct iovec){ p + 2 * MIB - 100, 2 * PAGE };
	T_EQ(vmsplice(one[1], &iov, 1, 0), 2 * PAGE);
	p[2 * MIB] = 'v';
	T_EQ(tee(one[0], two[1], 2 * PAGE, 0), 2 * PAGE);
	T_EQ(read(one[0], buf, 2 * PAGE), 2 * PAGE);
	T_EQ(buf[100], 'v');
	T_ASSERT(!memcmp(buf, p + 2 * MIB - 100, 2 * PAGE));
	T_EQ(splice(two[0], NULL, tmp, NULL, 2 * PAGE, 0), 2 * PAGE);
	T_EQ(pread(tmp, buf, 2 * PAGE, 0), 2 * PAGE);
	T_ASSERT(!memcmp(buf, p + 2 * MIB - 100, 2 * PAGE));
	/* Into another object, and to private memory */
	iov = (struct iovec){ p, PAGE };
	T_EQ(vmsplice(one[1], &iov, 1, SPLICE_F_GIFT), PAGE);
	T_EQ(splice(one[0], NULL, fd2, NULL, PAGE, SPLICE_F_MOVE), PAGE);
	T_ASSERT(!memcmp(fs_map(other, PAGE), p, PAGE));
	T_EQ(splice(fd, &offset, one[1], NULL, PAGE, 0), PAGE);
	T_EQ(offset, MIB + PAGE);
	iov = (struct iovec){ buf, PAGE };
	T_EQ(vmsplice(one[0], &iov, 1, 0), PAGE);
	T_ASSERT(!memcmp(buf, p + MIB, PAGE));
	iov = (struct iovec){ p + SIZE - PAGE, PAGE };
	T_EQ(write(one[1], "into", 4), 4);
	T_EQ(vmsplice(one[0], &iov, 1, 0), 4);
	T_ASSERT(!strcmp(t_host("read %s %ld 4", name, SIZE - PAGE),
			 "696e746f"));
}

T_TEST(process_vm)
{
	const char *name = fs_object("a", SIZE, 6);
	char *p, *mine = malloc(SIZE);
	struct iovec here = { mine, SIZE }, there;
	int go[2];
	pid_t pid;

	fs_mount(PLAIN);
	T_EQ(pipe(go), 0);
	p = mmap(NULL, SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid = t_fork();
	if (pid == 0) {
		mmap(p, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		     fs_open(name, O_RDWR), 0);
		T_EQ(write(go[1], "", 1), 1);
		pause();
	}
	T_EQ(read(go[0], mine, 1), 1);
	there = (struct iovec){ p, SIZE };
	T_EQ(process_vm_readv(pid, &here, 1, &there, 1, 0), SIZE);
	fs_same(name, mine, SIZE);
	t_fill(mine, SIZE, 7);
	T_EQ(process_vm_writev(pid, &here, 1, &there, 1, 0), SIZE);
	fs_same(name, mine, SIZE);
	/* The other direction: the local memory is an object. */
	here.iov_base = fs_map(name, SIZE);
	T_EQ(process_vm_readv(pid, &here, 1, &there, 1, 0), SIZE);
	kill(pid, SIGKILL);
	T_EQ(waitpid(pid, NULL, 0), pid);
}

T_TEST(fork_shares)
{
	const char *name = fs_object("a", SIZE, 8);
	char *p, *fresh;
	pid_t pid;

	fs_mount(PLAIN);
	p = fs_map(name, SIZE);
	fresh = fs_map(name, SIZE);
	p[0] = 'p';
	p[3 * MIB] = 'p';
	pid = t_fork();
	if (pid == 0) {
		T_EQ(p[3 * MIB], 'p');
		T_EQ(fresh[0], 'p');
		p[1] = 'c';
		fresh[3 * MIB + 1] = 'c';
		_exit(0);
	}
	t_wait(pid);
	T_EQ(fresh[1], 'c');
	T_EQ(p[3 * MIB + 1], 'c');
	T_EQ(fs_mapped(name), 1);
}

T_TEST(private_copies)
{
	const char *name = fs_object("a", SIZE, 9);
	char *p, *q, was;
	int fd, i;
	pid_t pid;

	fs_mount(PLAIN);
	p = fs_map(name, SIZE);
	fd = fs_open(name, O_RDWR);
	/* Written first, and read first */
	for (i = 0; i < 2; i++) {
		q = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd,
			 0);
		T_ASSERT(q != MAP_FAILED);
		was = p[MIB];
		if (i)
			T_EQ(q[MIB], was);
		q[MIB] = ~was;
		T_EQ(p[MIB], was);
		T_EQ(q[MIB], (char)~was);
		T_EQ(q[MIB + 1], p[MIB + 1]);
		/* Pages that were not copied still follow the object. */
		p[3 * MIB] ^= 1;
		T_EQ(q[3 * MIB], p[3 * MIB]);
		pid = t_fork();
		if (pid == 0) {
			T_EQ(q[MIB], (char)~was);
			q[MIB] = 5;
			q[2 * MIB] = 5;
			_exit(0);
		}
		t_wait(pid);
		T_EQ(q[MIB], (char)~was);
		T_EQ(q[2 * MIB], p[2 * MIB]);
		T_EQ(madvise(q, SIZE, MADV_DONTNEED), 0);
		T_EQ(q[MIB], was);
		T_EQ(munmap(q, SIZE), 0);
	}
	fs_same(name, p, SIZE);
	/* Beyond the end there is nothing to copy. */
	q = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd,
		 SIZE - PAGE);
	T_EQ(t_write_faults(q + PAGE), 1);
	T_EQ(t_write_faults(q), 0);
}

static void is_killed(char *p, int write)
{
	int status;
	pid_t pid = t_fork();

	if (pid == 0) {
		if (write)
			*(volatile char *)p = 1;
		else
			(void)*(volatile char *)p;
		_exit(0);
	}
	T_EQ(waitpid(pid, &status, 0), pid);
	T_EQ(WIFSIGNALED(status) ? WTERMSIG(status) : 0, SIGSEGV);
}

T_TEST(protection)
{
	const char *name = fs_object("a", SIZE, 10);
	char *p, *all;

	fs_mount(PLAIN);
	all = fs_map(name, SIZE);
	p = fs_map(name, SIZE);
	p[0] ^= 1;
	p[2 * MIB] ^= 1;
	T_EQ(mprotect(p, SIZE, PROT_READ), 0);
	is_killed(p, 1);
	is_killed(p + 2 * MIB, 1);
	is_killed(p + MIB, 1);
	T_ASSERT(!memcmp(p, all, SIZE));
	T_EQ(mprotect(p + MIB, PAGE, PROT_NONE), 0);
	is_killed(p + MIB, 0);
	T_EQ(p[MIB - 1], all[MIB - 1]);
	T_EQ(p[MIB + PAGE], all[MIB + PAGE]);
	T_EQ(mprotect(p + 2 * MIB, 2 * MIB, PROT_READ | PROT_WRITE), 0);
	p[3 * MIB] ^= 1;
	T_EQ(p[3 * MIB], all[3 * MIB]);
	is_killed(p, 1);
	T_EQ(mprotect(p, SIZE, PROT_READ | PROT_WRITE), 0);
	p[MIB] ^= 1;
	T_ASSERT(!memcmp(p, all, SIZE));
	fs_same(name, p, SIZE);
}

T_TEST(locked_memory)
{
	const char *name = fs_object("a", SIZE, 11);
	char *p;
	int fd;

	fs_mount(PLAIN);
	p = fs_map(name, SIZE);
	T_EQ(mlock(p, SIZE), 0);
	fs_same(name, p, SIZE);
	T_EQ(munlock(p, SIZE), 0);
	T_EQ(mlock2(p, SIZE, MLOCK_ONFAULT), 0);
	T_EQ(munlock(p + MIB, PAGE), 0);
	T_EQ(mlockall(MCL_CURRENT | MCL_FUTURE), 0);
	fd = fs_open(name, O_RDWR);
	p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_POPULATE | MAP_LOCKED, fd, 0);
	T_ASSERT(p != MAP_FAILED);
	fs_same(name, p, SIZE);
	T_EQ(munlockall(), 0);
	T_EQ(munmap(p, SIZE), 0);
	/* Beyond the end as well */
	p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_POPULATE, fd, SIZE - PAGE);
	T_ASSERT(p != MAP_FAILED);
	T_EQ(t_read_faults(p), 0);
	T_EQ(t_read_faults(p + PAGE), 1);
}

/* All kinds of advice, and some invalid ones; none may change the object. */
T_TEST(advice)
{
	const char *name = fs_object("a", SIZE, 12);
	int kind, round, fd;
	char *p, *private;

	fs_mount(PLAIN);
	fd = fs_open(name, O_RDWR);
	for (round = 0; round < 3; round++) {
		p = fs_map_at(fd, 0, SIZE);
		private = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE,
			       fd, 0);
		if (round) {
			/* A part of the copy is touched, or all of it. */
			memcpy(private, p, round == 1 ? 3 * PAGE : SIZE);
			T_EQ(memcmp(private, p, SIZE), 0);
		}
		for (kind = 0; kind < 110; kind++) {
			/*
			 * MADV_HWPOISON and MADV_SOFT_OFFLINE are for tests of
			 * memory failures.
			 */
			if (kind == 100 || kind == 101)
				continue;
			errno = 0;
			if (madvise(p, SIZE, kind) && errno != EINVAL &&
			    errno != EOPNOTSUPP)
				t_fail("madvise(%d): %s", kind,
				       strerror(errno));
			madvise(p + MIB, PAGE, kind);
			madvise(private, SIZE, kind);
			/* With newer kernels, as on tmpfs; see vmshm(5). */
			if (kind == 102 /* MADV_GUARD_INSTALL */)
				madvise(p, SIZE, 103 /* MADV_GUARD_REMOVE */);
			T_EQ(p[2 * MIB + 1], private[2 * MIB + 1]);
		}
		T_EQ(madvise(p, SIZE, MADV_DONTNEED), 0);
		T_EQ(madvise(p, SIZE, MADV_WILLNEED), 0);
		T_EQ(madvise(p, SIZE, 22 /* MADV_POPULATE_READ */), 0);
		T_EQ(madvise(p, SIZE, 23 /* MADV_POPULATE_WRITE */), 0);
		fs_same(name, p, SIZE);
		T_EQ(munmap(p, SIZE), 0);
		T_EQ(munmap(private, SIZE), 0);
	}
}

/*
 * Operations that vmshm(5) says are not supported; none may change the object.
 */
T_TEST(not_for_such_memory)
{
	const char *name = fs_object("a", SIZE, 15);
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int node = 0, status = 0, fd;
	char *p, *copy;
	void *page;

	fs_mount(PLAIN);
	fd = fs_open(name, O_RDWR);
	p = fs_map_at(fd, 0, SIZE);
	copy = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	T_ASSERT(copy != MAP_FAILED);
	T_EQ(t_read_faults(p), 0);

	T_ERRNO(madvise(p, SIZE, MADV_DODUMP), EINVAL);
	T_ERRNO(madvise(copy, SIZE, MADV_DODUMP), EINVAL);
	T_EQ(madvise(p, SIZE, MADV_DONTDUMP), 0);

	fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	T_ASSERT(fd >= 0);
	T_EQ(ioctl(fd, UFFDIO_API, &api), 0);
	reg.range.start = (uintptr_t)p;
	reg.range.len = SIZE;
	T_ERRNO(ioctl(fd, UFFDIO_REGISTER, &reg), EINVAL);
	reg.range.start = (uintptr_t)copy;
	T_ERRNO(ioctl(fd, UFFDIO_REGISTER, &reg), EINVAL);

	page = p;
	T_EQ(syscall(SYS_move_pages, 0, 1, &page, &node, &status,
		     MPOL_MF_MOVE), 0);
	T_ASSERT(status < 0);
	fs_same(name, p, SIZE);
}

/*
 * A mixed mapping cannot grow in place, unless the kernel allows it for
 * mappings with a ->close(), as Linux 6.1 does.
 */
static void grow_in_place(char *p, size_t size, size_t more, const char *all)
{
	char *q = mremap(p, size, more, MREMAP_MAYMOVE);

	if (q == MAP_FAILED) {
		T_EQ(errno, ENOMEM);
		return;
	}
	T_ASSERT(q == p);
	T_ASSERT(!memcmp(p, all, more));
	T_ASSERT(mremap(p, more, size, 0) == p);
}

T_TEST(remapped)
{
	const char *name = fs_object("a", SIZE, 13);
	char *p, *q, *all;
	int i;

	fs_mount(PLAIN);
	all = fs_map(name, SIZE);
	for (i = 0; i < 2; i++) {
		p = fs_map(name, SIZE);
		if (i)
			T_ASSERT(!memcmp(p, all, SIZE));
		/* Moved */
		q = mmap(NULL, SIZE + 2 * MIB, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		T_ASSERT(mremap(p, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
				q + PAGE) == q + PAGE);
		p = q + PAGE;
		T_ASSERT(!memcmp(p, all, SIZE));
		p[3 * MIB] ^= 1;
		T_EQ(p[3 * MIB], all[3 * MIB]);
		/* Shrunk */
		T_ASSERT(mremap(p, SIZE, 3 * MIB + PAGE, 0) == p);
		T_ASSERT(!memcmp(p, all, 3 * MIB + PAGE));
		grow_in_place(p, 3 * MIB + PAGE, SIZE, all);
		q = mmap(p + 3 * MIB + PAGE, PAGE, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		/* Moved and grown to the object's end, and then beyond it */
		p = mremap(p, 3 * MIB + PAGE, SIZE, MREMAP_MAYMOVE);
		T_ASSERT(p != MAP_FAILED);
		T_ASSERT(!memcmp(p, all, SIZE));
		mmap(p + SIZE, PAGE, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
		p = mremap(p, SIZE, SIZE + 2 * PAGE, MREMAP_MAYMOVE);
		T_ASSERT(p != MAP_FAILED);
		T_EQ(t_read_faults(p + SIZE - 1), 0);
		T_EQ(t_read_faults(p + SIZE), 1);
		T_EQ(t_write_faults(p + SIZE + PAGE), 1);
		T_EQ(munmap(p, SIZE + 2 * PAGE), 0);
	}
	/* A second mapping of the same part */
	p = mremap(all, 0, SIZE, MREMAP_MAYMOVE);
	T_ASSERT(p != MAP_FAILED && p != all);
	p[5] ^= 1;
	T_EQ(p[5], all[5]);
	p = mremap(all, SIZE, SIZE, MREMAP_MAYMOVE | 4 /* DONTUNMAP */);
	if (p != MAP_FAILED)
		T_EQ(p[5], all[5]);
	fs_same(name, all, SIZE);
}

T_TEST(synced)
{
	const char *name = fs_object("a", SIZE, 14);
	unsigned char vec[SIZE / PAGE];
	char *p;

	fs_mount(PLAIN);
	p = fs_map(name, SIZE);
	p[0] ^= 1;
	T_EQ(msync(p, SIZE, MS_SYNC), 0);
	T_EQ(msync(p, SIZE, MS_ASYNC), 0);
	T_EQ(msync(p, SIZE, MS_SYNC | MS_INVALIDATE), 0);
	T_EQ(mincore(p, SIZE, vec), 0);
	fs_same(name, p, SIZE);
}

/* A core dump contains the mapped object. */
T_TEST(core_dump)
{
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	const char *name = fs_new("a", SIZE);
	int status, fd;
	char *p;
	pid_t pid;

	fs_mount(PLAIN);
	t_host("write %s %ld 636f72652d74657374", name, 3 * MIB);
	T_EQ(t_system("echo /tmp/core >/proc/sys/kernel/core_pattern"), 0);
	pid = t_fork();
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &all);
		fd = open("/proc/self/coredump_filter", O_WRONLY);
		T_EQ(write(fd, "0x7f", 4), 4);
		p = fs_map(name, SIZE);
		p[0] = 1;
		abort();
	}
	T_EQ(waitpid(pid, &status, 0), pid);
	T_ASSERT(WCOREDUMP(status));
	T_EQ(t_system("grep -q core-test /tmp/core*"), 0);
	t_system("rm -f /tmp/core*; echo core >/proc/sys/kernel/core_pattern");
}

/* Present, for users, writable, and write-back: no PWT, PCD or PAT bit */
T_TEST(memory_type)
{
	static const long sizes[] = { PAGE, MIB, SIZE };
	const char *name;
	struct pt_entry e;
	size_t i;
	char *p;

	fs_mount(PLAIN);
	pt_run_on_first_cpu();
	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		name = fs_new("a", sizes[i]);
		p = fs_map(name, sizes[i]);
		p[sizes[i] - 1] = 1;
		e = pt_entry_of(p + sizes[i] - 1);
		T_EQ(e.bits & (PT_USER | PT_WRITE | PT_PWT | PT_PCD),
		     PT_USER | PT_WRITE);
		/* The bit of the PAT is elsewhere in a huge entry. */
		T_EQ(e.bits >> (e.shift == 12 ? 7 : 12) & 1, 0);
	}
}
