/*
 * VMShm: the device as a part of QEMU (docs/design.md: the in-tree patch)
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/module.h"
#include "vmshm.h"

type_init(vmshm_register_types)
