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
 * Closes @fd, by a thread if it may be the last descriptor of an object that
 * has a lot of memory and no name, because that takes long.
 */
void vmshm_worker_close(int fd);

/* Whether closing @fd could take long */
bool vmshm_worker_close_is_long(int fd);

#endif /* VMSHM_WORKER_H */
