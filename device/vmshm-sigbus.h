/*
 * VMShm: the handlers of SIGBUS and SIGSEGV
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_SIGBUS_H
#define VMSHM_SIGBUS_H

/*
 * Installs them in front of QEMU's own, and unblocks SIGBUS in all threads of
 * QEMU that access guest memory, also in those that come later. Under the big
 * lock, in the main thread; only the first call has an effect.
 */
void vmshm_sigbus_init(void);

#endif /* VMSHM_SIGBUS_H */
