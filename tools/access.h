/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Permissions of another user.
 */
#ifndef VMSHM_TOOL_ACCESS_H
#define VMSHM_TOOL_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define GROUPS 256

struct credentials {
	uid_t uid;
	gid_t gid;
	gid_t groups[GROUPS];
	size_t group_count;
	/* Permissions of files do not apply (CAP_DAC_OVERRIDE). */
	bool override;
};

/* false if the process has ended */
bool credentials_of_process(pid_t pid, struct credentials *c);
/* By /etc/passwd and /etc/group; false if there is no such user */
bool credentials_of_user(const char *name, struct credentials *c);

/*
 * Whether a process with these credentials may access each of the paths with
 * @mode (R_OK, W_OK, X_OK). false if this process cannot find out: it has to be
 * root, or of the same user.
 */
bool access_check(const struct credentials *c, const char *const *paths,
		  size_t count, int mode, bool *allowed);

#endif /* VMSHM_TOOL_ACCESS_H */
