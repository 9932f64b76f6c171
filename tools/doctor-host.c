// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmshm doctor on a host: QEMU, the device for it, /dev/shm, /dev/kvm.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <libgen.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/magic.h>

#include "doctor.h"
#include "files.h"
#include "finding.h"
#include "hint.h"
#include "print.h"

#define SHM "/dev/shm"

/* A smaller /dev/shm is that of a container; Docker's has 64 MiB. */
#define SMALL (128ULL << 20)

extern char **environ;

static const char *qemu(void)
{
	const char *name = getenv("QEMU");

	return name && *name ? name : "qemu-system-x86_64";
}

/* In the directories of PATH */
static bool find_program(const char *name, char path[PATH_MAX])
{
	const char *dirs = getenv("PATH");

	if (strchr(name, '/')) {
		snprintf(path, PATH_MAX, "%s", name);
		return access(path, X_OK) == 0;
	}
	while (dirs && *dirs) {
		size_t len = strcspn(dirs, ":");

		snprintf(path, PATH_MAX, "%.*s/%s", (int)len, dirs, name);
		if (access(path, X_OK) == 0)
			return true;
		dirs += len + (dirs[len] == ':');
	}
	return false;
}

bool has_qemu(void)
{
	char path[PATH_MAX];

	return find_program(qemu(), path);
}

/* The beginning of the output of a program */
static bool output_of(char *const argv[], char *text, size_t size)
{
	posix_spawn_file_actions_t actions;
	int pipes[2], status = -1;
	size_t len = 0;
	ssize_t got;
	pid_t pid;
	int err;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return false;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null",
					 O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, pipes[1], STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null",
					 O_WRONLY, 0);
	err = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(pipes[1]);
	while (!err && len < size - 1 &&
	       (got = read(pipes[0], text + len, size - 1 - len)) > 0)
		len += got;
	close(pipes[0]);
	text[len] = '\0';
	if (!err)
		waitpid(pid, &status, 0);
	return !err && status == 0;
}

/* "7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)", which the device compares */
static bool qemu_version(char *path, char *version, size_t size)
{
	char *argv[] = { path, "--version", NULL };
	static const char before[] = "QEMU emulator version ";
	char text[256];

	if (!output_of(argv, text, sizeof(text)) ||
	    strncmp(text, before, strlen(before)) != 0)
		return false;
	text[strcspn(text, "\n")] = '\0';
	snprintf(version, size, "%s", text + strlen(before));
	return true;
}

static bool is_debian(void)
{
	return exists("/etc/debian_version");
}

static bool check_qemu(char path[PATH_MAX], char *version, size_t size)
{
	if (!find_program(qemu(), path)) {
		finding(BAD, "qemu", "%s is not installed.", escaped(qemu()));
		explain("The variable QEMU names another QEMU to check.");
		if (is_debian())
			advice("%sapt install qemu-system-x86", sudo());
		return false;
	}
	if (!qemu_version(path, version, size)) {
		finding(BAD, "qemu", "%s does not print its version.",
			escaped(path));
		advice("%s --version", quoted(path));
		return false;
	}
	finding(GOOD, "qemu", "%s is QEMU %s.", escaped(path),
		escaped(version));
	return true;
}

/* Whether the file contains the string, as the device for that QEMU does */
static bool has_string(const char *path, const char *wanted)
{
	size_t len = strlen(wanted) + 1;
	struct stat st;
	char *data, *found = NULL;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (fstat(fd, &st) < 0 || !st.st_size) {
		close(fd);
		return false;
	}
	data = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (data == MAP_FAILED)
		return false;
	do {
		char *from = found ? found + 1 : data;

		found = memmem(from, data + st.st_size - from, wanted, len);
		/* "17.2.22" contains "7.2.22". */
	} while (found && found > data && found[-1]);
	munmap(data, st.st_size);
	return found;
}

/* The paths that vmshm.so may have; false when there are no more. */
static bool candidate(size_t i, char path[PATH_MAX])
{
	static const struct {
		bool beside_us;
		const char *path;
	} places[] = {
		{ true, "vmshm.so" },
		{ true, "../lib/vmshm.so" },
		{ false, "build/vmshm.so" },
		{ false, "/usr/local/lib/vmshm.so" },
		{ false, "/usr/lib/vmshm.so" },
	};
	const char *named = getenv("VMSHM_SO");
	char directory[PATH_MAX];

	if (named && *named) {
		snprintf(path, PATH_MAX, "%s", named);
		return i == 0;
	}
	if (i >= ARRAY_SIZE(places))
		return false;
	own_directory(directory);
	if (!places[i].beside_us)
		strcpy(path, places[i].path);
	else if (snprintf(path, PATH_MAX, "%s/%s", directory, places[i].path) >=
		 PATH_MAX)
		*path = '\0';
	return true;
}

/* Whether a device in the directory beside the loader is for this QEMU */
static bool has_device(const char *loader, const char *version)
{
	char directory[PATH_MAX], pattern[PATH_MAX + 32];
	bool found = false;
	glob_t devices;
	size_t i;

	snprintf(directory, sizeof(directory), "%s", loader);
	snprintf(pattern, sizeof(pattern), "%s/vmshm-devices/*.so",
		 dirname(directory));
	if (glob(pattern, 0, NULL, &devices) != 0)
		return false;
	for (i = 0; i < devices.gl_pathc && !found; i++)
		found = has_string(devices.gl_pathv[i], version);
	globfree(&devices);
	return found;
}

/* The device for this QEMU; if there is none, @other is one for another. */
static bool find_device(const char *version, char path[PATH_MAX],
			char other[PATH_MAX])
{
	size_t i;

	*other = '\0';
	for (i = 0; candidate(i, path); i++) {
		if (access(path, F_OK) < 0)
			continue;
		if (has_string(path, version) || has_device(path, version))
			return true;
		if (!*other)
			strcpy(other, path);
	}
	return false;
}

/* Whether QEMU was built with the device */
static bool is_built_in(char *path)
{
	char *argv[] = { path, "-machine", "none", "-device", "help", NULL };
	static char text[128 * 1024];

	return output_of(argv, text, sizeof(text)) &&
	       strstr(text, "name \"vmshm\"");
}

static void advise_build(void)
{
	char source[PATH_MAX];

	if (source_path("", source)) {
		advice("make -C %s device", quoted(source));
		return;
	}
	explain("In the source directory of VMShm:");
	advice("make device");
}

static void check_device(char *qemu_path, const char *version)
{
	char path[PATH_MAX], other[PATH_MAX], stamp[128];

	if (find_device(version, path, other)) {
		finding(GOOD, "device", "%s is built for this QEMU.",
			escaped(path));
		return;
	}
	if (is_built_in(qemu_path)) {
		finding(GOOD, "device", "The device is part of this QEMU.");
		return;
	}
	if (!*other)
		finding(BAD, "device", "The device, vmshm.so, is not built.");
	else if (access(other, R_OK) < 0)
		finding(BAD, "device", "%s: %s.", escaped(other),
			strerror(errno));
	else if (read_line(stamp, sizeof(stamp), "%s.stamp", other) &&
		 has_string(other, stamp))
		finding(BAD, "device", "%s is built for QEMU %s: this QEMU "
			"refuses it.", escaped(other), escaped(stamp));
	else
		finding(BAD, "device", "%s is built for another QEMU: this one "
			"refuses it.", escaped(other));
	advise_build();
}

static bool in_container(void)
{
	return exists("/.dockerenv") || exists("/run/.containerenv") ||
	       exists("/run/systemd/container");
}

static void advise_size(void)
{
	if (in_container())
		explain("Start the container with --shm-size=1g.");
	else
		advice("%smount -o remount,size=1G " SHM, sudo());
}

static void check_shm_size(const struct statfs *st)
{
	uint64_t size = (uint64_t)st->f_blocks * st->f_bsize;
	uint64_t room = (uint64_t)st->f_bavail * st->f_bsize;

	/* 0: a tmpfs without a limit */
	if (!size) {
		finding(GOOD, "shm-size", SHM " has no size limit.");
	} else if (room < size / 32 || room < 1 << 20) {
		finding(BAD, "shm-size", SHM " is full: %s of %s are free. A "
			"program that uses a page without memory is killed.",
			human_size(room), human_size(size));
		explain("\"vmshm rm NAME\" removes an object that no program "
			"needs.");
		advice("vmshm ls");
		advise_size();
	} else if (size < SMALL) {
		finding(DOUBT, "shm-size", SHM " is small: %s, %s of it free.",
			human_size(size), human_size(room));
		advise_size();
	} else {
		finding(GOOD, "shm-size", SHM " has %s, %s of it free.",
			human_size(size), human_size(room));
	}
}

static void check_shm(void)
{
	struct statfs st;

	if (statfs(SHM, &st) < 0) {
		finding(BAD, "shm", SHM ": %s.", strerror(errno));
		advice("%smkdir -p " SHM, sudo());
		advice("%smount -t tmpfs -o mode=1777 tmpfs " SHM, sudo());
		return;
	}
	if (st.f_type != TMPFS_MAGIC && st.f_type != RAMFS_MAGIC) {
		finding(BAD, "shm", "No tmpfs is mounted on " SHM ".");
		advice("%smount -t tmpfs -o mode=1777 tmpfs " SHM, sudo());
		return;
	}
	if (access(SHM, R_OK | W_OK | X_OK) < 0) {
		bool read_only = errno == EROFS;

		finding(BAD, "shm", "This user cannot create objects in " SHM
			": %s.", strerror(errno));
		if (read_only)
			advice("%smount -o remount,rw " SHM, sudo());
		else
			advice("%schmod 1777 " SHM, sudo());
	} else {
		finding(GOOD, "shm", SHM " is mounted and accessible.");
	}
	check_shm_size(&st);
}

static void check_kvm(void)
{
	struct stat st;

	if (stat("/dev/kvm", &st) < 0) {
		finding(DOUBT, "kvm", "There is no /dev/kvm: guests are "
			"emulated, which is slow.");
	} else if (access("/dev/kvm", R_OK | W_OK) < 0) {
		finding(DOUBT, "kvm", "This user has no permission to use "
			"/dev/kvm: guests are emulated, which is slow.");
		if (!st.st_gid)
			return;
		explain("A new group is in effect after the next login.");
		advice("%susermod -aG %s %s", sudo(),
		       quoted(group_name(st.st_gid)),
		       quoted(user_name(getuid())));
	} else {
		finding(GOOD, "kvm", "/dev/kvm is accessible.");
	}
}

void examine_host(void)
{
	char path[PATH_MAX], version[256];

	if (check_qemu(path, version, sizeof(version)))
		check_device(path, version);
	check_shm();
	check_kvm();
}
