// SPDX-License-Identifier: MIT
/*
 * The place of objects: a directory on both sides, or the node of a device.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mounts.h"
#include "place.h"

#define SHM "/dev/shm"

/* The path of the mounted file system; -ENOENT: it is not mounted. */
static int find_mount(const char *device, char path[PATH_MAX])
{
	const struct mount *mount, *other;
	struct mount *mounts;
	ssize_t count;

	count = mounts_find(&mounts);
	if (count < 0)
		return count;
	mount = mounts_choose(mounts, count, device, &other);
	if (mount)
		strcpy(path, mount->path);
	free(mounts);
	if (other)
		return -ENOTUNIQ;
	return mount ? 0 : -ENOENT;
}

static int find_folder(const char *where, char path[PATH_MAX], bool *node)
{
	int err;

	*node = false;
	/* A program with more rights than its caller ignores the variable. */
	if (!where) {
		where = secure_getenv("VMSHM_DIR");
		if (where && !*where)
			where = NULL;
		if (where && *where != '/')
			return -EINVAL;
	}
	if (where && *where == '/') {
		if (strlen(where) >= PATH_MAX)
			return -ENAMETOOLONG;
		strcpy(path, where);
		return 0;
	}
	if (where && (!*where || strchr(where, '/') ||
		      strlen(where) > NAME_MAX))
		return -EINVAL;
	err = find_mount(where, path);
	if (err != -ENOENT)
		return err;
	snprintf(path, PATH_MAX, "/dev/%s", where ? where : "vmshm0");
	*node = access(path, F_OK) == 0;
	if (*node)
		return 0;
	if (where)
		return -ENOENT;
	strcpy(path, SHM);
	return 0;
}

int place_find(const char *where, const char *name, struct place *place)
{
	size_t length;
	int err;

	if (*name == '/')
		name++;
	length = strlen(name);
	if (length > NAME_MAX)
		return -ENAMETOOLONG;
	if (!length || strchr(name, '/') || !strcmp(name, ".") ||
	    !strcmp(name, ".."))
		return -EINVAL;
	err = find_folder(where, place->path, &place->node);
	if (err)
		return err;
	sprintf(place->name, "/%s", name);
	if (place->node)
		return 0;
	if (strlen(place->path) + length + 1 >= PATH_MAX)
		return -ENAMETOOLONG;
	strcat(place->path, place->name);
	return 0;
}
