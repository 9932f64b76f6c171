/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of vmshm doctor for a host, and for a guest.
 */
#ifndef VMSHM_TOOL_DOCTOR_PARTS_H
#define VMSHM_TOOL_DOCTOR_PARTS_H

#include <stdbool.h>
#include <stddef.h>

#include "vms.h"

/* doctor-device.c: the loader, and the device for this QEMU */
void examine_device(const char *qemu, const char *version, bool built_in,
		    const struct vm *vms, size_t count);
/* doctor-vms.c: the running virtual machines */
void examine_vms(const struct vm *vms, size_t count, size_t hidden);
/* doctor-libvirt.c: the user and the confinement of libvirt's QEMU */
void examine_libvirt(void);
/* doctor-mount.c: the mounts, and futex(2) on the objects */
void examine_mounts(const char *device);
void examine_futex(void);

#endif /* VMSHM_TOOL_DOCTOR_PARTS_H */
