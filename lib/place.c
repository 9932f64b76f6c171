// SPDX-License-Identifier: MIT
/*
 * Where objects are: a folder, on both sides, or the node of a guest's device.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib.h"

#define SHM "/dev/shm"

/* Of a mount: its folder and its device, which is "vmshm0" or such */
struct mount {
	char path[PATH_MAX];
	char source[64];
};

/* mountinfo writes blanks and the like as \040 */
static void unescape(char *text)
{
	char *to = text;

	while (*text) {
		int n = 0, byte;

		if (sscanf(text, "\\%3o%n", &byte, &n) == 1 && n == 4) {
			*to++ = byte;
			text += n;
		} else {
			*to++ = *text++;
		}
	}
	*to = '\0';
}

static bool parse_mount(const char *line, struct mount *mount)
{
	const char *type = strstr(line, " - vmshm ");

	if (!type)
		return false;
	/* PATH_MAX is 4096 */
	if (sscanf(line, "%*s %*s %*s %*s %4095s", mount->path) != 1 ||
	    sscanf(type, " - vmshm %63s", mount->source) != 1)
		return false;
	unescape(mount->path);
	return true;
}

/* The mount of that device, or of any; best the one on /dev/shm. */
static bool find_mount(const char *device, char path[PATH_MAX])
{
	bool found = false;
	char *line = NULL;
	struct mount mount;
	size_t size = 0;
	FILE *f;

	f = fopen("/proc/self/mountinfo", "re");
	if (!f)
		return false;
	while (getline(&line, &size, f) > 0) {
		if (!parse_mount(line, &mount) ||
		    (device && strcmp(device, mount.source)))
			continue;
		if (!found || !strcmp(mount.path, SHM))
			strcpy(path, mount.path);
		found = true;
	}
	free(line);
	fclose(f);
	return found;
}

static int find_folder(const char *where, char path[PATH_MAX], bool *node)
{
	*node = false;
	if (where && *where == '/') {
		if (strlen(where) >= PATH_MAX)
			return -ENAMETOOLONG;
		strcpy(path, where);
		return 0;
	}
	if (where && (!*where || strchr(where, '/') || strlen(where) > 63))
		return -EINVAL;
	if (find_mount(where, path))
		return 0;
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
