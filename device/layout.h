/*
 * VMShm: whether the running QEMU has the layouts of the device's headers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef LAYOUT_H
#define LAYOUT_H

#include "qapi/error.h"

/*
 * Compares each layout on which the device depends with that of the running
 * QEMU, after QEMU has created its machine. NULL, or the name of the first one
 * that differs. A difference can crash QEMU; @crashed is then called with the
 * name, and must not return.
 */
const char *vmshm_layout_difference(void (*crashed)(const char *name));

/*
 * The same for what exists only once there are processors of KVM; true without
 * KVM. On false, *errp is set.
 */
bool vmshm_layout_fits_kvm(Error **errp);

#endif /* LAYOUT_H */
