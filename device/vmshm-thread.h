/*
 * VMShm: threads that wait on the host for the guest
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_THREAD_H
#define VMSHM_THREAD_H

/*
 * As qemu_thread_create(), joinable, but a guest may have many of them: so
 * the stack is small, and false is returned if the host allows no more.
 */
bool vmshm_thread_start(pthread_t *thread, const char *name,
                        void *(*run)(void *), void *opaque);

#endif /* VMSHM_THREAD_H */
