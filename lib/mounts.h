/* SPDX-License-Identifier: MIT */
/*
 * Mounts of the file system vmshm, as this process sees them. The library and
 * the program vmshm share this parser and the rule for which mount to use.
 */
#ifndef VMSHM_LIB_MOUNTS_H
#define VMSHM_LIB_MOUNTS_H

#include <limits.h>
#include <stddef.h>
#include <sys/types.h>

struct mount {
	/* "vmshm0": the last component of the mount's source */
	char device[NAME_MAX + 1];
	char path[PATH_MAX];
	/* Of the mount point, then of the file system: "rw,noatime,uid=5" */
	char options[256];
};

/*
 * All mounts that can be reached by their paths: not those of a single file,
 * and not those with another mount on top. The caller frees the list. Returns
 * the length of the list, 0 if there is no /proc, or -ENOMEM.
 */
ssize_t mounts_find(struct mount **mounts);

/*
 * The mount to use for @device, or for any device if NULL: the one on /dev/shm,
 * or else the first. NULL if there is none. @other is NULL, or a mount of
 * another device if @device is NULL and no mount is on /dev/shm: then the
 * choice of the device is ambiguous.
 */
const struct mount *mounts_choose(const struct mount *mounts, size_t count,
				  const char *device,
				  const struct mount **other);

#endif /* VMSHM_LIB_MOUNTS_H */
