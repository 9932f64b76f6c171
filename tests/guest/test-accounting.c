/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kernel memory on behalf of a user: zero pages behind the end of objects, and
 * open directories, are charged to the user's memory cgroup. Struct pages have
 * a limit.
 *
 * qemu: -device vmshm,id=vmshm0,bus=rp0
 */
#define _GNU_SOURCE
#include <sys/resource.h>
#include <sys/wait.h>

#include "t.h"

#include "dev.h"
#include "fs.h"
#include "kernfile.h"
#include "memory.h"

#define GROUPS "/tmp/groups/"
#define OBJECTS 32
#define TAIL (MIB - PAGE)
#define ARENA (1024 * MIB)
#define SPARSE (16 * ARENA)
#define STEP (64 * MIB)
/* Bytes for page tables, extents and the rest of the kernel */
#define SPARE (8 * MIB)
#define DIRECTORIES 20000
/* Bytes of the record of an open directory, at least */
#define RECORD 32
/* Bytes that the two processors have charged in advance and not used yet */
#define STOCK (2 * 64 * PAGE)

static long charged(void)
{
	return kernfile_number(GROUPS "user/memory.current", "%ld");
}

/* Objects of one byte: /dev/vmshmN shows each as 1 MiB. */
static void touch_tails(const char *name)
{
	long before, at;
	char path[64];
	int i, fd;

	kernfile_put(GROUPS "user/cgroup.procs", "0");
	before = charged();
	for (i = 0; i < OBJECTS; i++) {
		char *p;

		snprintf(path, sizeof(path), "%s%d", name, i);
		p = dev_attach(0, path, &fd);
		for (at = PAGE; at < MIB; at += PAGE)
			T_EQ(p[at], 0);
	}
	T_ASSERT(charged() - before >= OBJECTS * TAIL - STOCK);
}

T_TEST(zero_pages_are_charged)
{
	const char *name = strdup(t_name("tail"));
	pid_t pid;

	t_host("many %s %d 1", name, OBJECTS);
	fs_private();
	mkdir(GROUPS, 0755);
	T_EQ(mount("none", GROUPS, "cgroup2", 0, NULL), 0);
	kernfile_put(GROUPS "cgroup.subtree_control", "+memory");
	mkdir(GROUPS "user", 0755);
	pid = t_fork();
	if (!pid) {
		touch_tails(name);
		_exit(0);
	}
	t_wait(pid);
	/* The zero pages are freed with the last file. */
	T_ASSERT(charged() < OBJECTS * TAIL / 2);
	T_EQ(rmdir(GROUPS "user"), 0);
	T_EQ(umount(GROUPS), 0);
}

/* Bytes of the kernel's records that are charged to the group */
static long charged_records(void)
{
	return kernfile_number(GROUPS "user/memory.stat",
			       "slab_unreclaimable %ld");
}

/* What opening the directory many times charges to a new group */
static void charge_directories(const char *path, long *bytes)
{
	const struct rlimit limit = { DIRECTORIES + 64, DIRECTORIES + 64 };
	long before;
	int i;

	T_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
	kernfile_put(GROUPS "user/cgroup.procs", "0");
	before = charged_records();
	for (i = 0; i < DIRECTORIES; i++)
		T_ASSERT(open(path, O_RDONLY | O_DIRECTORY) >= 0);
	*bytes = charged_records() - before;
}

static long charged_directories(const char *path)
{
	long *bytes = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	T_ASSERT(bytes != MAP_FAILED);
	*bytes = 0;
	mkdir(GROUPS "user", 0755);
	pid = t_fork();
	if (!pid) {
		charge_directories(path, bytes);
		_exit(0);
	}
	t_wait(pid);
	T_EQ(rmdir(GROUPS "user"), 0);
	return *bytes;
}

/* The driver has a record of its own for each open directory. */
T_TEST(open_directories_are_charged)
{
	long others, ours;

	fs_mount(0);
	mkdir(GROUPS, 0755);
	T_EQ(mount("none", GROUPS, "cgroup2", 0, NULL), 0);
	kernfile_put(GROUPS "cgroup.subtree_control", "+memory");
	others = charged_directories("/");
	ours = charged_directories("/dev/shm");
	t_note("%ld and %ld bytes for each",
	       others / DIRECTORIES, ours / DIRECTORIES);
	T_ASSERT(ours - others > DIRECTORIES * RECORD / 2);
	T_EQ(umount(GROUPS), 0);
}

/* Struct pages take 1.6 % of the arena, however large the objects are. */
T_TEST(struct_pages_have_a_limit)
{
	const char *name = fs_new("sparse", SPARSE);
	long before, used, at;
	char *p;

	fs_mount(0);
	before = memory_free();
	p = fs_map(name, SPARSE);
	for (at = 0; at < SPARSE; at += STEP)
		T_EQ(t_write_faults(p + at), 0);
	used = before - memory_free();
	t_note("%ld KiB of the kernel", used / 1024);
	T_ASSERT(used < ARENA / 64 + SPARE);
}
