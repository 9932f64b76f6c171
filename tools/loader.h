/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files that QEMU loads: the loader vmshm.so, and beside it a directory
 * with one device for each QEMU binary, named by its build ID.
 */
#ifndef VMSHM_TOOL_LOADER_H
#define VMSHM_TOOL_LOADER_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#define LOADER "vmshm.so"
#define DEVICE_DIRECTORY "vmshm-devices"

/* The @nth path that the loader may have; false if there are no more. */
bool loader_candidate(size_t nth, char path[PATH_MAX]);
/* The first of them that exists; false if there is none. */
bool loader_find(char path[PATH_MAX]);
/* The directory of the devices of a loader; "" if the path is too long */
void loader_devices(const char *loader, char path[PATH_MAX]);

/* The line NAME= of a device's .info file; false if there is none */
bool device_info(const char *device, const char *name, char *value,
		 size_t size);

/*
 * The command that builds the device for a QEMU binary, in a static buffer; ""
 * if neither vmshm-device nor the source directory is known.
 */
const char *build_command(const char *qemu);

#endif /* VMSHM_TOOL_LOADER_H */
