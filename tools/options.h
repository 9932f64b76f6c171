/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The options of the command line, and the exit codes.
 */
#ifndef VMSHM_TOOL_OPTIONS_H
#define VMSHM_TOOL_OPTIONS_H

#include <stdbool.h>
#include <sys/types.h>

/* "vmshm run" also has the exit codes of its program. */
enum { EXIT_OK, EXIT_FAILED, EXIT_USAGE };

enum side { SIDE_AUTO, SIDE_HOST, SIDE_GUEST };

struct options {
	enum side side;
	/* "vmshm0"; NULL: any device */
	const char *device;
	/* Of the objects; NULL: the usual one of this side */
	const char *directory;
	bool json;
	mode_t mode;
	bool sparse;
	const char *mount_options;
	/* Seconds between two updates of top; 0: not given */
	double interval;
};

#endif /* VMSHM_TOOL_OPTIONS_H */
