/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Macros of the program vmshm.
 */
#ifndef VMSHM_TOOL_MACROS_H
#define VMSHM_TOOL_MACROS_H

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

#endif /* VMSHM_TOOL_MACROS_H */
