/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Words of the command line; false after a message.
 */
#ifndef VMSHM_TOOL_PARSE_H
#define VMSHM_TOOL_PARSE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* An object's name with its '/' and its end */
#define NAME_BYTES (NAME_MAX + 2)

bool parse_name(const char *arg, char name[NAME_BYTES]);
bool parse_size(const char *arg, const char *what, uint64_t *size);
bool parse_mode(const char *arg, mode_t *mode);
/* 0.1 to 86400 */
bool parse_seconds(const char *arg, double *seconds);

#endif /* VMSHM_TOOL_PARSE_H */
