/*
 * VMShm: words that say that the guest is there
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_ROBUST_H
#define VMSHM_ROBUST_H

/*
 * A thread whose robust list has one word as its only entry. However the thread
 * ends, also if QEMU is killed, the kernel sets the word to FUTEX_OWNER_DIED if
 * the thread's number is in it, and wakes a waiter. QEMU itself never touches
 * the word.
 */
typedef struct VMShmRobust VMShmRobust;

/*
 * Whether the numbers of QEMU's threads are unique among all processes that can
 * share objects: QEMU is in the initial PID namespace. Otherwise a thread of
 * another VM could have the number of a word's owner, and the kernel would
 * report that owner dead when the other thread ends. The first call warns if
 * they are not unique.
 */
bool vmshm_robust_possible(void);

/* Returns when the kernel knows @word; NULL: the host has no thread left. */
VMShmRobust *vmshm_robust_begin(uint32_t *word);

/* The thread's number, to be put into the word */
uint32_t vmshm_robust_owner(const VMShmRobust *hold);

/* Returns when the kernel has marked the word. NULL is fine. */
void vmshm_robust_end(VMShmRobust *hold);

#endif /* VMSHM_ROBUST_H */
