/*
 * VMShm: a window, host memory that a BAR shows and objects are mapped into
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "vmshm-budget.h"
#include "vmshm-compat.h"
#include "vmshm-window.h"

/* An object's huge pages need the same alignment on both sides. */
#define WINDOW_ALIGN (2 * MiB)

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* A shared page that has memory, or NULL; see vmshm_window_supply(). */
static void *last_page;

static pthread_mutex_t window_mutex = PTHREAD_MUTEX_INITIALIZER;
static QLIST_HEAD(, VMShmWindow) windows = QLIST_HEAD_INITIALIZER(windows);

void vmshm_window_lock(void)
{
    pthread_mutex_lock(&window_mutex);
}

void vmshm_window_unlock(void)
{
    pthread_mutex_unlock(&window_mutex);
}

VMShmWindow *vmshm_window_at(const void *host)
{
    VMShmWindow *w;

    QLIST_FOREACH(w, &windows, next) {
        if ((uintptr_t)host - (uintptr_t)w->host < w->size) {
            return w;
        }
    }
    return NULL;
}

/* When the host has no more memory, it is too late for this. */
static void make_last_page(void)
{
    void *page;

    if (last_page) {
        return;
    }
    page = mmap(NULL, qemu_real_host_page_size(), PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (page != MAP_FAILED) {
        last_page = page;
    }
}

VMShmWindow *vmshm_window_new(uint64_t size, Error **errp)
{
    VMShmWindow *w;
    size_t reserved_size;
    void *reserved;
    int ret;

    if (size > SIZE_MAX - WINDOW_ALIGN) {
        error_setg(errp, "a window of %" PRIu64 " bytes is too large for the "
                   "host's address space", size);
        return NULL;
    }
    reserved_size = size + WINDOW_ALIGN;
    reserved = mmap(NULL, reserved_size, PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (reserved == MAP_FAILED) {
        error_setg_errno(errp, errno, "no address space for a window of "
                         "%" PRIu64 " bytes", size);
        return NULL;
    }

    w = g_new0(VMShmWindow, 1);
    w->reserved = reserved;
    w->reserved_size = reserved_size;
    w->host = QEMU_ALIGN_PTR_UP(reserved, WINDOW_ALIGN);
    w->size = size;
    w->spare = -1;
    ret = vmshm_window_clear(w, 0, size);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "no memory for a window of "
                         "%" PRIu64 " bytes", size);
        munmap(reserved, reserved_size);
        g_free(w);
        return NULL;
    }
    make_last_page();
    vmshm_window_lock();
    QLIST_INSERT_HEAD(&windows, w, next);
    vmshm_window_unlock();
    return w;
}

/*
 * The advice that QEMU gives for its own RAM, except that idle memory has no
 * use for huge pages: a byte that the guest writes there would cost 2 MiB. A
 * kernel that does not know an advice does not need it, so errors are ignored.
 */
static void advise(void *host, size_t length, bool idle)
{
    if (!qtest_enabled()) {
        /* A fuzzer forks. */
        madvise(host, length, MADV_DONTFORK);
    }
    madvise(host, length, MADV_DONTDUMP);
    if (idle) {
        madvise(host, length, MADV_NOHUGEPAGE);
    }
}

/*
 * A replacement that fails must not change the range. mmap(MAP_FIXED) can fail
 * after it has unmapped the range, and a hole in a window ends QEMU. So new
 * memory is mapped aside, and moved over the range by mremap().
 */
static int move_over(VMShmWindow *w, uint64_t offset, uint64_t length,
                     void *aside)
{
    int err;

    if (mremap(aside, length, length, MREMAP_MAYMOVE | MREMAP_FIXED,
               w->host + offset) != MAP_FAILED) {
        return 0;
    }
    err = errno;
    munmap(aside, length);
    return -err;
}

/*
 * Zero memory from a memfd. The kernel does not count it as committed memory
 * before it is written, so this works where private memory is refused.
 */
static int clear_by_spare(VMShmWindow *w, uint64_t offset, uint64_t length)
{
    void *where = w->host + offset;
    void *aside;

    if (w->spare < 0) {
        int spare = memfd_create("vmshm-spare", MFD_CLOEXEC);
        int err;

        if (spare < 0) {
            return -errno;
        }
        if (ftruncate(spare, w->size) < 0) {
            /* Each access beyond the memfd's end would raise SIGBUS again. */
            err = errno;
            close(spare);
            return -err;
        }
        w->spare = spare;
    }
    if (fallocate(w->spare, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                  offset, length) < 0) {
        return -errno;
    }
    aside = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, w->spare,
                 offset);
    if (aside != MAP_FAILED) {
        advise(aside, length, true);
        return move_over(w, offset, length, aside);
    }
    /* No address range is left for it. This call does not need one. */
    if (mmap(where, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
             w->spare, offset) == MAP_FAILED) {
        return -errno;
    }
    advise(where, length, true);
    return 0;
}

int vmshm_window_clear(VMShmWindow *w, uint64_t offset, uint64_t length)
{
    void *aside;

    assert(offset <= w->size && length <= w->size - offset);
    if (!length) {
        return 0;
    }
    aside = mmap(NULL, length, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (aside == MAP_FAILED) {
        return clear_by_spare(w, offset, length);
    }
    advise(aside, length, true);
    return move_over(w, offset, length, aside);
}

void vmshm_window_supply(VMShmWindow *w, uint64_t offset, unsigned *pieces)
{
    size_t length = qemu_real_host_page_size();
    void *page = w->host + QEMU_ALIGN_DOWN(offset, length);

    /* EINVAL: the kernel does not know this advice. */
    if (madvise(page, length, MADV_POPULATE_WRITE) == 0 || errno == EINVAL ||
        !last_page || !vmshm_budget_take_mappings(2)) {
        return;
    }
    /* The old size of 0 makes a second mapping of the page. */
    if (mremap(last_page, 0, length, MREMAP_MAYMOVE | MREMAP_FIXED, page) ==
        MAP_FAILED) {
        vmshm_budget_give_mappings(2);
    } else {
        *pieces += 2;
    }
}

int vmshm_window_map(VMShmWindow *w, uint64_t offset, uint64_t length,
                     int fd, uint64_t fd_offset, bool readonly, bool private)
{
    void *aside;
    int ret;

    assert(offset <= w->size && length <= w->size - offset);
    aside = mmap(NULL, length, readonly ? PROT_READ : PROT_READ | PROT_WRITE,
                 private ? MAP_PRIVATE : MAP_SHARED, fd, fd_offset);
    if (aside == MAP_FAILED) {
        return -errno;
    }
    advise(aside, length, false);
    ret = move_over(w, offset, length, aside);
    if (ret < 0) {
        vmshm_window_clear(w, offset, length);
    }
    return ret;
}

void vmshm_window_empty(const VMShmRange *range)
{
    /* EINVAL with -overcommit mem-lock=on; the unmapping takes longer then. */
    madvise(range->host, range->length, MADV_DONTNEED);
}

void vmshm_window_forget_code(VMShmWindow *w, uint64_t offset, uint64_t length)
{
    void *host = w->host + offset;
    ram_addr_t unused;
    MemoryRegion *mr;

    RCU_READ_LOCK_GUARD();
    mr = memory_region_from_host(host, &unused);
    if (mr) {
        /* As after a DMA write to the range. The unmap drops the reference. */
        memory_region_ref(mr);
        address_space_unmap(&address_space_memory, host, length, true, length);
    }
}

static void window_reclaim(VMShmWindow *w)
{
    munmap(w->reserved, w->reserved_size);
    if (w->spare >= 0) {
        close(w->spare);
    }
    g_free(w);
}

void vmshm_window_free(VMShmWindow *w)
{
    if (w) {
        vmshm_window_lock();
        vmshm_budget_give_mappings(w->cleared + w->pieces);
        QLIST_REMOVE(w, next);
        vmshm_window_unlock();
        /*
         * A vCPU thread may still run on addresses that it looked up before
         * the memory region went away; it does so inside a read section.
         */
        call_rcu(w, window_reclaim, rcu);
    }
}
