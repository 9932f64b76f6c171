/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Common functions of the tests of libvmshm. The same programs run on the host
 * and in a guest, where the objects are those of a device with create=on.
 */
#ifndef LIBRARY_H
#define LIBRARY_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <vmshm/vmshm.h>

#include "t.h"

#define MIB (1L << 20)
#define MSEC 1000000LL
#define NOBODY 65534

/* The library gives errors as negative numbers. */
#define L_ERR(call, err) T_EQ(call, -(err))
#define L_OK(call) T_EQ(call, 0)

static inline bool l_in_guest(void)
{
	return !getenv("T_CHANNEL");
}

/* In a guest the objects of the host are on /dev/shm, for this test alone. */
static inline void l_mount(void)
{
	static bool mounted;

	if (mounted || !l_in_guest())
		return;
	T_EQ(unshare(CLONE_NEWNS), 0);
	T_EQ(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	T_EQ(mount("vmshm0", "/dev/shm", "vmshm", 0, NULL), 0);
	mounted = true;
}

/*
 * The name of a new object of this test, which does not exist yet; never freed
 */
static inline const char *l_name(const char *tail)
{
	static int count;
	char full[64];
	char *name;

	l_mount();
	snprintf(full, sizeof(full), "l%d.%d-%s", getpid(), ++count, tail);
	name = strdup(t_name(full));
	T_ASSERT(name);
	return name;
}

/* The object's path, for operations that the library lacks; never freed */
static inline const char *l_path(const char *name)
{
	char *path;

	T_ASSERT(asprintf(&path, "/dev/shm%s", name) > 0);
	return path;
}

static inline int64_t l_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* A new object of that size */
static inline struct vmshm *l_object(const char *name, uint64_t size)
{
	struct vmshm *shm;

	L_OK(vmshm_open(&shm, NULL, name, O_RDWR | O_CREAT | O_EXCL, 0600));
	if (size)
		L_OK(vmshm_grow(shm, size));
	return shm;
}

static inline void *l_map(struct vmshm *shm)
{
	size_t size;
	void *data;

	L_OK(vmshm_map(shm, &data, &size));
	return data;
}

/* Maps the first @size bytes of an object that another process has created. */
static inline void *l_map_at(const char *name, size_t size)
{
	int fd = open(l_path(name), O_RDWR | O_CLOEXEC);
	void *data;

	T_ASSERT(fd >= 0);
	data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	T_ASSERT(data != MAP_FAILED);
	close(fd);
	return data;
}

/* A pipe by which processes signal each other, one byte at a time */
struct l_bell {
	int fds[2];
};

static inline struct l_bell l_bell(void)
{
	struct l_bell bell;

	T_EQ(pipe2(bell.fds, O_CLOEXEC), 0);
	return bell;
}

static inline void l_ring(struct l_bell bell)
{
	T_EQ(write(bell.fds[1], "x", 1), 1);
}

static inline void l_heard(struct l_bell bell)
{
	char byte;

	T_EQ(read(bell.fds[0], &byte, 1), 1);
}

/* Until the process's first thread sleeps, in any call */
static inline void l_asleep(pid_t pid)
{
	char path[32], text[512], *state;
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	for (;;) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		T_ASSERT(fd >= 0);
		len = read(fd, text, sizeof(text) - 1);
		T_ASSERT(len > 0);
		close(fd);
		text[len] = '\0';
		state = strrchr(text, ')');
		T_ASSERT(state);
		if (state[2] == 'S')
			return;
		sched_yield();
	}
}

static inline void l_kill(pid_t pid)
{
	int status;

	T_EQ(kill(pid, SIGKILL), 0);
	T_EQ(waitpid(pid, &status, 0), pid);
	T_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* The files, threads and mappings of a process */
static inline int l_count_files(const char *folder)
{
	return t_system("exit $(ls /proc/%d/%s | wc -l)", getpid(), folder);
}

static inline int l_count_maps(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	int lines = 0, c;

	T_ASSERT(f);
	while ((c = getc(f)) != EOF)
		lines += c == '\n';
	fclose(f);
	return lines;
}

/* Numbers that are the same each time */
static inline uint32_t l_random(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

#endif
