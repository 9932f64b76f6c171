/*
 * VMShm: the guest's accesses to BAR0 and BAR2
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_MMIO_H
#define VMSHM_MMIO_H

#include "vmshm-compat.h"

/* Their opaque is the VMShmState. */
extern const MemoryRegionOps vmshm_mmio_regs_ops;   /* BAR0 */
extern const MemoryRegionOps vmshm_mmio_futex_ops;  /* a part of BAR0 */
extern const MemoryRegionOps vmshm_mmio_name_ops;   /* BAR2 */

#endif /* VMSHM_MMIO_H */
