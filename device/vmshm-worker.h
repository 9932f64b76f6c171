/*
 * VMShm: threads for what can block in the host's kernel
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_WORKER_H
#define VMSHM_WORKER_H

/*
 * Has a thread call @run(@opaque). The thread is known to RCU. Calls are made
 * in any order. If all threads are busy and the host has none left, the call
 * waits for one with @may_wait. Otherwise this returns false, and the call is
 * the caller's to make. Thread safe.
 */
bool vmshm_worker_call(void (*run)(void *opaque), void *opaque, bool may_wait);

/*
 * Whether there is a thread; if there is none, it tries to start one. The
 * thread stays as long as there is a device, so a call that may wait is taken
 * from then on. Thread safe.
 */
bool vmshm_worker_exists(void);

/*
 * Adds @threads, which can be negative, to the limit of threads: one for each
 * call that can be made at the same time, so that no device waits for the calls
 * of another.
 */
void vmshm_worker_add(int threads);

#endif /* VMSHM_WORKER_H */
