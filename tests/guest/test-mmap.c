// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mmap(2) of /dev/vmshmN: bounds, kinds, and operations on a mapping.
 *
 * qemu: -device vmshm,id=vmshm0
 * qemu 2010: -device vmshm,id=vmshm0,arena=0
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "pagetable.h"

#include "dev.h"

static int attached(uint32_t seed)
{
	int fd = dev_open(0);

	T_EQ(ioctl(fd, 0, dev_object("o", MIB, seed)), 0);
	return fd;
}

static void *try_map(int fd, off_t offset, size_t len)
{
	return mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
}

T_TEST(nothing_attached)
{
	int other = attached(1), fd = dev_open(0);

	T_ASSERT(other >= 0);
	T_ERRNO(try_map(fd, 0, MIB), ENXIO);
	T_ERRNO(ioctl(fd, 0, t_name("missing")),
		dev_has_arena(0) ? ENOENT : EBUSY);
	T_ERRNO(try_map(fd, 0, PAGE), ENXIO);
}

T_TEST(any_part)
{
	int fd = attached(2);
	char *all = dev_map(fd, 0, MIB);
	long first, pages;

	for (first = 0; first < 256; first += 15) {
		for (pages = 1; first + pages <= 256; pages += 51) {
			char *p = dev_map(fd, first * PAGE, pages * PAGE);

			T_ASSERT(!memcmp(p, all + first * PAGE, pages * PAGE));
			p[pages * PAGE - 1] ^= 1;
			T_EQ(all[(first + pages) * PAGE - 1],
			     p[pages * PAGE - 1]);
			T_EQ(munmap(p, pages * PAGE), 0);
		}
	}
	/* A length that is no multiple of the page size is rounded up. */
	T_ASSERT(!memcmp(dev_map(fd, MIB - 2 * PAGE, PAGE + 1),
			 all + MIB - 2 * PAGE, PAGE + 1));
}

T_TEST(outside)
{
	int fd = attached(3);

	T_ERRNO(try_map(fd, 0, 0), EINVAL);
	T_ERRNO(try_map(fd, 0, MIB + 1), EINVAL);
	T_ERRNO(try_map(fd, 0, MIB + PAGE), EINVAL);
	T_ERRNO(try_map(fd, 0, 1L << 40), EINVAL);
	T_ERRNO(try_map(fd, PAGE, MIB), EINVAL);
	T_ERRNO(try_map(fd, MIB - PAGE, 2 * PAGE), EINVAL);
	T_ERRNO(try_map(fd, MIB, PAGE), EINVAL);
	T_ERRNO(try_map(fd, MIB + PAGE, PAGE), EINVAL);
	T_ERRNO(try_map(fd, 1L << 32, PAGE), EINVAL);
	T_ERRNO(try_map(fd, 1L << 62, PAGE), EINVAL);
	T_ERRNO(try_map(fd, -2 * PAGE, PAGE), EINVAL);
	T_ERRNO(try_map(fd, -PAGE, PAGE), EOVERFLOW);
	T_ASSERT(try_map(fd, 0, MIB) != MAP_FAILED);
}

T_TEST(private)
{
	int fd = attached(4);

	T_ERRNO(mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0),
		EINVAL);
	T_ERRNO(mmap(NULL, MIB, PROT_READ, MAP_PRIVATE, fd, 0), EINVAL);
}

T_TEST(no_growth)
{
	int fd = attached(5);
	char *p = dev_map(fd, 0, PAGE), *q;
	char *all = dev_map(fd, 0, MIB);

	T_ERRNO(mremap(p, PAGE, 2 * PAGE, 0), EFAULT);
	T_ERRNO(mremap(p, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT);
	T_ERRNO(mremap(all, MIB, 2 * MIB, MREMAP_MAYMOVE), EFAULT);
	T_ASSERT(mremap(p, 0, 2 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED);
	/* Moving and shrinking work, before the first access and after it. */
	q = mmap(NULL, MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	T_ASSERT(mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q) == q);
	T_ASSERT(!memcmp(q, all, PAGE));
	T_ASSERT(mremap(q, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p) == p);
	T_ASSERT(!memcmp(p, all, PAGE));
	T_ASSERT(mremap(all, MIB, 2 * PAGE, 0) == all);
	T_ASSERT(!memcmp(p, all, PAGE));
	T_ERRNO(mremap(all, 2 * PAGE, MIB, MREMAP_MAYMOVE), EFAULT);
}

T_TEST(read_only_file)
{
	const char *name = dev_object("o", MIB, 6);
	int fd = open("/dev/vmshm0", O_RDONLY);
	char *p;

	T_ASSERT(fd >= 0);
	T_EQ(ioctl(fd, 0, name), 0);
	T_ERRNO(try_map(fd, 0, MIB), EACCES);
	p = mmap(NULL, MIB, PROT_READ, MAP_SHARED, fd, 0);
	T_ASSERT(p != MAP_FAILED);
	T_EQ(t_sum(p, MIB), atoll(t_host("sum %s 0 %ld", name, MIB)));
	T_ERRNO(mprotect(p, MIB, PROT_READ | PROT_WRITE), EACCES);
}

T_TEST(write_only_file)
{
	int fd = open("/dev/vmshm0", O_WRONLY);

	T_ASSERT(fd >= 0);
	T_EQ(ioctl(fd, 0, dev_object("o", MIB, 7)), 0);
	T_ERRNO(try_map(fd, 0, MIB), EACCES);
}

static void write_is_a_fault(char *p)
{
	int status;
	pid_t pid = t_fork();

	if (pid == 0) {
		*(volatile char *)p = 1;
		_exit(0);
	}
	T_EQ(waitpid(pid, &status, 0), pid);
	T_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

T_TEST(protection_by_parts)
{
	int fd = attached(8);
	char *all = dev_map(fd, 0, MIB);
	char *p = mmap(NULL, MIB, PROT_READ, MAP_SHARED, fd, 0);
	char was = all[0];

	T_ASSERT(p != MAP_FAILED);
	/* A read before the write, and a write without a read */
	write_is_a_fault(p);
	T_EQ(p[0], was);
	write_is_a_fault(p);
	T_EQ(mprotect(p + MIB / 2, PAGE, PROT_READ | PROT_WRITE), 0);
	p[MIB / 2] ^= 1;
	T_EQ(all[MIB / 2], p[MIB / 2]);
	write_is_a_fault(p + MIB / 2 - 1);
	write_is_a_fault(p + MIB / 2 + PAGE);
	T_EQ(mprotect(p, MIB, PROT_NONE), 0);
	T_EQ(mprotect(p, MIB, PROT_READ | PROT_WRITE), 0);
	T_ASSERT(!memcmp(p, all, MIB));
	/* Split before anything was read */
	p = mmap(NULL, MIB, PROT_NONE, MAP_SHARED, fd, 0);
	T_EQ(mprotect(p + PAGE, PAGE, PROT_READ), 0);
	T_ASSERT(!memcmp(p + PAGE, all + PAGE, PAGE));
	T_EQ(mprotect(p, MIB, PROT_READ), 0);
	T_ASSERT(!memcmp(p, all, MIB));
}

static void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	T_EQ(sched_setaffinity(0, sizeof(set), &set), 0);
}

/* Present, for users, writable, and write-back: no PWT, PCD or PAT bit */
T_TEST(memory_type)
{
	int fd = attached(9);
	volatile char *p = dev_map(fd, 0, MIB);
	struct pt_entry entry;
	pid_t pid;

	run_on(1);
	pid = t_fork();
	if (pid == 0) {
		run_on(0);
		for (;;)
			p[5 * PAGE]++;
	}
	do {
		entry = pt_walk(p + 5 * PAGE);
	} while (!entry.bits);
	kill(pid, SIGKILL);
	T_EQ(entry.shift, 12);
	T_EQ(entry.bits & 0x9f, PT_PRESENT | PT_WRITE | PT_USER);
}
