/*
 * VMShm: the files that sem_open() of the guest makes before it links them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_TEMPORARY_H
#define VMSHM_TEMPORARY_H

#include "vmshm-scope.h"

/*
 * A C library initialises a new semaphore under a temporary name, links it to
 * the name of the semaphore, and removes the temporary name. On the host such
 * a file has no name until it is linked, so that no program of the host finds
 * it, and nothing is left of it however the guest ends. Under the big lock.
 */
typedef struct VMShmTemporary VMShmTemporary;
typedef QTAILQ_HEAD(VMShmTemporaries, VMShmTemporary) VMShmTemporaries;

struct VMShmTemporary {
    char *name;                 /* as the guest calls it */
    int fd;
    VMShmScope *scope;          /* the device's */
    QTAILQ_ENTRY(VMShmTemporary) entry;
};

/* The temporary of that name, or NULL */
VMShmTemporary *vmshm_temporaries_find(VMShmTemporaries *t, const char *name);

/*
 * Enters a name, which must be new, for a duplicate of @fd; 0 or -errno. The
 * oldest name is removed if there would be more than VMSHM_TEMPORARIES_MAX.
 */
int vmshm_temporaries_add(VMShmTemporaries *t, VMShmScope *scope,
                          const char *name, int fd);
#define VMSHM_TEMPORARIES_MAX 64

void vmshm_temporaries_remove(VMShmTemporaries *t, VMShmTemporary *one);
void vmshm_temporaries_remove_all(VMShmTemporaries *t);

#endif /* VMSHM_TEMPORARY_H */
