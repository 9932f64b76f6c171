/*
 * VMShm: no thread of a stock QEMU blocks SIGBUS
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_MASK_H
#define VMSHM_MASK_H

/*
 * From now on the program's pthread_sigmask(3) leaves SIGBUS unblocked. To be
 * called once, before another thread can call pthread_sigmask(3).
 */
void vmshm_mask_init(void);

#endif /* VMSHM_MASK_H */
