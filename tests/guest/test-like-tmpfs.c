/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The same random calls on a mount of vmshm and on a tmpfs of the guest have
 * the same results, and leave the same contents. What differs is in vmshm(5).
 *
 * Each round has a seed, which a failure prints. With T_SEED in the source set
 * to the seed of one round, only that round runs, and prints its calls.
 *
 * qemu: files
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "t.h"

#include "fs.h"

/* The seed of one round that prints its calls, or 0 */
#define T_SEED 0

/* The seeds of all rounds. Those with an even number have RLIMIT_FSIZE. */
static const unsigned int seeds[] = {
	0xed2ae383, 0x321d3a83, 0x6a32803b, 0xf03b42a7, 0x0badcafe, 0x12345678,
	0x2468ace0, 0x3a5f17d2, 0x41c64e6d, 0x5deece66, 0x6c078965, 0x7fffffff,
	0x8e1f3b5a, 0x9e3779b9, 0xa17c04d4, 0xb5297a4d,
};

enum {
	ROUNDS = sizeof(seeds) / sizeof(*seeds),
	CALLS = 150, /* of a round */
	NAMES = 4,
	FILES = 5,
	SIDES = 2, /* vmshm, tmpfs */
};

#define LARGEST (80 * 1024) /* an offset or a length */
#define LIMIT (60 * 1024) /* RLIMIT_FSIZE */

static const char *const sides[SIDES] = { "/dev/shm", "/tmp/tmpfs" };
static int files[SIDES][FILES];
static char data[LARGEST], got[SIDES][4 * LARGEST];
static char *bad; /* LARGEST bytes that cannot be accessed, after as many */
static unsigned int seed, state;
static volatile int signals;
static char call[200];

static unsigned int number(unsigned int end)
{
	/* xorshift */
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state % end;
}

static void __attribute__((format(printf, 1, 2))) begin(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(call, sizeof(call), fmt, ap);
	va_end(ap);
	if (T_SEED)
		fprintf(stderr, "%s\n", call);
}

static void differs(const char *what, long long ours, long long theirs)
{
	t_fail("seed 0x%x: %s: %s is %lld, on tmpfs %lld", seed, call, what,
	       ours, theirs);
}

static void same(const char *what, long long ours, long long theirs)
{
	if (ours != theirs)
		differs(what, ours, theirs);
}

/* A call as a number: what it returns, or -errno */
static long long result(long long ret)
{
	return ret == -1 ? -errno : ret;
}

static const char *path(int side, int name)
{
	static char paths[2][64];
	static int turn;

	turn = !turn;
	snprintf(paths[turn], sizeof(paths[turn]), "%s/like-%d", sides[side],
		 name);
	return paths[turn];
}

/* Offsets near the ends of pages and of the file are the interesting ones. */
static long some_offset(void)
{
	long offset = number(LARGEST);

	if (number(3) == 0)
		offset = offset / PAGE * PAGE;
	if (number(3) == 0)
		offset += (long)number(3) - 1;
	return offset < 0 ? 0 : offset;
}

static long some_length(void)
{
	static const long lengths[] = { 0, 1, PAGE - 1, PAGE, PAGE + 1 };

	return number(2) ? lengths[number(5)] : number(LARGEST / 2);
}

/* A buffer, of which the end may not exist */
static char *some_buffer(long length)
{
	long before = number(length + 1);

	if (number(6))
		return data + number(LARGEST - length);
	memcpy(bad - before, data, before);
	return bad - before;
}

static int open_file(int side)
{
	unsigned int was = state;
	static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR, O_RDWR };
	static const int flags[] = { 0, O_CREAT, O_EXCL, O_APPEND, O_TRUNC };
	int n = number(FILES), name = number(NAMES);
	int flag = modes[number(4)] | flags[number(5)] | flags[number(2)];
	int *file = &files[side][n];

	begin("%d = open(%d, 0%o)", n, name, flag);
	if (*file >= 0)
		close(*file);
	*file = open(path(side, name), flag, 0600 | number(0100));
	if (side + 1 < SIDES)
		state = was;
	return *file < 0 ? -errno : 0;
}

static long long do_read(int side, int fd, long offset, long length)
{
	char *to = number(6) ? got[side] : bad - number(length + 1);
	struct iovec parts[2] = { { to, length / 3 },
				  { to + length / 3, length - length / 3 } };

	switch (number(3)) {
	case 0:
		return result(pread(fd, to, length, offset));
	case 1:
		return result(preadv(fd, parts, 2, offset));
	default:
		return result(read(fd, to, length));
	}
}

static long long do_write(int fd, long offset, long length)
{
	char *from = some_buffer(length);
	struct iovec parts[2] = { { from, length / 3 },
				  { from + length / 3, length - length / 3 } };

	switch (number(3)) {
	case 0:
		return result(pwrite(fd, from, length, offset));
	case 1:
		return result(pwritev(fd, parts, 2, offset));
	default:
		return result(write(fd, from, length));
	}
}

static int is_same_file(int one, int other)
{
	struct stat a, b;

	return !fstat(one, &a) && !fstat(other, &b) && a.st_ino == b.st_ino;
}

/*
 * From one file to another one, by the three calls that can do so. A copy of a
 * part of a file to the same file is left out. On tmpfs such a copy reads pages
 * that the same call has written before.
 */
static long long do_copy(int side, int fd, long offset, long length)
{
	int other = files[side][number(FILES)], ends[2];
	off64_t from = offset, to = some_offset();
	int what = number(3);
	long long ret;

	if (what < 2 && is_same_file(fd, other))
		return 0;
	switch (what) {
	case 0:
		return result(copy_file_range(other, &from, fd, &to, length,
					      0));
	case 1:
		return result(sendfile(fd, other, &from, length));
	default:
		T_EQ(pipe(ends), 0);
		length = length < 60000 ? length : 60000;
		T_EQ(write(ends[1], data, length), length);
		ret = result(splice(ends[0], NULL, fd, &to, length, 0));
		close(ends[0]);
		close(ends[1]);
		return ret;
	}
}

/* Stores within the file; what is behind its end tmpfs does not define. */
static long long do_map(int fd, long offset, long length, int write)
{
	char *p;
	struct stat st;

	offset = offset / PAGE * PAGE;
	p = mmap(NULL, length + PAGE, PROT_READ | (write ? PROT_WRITE : 0),
		 MAP_SHARED, fd, offset);
	if (p == MAP_FAILED)
		return -errno;
	T_EQ(fstat(fd, &st), 0);
	if (write && offset + length < st.st_size)
		memcpy(p + length / 2, data, length - length / 2);
	write = t_read_faults(p) * 2 + t_read_faults(p + length);
	munmap(p, length + PAGE);
	return write;
}

static long long do_attributes(int side, int fd)
{
	const struct timespec times[2] = { { number(9999), number(999) },
					   { number(9999), number(999) } };
	struct stat st;
	long long ret;

	switch (number(3)) {
	case 0:
		return result(fchmod(fd, 0600 | number(0100)));
	case 1:
		ret = result(futimens(fd, times));
		if (!ret && !fstat(fd, &st))
			ret = st.st_mtim.tv_sec * 1000LL + st.st_mtim.tv_nsec +
			      st.st_atim.tv_sec * 7LL + st.st_atim.tv_nsec;
		return ret;
	default:
		return result(fchown(fd, -1, -1));
	}
}

static long long do_names(int side)
{
	int from = number(NAMES), to = number(NAMES), what = number(5);

	begin("names %d, %d to %d", what, from, to);
	switch (what) {
	case 0:
		return result(unlink(path(side, from)));
	case 1:
		return result(rename(path(side, from), path(side, to)));
	case 2:
		return result(syscall(SYS_renameat2, AT_FDCWD,
				      path(side, from), AT_FDCWD,
				      path(side, to), number(2)));
	case 3:
		return result(link(path(side, from), path(side, to)));
	default:
		return result(truncate(path(side, from), some_offset()));
	}
}

static long long do_call(int side)
{
	int what = number(12), n = number(FILES), fd = files[side][n];
	long offset = some_offset(), length = some_length();

	begin("call %d, file %d, offset %ld, length %ld", what, n, offset,
	      length);
	switch (what) {
	case 0:
	case 1:
		return open_file(side);
	case 2:
		return do_names(side);
	case 3:
		return do_read(side, fd, offset, length);
	case 4:
	case 5:
		return do_write(fd, offset, length);
	case 6:
		return result(ftruncate(fd, offset));
	case 7:
		return result(fallocate(fd, 0, offset, length));
	case 8:
		return result(lseek(fd, offset, number(3)));
	case 9:
		return do_map(fd, offset, length, number(2));
	case 10:
		return do_copy(side, fd, offset, length);
	default:
		return do_attributes(side, fd);
	}
}

/* Names, sizes, modes, and what is in the files */
static void same_state(void)
{
	struct stat st[SIDES];
	long long ret[SIDES];
	int i, side;

	for (i = 0; i < NAMES; i++) {
		for (side = 0; side < SIDES; side++)
			ret[side] = result(stat(path(side, i), &st[side]));
		same("stat()", ret[0], ret[1]);
		if (ret[0])
			continue;
		same("the size of a name", st[0].st_size, st[1].st_size);
		same("the mode", st[0].st_mode, st[1].st_mode);
	}
	for (i = 0; i < FILES; i++) {
		for (side = 0; side < SIDES; side++) {
			int fd = files[side][i];

			ret[side] = result(fstat(fd, &st[side]));
			if (!ret[side])
				ret[side] = result(pread(fd, got[side],
							 sizeof(got[0]), 0));
		}
		same("bytes read", ret[0], ret[1]);
		if (ret[0] > 0)
			same("the comparison", memcmp(got[0], got[1], ret[0]),
			     0);
		if (files[0][i] >= 0) {
			same("the size", st[0].st_size, st[1].st_size);
			same("the position", lseek(files[0][i], 0, SEEK_CUR),
			     lseek(files[1][i], 0, SEEK_CUR));
		}
	}
}

static void count_signal(int number)
{
	signals++;
}

static void one_round(unsigned int first)
{
	struct rlimit limit = { LIMIT, RLIM_INFINITY };
	int i, side;

	seed = state = first;
	for (i = 0; i < FILES; i++)
		files[0][i] = files[1][i] = -1;
	if (seed % 2)
		limit.rlim_cur = RLIM_INFINITY;
	T_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
	for (i = 0; i < CALLS; i++) {
		unsigned int was = state;
		long long ret[SIDES];
		int sent[SIDES];

		for (side = 0; side < SIDES; side++) {
			state = was;
			signals = 0;
			ret[side] = do_call(side);
			sent[side] = signals;
		}
		same("the result", ret[0], ret[1]);
		same("signals", sent[0], sent[1]);
		if (i % 4 == 0)
			same_state();
	}
	same_state();
	for (side = 0; side < SIDES; side++) {
		for (i = 0; i < FILES; i++)
			close(files[side][i]);
		for (i = 0; i < NAMES; i++)
			unlink(path(side, i));
	}
}

static void prepare(void)
{
	char *p;

	fs_mount(PREFIX);
	mkdir("/tmp/tmpfs", 0755);
	T_EQ(mount("none", "/tmp/tmpfs", "tmpfs", 0, "size=64m"), 0);
	p = mmap(NULL, 2 * LARGEST, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	T_ASSERT(p != MAP_FAILED);
	bad = p + LARGEST;
	T_EQ(mprotect(bad, LARGEST, PROT_NONE), 0);
	t_fill(data, sizeof(data), 3);
	signal(SIGXFSZ, count_signal);
	umask(0);
}

T_TEST(random_calls)
{
	int i;

	prepare();
	if (T_SEED) {
		one_round(T_SEED);
		return;
	}
	for (i = 0; i < ROUNDS; i++)
		one_round(seeds[i]);
}
