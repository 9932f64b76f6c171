// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmshm run: a program whose /dev/shm is the host's.
 *
 * The program gets a mount namespace of its own, so that no other process sees
 * the change. In a user namespace, a user without the right to mount can bind
 * an existing mount, but cannot mount a new vmshm file system.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "commands.h"
#include "files.h"
#include "guest.h"
#include "hint.h"
#include "macros.h"
#include "place.h"
#include "print.h"

#define SHM "/dev/shm"

/* The same as in env(1) and in shells */
enum { EXIT_CANNOT = 126, EXIT_NOT_FOUND };

/* No mount of this namespace propagates to another one. */
static bool make_private(void)
{
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
		return true;
	error("cannot make the mounts private: %s", strerror(errno));
	return false;
}

static bool mount_device(const struct options *o)
{
	const char *device = device_to_use(o);

	if (mount(device, SHM, "vmshm", MS_NOSUID | MS_NODEV,
		  o->mount_options) == 0)
		return true;
	switch (errno) {
	case ENODEV:
		error("the kernel does not have the file system vmshm");
		hint("%smodprobe vmshm", sudo());
		break;
	case EINVAL:
		if (o->mount_options && exists("/sys/class/vmshm/%s", device))
			error("wrong mount option: %s",
			      escaped(o->mount_options));
		else
			error("no device %s found", escaped(device));
		break;
	case EPERM:
		error("root of a container or user namespace cannot mount the "
		      "device");
		break;
	case EOPNOTSUPP:
		error("%s has no arena, which the file system needs",
		      escaped(device));
		break;
	default:
		error("cannot mount %s on " SHM ": %s", escaped(device),
		      strerror(errno));
	}
	hint("vmshm doctor");
	return false;
}

static bool write_file(const char *path, const char *fmt, ...)
	PRINTF(2, 3);

static bool write_file(const char *path, const char *fmt, ...)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	va_list args;
	bool good;

	if (fd < 0)
		return false;
	va_start(args, fmt);
	good = vdprintf(fd, fmt, args) >= 0;
	va_end(args);
	close(fd);
	return good;
}

/* The path of the mounted device */
static bool find_mounted(const struct options *o, char path[PATH_MAX])
{
	struct mount *mounts;
	size_t count = find_mounts(&mounts);
	bool found = false;
	size_t i;

	for (i = 0; i < count && !found; i++) {
		if (o->device && strcmp(o->device, mounts[i].device) != 0)
			continue;
		strcpy(path, mounts[i].path);
		found = true;
	}
	free(mounts);
	return found;
}

static void hint_as_root(void)
{
	if (geteuid())
		hint_again("sudo ", "");
}

/* In a user namespace in which the user has the same user and group ID */
static bool bind_mounted(const struct options *o)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	char path[PATH_MAX];

	if (o->mount_options || !find_mounted(o, path)) {
		error("only root can mount the device (CAP_SYS_ADMIN outside "
		      "of user namespaces)%s",
		      o->mount_options ? "" :
		      ", and it is not mounted yet");
		hint_as_root();
		return false;
	}
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 ||
	    !write_file("/proc/self/setgroups", "deny") ||
	    !write_file("/proc/self/uid_map", "%u %u 1", uid, uid) ||
	    !write_file("/proc/self/gid_map", "%u %u 1", gid, gid)) {
		error("not root, and no user namespace: %s", strerror(errno));
		hint_as_root();
		return false;
	}
	if (!make_private())
		return false;
	if (mount(path, SHM, NULL, MS_BIND, NULL) == 0)
		return true;
	error("cannot put %s on " SHM ": %s", escaped(path), strerror(errno));
	return false;
}

static bool enter(const struct options *o)
{
	if (unshare(CLONE_NEWNS) == 0)
		return make_private() && mount_device(o);
	if (errno == EPERM)
		return bind_mounted(o);
	error("cannot create a mount namespace: %s", strerror(errno));
	return false;
}

int cmd_run(const struct options *o, int argc, char **argv)
{
	int code;

	if (argc < 1)
		return usage_error("run takes a program and its arguments");
	if (this_side(o) == SIDE_HOST) {
		error("this machine is not a guest with VMShm; if it should be "
		      "one, check it");
		hint("vmshm --guest doctor");
		return EXIT_FAILED;
	}
	if (!enter(o))
		return EXIT_FAILED;
	execvp(argv[0], argv);
	code = errno == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT;
	error("%s: %s", escaped(argv[0]), strerror(errno));
	return code;
}
