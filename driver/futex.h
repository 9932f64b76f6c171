/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * futex(2) on mappings of the file system "vmshm".
 */
#ifndef VMSHM_FUTEX_H
#define VMSHM_FUTEX_H

void vmshm_futex_init(void);
void vmshm_futex_exit(void);

#endif /* VMSHM_FUTEX_H */
