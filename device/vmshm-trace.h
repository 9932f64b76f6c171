/*
 * VMShm: trace events, if the device is a part of QEMU
 *
 * The events are in the file trace-events. A plugin has none, because QEMU
 * generates their code when QEMU is built.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_TRACE_H
#define VMSHM_TRACE_H

/* build.sh defines it for a device that is loaded. */
#ifdef VMSHM_QEMU_STAMP
#define VMSHM_TRACE(event, ...) do { } while (0)
#else
#include "trace.h"
#define VMSHM_TRACE(event, ...) trace_vmshm_##event(__VA_ARGS__)
#endif

#endif /* VMSHM_TRACE_H */
