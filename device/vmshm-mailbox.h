/*
 * VMShm: the command memory in BAR0
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_MAILBOX_H
#define VMSHM_MAILBOX_H

#include "vmshm-state.h"

/* Whether the guest sees the command memory */
bool vmshm_mailbox_shown(const VMShmState *s);

/* The host address of the command memory at @offset of BAR0 */
void *vmshm_mailbox_memory(VMShmState *s, unsigned offset);

/* Executes the request in mailbox @n, unless it is busy or does not exist. */
void vmshm_mailbox_submit(VMShmState *s, uint32_t n);

/* As at reset: the memory is zero, with another epoch, and all is idle. */
void vmshm_mailbox_reset(VMShmState *s);

/* A saved state was loaded: another epoch. */
void vmshm_mailbox_loaded(VMShmState *s);

/* At unplug: abandons all jobs, and drops the listings of the mailboxes. */
void vmshm_mailbox_exit(VMShmState *s);

#endif /* VMSHM_MAILBOX_H */
