// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where objects are: a folder, on both sides. On a host it is the one that
 * shm_open() of every Linux C library uses; to list them it is needed anyway.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmshm.h"

#define SHM "/dev/shm"

/* A device or a mount makes it a guest, even if it has guests of its own. */
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

static void say_not_mounted(const struct options *o)
{
	const char *device = o->device ? escaped(o->device) : NULL;

	error("%s is not mounted", device ? device : "the file system vmshm");
	hint("sudo mount -t vmshm %s /dev/shm", device ? device : "vmshm0");
	hint("vmshm doctor    if that does not work");
}

static const struct mount *choose(const struct options *o,
				  const struct mount *mounts, size_t count)
{
	const struct mount *chosen, *other;

	chosen = mounts_choose(mounts, count, o->device, &other);
	if (other) {
		error("%s and %s are both mounted: say which one",
		      escaped(chosen->device), escaped(other->device));
		hint("vmshm --device %s ...", escaped(chosen->device));
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

/* A host has no devices. */
static bool check_side(const struct options *o)
{
	if (this_side(o) == SIDE_GUEST || !o->device)
		return true;
	error("--device is for guests, and this is a host");
	return false;
}

bool place_or_device(const struct options *o, char where[PATH_MAX])
{
	char node[PATH_MAX];
	const char *device;

	if (!check_side(o))
		return false;
	if (this_side(o) == SIDE_HOST || is_mounted(o))
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
		why = guest ? "no such object on the host, or its policy does "
			      "not let this guest use it"
			    : "there is no such object";
		break;
	case EROFS:
		if (guest)
			why = "this guest may not change what objects there "
			      "are; on the host QEMU needs -device "
			      "vmshm,create=on, and here a mount with rw";
		break;
	case ELOOP:
		why = "it is a symbolic link, and no object";
		break;
	case EISDIR:
		why = "it is a folder, and no object";
		break;
	case ENXIO:
		why = "it is no object";
		break;
	case ENODATA:
		why = "it is empty: who made it has not given it a size yet";
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
		return -1;
	}
	if (S_ISREG(st->st_mode))
		return fd;
	error("%s: it is no object", escaped(name));
	close(fd);
	return -1;
}
