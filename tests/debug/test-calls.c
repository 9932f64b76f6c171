// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Random calls from four threads of an unprivileged user: ioctls, mappings,
 * file operations and futex(2), right and wrong ones. The kernel has to live,
 * with no complaint, and to serve root afterwards. The seed is printed; T_SEED
 * sets it. The kernel itself warns in add_pages() if it has no memory for
 * struct pages, and prints its memory when it ends a process or cannot allocate
 * several pages.
 *
 * qemu plain: files
 * qemu futex: files
 * driver futex: futex=1
 * longer: 15
 * expect-log: -12$|No memory|[Oo]ut of memory
 * expect-trace: vmalloc error: size
 * expect-trace: WARNING: .* at arch/x86/mm/init_64.c:.* add_pages
 * expect-trace: invoked oom-killer|page allocation failure
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <vmshm/ioctl.h>

#include "t.h"

#include "dev.h"
#include "fs.h"
#include "kernfile.h"

#define T_SEED 0 /* 0: another one each time */
#define THREADS 4
#define CALLS 1000000
#define NAMES 12
#define FILES 6
#define MAPS 6
#define NOBODY 65534

struct mapping {
	char *at;
	size_t size;
};

struct caller {
	pthread_t thread;
	uint64_t state;
	int file[FILES];
	struct mapping map[MAPS];
	long done;
};

/* Shared: after the OOM killer, another process makes the rest of the calls. */
static struct caller *callers;
/* The number of calls of each of them */
static long each;
static __thread sigjmp_buf jump;
static char names[NAMES][256];
/* A pipe: a byte for each twentieth of the calls */
static int progress[2];
static pthread_barrier_t all_exist;

static uint64_t number(struct caller *c)
{
	c->state ^= c->state << 13;
	c->state ^= c->state >> 7;
	c->state ^= c->state << 17;
	return c->state;
}

static unsigned int below(struct caller *c, unsigned int n)
{
	return (number(c) >> 20) % n;
}

/* Mostly sensible, sometimes at a limit, sometimes anything */
static uint64_t size(struct caller *c)
{
	static const uint64_t limits[] = {
		0,
		1,
		4095,
		4096,
		4097,
		2 << 20,
		(2 << 20) + 1,
		1ULL << 31,
		1ULL << 32,
		1ULL << 40,
		INT64_MAX - 4095,
		INT64_MAX,
		UINT64_MAX,
	};

	switch (below(c, 8)) {
	case 0:
		return limits[below(c, sizeof(limits) / sizeof(*limits))];
	case 1:
		return number(c);
	case 2:
		return below(c, 4 << 20);
	default:
		return below(c, 32) * 4096ULL;
	}
}

static void *pointer(struct caller *c)
{
	static char data[1 << 16];
	struct mapping *m = &c->map[below(c, MAPS)];

	switch (below(c, 8)) {
	case 0:
		return NULL;
	case 1:
		return (void *)number(c);
	case 2:
		return m->at;
	default:
		return data;
	}
}

static const char *file_name(struct caller *c)
{
	static __thread char path[600];
	static const char *const dirs[] = { "/mnt", "/mnt2", "/mnt3" };

	snprintf(path, sizeof(path), "%s%s", dirs[below(c, 3)],
		 names[below(c, NAMES)]);
	return below(c, 50) ? path : dirs[below(c, 3)];
}

static void open_one(struct caller *c)
{
	static const int flags[] = {
		O_RDONLY,   O_WRONLY,  O_RDWR,	   O_CREAT,  O_EXCL,
		O_TRUNC,    O_APPEND,  O_NONBLOCK, O_DIRECT, O_PATH,
		O_NOFOLLOW, O_TMPFILE, O_SYNC,
	};
	int *file = &c->file[below(c, FILES)], how = below(c, 3), i;

	for (i = below(c, 3); i; i--)
		how |= flags[below(c, sizeof(flags) / sizeof(*flags))];
	if (below(c, 2))
		how |= O_CREAT;
	close(*file);
	if (below(c, 4) == 0) {
		*file = open("/dev/vmshm0", O_RDWR | O_CLOEXEC);
		ioctl(*file, VMSHM_IOC_ATTACH, names[below(c, NAMES)]);
	} else {
		*file = open(file_name(c), how | O_CLOEXEC, below(c, 01000));
	}
}

static void control(struct caller *c, int file)
{
	union {
		struct vmshm_ioc_wait wait;
		struct vmshm_ioc_wake wake;
		struct vmshm_ioc_wake_wait both;
		struct vmshm_ioc_word word;
		uint64_t raw[8];
	} arg = { 0 };
	static const unsigned long requests[] = {
		VMSHM_IOC_ATTACH, VMSHM_IOC_WAIT, VMSHM_IOC_WAKE,
		VMSHM_IOC_POLL,	  VMSHM_IOC_HOLD, VMSHM_IOC_WAKE_WAIT,
	};
	unsigned long request = requests[below(c, 6)];
	size_t i;

	arg.raw[0] = below(c, 3) ? below(c, 1024) * 4 : size(c);
	if (request == VMSHM_IOC_WAIT)
		/* In the past, or soon: no call waits long. */
		arg.wait.deadline = below(c, 1000);
	else if (request == VMSHM_IOC_WAKE_WAIT)
		arg.both = (struct vmshm_ioc_wake_wait){
			.offset = arg.raw[0],
			.deadline = below(c, 1000),
			.count = below(c, 4),
			.wake = below(c, 3) ? below(c, 1024) * 4 : size(c),
		};
	else if (below(c, 4) == 0)
		for (i = 1; i < 8; i++)
			arg.raw[i] = number(c);
	if (below(c, 30) == 0)
		request ^= 1UL << below(c, 32);
	if (below(c, 30) == 0 && request != VMSHM_IOC_WAIT &&
	    request != VMSHM_IOC_WAKE_WAIT)
		ioctl(file, request, pointer(c));
	else
		ioctl(file, request,
		      request ? (void *)&arg : names[below(c, NAMES)]);
}

/* An aligned word in the first page of a mapping, or any address */
static void *word(struct caller *c)
{
	struct mapping *m = &c->map[below(c, MAPS)];

	if (!m->at || below(c, 16) == 0)
		return pointer(c);
	return m->at + below(c, 1024) * 4;
}

/* No call waits long: the time is in the past, or soon. */
static void futex_call(struct caller *c)
{
	struct timespec time = { .tv_nsec = below(c, 100000) };
	struct futex_waitv waitv[3];
	int i, op = below(c, 14) | (below(c, 4) ? 0 : FUTEX_PRIVATE_FLAG) |
		    (below(c, 8) ? 0 : FUTEX_CLOCK_REALTIME);

	switch (below(c, 8)) {
	case 0:
		for (i = 0; i < 3; i++)
			waitv[i] = (struct futex_waitv){
				.uaddr = (uintptr_t)word(c),
				.val = below(c, 4),
				.flags = FUTEX_32,
			};
		syscall(SYS_futex_waitv, waitv, 1 + below(c, 3), 0, &time,
			CLOCK_MONOTONIC);
		break;
	case 1:
	case 2:
		/* The fourth argument is a number for these. */
		op = FUTEX_REQUEUE + below(c, 3);
		syscall(SYS_futex, word(c), op, below(c, 3),
			(unsigned long)below(c, 3), word(c),
			op == FUTEX_WAKE_OP ? (unsigned int)number(c) :
					      below(c, 4));
		break;
	default:
		syscall(SYS_futex, word(c), op, below(c, 4), &time, word(c),
			below(c, 4) ? ~0U : below(c, 4));
	}
}

static void map_one(struct caller *c, int file)
{
	struct mapping *m = &c->map[below(c, MAPS)];
	size_t pages = 1 + below(c, below(c, 8) ? 16 : 600);
	size_t len = below(c, 8) ? pages * 4096 : size(c);

	if (m->at)
		munmap(m->at, m->size);
	m->size = len;
	m->at = mmap(NULL, len, below(c, 8),
		     (below(c, 4) ? MAP_SHARED : MAP_PRIVATE) |
			     (below(c, 8) ? 0 : MAP_POPULATE),
		     file, below(c, 4) ? 0 : size(c) & ~4095UL);
	if (m->at == MAP_FAILED)
		*m = (struct mapping){ 0 };
}

static void use_map(struct caller *c)
{
	struct mapping *m = &c->map[below(c, MAPS)];
	volatile char *p;
	size_t at;

	if (!m->at)
		return;
	at = number(c) % m->size & ~7UL;
	p = m->at + at;
	switch (below(c, 8)) {
	case 0:
		madvise(m->at, m->size, below(c, 26));
		break;
	case 1:
		msync(m->at, m->size, below(c, 8));
		break;
	case 2:
		mprotect(m->at, m->size, below(c, 8));
		break;
	case 3:
		if (below(c, 2))
			mlock(m->at, m->size);
		else
			munlock(m->at, m->size);
		break;
	case 4:
		mmap((void *)((uintptr_t)p & ~4095UL), 4096, below(c, 8),
		     MAP_SHARED | MAP_FIXED, c->file[below(c, FILES)], 0);
		break;
	case 5:
		(void)*p;
		break;
	default:
		*p = at;
	}
}

static void pipe_page(struct caller *c, int file)
{
	struct mapping *m = &c->map[below(c, MAPS)];
	struct iovec iov = { m->at, 4096 };
	loff_t at = size(c);
	int fds[2];

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK))
		return;
	if (below(c, 2))
		splice(file, &at, fds[1], NULL, 8192, SPLICE_F_NONBLOCK);
	else if (m->at)
		vmsplice(fds[1], &iov, 1, SPLICE_F_NONBLOCK);
	splice(fds[0], NULL, c->file[below(c, FILES)], NULL, 4096,
	       SPLICE_F_NONBLOCK);
	close(fds[0]);
	close(fds[1]);
}

static void change_name(struct caller *c)
{
	char other[600];
	struct stat st;

	strcpy(other, file_name(c));
	switch (below(c, 8)) {
	case 0:
		rename(other, file_name(c));
		break;
	case 1:
		link(other, file_name(c));
		break;
	case 2:
	case 3:
		unlink(other);
		break;
	case 4:
		chmod(other, below(c, 010000));
		break;
	case 5:
		chown(other, below(c, 2) ? NOBODY : 0, -1);
		break;
	case 6:
		truncate(other, size(c));
		break;
	default:
		stat(other, &st);
	}
}

static void use_file(struct caller *c, int file)
{
	struct pollfd p = { .fd = file, .events = POLLIN | POLLOUT };
	char data[4096];
	struct statfs fs;

	switch (below(c, 12)) {
	case 0:
		/*
		 * A small size, so that the object does not fill the host's
		 * memory
		 */
		ftruncate(file, below(c, 16) ? below(c, 4 << 20) : size(c));
		break;
	case 1:
		fallocate(file, below(c, 128), below(c, 4 << 20),
			  below(c, 4 << 20));
		break;
	case 2:
	case 3:
		pwrite(file, pointer(c), below(c, 1 << 16), below(c, 4 << 20));
		break;
	case 4:
	case 5:
		pread(file, pointer(c), below(c, 1 << 16), size(c));
		break;
	case 6:
		lseek(file, size(c), below(c, 6));
		break;
	case 7:
		poll(&p, 1, 0);
		break;
	case 8:
		sendfile(c->file[below(c, FILES)], file, NULL, 8192);
		break;
	case 9:
		copy_file_range(file, NULL, c->file[below(c, FILES)], NULL,
				4096, 0);
		break;
	case 10:
		fsync(file);
		fstatfs(file, &fs);
		fgetxattr(file, "user.x", data, sizeof(data));
		break;
	default:
		syscall(SYS_getdents64, file, data, sizeof(data));
	}
}

static void any_call(struct caller *c)
{
	int file = c->file[below(c, FILES)];

	switch (below(c, 16)) {
	case 0:
		open_one(c);
		break;
	case 1:
		change_name(c);
		break;
	case 2:
	case 3:
		map_one(c, file);
		break;
	case 4:
	case 5:
	case 6:
		use_map(c);
		break;
	case 7:
		pipe_page(c, file);
		break;
	case 8:
	case 9:
		futex_call(c);
		break;
	case 10:
	case 11:
	case 12:
		control(c, file);
		break;
	default:
		use_file(c, file);
	}
}

static void on_fault(int signal)
{
	(void)signal;
	siglongjmp(jump, 1);
}

static void *call(void *arg)
{
	struct caller *c = arg;

	pthread_barrier_wait(&all_exist);
	for (; c->done < each; c->done++) {
		if (c == callers && c->done % (each / 20) == 0)
			while (write(progress[1], "", 1) != 1)
				;
		if (!sigsetjmp(jump, 1))
			any_call(c);
	}
	return NULL;
}

static uint64_t seed(void)
{
	uint64_t value = T_SEED;

	if (!value)
		T_EQ(getrandom(&value, sizeof(value), 0), sizeof(value));
	return value;
}

static void put(const char *dir, const char *name, const char *value)
{
	T_EQ(t_system("echo %s >/sys/kernel/debug/%s/%s", value, dir, name), 0);
}

/*
 * Of a hundred allocations of the process, two fail. Single pages are not
 * refused, because the kernel does not check whether alloc_low_pages() got one.
 */
static void allocations_fail(pid_t pid)
{
	static const char *const kinds[] = { "failslab", "fail_page_alloc" };
	int i;

	put("fail_page_alloc", "ignore-gfp-highmem", "N");
	put("fail_page_alloc", "min-order", "1");
	for (i = 0; i < 2; i++) {
		put(kinds[i], "verbose", "0");
		put(kinds[i], "ignore-gfp-wait", "N");
		put(kinds[i], "task-filter", "Y");
		put(kinds[i], "times", "-1");
		put(kinds[i], "probability", "2");
	}
	T_EQ(t_system("for t in /proc/%d/task/*; do echo 1 >$t/make-it-fail; "
		      "done", pid), 0);
}

static void allocations_succeed(void)
{
	put("failslab", "probability", "0");
	put("fail_page_alloc", "probability", "0");
}

/* In a process of its own: makes the calls that are left. */
static pid_t begin_calls(void)
{
	pid_t pid;
	int i, j;

	T_EQ(pipe(progress), 0);
	T_EQ(pthread_barrier_init(&all_exist, NULL, THREADS), 0);
	pid = t_fork();
	if (pid) {
		close(progress[1]);
		return pid;
	}
	kernfile_put("/proc/self/oom_score_adj", "0");
	T_EQ(setgid(NOBODY), 0);
	T_EQ(setuid(NOBODY), 0);
	for (i = 0; i < THREADS; i++) {
		struct caller *c = &callers[i];

		memset(c->map, 0, sizeof(c->map));
		for (j = 0; j < FILES; j++)
			c->file[j] = -1;
		T_EQ(pthread_create(&c->thread, NULL, call, c), 0);
	}
	for (i = 0; i < THREADS; i++)
		T_EQ(pthread_join(callers[i].thread, NULL), 0);
	_exit(0);
}

/* begun: called with the process that makes the calls */
static void make_calls(long count, void (*begun)(pid_t pid), int may_be_killed)
{
	struct sigaction sa = { .sa_handler = on_fault };
	uint64_t start = seed();
	int i, status, killed = 0;
	pid_t pid;
	char byte;

	/* A host that runs out of memory is not tested here. */
	fs_private();
	fs_mount_at(CREATE, "/mnt", "mode=777");
	fs_mount_at(LIMITED, "/mnt2", "mode=777");
	fs_mount_at(SMALL, "/mnt3", "mode=777");
	chmod("/dev/vmshm0", 0666);
	for (i = 0; i < NAMES; i++) {
		char tail[16];

		sprintf(tail, "%d", i);
		strcpy(names[i], t_name(tail));
		t_host("unlink %s", names[i]);
		if (i < NAMES / 2)
			t_host("create %s %d 666", names[i], i * 200000);
	}
	t_note("%ld calls, seed %#llx", count, (unsigned long long)start);
	each = count / THREADS;
	callers = mmap(NULL, THREADS * sizeof(*callers), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	T_ASSERT(callers != MAP_FAILED);
	for (i = 0; i < THREADS; i++)
		callers[i].state = start * (i + 1) | 1;
	sigaction(SIGBUS, &sa, NULL);
	sigaction(SIGSEGV, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	do {
		pid = begin_calls();
		while (read(progress[0], &byte, 1) == 1) {
			t_note("%ld %% of the calls",
			       callers->done * 100 / each);
			if (begun)
				begun(pid);
			begun = NULL;
		}
		close(progress[0]);
		T_EQ(waitpid(pid, &status, 0), pid);
	} while (may_be_killed && status == SIGKILL && ++killed);
	T_EQ(status, 0);
	if (killed)
		t_note("the process was killed %d times", killed);
}

/* The kernel may warn that it has no memory; see the top of this file. */
static void warnings_do_not_panic(void)
{
	kernfile_put("/proc/sys/kernel/panic_on_warn", "0");
}

/* The device serves others. */
static void root_is_served(void)
{
	int i;

	kernfile_put("/proc/sys/kernel/panic_on_warn", "1");
	t_host("create %s 4096", t_name("after"));
	i = open(fs_path("/mnt", t_name("after")), O_RDWR);
	T_ASSERT(i >= 0);
	T_EQ(pwrite(i, "x", 1, 0), 1);
	close(i);
	t_host("unlink %s", t_name("after"));
}

/* With futex=1 the driver differs only for futex(2). */
T_TEST(of_an_unprivileged_user)
{
	char futex = 'N';
	int fd = open("/sys/module/vmshm/parameters/futex", O_RDONLY);

	if (fd >= 0 && read(fd, &futex, 1) == 1)
		close(fd);
	make_calls(futex == 'Y' ? CALLS / 50 : CALLS, NULL, 0);
	root_is_served();
}

T_TEST(while_allocations_fail)
{
	if (access("/sys/kernel/debug/failslab", F_OK))
		t_skip("the kernel cannot inject failures");
	warnings_do_not_panic();
	make_calls(CALLS / 50, allocations_fail, 0);
	allocations_succeed();
	root_is_served();
}

/* In kB: free memory with which the memory is full, and before the calls */
#define FULL 2048
#define SOME (32 * 1024)
/* The kernel's own reserve; its default can be more than what is left */
#define RESERVED "1024"
#define MIN_FREE "/proc/sys/vm/min_free_kbytes"
/* Bytes that are taken at once, and the number of times in a round */
#define STEP (256 << 10)
#define STEPS 1000

/* The number of times that the memory was full */
static volatile long *times_full;

static long free_memory(void)
{
	return kernfile_number("/proc/meminfo", "MemFree: %ld");
}

/* Leaves little memory, so that it is soon full. The file has the rest. */
static int take_most(void)
{
	int fd = memfd_create("most", MFD_CLOEXEC);
	long left, at = 0;

	T_ASSERT(fd >= 0);
	for (; (left = free_memory() - SOME) > 0; at += left * 1024)
		T_EQ(fallocate(fd, 0, at, left * 1024), 0);
	return fd;
}

/* Keeps the memory full for some time. Then all of it is free again. */
static void fill(void)
{
	static void *piece[STEPS];
	int i, count = 0;

	for (i = 0; i < STEPS; i++) {
		if (free_memory() <= FULL) {
			++*times_full;
			sched_yield();
			continue;
		}
		piece[count] = mmap(NULL, STEP, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		T_ASSERT(piece[count] != MAP_FAILED);
		madvise(piece[count++], STEP, MADV_POPULATE_WRITE);
	}
	while (count)
		T_EQ(munmap(piece[--count], STEP), 0);
}

static pid_t filler;

/* The OOM killer ends the process that fills before any other one. */
static void keep_full(pid_t pid)
{
	(void)pid;
	filler = t_fork();
	while (!filler) {
		pid_t child = t_fork();
		int status;

		if (!child) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			kernfile_put("/proc/self/oom_score_adj", "1000");
			for (;;)
				fill();
		}
		T_EQ(waitpid(child, &status, 0), child);
		T_EQ(status, SIGKILL);
		++*times_full;
	}
}

T_TEST(while_memory_is_full)
{
	char reserved[24];
	int most;

	snprintf(reserved, sizeof(reserved), "%ld",
		 kernfile_number(MIN_FREE, "%ld"));
	times_full = mmap(NULL, sizeof(*times_full), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	T_ASSERT(times_full != MAP_FAILED);
	warnings_do_not_panic();
	kernfile_put("/proc/sys/vm/oom_dump_tasks", "0");
	kernfile_put("/proc/self/oom_score_adj", "-1000");
	kernfile_put(MIN_FREE, RESERVED);
	most = take_most();
	make_calls(CALLS / 50, keep_full, 1);
	T_EQ(kill(filler, SIGKILL), 0);
	T_EQ(waitpid(filler, NULL, 0), filler);
	close(most);
	kernfile_put(MIN_FREE, reserved);
	t_note("the memory was full %ld times", *times_full);
	T_ASSERT(*times_full);
	root_is_served();
}
