/*
 * VMShm: the properties of a device that the operator can read
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_DESCRIBE_H
#define VMSHM_DESCRIBE_H

#include "vmshm-state.h"

/* The caller unrefs the returned objects. */
QList *vmshm_describe_attachments(VMShmState *s);
QDict *vmshm_describe_refusals(VMShmState *s);
QDict *vmshm_describe_losses(VMShmState *s);

#endif /* VMSHM_DESCRIBE_H */
