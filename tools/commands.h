/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands. Each gets the words after its name and its options, and returns
 * an exit code; EXIT_USAGE after a message.
 */
#ifndef VMSHM_TOOL_COMMANDS_H
#define VMSHM_TOOL_COMMANDS_H

#include "options.h"

int cmd_ls(const struct options *o, int argc, char **argv);
int cmd_info(const struct options *o, int argc, char **argv);
int cmd_create(const struct options *o, int argc, char **argv);
int cmd_rm(const struct options *o, int argc, char **argv);
int cmd_cat(const struct options *o, int argc, char **argv);
int cmd_write(const struct options *o, int argc, char **argv);
int cmd_run(const struct options *o, int argc, char **argv);
int cmd_top(const struct options *o, int argc, char **argv);
int cmd_doctor(const struct options *o, int argc, char **argv);
int cmd_send(const struct options *o, int argc, char **argv);
int cmd_recv(const struct options *o, int argc, char **argv);
int cmd_pipe(const struct options *o, int argc, char **argv);

#endif /* VMSHM_TOOL_COMMANDS_H */
