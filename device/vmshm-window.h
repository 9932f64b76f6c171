/*
 * VMShm: a window, host memory that a BAR shows and objects are mapped into
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_WINDOW_H
#define VMSHM_WINDOW_H

#include "qemu/queue.h"
#include "qemu/rcu.h"

/*
 * A fixed range of host addresses. Where no object is mapped, the window is
 * private zero memory that costs nothing until it is written. Objects are
 * mapped and unmapped in place, so the addresses that QEMU, KVM or TCG hold
 * stay valid for the whole life of the window, whatever another thread is
 * doing.
 *
 * All offsets and lengths are in bytes and multiples of the page size.
 * Callers hold the big lock, or the lock below.
 */
typedef struct VMShmWindow {
    struct rcu_head rcu;   /* first, as call_rcu() wants it */
    uint8_t *host;         /* 2 MiB aligned */
    uint64_t size;         /* bytes */
    void *reserved;        /* what mmap() gave: host lies within */
    size_t reserved_size;
    unsigned cleared;      /* ranges cleared since the last sweep */
    unsigned pieces;       /* of vmshm_window_supply(); set under the lock */
    int spare;             /* a memfd, or -1; see clear_by_spare() */
    QLIST_ENTRY(VMShmWindow) next;
} VMShmWindow;

/*
 * Serializes changes of mappings that hold an object with the handler of
 * SIGBUS. A thread that holds this lock never accesses the memory of a window,
 * hence the handler never runs in it and can take the lock.
 */
void vmshm_window_lock(void);
void vmshm_window_unlock(void);

/* The window of any device that @host belongs to, or NULL. Under the lock. */
VMShmWindow *vmshm_window_at(const void *host);

/* NULL and *errp when there is no address space for it. */
VMShmWindow *vmshm_window_new(uint64_t size, Error **errp);

/*
 * Shows @length bytes of @fd from @fd_offset at @offset; 0 or -errno. On
 * failure the range is private zero memory, or what it was before.
 * @fd can be closed afterwards. With @private, writes go to a copy.
 */
int vmshm_window_map(VMShmWindow *w, uint64_t offset, uint64_t length,
                     int fd, uint64_t fd_offset, bool readonly, bool private);

/*
 * Makes the range fresh zero memory; 0 or -errno (nothing changed). It is
 * async-signal-safe, and does not depend on memory that the host may commit.
 */
int vmshm_window_clear(VMShmWindow *w, uint64_t offset, uint64_t length);

/* Host memory of a window */
typedef struct VMShmRange {
    void *host;
    uint64_t length;
} VMShmRange;

/*
 * Empties the page tables of a range that shows an object, so that unmapping it
 * is fast. An access fills them again; the object does not change. No lock is
 * needed, but the window must exist. If the range does not show the object any
 * more, private memory becomes zero.
 */
void vmshm_window_empty(const VMShmRange *range);

/*
 * An access to @offset, where no object is shown, got SIGBUS. This gives the
 * page memory. With vm.overcommit_memory=2 the host may refuse a page of
 * cleared memory for which it could not commit memory before. Then the page
 * becomes the last page: one page of the process, which all such pages show. It
 * costs mappings, which are added to @pieces; without them the access fails
 * again until the host has memory. Async-signal-safe; under the lock.
 */
void vmshm_window_supply(VMShmWindow *w, uint64_t offset, unsigned *pieces);

/*
 * Drops the code that TCG has translated from the range, because its contents
 * were replaced. Under the big lock; the range lies within one memory region.
 */
void vmshm_window_forget_code(VMShmWindow *w, uint64_t offset,
                              uint64_t length);

/*
 * Gives the addresses back once no thread of QEMU can be using them any more.
 * Call it when the memory region over the window is gone. NULL is fine.
 */
void vmshm_window_free(VMShmWindow *w);

#endif /* VMSHM_WINDOW_H */
