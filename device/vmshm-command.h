/*
 * VMShm: what the guest can ask for
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_COMMAND_H
#define VMSHM_COMMAND_H

#include "vmshm-state.h"

/* The two registers of 2010; 0 or -errno. */
int vmshm_buffer_open(VMShmState *s);
int vmshm_buffer_close(VMShmState *s);

/* Does @command with the request as it is latched; 0 or -errno. */
int vmshm_command_run(VMShmState *s, uint32_t command);

/* Everything is detached and forgotten; 0 or -errno. */
int vmshm_command_release(VMShmState *s);

#endif /* VMSHM_COMMAND_H */
