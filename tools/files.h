/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Small files of /proc and /sys, and the names of users and groups.
 */
#ifndef VMSHM_TOOL_FILES_H
#define VMSHM_TOOL_FILES_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "macros.h"

/* The first line of the file, without its end; false if there is none. */
bool read_line(char *line, size_t size, const char *fmt, ...) PRINTF(3, 4);
bool exists(const char *fmt, ...) PRINTF(1, 2);
/* Whether a line of the file contains the text */
bool file_has_line(const char *path, const char *text);
/*
 * Calls @use with the path of each file that one of the @count patterns of
 * glob(7) matches, in their order, and with @arg.
 */
void use_files(const char *const *patterns, size_t count,
	       void (*use)(const char *path, void *arg), void *arg);
/* The directory that this program is in; "" if that is not known */
void own_directory(char path[PATH_MAX]);
/*
 * A directory of the source, if this program is in its build directory; else
 * false, and @name itself.
 */
bool source_path(const char *name, char path[PATH_MAX]);

/* Static buffers, which the next call reuses; the number if it has no name. */
const char *user_name(uid_t uid);
const char *group_name(gid_t gid);

#endif /* VMSHM_TOOL_FILES_H */
