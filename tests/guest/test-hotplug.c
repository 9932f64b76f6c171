/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Processors are added to the machine, and go on- and offline, and a task moves
 * between cpusets, while it touches objects for the first time. Making struct
 * pages takes the lock of processor hot-plug; a move holds that lock and takes
 * the lock of the address space.
 *
 * A processor is never removed from the machine, because QEMU 7.2 dies of that
 * under TCG, also without this device: the memory listener of the processor
 * (cpu_address_space_init() in physmem.c) stays registered, and the next change
 * of the machine's memory map calls tlb_flush() for the freed processor. After
 * one removal, device_add of a virtio-rng-pci ended with "corrupted
 * double-linked list". For the kernel of the guest, a processor that goes
 * offline takes the same locks.
 *
 * Linux 6.12 ignores processors that could be added, unless it recognizes a
 * hypervisor, which TCG is not.
 *
 * qemu: -device vmshm,id=vmshm0,bus=rp0 -smp maxcpus=4
 */
#define _GNU_SOURCE
#include <sys/wait.h>

#include "t.h"

#include "dev.h"
#include "fs.h"
#include "kernfile.h"

#define ROUNDS 3
/* The part of an arena of 1 GiB for which struct pages are made at a time */
#define CHUNK (128 * MIB)
#define SIZE (6 * CHUNK)

static int rounds(void)
{
	const char *text = getenv("T_ROUNDS");

	return text ? atoi(text) : ROUNDS;
}

#define CPUSETS "/tmp/cpusets/"

static void make_cpusets(void)
{
	mkdir(CPUSETS, 0755);
	T_EQ(mount("none", CPUSETS, "cgroup2", 0, NULL), 0);
	kernfile_put(CPUSETS "cgroup.subtree_control", "+cpuset");
	mkdir(CPUSETS "one", 0755);
	mkdir(CPUSETS "two", 0755);
	kernfile_put(CPUSETS "one/cpuset.cpus", "0");
	kernfile_put(CPUSETS "one/cpuset.mems", "0");
	kernfile_put(CPUSETS "two/cpuset.cpus", "0-1");
}

static void remove_cpusets(void)
{
	rmdir(CPUSETS "one");
	rmdir(CPUSETS "two");
	T_EQ(umount(CPUSETS), 0);
}

/* Set when the other processes have to end; the number of their steps */
static volatile int *stop, *steps;

static pid_t begin(void (*step)(pid_t pid), pid_t pid)
{
	pid_t child = t_fork();

	if (child)
		return child;
	do {
		step(pid);
		__atomic_add_fetch(steps, 1, __ATOMIC_SEQ_CST);
	} while (!*stop);
	_exit(0);
}

static void moves(pid_t pid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	kernfile_put(CPUSETS "one/cgroup.procs", text);
	kernfile_put(CPUSETS "two/cgroup.procs", text);
}

#define CPUS "/sys/devices/system/cpu/"
#define CPU CPUS "cpu1/online"

static void plugs(pid_t pid)
{
	kernfile_put(CPU, "0");
	kernfile_put(CPU, "1");
}

/* One more processor of the machine, or the last one goes off- and online. */
static void adds(pid_t pid)
{
	char path[64];
	int last = 1;

	do
		snprintf(path, sizeof(path), CPUS "cpu%d/online", ++last);
	while (!access(path, F_OK));
	if (t_host_try("cpu_add cpu%d", last)) {
		while (access(path, W_OK))
			sched_yield();
	} else {
		snprintf(path, sizeof(path), CPUS "cpu%d/online", last - 1);
		kernfile_put(path, "0");
	}
	kernfile_put(path, "1");
}

/* Each round has an arena without struct pages. */
static void first_touch_while(void (*processors)(pid_t pid))
{
	char *address = dev_address(0);
	const char *name = fs_new("a", SIZE);
	pid_t mover, plugger;
	int round;

	stop = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	T_ASSERT(stop != MAP_FAILED);
	steps = stop + 1;
	fs_private();
	make_cpusets();
	for (round = 0; round < rounds(); round++) {
		char *p;
		long at;

		dev_driver("unbind", address);
		dev_driver("bind", address);
		dev_wait(0, 1);
		fs_mount_at(0, "/dev/shm", NULL);
		p = fs_map(name, SIZE);
		*stop = 0;
		mover = begin(moves, getpid());
		plugger = begin(processors, 0);
		for (at = 0; at < SIZE; at += CHUNK / 2)
			T_EQ(t_write_faults(p + at), 0);
		*stop = 1;
		t_wait(mover);
		t_wait(plugger);
		T_EQ(munmap(p, SIZE), 0);
		T_EQ(umount("/dev/shm"), 0);
	}
	t_note("%d moves and changes of a processor", *steps);
	moves(getpid());
	kernfile_put(CPUSETS "cgroup.procs", "0");
	remove_cpusets();
}

T_TEST(first_touch_while_processors_change)
{
	first_touch_while(plugs);
}

T_TEST(first_touch_while_processors_are_added)
{
	if (kernfile_number(CPUS "possible", "0-%ld") < 3)
		t_skip("the kernel accepts no more processors");
	first_touch_while(adds);
	T_EQ(access(CPUS "cpu3/online", F_OK), 0);
}
