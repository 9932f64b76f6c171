/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text for people.
 */
#ifndef VMSHM_TOOL_PRINT_H
#define VMSHM_TOOL_PRINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "macros.h"

#define COLUMNS 80

/* A message to stderr; each of its lines begins with "vmshm: ". */
void error(const char *fmt, ...) PRINTF(1, 2);
/* The same; returns EXIT_USAGE. */
int usage_error(const char *fmt, ...) PRINTF(1, 2);

/*
 * Breaks lines at blanks and keeps all other blanks. @next begins each line but
 * the first; @first is as wide, though it may contain colours.
 */
void print_wrapped(FILE *out, const char *first, const char *next,
		   const char *text);
bool use_colour(FILE *out);

/*
 * The next functions return static buffers. The eighth call after a call reuses
 * its buffer.
 */

/* Control bytes and bytes that are not UTF-8 become \xNN. */
const char *escaped(const char *bytes);
const char *human_size(uint64_t bytes);
/* "2026-11-30 12:00", with @seconds :00; "@SECONDS" if no calendar has it */
const char *local_time(time_t t, bool seconds);

/* Characters of valid UTF-8 */
size_t text_width(const char *text);
/* Whether a terminal shows the valid UTF-8 character as one */
bool printable(const char *s);
/* The length of the UTF-8 character at @s; 0: not a valid character */
size_t utf8_length(const char *s);

#endif /* VMSHM_TOOL_PRINT_H */
