/* SPDX-License-Identifier: MIT */
/* Where an object is: a file, or the node of a guest's device. */
#ifndef VMSHM_LIB_PLACE_H
#define VMSHM_LIB_PLACE_H

#include <limits.h>
#include <stdbool.h>

struct place {
	/* Of the object's file; or of the node */
	char path[PATH_MAX];
	bool node;
	/* The object's name with its '/' */
	char name[NAME_MAX + 2];
};

/* 0 or -errno, as vmshm_open() documents them for @where and @name */
int place_find(const char *where, const char *name, struct place *place);

#endif /* VMSHM_LIB_PLACE_H */
