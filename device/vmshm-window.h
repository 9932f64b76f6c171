/*
 * VMShm: a window, host memory that a BAR shows and objects are mapped into
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_WINDOW_H
#define VMSHM_WINDOW_H

#include "qemu/rcu.h"

/*
 * A fixed range of host addresses. What no object is mapped over is private
 * zero memory that costs nothing until it is written. Objects come and go in
 * place (MAP_FIXED), so the addresses that QEMU, KVM or TCG hold stay valid
 * for the whole life of the window, whatever another thread is doing.
 *
 * All offsets and lengths are in bytes and multiples of the page size.
 * Not thread safe: callers hold the big lock.
 */
typedef struct VMShmWindow {
    struct rcu_head rcu;   /* first, as call_rcu() wants it */
    uint8_t *host;         /* 2 MiB aligned */
    uint64_t size;         /* bytes */
    void *reserved;        /* what mmap() gave: host lies within */
    size_t reserved_size;
    unsigned cleared;      /* pieces cleared since all gaps were laid anew */
} VMShmWindow;

/* NULL and *errp when there is no address space for it. */
VMShmWindow *vmshm_window_new(uint64_t size, Error **errp);

/*
 * Shows @length bytes of @fd from @fd_offset at @offset; 0 or -errno. On
 * failure the range is private zero memory, or what it was before.
 * @fd can be closed afterwards.
 */
int vmshm_window_map(VMShmWindow *w, uint64_t offset, uint64_t length,
                     int fd, uint64_t fd_offset, bool readonly);

/* Makes the range fresh private zero memory; 0 or -errno (nothing changed). */
int vmshm_window_clear(VMShmWindow *w, uint64_t offset, uint64_t length);

/*
 * Gives the addresses back once no thread of QEMU can be using them any more.
 * Call it when the memory region over the window is gone. NULL is fine.
 */
void vmshm_window_free(VMShmWindow *w);

#endif /* VMSHM_WINDOW_H */
