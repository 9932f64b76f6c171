/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The objects of a place.
 */
#ifndef VMSHM_TOOL_LIST_H
#define VMSHM_TOOL_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "parse.h"
#include "place.h"

struct entry {
	char name[NAME_BYTES];
	struct stat st;
};

/* Sorted by name; the caller frees the list. false after a message */
bool list_objects(const struct place *place, struct entry **entries,
		  size_t *count);

/* Of an object: bytes, bytes of memory, and its mode as ls(1) prints it */
uint64_t object_size(const struct stat *st);
uint64_t object_memory(const struct stat *st);
void mode_text(const struct stat *st, char text[10]);

#endif /* VMSHM_TOOL_LIST_H */
