/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Processes of this machine: the information in /proc.
 */
#ifndef VMSHM_TOOL_PROCESS_H
#define VMSHM_TOOL_PROCESS_H

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct process {
	pid_t pid;
	/* The IDs with which the process accesses files */
	uid_t uid;
	gid_t gid;
	/* The kernel's short name of the program; "qemu-system-x86" */
	char command[64];
	/* Of a QEMU, its -name, or "" */
	char vm[128];
	bool qemu;
};

struct mapping {
	uint64_t bytes;
	bool writable;
	dev_t dev;
	ino_t ino;
	/* "" if no file is mapped; with " (deleted)" if it has no name */
	const char *path;
};

/* The next process of /proc; 0 at the end */
pid_t process_next(DIR *proc);
/* false if the process does not exist any more */
bool process_read(pid_t pid, struct process *process);

/*
 * Calls @each for each mapping of a file. Returns 0, -EACCES if this user has
 * no permission to see them, or another -errno if the process has ended.
 */
int process_mappings(pid_t pid,
		     void (*each)(const struct mapping *mapping, void *arg),
		     void *arg);
/* The same for each open regular file, with 0 bytes */
int process_files(pid_t pid,
		  void (*each)(const struct mapping *file, void *arg),
		  void *arg);

/*
 * The value of an option of the command line, such as "-name", the @nth one
 * from 0 on; false if there is none.
 */
bool process_option(pid_t pid, const char *option, unsigned int nth,
		    char *value, size_t size);

#endif /* VMSHM_TOOL_PROCESS_H */
