/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The virtual machines of this host that have loaded the device.
 */
#ifndef VMSHM_TOOL_VMS_H
#define VMSHM_TOOL_VMS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "process.h"

struct vm {
	struct process process;
	/* The loader and the device that QEMU has mapped; "" if not */
	char loader[PATH_MAX];
	char device[PATH_MAX];
	/* The device's file was removed or replaced since. */
	bool replaced;
};

/*
 * The caller frees the list. @hidden counts the QEMU processes that this user
 * cannot examine. 0 if there is no /proc
 */
size_t vms_find(struct vm **list, size_t *hidden);

/* The @nth argument -device vmshm of the VM, from 0 on; false if none */
bool vm_device_argument(const struct vm *vm, unsigned int nth, char *text,
			size_t size);

#endif /* VMSHM_TOOL_VMS_H */
