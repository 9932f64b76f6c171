/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any size and any number: small arenas, large objects, a thousand of them,
 * and what all that costs the guest and the host.
 *
 * qemu: files
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>

#include "t.h"

#include "dev.h"
#include "fs.h"
#include "memory.h"

static long arena_free(void)
{
	struct statfs s;

	T_EQ(statfs("/dev/shm", &s), 0);
	return s.f_bfree * s.f_bsize;
}

/* The arena has 4 MiB, the object 10: it is read and written in pieces. */
T_TEST(larger_than_the_arena)
{
	const char *name = fs_object("a", 10 * MIB + 5, 1);
	char *mine = malloc(11 * MIB), *p;
	long room, i;
	int fd;

	fs_mount(SMALL);
	room = arena_free();
	T_EQ(room, 4 * MIB);
	fd = fs_open(name, O_RDWR);
	T_EQ(read(fd, mine, 11 * MIB), 10 * MIB + 5);
	fs_same(name, mine, 10 * MIB + 5);
	t_fill(mine, 10 * MIB + 5, 2);
	T_EQ(pwrite(fd, mine, 10 * MIB + 5, 0), 10 * MIB + 5);
	fs_same(name, mine, 10 * MIB + 5);
	/* Any part that fits can be mapped, one part after the other. */
	for (i = 0; i <= 7; i++) {
		p = fs_map_at(fd, i * MIB, 3 * MIB);
		T_ASSERT(!memcmp(p, mine + i * MIB, 3 * MIB));
		p[MIB] ^= 1;
		mine[(i + 1) * MIB] ^= 1;
		T_EQ(munmap(p, 3 * MIB), 0);
	}
	/* A mapping of the whole object, of which a part is touched */
	p = fs_map_at(fd, 0, 10 * MIB + 5);
	T_ASSERT(!memcmp(p + 9 * MIB, mine + 9 * MIB, MIB + 5));
	T_EQ(p[0], mine[0]);
	T_EQ(munmap(p, 10 * MIB + 5), 0);
	fs_same(name, mine, 10 * MIB + 5);
	close(fd);
	T_EQ(arena_free(), room);
}

/*
 * Every page is touched: pages of a mapping give way to pages of the same
 * mapping and of others.
 */
T_TEST(mappings_larger_than_the_arena)
{
	const char *one = fs_object("one", 10 * MIB, 3);
	const char *two = fs_object("two", 4 * MIB, 4);
	char *p, *q, byte;
	int fd;
	long i;

	fs_mount(SMALL);
	p = fs_map(one, 10 * MIB);
	for (i = 0; i < 10 * MIB; i += PAGE)
		p[i]++;
	fs_same(one, p, 10 * MIB);
	fd = fs_open(two, O_RDWR);
	q = fs_map_at(fd, 0, 4 * MIB);
	for (i = 0; i < 4 * MIB; i += 16 * PAGE) {
		q[i]++;
		p[2 * i]++;
	}
	T_EQ(pread(fd, &byte, 1, 0), 1);
	T_EQ(byte, q[0]);
	fs_same(two, q, 4 * MIB);
	fs_same(one, p, 10 * MIB);
	close(fd);
	T_EQ(munmap(p, 10 * MIB), 0);
	T_EQ(munmap(q, 4 * MIB), 0);
	T_EQ(arena_free(), 4 * MIB);
}

/*
 * A user that touches a page in each 2 MiB of a sparse object does not take the
 * arena from other users.
 */
T_TEST(one_user_does_not_take_the_arena)
{
	const char *sparse = fs_new("sparse", 64 * MIB);
	const char *other = fs_object("other", 3 * MIB, 5);
	char *p, *q;
	long i;

	fs_mount(SMALL);
	p = fs_map(sparse, 64 * MIB);
	for (i = 0; i < 64 * MIB; i += 2 * MIB)
		p[i] = i / MIB;
	q = fs_map(other, 3 * MIB);
	fs_same(other, q, 3 * MIB);
	for (i = 0; i < 64 * MIB; i += 2 * MIB)
		T_EQ(p[i], i / MIB);
}

/* Accesses each MiB of an object several times, while others do the same. */
static void access_in_turn(const char *name, size_t size)
{
	char *p = fs_map(name, size), byte;
	int fd = fs_open(name, O_RDONLY);
	size_t round, i;

	for (round = 1; round <= 20; round++)
		for (i = 0; i < size; i += MIB) {
			p[i] = round;
			T_EQ(pread(fd, &byte, 1, i), 1);
			T_EQ(byte, (char)round);
		}
}

/*
 * Several processes need room at the same time: each takes it from the others,
 * also from one that takes room itself, and so has its object locked.
 */
T_TEST(room_is_taken_at_the_same_time)
{
	enum { N = 6 };
	pid_t pid[N];
	char tail[8];
	int i;

	fs_mount(SMALL);
	for (i = 0; i < N; i++) {
		const char *name;

		snprintf(tail, sizeof(tail), "t%d", i);
		name = fs_new(tail, 8 * MIB);
		pid[i] = t_fork();
		if (!pid[i]) {
			access_in_turn(name, 8 * MIB);
			_exit(0);
		}
	}
	for (i = 0; i < N; i++)
		t_wait(pid[i]);
	T_EQ(arena_free(), 4 * MIB);
}

enum { USERS = 4 };

/* As access_in_turn(), for ever; counts what succeeded and what did not. */
static void count_accesses(const char *name, size_t size, long *good, long *bad)
{
	char *p = fs_map(name, size), byte;
	int fd = fs_open(name, O_RDONLY);
	size_t i;

	for (;;)
		for (i = 0; i < size; i += MIB) {
			bool failed = t_write_faults(p + i) ||
				      pread(fd, &byte, 1, i) != 1;

			__atomic_add_fetch(failed ? bad : good, 1,
					   __ATOMIC_RELAXED);
		}
}

/* A reset of the function while several processes take room from each other */
T_TEST(reset_while_room_is_taken)
{
	long *count = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const char *address;
	pid_t pid[USERS];
	char tail[8];
	int i;

	T_ASSERT(count != MAP_FAILED);
	t_host("device_add vmshm,id=short,bus=rp0,arena=4M");
	dev_wait(DEVICES, 1);
	address = dev_address(DEVICES);
	fs_mount(DEVICES);
	for (i = 0; i < USERS; i++) {
		const char *name;

		snprintf(tail, sizeof(tail), "r%d", i);
		name = fs_new(tail, 8 * MIB);
		pid[i] = t_fork();
		if (!pid[i])
			count_accesses(name, 8 * MIB, count, count + 1);
	}
	for (i = 1; i <= 5; i++) {
		while (__atomic_load_n(count, __ATOMIC_RELAXED) < i * 100)
			sched_yield();
		T_EQ(t_system("echo 1 >/sys/bus/pci/devices/%s/reset", address),
		     0);
	}
	for (i = 0; i < USERS; i++) {
		T_EQ(kill(pid[i], SIGKILL), 0);
		T_EQ(waitpid(pid[i], NULL, 0), pid[i]);
	}
	T_EQ(count[1], 0);
	T_EQ(umount2("/dev/shm", MNT_DETACH), 0);
	t_host("device_del short");
	dev_wait(DEVICES, 0);
}

/* Lets a file grow so that each extent is too short to replace the last one. */
static char *grow_in_steps(int fd)
{
	char *p = fs_map_at(fd, 0, 15 * PAGE);
	long end = 0, step;

	for (step = 8; step; step /= 2) {
		T_EQ(ftruncate(fd, (end + step) * PAGE), 0);
		p[end * PAGE] = step;
		end += step;
	}
	return p;
}

/*
 * A device has few attachments. All calls that need one take it from extents
 * that are not in use.
 */
T_TEST(calls_that_need_an_attachment)
{
	const char *name[3];
	char tail[8], *p[2];
	int fd[2], i;

	t_host("device_add vmshm,id=few,bus=rp0,create=on,max-objects=8,"
	       "allow=%s*",
	       t_name("few"));
	dev_wait(DEVICES, 1);
	fs_mount(DEVICES);
	for (i = 0; i < 3; i++) {
		snprintf(tail, sizeof(tail), "few%d", i);
		name[i] = fs_path("/dev/shm", t_name(tail));
	}
	for (i = 0; i < 2; i++) {
		fd[i] = open(name[i], O_CREAT | O_RDWR, 0600);
		T_ASSERT(fd[i] >= 0);
		p[i] = grow_in_steps(fd[i]);
	}
	close(open(name[2], O_CREAT | O_RDWR, 0600));
	T_EQ(access(name[2], F_OK), 0);
	for (i = 0; i < 2; i++) {
		p[i] = grow_in_steps(fd[i]);
		T_EQ(truncate(name[2], PAGE), 0);
		p[i] = grow_in_steps(fd[i]);
		T_EQ(chmod(name[2], 0640 + i), 0);
		p[i] = grow_in_steps(fd[i]);
		T_EQ(ftruncate(fd[1 - i], 15 * PAGE), 0);
	}
	for (i = 0; i < 2; i++) {
		T_EQ(p[i][0], 8);
		T_EQ(p[i][14 * PAGE], 1);
		close(fd[i]);
		T_EQ(munmap(p[i], 15 * PAGE), 0);
	}
	for (i = 0; i < 3; i++)
		T_EQ(unlink(name[i]), 0);
	T_EQ(umount2("/dev/shm", MNT_DETACH), 0);
	t_host("device_del few");
	dev_wait(DEVICES, 0);
}

/* More than there are attachments */
#define WRITES 4200L

/*
 * An object that grows page by page does not need an attachment for each page:
 * a device has 4096 attachments.
 */
T_TEST(growing_page_by_page)
{
	const char *name = fs_new("a", PAGE);
	const char *other = fs_object("o", PAGE, 6);
	char *p;
	long i;
	int fd;

	fs_mount(CREATE);
	fd = fs_open(name, O_RDWR);
	p = fs_map_at(fd, 0, 32 * MIB);
	for (i = 1; i < 5000; i++) {
		T_EQ(ftruncate(fd, (i + 1) * PAGE), 0);
		p[i * PAGE] = i;
	}
	T_ASSERT(fs_mapped(name) <= 16);
	for (i = 1; i < 5000; i++)
		T_EQ(p[i * PAGE], (char)i);
	fs_same(name, p, 5000 * PAGE);
	fs_same(other, fs_map(other, PAGE), PAGE);
}

/*
 * An object that write(2) extends more often than there are attachments. The
 * steps are those of stdio, and those of "dd bs=64k".
 */
T_TEST(growing_write_by_write)
{
	static const long steps[] = { PAGE, 64 << 10 };
	static char data[64 << 10];
	size_t i;
	long n;

	fs_mount(CREATE);
	for (i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		const char *name = fs_new("w", 0);
		int fd = fs_open(name, O_WRONLY);

		for (n = 0; n < WRITES; n++) {
			memset(data, n % 250 + 1, steps[i]);
			T_EQ(write(fd, data, steps[i]), steps[i]);
		}
		close(fd);
		T_EQ(fs_number("size", name), WRITES * steps[i]);
		fd = fs_open(name, O_RDONLY);
		for (n = 0; n < WRITES; n++) {
			T_EQ(pread(fd, data, 1, n * steps[i]), 1);
			T_EQ((unsigned char)*data, n % 250 + 1);
		}
		close(fd);
		t_host("unlink %s", name);
	}
}

/*
 * Attachments of files that are open but not in use are detached when others
 * need the arena.
 */
T_TEST(open_files_give_way)
{
	enum { N = 6 };
	const char *name[N];
	char tail[8], byte;
	int fd[N], i, round;

	fs_mount(SMALL);
	for (i = 0; i < N; i++) {
		snprintf(tail, sizeof(tail), "f%d", i);
		name[i] = fs_object(tail, 3 * MIB, i);
		fd[i] = fs_open(name[i], O_RDWR);
	}
	for (round = 0; round < 3; round++) {
		for (i = 0; i < N; i++) {
			char *p = fs_map_at(fd[i], MIB, MIB);

			T_EQ(t_sum(p, MIB), atoll(t_host("sum %s %ld %ld",
							 name[i], MIB, MIB)));
			T_EQ(pread(fd[i], &byte, 1, 3 * MIB - 1), 1);
			T_EQ(munmap(p, MIB), 0);
		}
	}
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* The least time, of several attempts, to open, touch and close an object */
static double cost(const char *name)
{
	double best = 1e9;
	int i;

	for (i = 0; i < 50; i++) {
		double start = now();
		char *p = fs_map(name, PAGE);

		p[0]++;
		munmap(p, PAGE);
		if (now() - start < best)
			best = now() - start;
	}
	return best;
}

T_TEST(a_thousand_at_once)
{
	enum { N = 1000 };
	const struct rlimit files = { 4 * N, 4 * N };
	const char *last = fs_new("last", PAGE);
	static uint32_t *p[N];
	double before, after = 0;
	char tail[16];
	long room;
	int i;

	fs_mount(PLAIN);
	T_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
	t_host("many %s %d 4096", t_name("m"), N);
	room = arena_free();
	before = cost(last);
	for (i = 0; i < N; i++) {
		snprintf(tail, sizeof(tail), "m%d", i);
		p[i] = (void *)fs_map(t_name(tail), PAGE);
		p[i][1] = ~i;
	}
	T_EQ(atol(t_host("mapped_all")), N);
	/* Each object takes one page of the arena. */
	T_EQ(room - arena_free(), N * PAGE);
	/*
	 * A linear search would be slow in each attempt; other load slows down
	 * some.
	 */
	for (i = 0; i < 5 && (!i || after > 4 * before); i++)
		after = cost(last);
	if (after > 4 * before)
		t_fail("%g us with %d attached, %g without", after * 1e6, N,
		       before * 1e6);
	for (i = 0; i < N; i++) {
		T_EQ(p[i][0], i);
		T_EQ(p[i][1], (uint32_t)~i);
		munmap(p[i], PAGE);
	}
	T_EQ(atol(t_host("mapped_all")), 0);
	T_EQ(arena_free(), room);
}

/* Memory that other processes and slabs may take meanwhile */
#define NOISE (MIB / 2)

T_TEST(memory_of_the_guest)
{
	const char *name = fs_new("a", 64 * MIB);
	char *address = dev_address(LARGE), *p;
	long without, idle, used, i;

	dev_driver("unbind", address);
	dev_wait(LARGE, 0);
	without = memory_free();
	dev_driver("bind", address);
	dev_wait(LARGE, 1);
	idle = memory_free();
	fs_mount(LARGE);
	T_EQ(t_system("grep -qx %ld /sys/class/vmshm/vmshm%d/arena_size",
		      4096 * MIB, LARGE),
	     0);
	if (without - idle > 4096 * MIB / 1000 * 3)
		t_fail("idle, the arena costs %ld KiB",
		       (without - idle) / 1024);
	/* Struct pages of attached objects; then page tables */
	p = fs_map(name, 64 * MIB);
	p[0] = 1;
	used = memory_free();
	if (idle - used > 64 * MIB / 1000 * 16 + NOISE)
		t_fail("64 MiB cost %ld KiB", (idle - used) / 1024);
	for (i = 0; i < 64 * MIB; i += PAGE)
		p[i] = 1;
	used = memory_free();
	if (idle - used > 64 * MIB / 1000 * 18 + NOISE)
		t_fail("64 MiB cost %ld KiB when touched",
		       (idle - used) / 1024);
}

/*
 * An object takes the same memory of the host, however many devices, hence
 * guests, attach it.
 */
T_TEST(memory_of_the_host)
{
	const char *name = fs_new("a", 32 * MIB);
	long i, blocks, free;
	char *p, *q;

	fs_private();
	fs_mount_at(PLAIN, "/dev/shm", NULL);
	fs_mount_at(LARGE, "/mnt", NULL);
	p = fs_map(name, 32 * MIB);
	q = fs_map_at(open(fs_path("/mnt", name), O_RDWR), 0, 32 * MIB);
	T_EQ(fs_number("blocks", name), 0);
	for (i = 0; i < 32 * MIB; i += PAGE)
		p[i] = 1;
	blocks = fs_number("blocks", name);
	T_EQ(blocks, 32 * MIB / 512);
	free = memory_free();
	for (i = 0; i < 32 * MIB; i += PAGE)
		T_EQ(q[i]++, 1);
	T_EQ(fs_number("blocks", name), blocks);
	T_EQ(fs_mapped(name), 2);
	T_ASSERT(free - memory_free() < 2 * MIB);
}

/*
 * The first access is that of a debugger. It cannot wait for struct pages, and
 * the part of the arena for reading has none yet.
 */
T_TEST(first_access_through_proc)
{
	const char *name = fs_object("a", 2 * PAGE, 7);
	char *address = dev_address(READONLY), *p, data[16];
	int mem;

	dev_driver("unbind", address);
	dev_driver("bind", address);
	dev_wait(READONLY, 1);
	fs_mount(READONLY);
	p = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fs_open(name, O_RDONLY),
		 0);
	T_ASSERT(p != MAP_FAILED);
	mem = open("/proc/self/mem", O_RDONLY);
	T_EQ(pread(mem, data, sizeof(data), (off_t)(p + PAGE)), sizeof(data));
	T_ASSERT(!memcmp(data, p + PAGE, sizeof(data)));
}

/* A thousand objects, one after the other */
#define OBJECTS 1000

static void use_objects(void)
{
	char tail[16];
	int i;

	for (i = 0; i < OBJECTS; i++) {
		uint32_t *p;

		snprintf(tail, sizeof(tail), "l%d", i);
		p = (void *)fs_map(t_name(tail), 3 * PAGE);
		T_EQ(p[0], i);
		p[2048] = i;
		T_EQ(munmap(p, 3 * PAGE), 0);
	}
}

T_TEST(nothing_is_left)
{
	long room;

	fs_mount(PLAIN);
	t_host("many %s %d 12288", t_name("l"), OBJECTS);
	room = arena_free();
	memory_is_kept(use_objects, 2 * MIB);
	T_EQ(atol(t_host("mapped_all")), 0);
	T_EQ(arena_free(), room);
}
