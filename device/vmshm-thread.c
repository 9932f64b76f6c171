/*
 * VMShm: threads that wait on the host for the guest
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/units.h"
#include "vmshm-thread.h"

/* The threads only sleep. -overcommit mem-lock=on would lock whole stacks. */
#define STACK_SIZE (256 * KiB)

bool vmshm_thread_start(pthread_t *thread, const char *name,
                        void *(*run)(void *), void *opaque)
{
    pthread_attr_t attr;
    sigset_t all, old;
    int err;

    err = pthread_attr_init(&attr);
    if (err) {
        return false;
    }
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    /* QEMU's own threads take all signals but those that a fault raises. */
    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    err = pthread_create(thread, &attr, run, opaque);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    if (err) {
        return false;
    }
    pthread_setname_np(*thread, name);
    return true;
}
