/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Contents of program files.
 */
#ifndef VMSHM_TOOL_ELF_H
#define VMSHM_TOOL_ELF_H

#include <stdbool.h>

/* In hexadecimal, as the device directory names its files */
#define BUILD_ID_BYTES 129

/* The build ID of a program; false if the file has none. */
bool elf_build_id(const char *path, char id[BUILD_ID_BYTES]);
/* Whether the file contains the whole string, with a 0 byte on both sides */
bool file_has_string(const char *path, const char *wanted);

#endif /* VMSHM_TOOL_ELF_H */
