/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The devices and mounts of this machine as a guest.
 */
#ifndef VMSHM_TOOL_GUEST_H
#define VMSHM_TOOL_GUEST_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../lib/mounts.h"

struct device {
	/* "vmshm0"; empty if no driver is bound to it */
	char name[NAME_MAX + 1];
	/* "0000:00:03.0" */
	char pci[NAME_MAX + 1];
	/* BAR4; 0 bytes: there is none; start 0: it has no address */
	uint64_t arena_start;
	uint64_t arena_bytes;
};

/* Both return the length of a list that the caller frees. */
size_t find_devices(struct device **devices);
size_t find_mounts(struct mount **mounts);
bool in_qemu(void);

/* The driver's attribute in /sys/class/vmshm/DEVICE */
bool device_attribute(const char *device, const char *attribute, char *line,
		      size_t size);
bool device_number(const char *device, const char *attribute, uint64_t *value);
/* The driver's parameter futex; false if the driver does not have it */
bool driver_futex(bool *on);

#endif /* VMSHM_TOOL_GUEST_H */
