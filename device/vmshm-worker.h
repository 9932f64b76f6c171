/*
 * VMShm: threads for what can block in the host's kernel
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_WORKER_H
#define VMSHM_WORKER_H

/*
 * Has a thread call @run(@opaque); calls of one caller are executed in any
 * order. The thread is known to RCU. False: the host has no thread left, and
 * the call is the caller's to make.
 */
bool vmshm_worker_call(void (*run)(void *opaque), void *opaque);

/*
 * Adds @threads, which can be negative, to the limit of threads: one for each
 * call that can be made at the same time, so that no device waits for the calls
 * of another.
 */
void vmshm_worker_add(int threads);

#endif /* VMSHM_WORKER_H */
