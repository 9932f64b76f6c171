/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Objects of 2 MiB and more: huge pages, and what still has to work on them.
 * Linux before 6.6, 6.17 and 6.18 have none; see driver/compat.h.
 *
 * qemu: files
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pagetable.h"

#define MIB (1024L * 1024)

static int fd;

static char *map(const char *name, size_t size, int prot, int flags)
{
	char *p;

	if (mount("vmshm0", "/dev/shm", "vmshm", 0, NULL))
		T_EQ(errno, EBUSY);
	fd = shm_open(name, O_RDWR, 0);
	T_ASSERT(fd >= 0);
	p = mmap(NULL, size, prot, flags, fd, 0);
	T_ASSERT(p != MAP_FAILED);
	return p;
}

static char *map_new(const char *name, long mib)
{
	pt_run_on_first_cpu();
	T_EQ(unshare(CLONE_NEWNS), 0);
	T_EQ(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	t_host("create %s %ld", name, mib * MIB);
	t_host("fill %s 0 %ld 5", name, mib * MIB);
	return map(name, mib * MIB, PROT_READ | PROT_WRITE, MAP_SHARED);
}

static int kernel_has_huge(void)
{
	struct utsname u;
	int major, minor;

	T_EQ(uname(&u), 0);
	T_EQ(sscanf(u.release, "%d.%d", &major, &minor), 2);
	if (major == 6 && (minor == 17 || minor == 18))
		return 0;
	return major > 6 || (major == 6 && minor >= 6);
}

T_TEST(mapped_huge_and_write_back)
{
	char *p = map_new(t_name("h"), 8);
	struct pt_entry e;
	long i;

	for (i = 0; i < 8; i += 2) {
		p[i * MIB + 4097]++;
		e = pt_entry_of(p + i * MIB + 4097);
		T_EQ(e.shift, kernel_has_huge() ? 21 : 12);
		T_EQ(e.bits & (PT_USER | PT_WRITE | PT_PWT | PT_PCD),
		     PT_USER | PT_WRITE);
	}
}

T_TEST(small_objects_are_not)
{
	char *p = map_new(t_name("s"), 1);

	p[0]++;
	T_EQ(pt_entry_of(p).shift, 12);
}

T_TEST(contents)
{
	const char *name = t_name("c");
	char *p = map_new(name, 6);

	T_EQ(t_sum(p, 6 * MIB), atoll(t_host("sum %s 0 %ld", name, 6 * MIB)));
	memset(p + 3 * MIB, 1, MIB);
	T_EQ(t_sum(p, 6 * MIB), atoll(t_host("sum %s 0 %ld", name, 6 * MIB)));
}

T_TEST(futex_between_processes)
{
	const char *name = t_name("f");
	int *word = (int *)(map_new(name, 4) + 3 * MIB);
	int status;
	pid_t pid;

	*word = 0;
	pid = fork();
	if (!pid) {
		int *mine = (int *)(map(name, 4 * MIB, PROT_READ | PROT_WRITE,
					MAP_SHARED) + 3 * MIB);

		while (syscall(SYS_futex, mine, FUTEX_WAKE, 1, NULL, NULL, 0)
		       != 1)
			sched_yield();
		_exit(0);
	}
	T_EQ(syscall(SYS_futex, word, FUTEX_WAIT, 0, NULL, NULL, 0), 0);
	T_EQ(waitpid(pid, &status, 0), pid);
	T_EQ(status, 0);
}

T_TEST(a_held_page_keeps_its_place)
{
	const char *name = t_name("v"), *next = t_name("w");
	char *p = map_new(name, 4), *q;
	struct iovec iov = { p + 2 * MIB + 8192, 5 };
	char buf[5];
	int end[2];

	memcpy(iov.iov_base, "held!", 5);
	T_EQ(pipe(end), 0);
	T_EQ(vmsplice(end[1], &iov, 1, 0), 5);
	T_EQ(munmap(p, 4 * MIB), 0);
	close(fd);
	t_host("create %s %ld", next, 4 * MIB);
	q = map(next, 4 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED);
	memset(q, 'x', 4 * MIB);
	T_EQ(read(end[0], buf, 5), 5);
	T_EQ(memcmp(buf, "held!", 5), 0);
}

T_TEST(protect_fork_and_unmap_a_part)
{
	char *p = map_new(t_name("m"), 4);
	int status;
	pid_t pid;

	p[0] = 1;
	p[2 * MIB] = 2;
	T_EQ(mprotect(p + 4096, 4096, PROT_READ), 0);
	T_EQ(p[0], 1);
	p[8192] = 3;
	T_EQ(munmap(p + 2 * MIB + 4096, 4096), 0);
	T_EQ(p[2 * MIB], 2);
	p[2 * MIB + 8192] = 4;
	pid = fork();
	if (!pid)
		_exit(p[0] == 1 && p[8192] == 3 ? p[2 * MIB + 8192] : 9);
	T_EQ(waitpid(pid, &status, 0), pid);
	T_EQ(WEXITSTATUS(status), 4);
}

T_TEST(private_copy)
{
	const char *name = t_name("p");
	char *p = map_new(name, 4), *q;

	q = map(name, 4 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	T_EQ(q[5], p[5]);
	q[5] = ~p[5];
	T_ASSERT(q[5] != p[5]);
	T_EQ(q[6], p[6]);
}

/*
 * Another object needs the whole arena. The private copy does not prevent that.
 */
T_TEST(private_copy_when_its_place_is_needed)
{
	const long all = 1024 * MIB;
	const char *name = t_name("place"), *next;
	char *p = map_new(name, 4), *q, *r, was;

	was = p[5];
	q = map(name, 4 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	q[5] = ~was;
	next = t_name("whole");
	t_host("create %s %ld", next, all);
	r = map(next, all, PROT_READ | PROT_WRITE, MAP_SHARED);
	r[0] = r[all - 1] = 1;
	T_EQ(p[5], was);
	T_EQ(q[5], (char)~was);
}

enum { TOUCHERS = 4, TOUCH_ROUNDS = 200 };

static char *touched;
static pthread_barrier_t ready;

/* Each thread touches another page; some write. */
static void *touch(void *number)
{
	long n = (long)number, round;

	for (round = 0; round < TOUCH_ROUNDS; round++) {
		volatile char *p;

		pthread_barrier_wait(&ready);
		p = touched + n * 400 * 1024 + (round + n) % 2 * MIB;
		if (n % 2)
			p[0] = n;
		else
			(void)p[0];
		pthread_barrier_wait(&ready);
	}
	return NULL;
}

/*
 * Several threads access the object for the first time, while it is attached.
 */
T_TEST(first_touched_by_several)
{
	pthread_t thread[TOUCHERS];
	const char *name = strdup(t_name("touched"));
	long i;

	munmap(map_new(name, 4), 4 * MIB);
	close(fd);
	pthread_barrier_init(&ready, NULL, TOUCHERS + 1);
	for (i = 0; i < TOUCHERS; i++)
		T_EQ(pthread_create(&thread[i], NULL, touch, (void *)i), 0);
	for (i = 0; i < TOUCH_ROUNDS; i++) {
		touched = map(name, 4 * MIB, PROT_READ | PROT_WRITE,
			      MAP_SHARED);
		/* The truncation detaches the object. */
		T_EQ(ftruncate(fd, 4096), 0);
		T_EQ(ftruncate(fd, 4 * MIB), 0);
		pthread_barrier_wait(&ready);
		pthread_barrier_wait(&ready);
		munmap(touched, 4 * MIB);
		close(fd);
	}
	for (i = 0; i < TOUCHERS; i++)
		pthread_join(thread[i], NULL);
}

T_TEST(cut_and_grow_while_mapped)
{
	char *p = map_new(t_name("t"), 4);

	memset(p, 9, 4 * MIB);
	T_EQ(ftruncate(fd, 3 * MIB + 100), 0);
	T_EQ(p[3 * MIB + 99], 9);
	T_EQ(p[3 * MIB + 100], 0);
	T_EQ(ftruncate(fd, 4 * MIB), 0);
	T_EQ(p[4 * MIB - 1], 0);
	p[4 * MIB - 1] = 1;
	T_EQ(p[0], 9);
}

/* The pages of files that this process maps, as its counters say, in KiB */
static long mapped_kib(void)
{
	char line[128];
	long kib = -1;
	FILE *f = fopen("/proc/self/status", "r");

	T_ASSERT(f);
	while (fgets(line, sizeof(line), f))
		sscanf(line, "RssFile: %ld", &kib);
	fclose(f);
	T_ASSERT(kib >= 0);
	return kib;
}

static void cut_entry_by_mprotect(char *p, size_t size)
{
	T_EQ(mprotect(p + MIB, 4096, PROT_READ), 0);
	T_EQ(p[MIB], 1);
	p[0] = 2;
}

static void cut_entry_by_munmap(char *p, size_t size)
{
	T_EQ(munmap(p + MIB, 4096), 0);
	T_EQ(p[MIB + 4096], 1);
	p[0] = 2;
}

static void cut_entry_by_mremap(char *p, size_t size)
{
	char *q = mremap(p + MIB, MIB / 2, MIB / 2, MREMAP_MAYMOVE |
			 MREMAP_FIXED, p + size + MIB);

	T_ASSERT(q == p + size + MIB);
	T_EQ(q[0], 1);
	p[0] = q[1] = 2;
	T_EQ(munmap(q, MIB / 2), 0);
}

static void move_entries(char *p, size_t size)
{
	char *q = mremap(p, size, size, MREMAP_MAYMOVE | MREMAP_FIXED,
			 p + size);

	T_ASSERT(q == p + size);
	T_EQ(q[0], 1);
	q[MIB] = 2;
	T_EQ(munmap(q, size), 0);
}

static void cut_object(char *p, size_t size)
{
	T_EQ(ftruncate(fd, size - MIB), 0);
	T_EQ(t_read_faults(p + size - MIB), 1);
	T_EQ(p[size - MIB - 1], 1);
	T_EQ(ftruncate(fd, size), 0);
	T_EQ(p[size - 1], 0);
}

static void drop_entries(char *p, size_t size)
{
	T_EQ(madvise(p + 4096, 4096, MADV_DONTNEED), 0);
	T_EQ(p[4096], 1);
	T_EQ(madvise(p, size, MADV_DONTNEED), 0);
	T_EQ(p[4096], 1);
}

static void reclaim_entries(char *p, size_t size)
{
	T_EQ(madvise(p, size, MADV_COLD), 0);
	T_EQ(madvise(p + MIB, MIB, MADV_PAGEOUT), 0);
	T_EQ(madvise(p, size, MADV_PAGEOUT), 0);
	T_EQ(p[MIB], 1);
	p[MIB] = 2;
}

static void lock_entries(char *p, size_t size)
{
	T_EQ(mlock(p, size), 0);
	T_EQ(madvise(p, size, MADV_DONTNEED) == 0 || errno == EINVAL, 1);
	p[MIB] = 2;
	T_EQ(munlock(p, MIB), 0);
	T_EQ(p[0], 1);
}

/* A child has the entries, changes them, and is killed. */
static void share_with_a_child(char *p, size_t size)
{
	int status;
	pid_t pid = fork();

	T_ASSERT(pid >= 0);
	if (!pid) {
		p[0]++;
		mprotect(p + MIB, 4096, PROT_NONE);
		p[size - 1]++;
		kill(getpid(), SIGKILL);
	}
	T_EQ(waitpid(pid, &status, 0), pid);
	T_EQ(p[0], 2);
	T_EQ(p[size - 1], 2);
}

static void pass_to_a_pipe(char *p, size_t size)
{
	struct iovec iov = { p + MIB - 4096, 3 * 4096 };
	struct iovec local, remote = { p + 1, size - 1 };
	char *copy = malloc(size);
	int end[2];

	T_ASSERT(copy);
	local = (struct iovec){ copy, size - 1 };
	T_EQ(pipe(end), 0);
	T_EQ(vmsplice(end[1], &iov, 1, 0), 3 * 4096);
	T_EQ(mprotect(p + 4096, 4096, PROT_READ), 0);
	p[MIB] = 2;
	T_EQ(read(end[0], copy, 4096), 4096);
	T_EQ(read(end[0], copy, 4096), 4096);
	T_EQ(copy[0], 2);
	close(end[0]);
	close(end[1]);
	T_EQ(process_vm_readv(getpid(), &local, 1, &remote, 1, 0), size - 1);
	T_EQ(memcmp(copy, p + 1, size - 1), 0);
	free(copy);
}

static const struct {
	const char *name;
	void (*use)(char *p, size_t size);
} uses[] = {
	{ "mprotect", cut_entry_by_mprotect },
	{ "munmap", cut_entry_by_munmap },
	{ "mremap", cut_entry_by_mremap },
	{ "move", move_entries },
	{ "truncate", cut_object },
	{ "dontneed", drop_entries },
	{ "pageout", reclaim_entries },
	{ "mlock", lock_entries },
	{ "fork", share_with_a_child },
	{ "pipe", pass_to_a_pipe },
};

/*
 * After each use of huge entries, no page counts as used. Otherwise the object
 * would stay attached. The kernel's counters are as before, too.
 */
T_TEST(nothing_stays_in_use)
{
	const size_t size = 4 * MIB;
	char *name, *p;
	size_t i;

	for (i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
		struct pt_entry entry;
		long before;

		name = strdup(t_name(uses[i].name));
		munmap(map_new(name, size / MIB), size);
		/* The address is aligned, with free room behind the mapping. */
		p = mmap(NULL, 2 * size + 2 * MIB, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		T_ASSERT(p != MAP_FAILED);
		p += -(uintptr_t)p & (2 * MIB - 1);
		T_ASSERT(mmap(p, size, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_FIXED, fd, 0) == p);
		before = mapped_kib();
		memset(p, 1, size);
		/* The first part was attached again, as a part of all. */
		*(volatile char *)p = 1;
		entry = pt_entry_of(p);
		T_EQ(entry.shift, kernel_has_huge() ? 21 : 12);
		uses[i].use(p, size);
		T_EQ(munmap(p, size), 0);
		/* The counters of processors are added up now and then. */
		T_ASSERT(labs(mapped_kib() - before) < 1024);
		close(fd);
		while (atol(t_host("mapped %s", name)))
			sched_yield();
		free(name);
	}
}

enum { CHANGERS = 3, CHANGES = 300 };

static char *changed;
static const size_t changed_size = 4 * MIB;

static void *change(void *number)
{
	unsigned int seed = (long)number;
	int i;

	for (i = 0; i < CHANGES; i++) {
		char *at = changed + rand_r(&seed) % 1024 * 4096L;
		int end[2];

		switch (rand_r(&seed) % 5) {
		case 0:
			madvise(at, 4096, MADV_DONTNEED);
			break;
		case 1:
			mprotect(at, 4096, PROT_READ);
			mprotect(at, 4096, PROT_READ | PROT_WRITE);
			break;
		case 2:
			T_EQ(pipe(end), 0);
			T_EQ(vmsplice(end[1], &(struct iovec){ at, 16 }, 1, 0),
			     16);
			close(end[0]);
			close(end[1]);
			break;
		default:
			(void)*(volatile char *)at;
		}
	}
	return NULL;
}

/* Entries are split and made again while other threads use the pages. */
T_TEST(changed_by_several)
{
	const char *name = strdup(t_name("changed"));
	pthread_t thread[CHANGERS];
	long i;

	changed = map_new(name, changed_size / MIB);
	for (i = 0; i < CHANGERS; i++)
		T_EQ(pthread_create(&thread[i], NULL, change, (void *)i), 0);
	for (i = 0; i < 20; i++) {
		char *p = mmap(NULL, changed_size, PROT_READ | PROT_WRITE,
			       MAP_SHARED, fd, 0);

		T_ASSERT(p != MAP_FAILED);
		p[i * 4096] = i;
		T_EQ(changed[i * 4096], i);
		T_EQ(munmap(p, changed_size), 0);
	}
	for (i = 0; i < CHANGERS; i++)
		pthread_join(thread[i], NULL);
	T_EQ(munmap(changed, changed_size), 0);
	close(fd);
	while (atol(t_host("mapped %s", name)))
		sched_yield();
}
