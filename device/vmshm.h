/*
 * VMShm: PCI device that shows POSIX shared memory objects of the host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_H
#define VMSHM_H

/* Registers the device type; the loader or QEMU calls it once. */
void vmshm_register_types(void);

#endif /* VMSHM_H */
