/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The progress of a transfer, for people at a terminal; without a terminal
 * nothing is printed.
 */
#ifndef VMSHM_TOOL_PROGRESS_H
#define VMSHM_TOOL_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "macros.h"

enum direction { SENT, RECEIVED };

/* A separate line */
void status(const char *fmt, ...) PRINTF(1, 2);
/* A line that is rewritten, and a last one if @done */
void progress_start(bool both);
void progress_end(bool done);
void progress_add(enum direction direction, size_t bytes);
uint64_t progress_bytes(enum direction direction);

#endif /* VMSHM_TOOL_PROGRESS_H */
