/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * systemd-logind, which removes the objects of a user at logout.
 */
#ifndef VMSHM_TOOL_LOGIND_H
#define VMSHM_TOOL_LOGIND_H

#include <stdbool.h>
#include <sys/types.h>

/* Whether systemd-logind runs with RemoveIPC=yes, which is the default */
bool logind_removes_ipc(void);
/* Whether it does so for this user: a login user that does not linger */
bool logind_removes_ipc_of(uid_t uid);

#endif /* VMSHM_TOOL_LOGIND_H */
