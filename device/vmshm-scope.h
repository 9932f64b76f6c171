/*
 * VMShm: what devices with the same objects share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_SCOPE_H
#define VMSHM_SCOPE_H

#include "qemu/queue.h"

typedef struct VMShmJob VMShmJob;

/*
 * Devices of this QEMU with the same directory and the same prefix. Their
 * limits are those of one device, so they change objects in turn.
 */
typedef struct VMShmScope {
    VMShmJob *exclusive;        /* or NULL; under the big lock */
    GQueue waiting;             /* jobs, until there is no exclusive one */
    char *key;
    unsigned refs;              /* under the lock of all scopes */
    unsigned closing;           /* the same: objects that are being freed */
    QLIST_ENTRY(VMShmScope) next;
} VMShmScope;

/* The scope of @key, which it owns from now on. Under the big lock. */
VMShmScope *vmshm_scope_get(char *key);

/* NULL is fine. Thread safe, like the functions below. */
void vmshm_scope_put(VMShmScope *scope);

/*
 * Closes @fd, by a thread if it may be the last descriptor of an object that
 * has a lot of memory and no name, because that takes long. With @budgeted the
 * descriptor is given back to the budget, once it is closed.
 */
void vmshm_scope_close(VMShmScope *scope, int fd, bool budgeted);

/* Whether closing @fd could take long */
bool vmshm_scope_close_is_long(int fd);

/* For a caller that closes such a descriptor itself: before, and after. */
void vmshm_scope_close_begin(VMShmScope *scope);
void vmshm_scope_close_end(VMShmScope *scope);

/*
 * Returns when the memory of all such objects has been freed. Until then the
 * memory is in use, but no attachment counts it.
 */
void vmshm_scope_settle(VMShmScope *scope);

#endif /* VMSHM_SCOPE_H */
