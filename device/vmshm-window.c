/*
 * VMShm: a window, host memory that a BAR shows and objects are mapped into
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "vmshm-window.h"

/* An object's huge pages need the same alignment on both sides. */
#define WINDOW_ALIGN (2 * MiB)

static void *zero_memory(void *where, size_t length)
{
    return mmap(where, length, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
                -1, 0);
}

VMShmWindow *vmshm_window_new(uint64_t size, Error **errp)
{
    VMShmWindow *w;
    size_t reserved_size;
    void *reserved;

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
    if (zero_memory(w->host, size) == MAP_FAILED) {
        error_setg_errno(errp, errno, "no memory for a window of "
                         "%" PRIu64 " bytes", size);
        munmap(reserved, reserved_size);
        g_free(w);
        return NULL;
    }
    return w;
}

int vmshm_window_map(VMShmWindow *w, uint64_t offset, uint64_t length,
                     int fd, uint64_t fd_offset, bool readonly)
{
    void *where = w->host + offset;
    void *aside;

    assert(offset <= w->size && length <= w->size - offset);
    /*
     * mmap(MAP_FIXED) drops what was there before it finds out that the file
     * cannot be mapped, and a hole in a window kills the VM. So map the object
     * aside, where failing is harmless, and then move it over its place.
     */
    aside = mmap(NULL, length, readonly ? PROT_READ : PROT_READ | PROT_WRITE,
                 MAP_SHARED, fd, fd_offset);
    if (aside == MAP_FAILED) {
        return -errno;
    }
    if (mremap(aside, length, length, MREMAP_MAYMOVE | MREMAP_FIXED,
               where) == MAP_FAILED) {
        int err = errno;

        munmap(aside, length);
        if (zero_memory(where, length) == MAP_FAILED) {
            /* Both failed: the kernel is out of memory for page tables. */
            return -ENOMEM;
        }
        return -err;
    }
    return 0;
}

int vmshm_window_clear(VMShmWindow *w, uint64_t offset, uint64_t length)
{
    assert(offset <= w->size && length <= w->size - offset);
    if (length && zero_memory(w->host + offset, length) == MAP_FAILED) {
        return -errno;
    }
    return 0;
}

static void window_reclaim(VMShmWindow *w)
{
    munmap(w->reserved, w->reserved_size);
    g_free(w);
}

void vmshm_window_free(VMShmWindow *w)
{
    if (w) {
        /*
         * A vCPU thread may still run on addresses that it looked up before
         * the memory region went away; it does so inside a read section.
         */
        call_rcu(w, window_reclaim, rcu);
    }
}
