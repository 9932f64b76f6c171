/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Processors go on- and offline, and a task moves between cpusets, while it
 * touches objects for the first time. Making struct pages takes the lock of
 * processor hot-plug; a move holds that lock and takes the lock of the address
 * space.
 *
 * qemu: -device vmshm,id=vmshm0,bus=rp0
 */
#define _GNU_SOURCE
#include <signal.h>
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

static pid_t begin(void (*step)(pid_t pid), pid_t pid)
{
	pid_t child = t_fork();

	while (!child)
		step(pid);
	return child;
}

static void moves(pid_t pid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	kernfile_put(CPUSETS "one/cgroup.procs", text);
	kernfile_put(CPUSETS "two/cgroup.procs", text);
}

#define CPU "/sys/devices/system/cpu/cpu1/online"

static void plugs(pid_t pid)
{
	kernfile_put(CPU, "0");
	kernfile_put(CPU, "1");
}

static void end(pid_t child)
{
	T_EQ(kill(child, SIGKILL), 0);
	T_EQ(waitpid(child, NULL, 0), child);
}

/* Each round has an arena without struct pages. */
T_TEST(first_touch_while_processors_change)
{
	char *address = dev_address(0);
	const char *name = fs_new("a", SIZE);
	pid_t mover, plugger;
	int round;

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
		mover = begin(moves, getpid());
		plugger = begin(plugs, 0);
		for (at = 0; at < SIZE; at += CHUNK / 2)
			T_EQ(t_write_faults(p + at), 0);
		end(mover);
		end(plugger);
		T_EQ(munmap(p, SIZE), 0);
		T_EQ(umount("/dev/shm"), 0);
	}
	kernfile_put(CPU, "1");
	moves(getpid());
	kernfile_put(CPUSETS "cgroup.procs", "0");
	remove_cpusets();
}
