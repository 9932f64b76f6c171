// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmshm run: a program whose /dev/shm is the host's.
 *
 * It gets a mount namespace of its own, so that nobody else sees the change.
 * Who may not mount can still bind what is mounted elsewhere, in a user
 * namespace; the kernel lets no new vmshm be mounted in one.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "vmshm.h"

#define SHM "/dev/shm"

/* As env(1) and the shells have it */
enum { EXIT_CANNOT = 126, EXIT_NOT_FOUND };

/* Nothing that is mounted here is to get out. */
static bool make_private(void)
{
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
		return true;
	error("cannot keep the mount to this program: %s", strerror(errno));
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
		error("this kernel does not know the file system vmshm");
		hint("sudo modprobe vmshm");
		break;
	case EINVAL:
		if (o->mount_options && exists("/sys/class/vmshm/%s", device))
			error("a mount option is not right: %s",
			      escaped(o->mount_options));
		else
			error("there is no device %s", escaped(device));
		break;
	case EPERM:
		error("root of a container or user namespace may not mount the "
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
	hint("vmshm doctor    to see what is missing");
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

/* Where the device is mounted, in @path */
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

/* As the same user, who may do there what is done here and nothing else. */
static bool bind_mounted(const struct options *o, char **argv)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	char path[PATH_MAX];

	if (o->mount_options || !find_mounted(o, path)) {
		error("only root may mount the device (CAP_SYS_ADMIN; a user "
		      "namespace will not do)%s",
		      o->mount_options ? "" :
		      ", and it is not mounted anywhere yet");
		hint("sudo vmshm run %s ...", escaped(argv[0]));
		return false;
	}
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 ||
	    !write_file("/proc/self/setgroups", "deny") ||
	    !write_file("/proc/self/uid_map", "%u %u 1", uid, uid) ||
	    !write_file("/proc/self/gid_map", "%u %u 1", gid, gid)) {
		error("neither root nor allowed a user namespace: %s",
		      strerror(errno));
		hint("sudo vmshm run %s ...", escaped(argv[0]));
		return false;
	}
	if (!make_private())
		return false;
	if (mount(path, SHM, NULL, MS_BIND, NULL) == 0)
		return true;
	error("cannot put %s on " SHM ": %s", escaped(path), strerror(errno));
	return false;
}

static bool enter(const struct options *o, char **argv)
{
	if (unshare(CLONE_NEWNS) == 0)
		return make_private() && mount_device(o);
	if (errno == EPERM)
		return bind_mounted(o, argv);
	error("no mount namespace: %s", strerror(errno));
	return false;
}

int cmd_run(const struct options *o, int argc, char **argv)
{
	int code;

	if (argc < 1)
		return usage_error("run takes a program and its arguments");
	if (this_side(o) == SIDE_HOST) {
		error("this is no guest with VMShm: its /dev/shm is the host's "
		      "already");
		hint("vmshm --guest doctor    if it should be one");
		return EXIT_FAILED;
	}
	if (!enter(o, argv))
		return EXIT_FAILED;
	execvp(argv[0], argv);
	code = errno == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT;
	error("%s: %s", escaped(argv[0]), strerror(errno));
	return code;
}
