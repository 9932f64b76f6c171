/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The directory of the objects, and objects in it.
 */
#ifndef VMSHM_TOOL_PLACE_H
#define VMSHM_TOOL_PLACE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "options.h"

struct place {
	enum side side;
	char path[PATH_MAX];
	/* Of that directory */
	int fd;
};

enum side this_side(const struct options *o);
/* "vmshm" with the options that select this place, in a static buffer */
const char *command_here(const struct options *o);
/* false after a message */
bool place_open(const struct options *o, struct place *place);
void place_close(struct place *place);

/*
 * Where a command can mount the device for all programs: /dev/shm, unless
 * systemd-logind would remove objects of the host from there
 */
const char *mount_directory(const char *device);
/* The only device, or "vmshm0" */
const char *device_to_use(const struct options *o);
/*
 * For libvmshm: the directory or, if the device is not mounted, its name;
 * false after a message.
 */
bool place_or_device(const struct options *o, char where[PATH_MAX]);

/* The object's file descriptor, or -1 after a message */
int object_open(const struct place *place, const char *name, int flags,
		struct stat *st);
/* A message about errno. */
void object_error(const struct place *place, const char *name);

#endif /* VMSHM_TOOL_PLACE_H */
