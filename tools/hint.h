/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands that a message or the doctor suggests. A hint is exactly one command
 * line for a shell: explanations belong in the message before it.
 */
#ifndef VMSHM_TOOL_HINT_H
#define VMSHM_TOOL_HINT_H

#include <stdbool.h>

#include "macros.h"

/* Prints one command to stderr. */
void hint(const char *fmt, ...) PRINTF(1, 2);

/*
 * The command line that was typed, once more: with @before in front, and with
 * @option behind the name of the command. Either can be empty.
 */
void hint_again(const char *before, const char *option);
/* Called once, before the arguments are permuted; @command: its index */
void hint_command_line(int argc, char **argv, int command);

/*
 * One word, quoted for a shell. The buffer is static; the 16th call after this
 * one frees it.
 */
const char *quoted(const char *word);
/* "u:NAME:rw" for setfacl(1), quoted; the same buffer */
const char *quoted_acl(const char *user, bool readonly);
/* "sudo ", or "" for root */
const char *sudo(void);

#endif /* VMSHM_TOOL_HINT_H */
