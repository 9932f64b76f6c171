/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which process has which object of a place open or mapped. On a host, an
 * object that a virtual machine has attached is mapped by its QEMU.
 */
#ifndef VMSHM_TOOL_ATTACHED_H
#define VMSHM_TOOL_ATTACHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "parse.h"
#include "place.h"
#include "process.h"

struct attached {
	/* Of an object whose name was removed, the last name that is known */
	char name[NAME_BYTES];
	bool removed;
	/* 0 if the name was removed */
	uint64_t size;
	ino_t ino;
	struct process process;
	uint64_t mapped;
	bool writable;
	unsigned int descriptors;
};

/*
 * Sorted by name and process; the caller frees the list. @hidden counts the
 * processes that this user cannot examine. false after a message
 */
bool attached_find(const struct place *place, struct attached **list,
		   size_t *count, size_t *hidden);

#endif /* VMSHM_TOOL_ATTACHED_H */
