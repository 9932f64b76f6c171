/*
 * VMShm: resuming a VM that KVM has stopped because of lost memory
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_RESUME_H
#define VMSHM_RESUME_H

/*
 * With hardware virtualization, KVM accesses an object for the guest. If the
 * memory is lost, ioctl(KVM_RUN) fails with EFAULT, and QEMU stops the VM with
 * an internal error. From this call on, the VM is started again after
 * vmshm_loss_repair(). Under the big lock; only the first call has an effect.
 */
void vmshm_resume_init(void);

/* How often this has happened. */
uint64_t vmshm_resume_count(void);

#endif /* VMSHM_RESUME_H */
