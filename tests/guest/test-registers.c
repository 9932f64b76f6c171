/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The driver with a device of contract 1.0: commands go through registers.
 *
 * qemu: registers
 */
#define _GNU_SOURCE
#include <dirent.h>

#include "t.h"

#include "fs.h"

T_TEST(all_that_a_file_can_do)
{
	struct stat st;
	char *p;
	int fd;

	fs_mount(0);
	fd = shm_open("/a", O_RDWR | O_CREAT | O_EXCL, 0640);
	T_ASSERT(fd >= 0);
	T_ERRNO(shm_open("/a", O_RDWR | O_CREAT | O_EXCL, 0640), EEXIST);
	T_EQ(ftruncate(fd, 3 * PAGE + 5), 0);
	p = fs_map_at(fd, 0, 3 * PAGE);
	strcpy(p + PAGE, "mapped");
	T_EQ(pwrite(fd, "written", 8, 3 * PAGE), 8);
	T_EQ(fstat(fd, &st), 0);
	T_EQ(st.st_size, 3 * PAGE + 8);
	T_EQ(st.st_mode & 0777, 0640);
	T_EQ(posix_fallocate(fd, 0, 10 * PAGE), 0);
	T_EQ(rename("/dev/shm/a", "/dev/shm/b"), 0);
	T_EQ(link("/dev/shm/b", "/dev/shm/c"), 0);
	T_ERRNO(stat("/dev/shm/a", &st), ENOENT);
	T_EQ(stat("/dev/shm/c", &st), 0);
	T_EQ(st.st_size, 10 * PAGE);
	T_ASSERT(!strcmp(t_host("text %s %ld", t_name("r-c"), PAGE), "mapped"));
	T_EQ(munmap(p, 3 * PAGE), 0);
	T_EQ(close(fd), 0);
	T_EQ(shm_unlink("/b"), 0);
	T_EQ(shm_unlink("/c"), 0);
	T_ERRNO(shm_open("/c", O_RDWR, 0), ENOENT);
}

/* The answer to ATTACH does not have the mode. */
T_TEST(mode_that_was_changed_meanwhile)
{
	const char *name = fs_object("r-mode", PAGE, 1);
	pid_t pid;

	fs_mount(0);
	t_host("mode %s 666", name);
	close(fs_open("/mode", O_RDWR));
	t_host("mode %s 600", name);
	pid = t_fork();
	if (pid == 0) {
		T_EQ(setgid(65534), 0);
		T_EQ(setuid(65534), 0);
		T_ERRNO(shm_open("/mode", O_RDONLY, 0), EACCES);
		T_ERRNO(shm_open("/mode", O_RDWR, 0), EACCES);
		_exit(0);
	}
	t_wait(pid);
	T_EQ(shm_unlink("/mode"), 0);
}

T_TEST(a_list_of_several_parts)
{
	struct dirent *entry;
	int found = 0;
	DIR *dir;

	t_host("many %s 300 1", t_name("r-m"));
	fs_mount(0);
	dir = opendir("/dev/shm");
	T_ASSERT(dir);
	while ((entry = readdir(dir)))
		found += entry->d_name[0] == 'm';
	closedir(dir);
	T_EQ(found, 300);
}
