// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The guest's kernel keeps inodes of objects that are not in use. The driver
 * uses them only after a question to the device, and they are freed when memory
 * is short.
 *
 * qemu: files
 */
#define _GNU_SOURCE
#include <signal.h>

#include "t.h"

#include "fs.h"

#define NAMES 300
/* The inode of the file system, and that of the object */
#define INODES_EACH 2
/* Inodes that other parts of the kernel allocate or free at the same time */
#define NOISE 100

static long inodes(void)
{
	FILE *file = fopen("/proc/sys/fs/inode-nr", "r");
	long count;

	T_ASSERT(file && fscanf(file, "%ld", &count) == 1);
	fclose(file);
	return count;
}

static void drop(void)
{
	T_EQ(t_system("echo 2 >/proc/sys/vm/drop_caches"), 0);
}

T_TEST(given_back)
{
	const char *name = t_name("kept");
	long before, kept, left;
	struct stat st;
	char path[300];
	int i;

	fs_mount(PLAIN);
	t_host("many %s %d %ld", name, NAMES, PAGE);
	drop();
	before = inodes();
	for (i = 0; i < NAMES; i++) {
		snprintf(path, sizeof(path), "/dev/shm%s%d", name, i);
		T_EQ(stat(path, &st), 0);
	}
	kept = inodes() - before;
	T_ASSERT(kept > INODES_EACH * NAMES - NOISE);
	drop();
	left = inodes() - before;
	T_ASSERT(left < NOISE);
}

T_TEST(another_object_by_that_name)
{
	const char *name = t_name("a");
	int i;

	fs_mount(PLAIN);
	for (i = 1; i < 20; i++) {
		char *p;

		fs_object("a", i * PAGE, i);
		p = fs_map(name, i * PAGE);
		fs_same(name, p, i * PAGE);
		munmap(p, i * PAGE);
	}
	t_host("unlink %s", name);
	T_ERRNO(shm_open(name, O_RDWR, 0), ENOENT);
}

T_TEST(another_name_of_that_object)
{
	const char *one = fs_object("first", PAGE, 1);
	const char *two = strdup(t_name("second"));
	struct stat st;
	char *p;
	int i;

	fs_mount(CREATE);
	for (i = 0; i < 3; i++) {
		T_EQ(link(fs_path("/dev/shm", one), fs_path("/dev/shm", two)),
		     0);
		/*
		 * The host removes the first name without the guest's
		 * knowledge.
		 */
		t_host("unlink %s", one);
		p = fs_map(two, PAGE);
		fs_same(two, p, PAGE);
		munmap(p, PAGE);
		T_EQ(stat(fs_path("/dev/shm", two), &st), 0);
		T_EQ(st.st_nlink, 1);
		T_EQ(rename(fs_path("/dev/shm", two), fs_path("/dev/shm", one)),
		     0);
		T_ERRNO(stat(fs_path("/dev/shm", two), &st), ENOENT);
	}
	T_EQ(shm_unlink(one), 0);
}

/*
 * The guest removes one name; the other one was created without its knowledge.
 */
T_TEST(two_names_of_the_host)
{
	const char *one = fs_object("third", PAGE, 1);
	const char *two = strdup(t_name("fourth"));
	const char *three = strdup(t_name("fifth"));
	struct stat st;

	fs_mount(CREATE);
	t_host("link %s %s", one, two);
	T_EQ(stat(fs_path("/dev/shm", one), &st), 0);
	T_EQ(stat(fs_path("/dev/shm", two), &st), 0);
	T_EQ(shm_unlink(one), 0);
	T_EQ(stat(fs_path("/dev/shm", two), &st), 0);
	T_EQ(st.st_nlink, 1);
	T_EQ(link(fs_path("/dev/shm", two), fs_path("/dev/shm", three)), 0);
}

T_TEST(dropped_while_in_use)
{
	const char *name = fs_object("d", 3 * PAGE, 1);
	uint32_t sum = atoll(t_host("sum %s 0 %ld", name, 3 * PAGE));
	pid_t pid[2];
	int i;

	fs_mount(PLAIN);
	for (i = 0; i < 2; i++) {
		pid[i] = t_fork();
		if (!pid[i])
			for (;;)
				drop();
	}
	for (i = 0; i < 1000 / t_slower(); i++) {
		char *p = fs_map(name, 3 * PAGE);

		T_EQ(t_sum(p, 3 * PAGE), sum);
		munmap(p, 3 * PAGE);
	}
	for (i = 0; i < 2; i++)
		kill(pid[i], SIGKILL);
}
