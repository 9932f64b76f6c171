/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest has no memory left for struct pages of the arena. Attaching and
 * touching may fail then, and works again when there is memory.
 *
 * qemu: -device vmshm,id=vmshm0,bus=rp0
 * expect-log: vmshm .*no pages for BAR4 .error -12.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/wait.h>

#include "t.h"

#include "dev.h"
#include "fs.h"
#include "kernfile.h"

/*
 * The free memory that is left, in kB. The struct pages of 1000 MiB take more,
 * 16,000 kB.
 */
#define LEFT (9 * 1024)
/*
 * The part of it that is reserved for interrupts, in kB. The kernel's default
 * can be more than what is left, and the OOM killer then ends processes.
 */
#define RESERVED 1024
#define MIN_FREE "/proc/sys/vm/min_free_kbytes"
#define SIZE (1000 * MIB)
#define STEP (16 * MIB)
#define SMALL (128 * 1024)
#define HUGE_PAGES "/proc/sys/vm/nr_hugepages"

/* A file in memory */
static int small = -1;
/* What the kernel reserves by default, in kB */
static long reserved;

static void reserve(long kilobytes)
{
	char text[24];

	snprintf(text, sizeof(text), "%ld", kilobytes);
	kernfile_put(MIN_FREE, text);
}

static long free_kilobytes(void)
{
	return kernfile_number("/proc/meminfo", "MemFree: %ld");
}

/*
 * Allocates huge pages, for which the kernel ends no process. Some kernels do
 * not support them.
 */
static long take_huge_pages(long count)
{
	FILE *file = fopen(HUGE_PAGES, "we");

	if (!file)
		return 0;
	fprintf(file, "%ld", count);
	fclose(file);
	return kernfile_number(HUGE_PAGES, "%ld");
}

/* Allocates huge pages of 2 MiB, and then smaller pieces. */
static long fill_memory(void)
{
	long count = 0, more, at;

	reserved = kernfile_number(MIN_FREE, "%ld");
	reserve(RESERVED);
	T_EQ(t_system("sync; echo 3 >/proc/sys/vm/drop_caches"), 0);
	do {
		more = (free_kilobytes() - LEFT) / 2048;
		if (more < 1)
			break;
		more = take_huge_pages(count + more) - count;
		count += more;
	} while (more > 0);
	small = memfd_create("small", MFD_CLOEXEC);
	T_ASSERT(small >= 0);
	for (at = 0; free_kilobytes() > LEFT; at += SMALL)
		T_EQ(fallocate(small, 0, at, SMALL), 0);
	/* The driver may have allocated memory at the same time. */
	while (at > 0 && free_kilobytes() < LEFT - 512)
		T_EQ(ftruncate(small, at -= SMALL), 0);
	while (count > 0 && free_kilobytes() < LEFT - 2048)
		count = take_huge_pages(count - 1);
	return free_kilobytes();
}

static void give_memory_back(void)
{
	close(small);
	T_EQ(take_huge_pages(0), 0);
	reserve(reserved);
}

/* The number of steps of a sparse object that could be written */
static long touch(const char *name)
{
	int fd = open(fs_path("/dev/shm", name), O_RDWR | O_CLOEXEC);
	long at, done = 0;
	char *p;

	if (fd < 0)
		return 0;
	p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return 0;
	for (at = 0; at < SIZE; at += STEP)
		done += !t_write_faults(p + at);
	T_EQ(munmap(p, SIZE), 0);
	close(fd);
	return done;
}

/* The write is done in a process that the OOM killer may end. */
static void touch_in_child(const char *name)
{
	int status;
	pid_t pid = t_fork();

	if (!pid) {
		touch(name);
		_exit(0);
	}
	T_EQ(waitpid(pid, &status, 0), pid);
	T_ASSERT(status == 0 || status == SIGKILL);
}

T_TEST(works_again_with_memory)
{
	const char *name = fs_new("sparse", SIZE);
	long left;

	fs_mount(0);
	left = fill_memory();
	touch_in_child(name);
	give_memory_back();
	t_note("%ld kB were free", left);
	/* After a failure the arena does not grow for a moment. */
	while (touch(name) < SIZE / STEP)
		sched_yield();
}

/* The same at probe: without memory there is the 1 MiB buffer. */
T_TEST(bound_without_memory)
{
	char *address = dev_address(0);
	const char *name = dev_object("a", MIB, 1);
	char *p;
	int fd;

	dev_driver("unbind", address);
	fill_memory();
	dev_driver("bind", address);
	dev_wait(0, 1);
	p = dev_attach(0, name, &fd);
	T_EQ(t_sum(p, MIB), atoll(t_host("sum %s 0 %ld", name, MIB)));
	T_EQ(munmap(p, MIB), 0);
	close(fd);
	give_memory_back();
	dev_driver("unbind", address);
	dev_driver("bind", address);
	dev_wait(0, 1);
	T_EQ(kernfile_number("/sys/class/vmshm/vmshm0/arena_size", "%ld"),
	     1024 * MIB);
}
