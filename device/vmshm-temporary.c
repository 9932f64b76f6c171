/*
 * VMShm: the files that sem_open() of the guest makes before it links them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/queue.h"
#include "vmshm-budget.h"
#include "vmshm-temporary.h"

VMShmTemporary *vmshm_temporaries_find(VMShmTemporaries *t, const char *name)
{
    VMShmTemporary *one;

    QTAILQ_FOREACH(one, t, entry) {
        if (strcmp(one->name, name) == 0) {
            return one;
        }
    }
    return NULL;
}

/*
 * If a process of the guest is killed, its temporary name is left. So the
 * oldest name is removed, and no user of the guest can keep others from
 * creating semaphores.
 */
static void make_room(VMShmTemporaries *t)
{
    VMShmTemporary *one;
    unsigned count = 0;

    QTAILQ_FOREACH(one, t, entry) {
        count++;
    }
    if (count >= VMSHM_TEMPORARIES_MAX) {
        vmshm_temporaries_remove(t, QTAILQ_FIRST(t));
    }
}

int vmshm_temporaries_add(VMShmTemporaries *t, VMShmScope *scope,
                          const char *name, int fd)
{
    VMShmTemporary *one;
    int own;

    make_room(t);
    if (!vmshm_budget_take_file()) {
        return -EMFILE;
    }
    own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (own < 0) {
        int err = errno;

        vmshm_budget_give_file();
        return -err;
    }
    one = g_new(VMShmTemporary, 1);
    one->name = g_strdup(name);
    one->fd = own;
    one->scope = scope;
    QTAILQ_INSERT_TAIL(t, one, entry);
    return 0;
}

void vmshm_temporaries_remove(VMShmTemporaries *t, VMShmTemporary *one)
{
    QTAILQ_REMOVE(t, one, entry);
    vmshm_scope_close(one->scope, one->fd, true);
    g_free(one->name);
    g_free(one);
}

void vmshm_temporaries_remove_all(VMShmTemporaries *t)
{
    while (!QTAILQ_EMPTY(t)) {
        vmshm_temporaries_remove(t, QTAILQ_FIRST(t));
    }
}
