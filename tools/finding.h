/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Findings of the doctor: a verdict, a text, explanations, and commands.
 */
#ifndef VMSHM_TOOL_FINDING_H
#define VMSHM_TOOL_FINDING_H

#include <stdbool.h>

#include "macros.h"

enum verdict { GOOD, DOUBT, BAD };

/* @check names the check in JSON. */
void finding(enum verdict verdict, const char *check, const char *fmt, ...)
	PRINTF(3, 4);
/* About the last finding: exactly one command, with its words quoted */
void advice(const char *fmt, ...) PRINTF(1, 2);
/* About the last finding: a sentence, such as the reason for a command */
void explain(const char *fmt, ...) PRINTF(1, 2);

void findings_begin(bool json);
/* @side: "host" or "guest", to which the following findings belong */
void findings_side(const char *side);
/* How many verdicts were BAD */
unsigned int findings_end(void);

#endif /* VMSHM_TOOL_FINDING_H */
