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
/*
 * Whether it would remove objects of the host from a mount of this device on
 * /dev/shm: the device has create=on
 */
bool logind_removes_ipc_through(const char *device);

#endif /* VMSHM_TOOL_LOGIND_H */
