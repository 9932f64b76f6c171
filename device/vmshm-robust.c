/*
 * VMShm: words that say that the guest is there
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <linux/futex.h>
#include <sys/syscall.h>
#include "qemu/error-report.h"
#include "qemu/thread.h"
#include "vmshm-robust.h"
#include "vmshm-thread.h"

/* The kernel gives this number to the initial namespace, PROC_PID_INIT_INO. */
#define INITIAL_PID_NAMESPACE "pid:[4026531836]"

struct VMShmRobust {
    pthread_t thread;
    struct robust_list_head list;
    struct robust_list entry;       /* leads the kernel to the word */
    uint32_t owner;                 /* 0 if the kernel refuses the list */
    QemuEvent begun;
    QemuEvent ending;
};

static void *robust_thread(void *opaque)
{
    VMShmRobust *h = opaque;

    /* A thread can set only its own list. */
    if (syscall(SYS_set_robust_list, &h->list, sizeof(h->list)) == 0) {
        h->owner = syscall(SYS_gettid);
    }
    qemu_event_set(&h->begun);
    qemu_event_wait(&h->ending);
    return NULL;
}

static void robust_free(VMShmRobust *h)
{
    qemu_event_destroy(&h->begun);
    qemu_event_destroy(&h->ending);
    g_free(h);
}

bool vmshm_robust_possible(void)
{
    static int possible = -1;
    g_autofree char *name = NULL;

    if (possible < 0) {
        name = g_file_read_link("/proc/self/ns/pid", NULL);
        possible = name && strcmp(name, INITIAL_PID_NAMESPACE) == 0;
        if (!possible) {
            warn_report("vmshm: QEMU is in a PID namespace of its own, or "
                        "/proc is not there: words cannot be held, because "
                        "another VM can have the same thread numbers");
        }
    }
    return possible;
}

VMShmRobust *vmshm_robust_begin(uint32_t *word)
{
    VMShmRobust *h;

    if (!vmshm_robust_possible()) {
        return NULL;
    }
    h = g_new0(VMShmRobust, 1);
    h->list.list.next = &h->entry;
    h->list.futex_offset = (intptr_t)word - (intptr_t)&h->entry;
    h->entry.next = &h->list.list;
    qemu_event_init(&h->begun, false);
    qemu_event_init(&h->ending, false);
    if (!vmshm_thread_start(&h->thread, "vmshm-robust", robust_thread, h)) {
        robust_free(h);
        return NULL;
    }
    qemu_event_wait(&h->begun);
    if (!h->owner) {
        vmshm_robust_end(h);
        return NULL;
    }
    return h;
}

uint32_t vmshm_robust_owner(const VMShmRobust *h)
{
    return h->owner;
}

void vmshm_robust_end(VMShmRobust *h)
{
    if (!h) {
        return;
    }
    qemu_event_set(&h->ending);
    /* The kernel goes through the list before it lets the join return. */
    pthread_join(h->thread, NULL);
    robust_free(h);
}
