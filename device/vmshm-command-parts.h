/*
 * VMShm: the single commands, for vmshm-command.c
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_COMMAND_PARTS_H
#define VMSHM_COMMAND_PARTS_H

#include "vmshm-state.h"

/* Each does the command as the request is latched; 0 or -errno. */

/* vmshm-command-attach.c */
int vmshm_command_attach(VMShmState *s);
int vmshm_command_hold(VMShmState *s);
int vmshm_command_detach(VMShmState *s);

/* vmshm-command-look.c */
int vmshm_command_stat(VMShmState *s);
int vmshm_command_list(VMShmState *s);

/* vmshm-command-change.c */
int vmshm_command_create(VMShmState *s);
int vmshm_command_unlink(VMShmState *s);
int vmshm_command_second_name(VMShmState *s, uint32_t command);
int vmshm_command_resize(VMShmState *s);
int vmshm_command_allocate(VMShmState *s);

#endif /* VMSHM_COMMAND_PARTS_H */
