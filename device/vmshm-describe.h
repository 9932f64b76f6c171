/*
 * VMShm: what the operator can see of a device
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_DESCRIBE_H
#define VMSHM_DESCRIBE_H

#include "vmshm-state.h"

/* The caller unrefs what they return. */
QList *vmshm_describe_attachments(VMShmState *s);
QDict *vmshm_describe_refusals(VMShmState *s);
QDict *vmshm_describe_losses(VMShmState *s);

#endif /* VMSHM_DESCRIBE_H */
