/*
 * VMShm: threads for calls that can block in the host's kernel
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_WORKER_H
#define VMSHM_WORKER_H

/*
 * Makes a thread call @run(@opaque). The thread is registered with RCU. Calls
 * are made in any order. If all threads are busy and the host refuses another
 * thread, then with @may_wait the call waits for a thread; without @may_wait
 * the function returns false, and the caller has to call @run itself. Thread
 * safe.
 */
bool vmshm_worker_call(void (*run)(void *opaque), void *opaque, bool may_wait);

/*
 * Whether a thread exists. If no thread exists, the function tries to start
 * one. The thread exists as long as a device exists, so that every later call
 * that may wait is made. Thread safe.
 */
bool vmshm_worker_exists(void);

/*
 * Adds @threads, which can be negative, to the limit of threads: one for each
 * call that can be made at the same time, so that no device waits for the calls
 * of another.
 */
void vmshm_worker_add(int threads);

#endif /* VMSHM_WORKER_H */
