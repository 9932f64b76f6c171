// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmshm doctor on a host: QEMU, the device for it, /dev/shm, /dev/kvm.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/magic.h>

#include "doctor-parts.h"
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

/* Whether QEMU was built with the device */
static bool is_built_in(char *path)
{
	char *argv[] = { path, "-machine", "none", "-device", "help", NULL };
	static char text[128 * 1024];

	return output_of(argv, text, sizeof(text)) &&
	       strstr(text, "name \"vmshm\"");
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
	char path[PATH_MAX], real[PATH_MAX], version[256];
	size_t count, hidden;
	struct vm *vms;

	count = vms_find(&vms, &hidden);
	if (check_qemu(path, version, sizeof(version)))
		examine_device(realpath(path, real) ? real : path, version,
			       is_built_in(path), vms, count);
	check_shm();
	check_kvm();
	examine_libvirt();
	examine_vms(vms, count, hidden);
	free(vms);
}
