/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The channel of a name, with a peer at its other end.
 */
#ifndef VMSHM_TOOL_MEET_H
#define VMSHM_TOOL_MEET_H

#include "options.h"

struct vmshm_channel;

/* Waits for the peer; NULL after a message. */
struct vmshm_channel *meet(const struct options *o, const char *name);

#endif /* VMSHM_TOOL_MEET_H */
