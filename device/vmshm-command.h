/*
 * VMShm: the commands of the guest
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_COMMAND_H
#define VMSHM_COMMAND_H

#include "vmshm-state.h"

/* The two registers of 2010; 0 or -errno. */
int vmshm_buffer_open(VMShmState *s);
int vmshm_buffer_close(VMShmState *s);

/*
 * Sets up a job for its request; the job is then to be run. @mailbox: the
 * request has the fields and the commands of contract 1.1.
 */
void vmshm_command_prepare(VMShmJob *job, bool mailbox);

/* Does @command with the registers as they are latched; 0 or -errno. */
int vmshm_command_register(VMShmState *s, uint32_t command);

/* Ends all waits and holds, and detaches all objects; 0 or -errno. */
int vmshm_release(VMShmState *s);

#endif /* VMSHM_COMMAND_H */
