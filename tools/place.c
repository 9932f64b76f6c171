// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The directory of the objects. On a host it is the one that shm_open() of
 * every C library for Linux uses, unless another one is given.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "guest.h"
#include "hint.h"
#include "logind.h"
#include "place.h"
#include "print.h"

#define SHM "/dev/shm"

/* A machine with a device or a mount is a guest, though it may run QEMU. */
enum side this_side(const struct options *o)
{
	struct device *devices;
	struct mount *mounts;
	bool guest;

	if (o->side != SIDE_AUTO)
		return o->side;
	guest = find_devices(&devices) + find_mounts(&mounts) > 0;
	free(devices);
	free(mounts);
	return guest ? SIDE_GUEST : SIDE_HOST;
}

static bool fits(const struct options *o, const struct mount *mount)
{
	return !o->device || strcmp(mount->device, o->device) == 0;
}

const char *command_here(const struct options *o)
{
	static char text[4 * PATH_MAX];

	snprintf(text, sizeof(text), "vmshm%s%s%s%s%s",
		 o->side == SIDE_HOST  ? " --host" :
		 o->side == SIDE_GUEST ? " --guest" :
					 "",
		 o->device ? " --device " : "",
		 o->device ? quoted(o->device) : "",
		 o->directory ? " --dir " : "",
		 o->directory ? quoted(o->directory) : "");
	return text;
}

/* The directory of the option, or else of the variable; NULL: the default */
static const char *given_directory(const struct options *o)
{
	const char *directory = getenv("VMSHM_DIR");

	if (o->directory)
		return o->directory;
	return directory && *directory && !o->device ? directory : NULL;
}

const char *device_to_use(const struct options *o)
{
	static char name[NAME_MAX + 1] = "vmshm0";
	struct device *devices;
	size_t count, i;

	if (o->device)
		return o->device;
	count = find_devices(&devices);
	for (i = 0; i < count; i++) {
		if (!*devices[i].name)
			continue;
		strcpy(name, devices[i].name);
		break;
	}
	free(devices);
	return name;
}

const char *mount_directory(const char *device)
{
	return logind_removes_ipc_through(device) ? "/mnt" : SHM;
}

static void say_not_mounted(const struct options *o)
{
	error("%s is not mounted",
	      o->device ? escaped(o->device) : "the file system vmshm");
	hint("%smount -t vmshm %s %s", sudo(), quoted(device_to_use(o)),
	     mount_directory(device_to_use(o)));
	hint("vmshm doctor");
}

static void hint_device(const char *device)
{
	char option[NAME_MAX + 16];

	snprintf(option, sizeof(option), "--device %s", quoted(device));
	hint_again("", option);
}

static const struct mount *choose(const struct options *o,
				  const struct mount *mounts, size_t count)
{
	const struct mount *chosen, *other;

	chosen = mounts_choose(mounts, count, o->device, &other);
	if (other) {
		error("%s and %s are both mounted: select one with --device",
		      escaped(chosen->device), escaped(other->device));
		hint_device(chosen->device);
		hint_device(other->device);
		return NULL;
	}
	if (!chosen)
		say_not_mounted(o);
	return chosen;
}

static bool find_place(const struct options *o, char path[PATH_MAX])
{
	const struct mount *mount;
	struct mount *mounts;
	size_t count;

	if (given_directory(o)) {
		if (realpath(given_directory(o), path))
			return true;
		error("%s: %s", escaped(given_directory(o)), strerror(errno));
		return false;
	}
	if (this_side(o) == SIDE_HOST) {
		strcpy(path, SHM);
		return true;
	}
	count = find_mounts(&mounts);
	mount = choose(o, mounts, count);
	if (mount)
		strcpy(path, mount->path);
	free(mounts);
	return mount;
}

static bool is_mounted(const struct options *o)
{
	struct mount *mounts;
	size_t count = find_mounts(&mounts);
	bool found = false;
	size_t i;

	for (i = 0; i < count; i++)
		found |= fits(o, &mounts[i]);
	free(mounts);
	return found;
}

/* A host has no devices, and a directory belongs to one device. */
static bool check_side(const struct options *o)
{
	if (o->directory && o->device) {
		error("--dir and --device exclude each other");
		return false;
	}
	if (this_side(o) == SIDE_GUEST || !o->device)
		return true;
	error("--device is for guests; this machine is a host");
	return false;
}

bool place_or_device(const struct options *o, char where[PATH_MAX])
{
	char node[PATH_MAX];
	const char *device;

	if (!check_side(o))
		return false;
	if (given_directory(o) || this_side(o) == SIDE_HOST || is_mounted(o))
		return find_place(o, where);
	device = device_to_use(o);
	snprintf(node, sizeof(node), "/dev/%s", device);
	snprintf(where, PATH_MAX, "%s", device);
	if (access(node, R_OK | W_OK) == 0)
		return true;
	error("%s: %s", escaped(node), strerror(errno));
	hint("vmshm doctor");
	return false;
}

bool place_open(const struct options *o, struct place *place)
{
	place->side = this_side(o);
	if (!check_side(o) || !find_place(o, place->path))
		return false;
	place->fd = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (place->fd < 0) {
		error("%s: %s", escaped(place->path), strerror(errno));
		hint("vmshm doctor");
		return false;
	}
	return true;
}

void place_close(struct place *place)
{
	close(place->fd);
}

void object_error(const struct place *place, const char *name)
{
	bool guest = place->side == SIDE_GUEST;
	const char *why = strerror(errno);

	switch (errno) {
	case ENOENT:
		why = guest ? "no such object on the host, or the policy of "
			      "the device denies it to this guest"
			    : "no such object";
		break;
	case EROFS:
		if (guest)
			why = "this guest cannot create or remove objects: "
			      "that requires -device vmshm,create=on on the "
			      "host, and a mount with rw here";
		break;
	case ELOOP:
		why = "a symbolic link, not a shared memory object";
		break;
	case EISDIR:
		why = "a directory, not a shared memory object";
		break;
	case ENXIO:
		why = "not a shared memory object";
		break;
	case ENODATA:
		why = "the object is empty: its creator has not set its size "
		      "yet";
		break;
	}
	error("%s: %s", escaped(name), why);
}

/* Without O_NONBLOCK a FIFO would wait for its other end. */
int object_open(const struct place *place, const char *name, int flags,
		struct stat *st)
{
	int fd = openat(place->fd, name + 1,
			flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, st) < 0) {
		object_error(place, name);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	if (S_ISREG(st->st_mode))
		return fd;
	error("%s: not a shared memory object", escaped(name));
	close(fd);
	return -1;
}
