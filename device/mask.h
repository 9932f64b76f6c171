/*
 * VMShm: no thread of a stock QEMU blocks SIGBUS
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_MASK_H
#define VMSHM_MASK_H

/*
 * From now on the program's pthread_sigmask(3) leaves SIGBUS unblocked. Once,
 * before there are other threads that call it.
 */
void vmshm_mask_init(void);

#endif /* VMSHM_MASK_H */
