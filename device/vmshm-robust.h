/*
 * VMShm: words that say that the guest is there
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_ROBUST_H
#define VMSHM_ROBUST_H

/*
 * A thread in whose robust list a word is, and nothing else. However it ends,
 * with QEMU too, the kernel sets the word to FUTEX_OWNER_DIED if the thread's
 * number is in it, and wakes a waiter. QEMU itself never touches the word.
 */
typedef struct VMShmRobust VMShmRobust;

/* Returns when the kernel knows @word; NULL: the host has no thread left. */
VMShmRobust *vmshm_robust_begin(uint32_t *word);

/* The thread's number, to be put into the word */
uint32_t vmshm_robust_owner(const VMShmRobust *hold);

/* Returns when the kernel has marked the word. NULL is fine. */
void vmshm_robust_end(VMShmRobust *hold);

#endif /* VMSHM_ROBUST_H */
