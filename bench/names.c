// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Files by name: those of VMShm, of the guest's own tmpfs, and of a virtiofs
 * with the same directory of the host.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "t.h"

#include "b.h"

#define FILES 100
#define LISTS 10
#define SIZE 4096
#define VIRTIOFS "/tmp/virtiofs"

enum { CREATE, STAT, OPEN, ATTACH, LIST, UNLINK, STEPS };

static const char *const step_names[] = {
	"create", "stat", "open", "attach", "list", "unlink",
};

static const struct peer {
	const char *name, *directory;
} peers[] = {
	{ "vmshm", B_VMSHM },
	{ "tmpfs", B_TMPFS },
	{ "virtiofs", VIRTIOFS },
};

static double times[ARRAY_SIZE(peers)][STEPS][FILES];

static const char *path_of(const struct peer *peer, int n)
{
	static char path[64];

	snprintf(path, sizeof(path), "%s/%s-%d", peer->directory, peer->name,
		 n);
	return path;
}

static void create(const struct peer *peer, int n)
{
	int fd = open(path_of(peer, n), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
		      0600);

	T_ASSERT(fd >= 0);
	close(fd);
}

/* Sets a file's size and content, which is not measured. */
static void fill(const struct peer *peer, int n)
{
	T_EQ(truncate(path_of(peer, n), SIZE), 0);
}

static void get_attributes(const struct peer *peer, int n)
{
	struct stat st;

	T_EQ(stat(path_of(peer, n), &st), 0);
	T_EQ(st.st_size, SIZE);
}

static void open_close(const struct peer *peer, int n)
{
	int fd = open(path_of(peer, n), O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	T_ASSERT(fd >= 0);
	close(fd);
}

static void attach(const struct peer *peer, int n)
{
	int fd;
	char *p = b_map(path_of(peer, n), SIZE, &fd);

	b_touch(p, 1);
	munmap(p, SIZE);
	close(fd);
}

/* All files with their attributes */
static void list(const struct peer *peer, int n)
{
	DIR *dir = opendir(peer->directory);
	struct dirent *entry;
	struct stat st;
	int found = 0;

	(void)n;
	T_ASSERT(dir);
	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, peer->name, strlen(peer->name)))
			continue;
		T_EQ(fstatat(dirfd(dir), entry->d_name, &st,
			     AT_SYMLINK_NOFOLLOW), 0);
		found++;
	}
	closedir(dir);
	T_EQ(found, FILES);
}

static void remove_name(const struct peer *peer, int n)
{
	T_EQ(unlink(path_of(peer, n)), 0);
}

static void (*const steps[])(const struct peer *peer, int n) = {
	create, get_attributes, open_close, attach, list, remove_name,
};

/* One step for all files, the peers in turns */
static void measure(int step, size_t count)
{
	int rounds = step == LIST ? LISTS : FILES, n;
	size_t k;

	for (n = 0; n < rounds; n++) {
		for (k = 0; k < count; k++) {
			double start = b_now();

			steps[step](&peers[k], n);
			times[k][step][n] = b_now() - start;
		}
	}
	for (k = 0; k < count; k++) {
		double *t = times[k][step];

		b_result("name=file step=%s peer=%s us=%.2f", step_names[step],
			 peers[k].name, b_median(t, rounds));
		b_result("name=file-p99 step=%s peer=%s us=%.2f",
			 step_names[step], peers[k].name,
			 b_percentile(t, rounds, 99));
	}
}

static size_t mount_all(void)
{
	b_mount();
	if (!t_host_try("virtiofs"))
		return ARRAY_SIZE(peers) - 1;
	if (mkdir(VIRTIOFS, 0755))
		T_EQ(errno, EEXIST);
	else
		T_EQ(mount("bench", VIRTIOFS, "virtiofs", 0, NULL), 0);
	return ARRAY_SIZE(peers);
}

T_TEST(files)
{
	size_t count = mount_all(), k;
	int n;

	measure(CREATE, count);
	for (k = 0; k < count; k++)
		for (n = 0; n < FILES; n++)
			fill(&peers[k], n);
	measure(STAT, count);
	measure(OPEN, count);
	measure(ATTACH, count);
	measure(LIST, count);
	measure(UNLINK, count);
}
