/*
 * VMShm: attached objects whose memory the host takes away
 *
 * The functions that signal handlers call are here. They use system calls,
 * atomic operations and the lock of the windows, and call nothing that
 * allocates.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "vmshm-budget.h"
#include "vmshm-compat.h"
#include "vmshm-host.h"
#include "vmshm-loss.h"
#include "vmshm-trace.h"

/* Without these in the kernel, lose_page() counts each page as lost. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

static uint64_t losses;     /* under the windows' lock */

static void count(VMShmAttachments *t, VMShmAttachment *a, unsigned lost)
{
    switch (lost) {
    case VMSHM_LOST_END:
        t->lost_ends++;
        break;
    case VMSHM_LOST_PAGE:
        t->lost_pages++;
        break;
    case VMSHM_LOST_WRITE:
        t->lost_writes++;
        break;
    }
    losses++;
    a->unreported |= lost;
    if (lost != VMSHM_LOST_WRITE) {
        a->untold = true;
        t->untold = true;
    }
    /* This is async-signal-safe, as QEMU promises. */
    qemu_bh_schedule(t->loss_bh);
}

/* Drops the rest from @keep on, or all if there is no mapping left for that. */
static bool drop(VMShmAttachments *t, VMShmAttachment *a, uint64_t keep,
                 unsigned lost)
{
    if (vmshm_attachment_drop(a, keep) < 0 &&
        vmshm_attachment_drop(a, 0) < 0) {
        return false;
    }
    count(t, a, lost);
    return true;
}

/* The bytes of the attachment that the object has now */
static uint64_t has_now(const VMShmAttachment *a)
{
    struct stat st;
    uint64_t end;

    if (fstat(a->fd, &st) < 0) {
        return a->shown;
    }
    end = QEMU_ALIGN_UP((uint64_t)st.st_size, a->page);
    return end > a->offset ? end - a->offset : 0;
}

/*
 * The object has a page at @at, but the access failed. Either the page came
 * back meanwhile, or there is no memory for it.
 */
static bool lose_page(VMShmAttachments *t, VMShmAttachment *a, uint64_t at)
{
    uint64_t place = a->place + QEMU_ALIGN_DOWN(at, a->page);

    if (madvise(a->window->host + place, a->page,
                a->readonly ? MADV_POPULATE_READ : MADV_POPULATE_WRITE) == 0) {
        return true;
    }
    if (!vmshm_budget_take_mappings(2)) {
        return drop(t, a, 0, VMSHM_LOST_PAGE);
    }
    a->pieces += 2;
    if (vmshm_window_clear(a->window, place, a->page) < 0) {
        return drop(t, a, 0, VMSHM_LOST_PAGE);
    }
    vmshm_window_supply(a->window, a->place + at, &a->pieces);
    count(t, a, VMSHM_LOST_PAGE);
    return true;
}

static bool lose(VMShmAttachments *t, VMShmAttachment *a, const uint8_t *host)
{
    uint64_t at = host - (a->window->host + a->place);
    uint64_t has;

    if (at >= a->shown) {
        /* The object's memory was replaced already, perhaps since the access */
        vmshm_window_supply(a->window, a->place + at, &a->pieces);
        return true;
    }
    has = has_now(a);
    return at < has ? lose_page(t, a, at) : drop(t, a, has, VMSHM_LOST_END);
}

/* No attachment: it was detached, perhaps since the access. */
static bool lose_unattached(const uint8_t *host)
{
    VMShmWindow *w = vmshm_window_at(host);

    if (w) {
        vmshm_window_supply(w, host - w->host, &w->pieces);
    }
    return w;
}

bool vmshm_loss_bus_error(const void *host)
{
    VMShmAttachments *t;
    VMShmAttachment *a;
    bool ours;

    vmshm_window_lock();
    a = vmshm_attachments_at(host, &t);
    ours = a ? lose(t, a, host) : lose_unattached(host);
    vmshm_window_unlock();
    return ours;
}

bool vmshm_loss_write_fault(const void *host)
{
    VMShmAttachments *t;
    VMShmAttachment *a;
    bool ours = false;

    vmshm_window_lock();
    a = vmshm_attachments_at(host, &t);
    if (a && a->readonly) {
        uint64_t at = QEMU_ALIGN_DOWN((const uint8_t *)host -
                                      (a->window->host + a->place), a->page);

        /* Until the report, two more mappings, even beyond the budget */
        ours = vmshm_window_map(a->window, a->place + at, a->page, a->fd,
                                a->offset + at, false, true) == 0;
        if (ours) {
            count(t, a, VMSHM_LOST_WRITE);
        }
    } else if (!a) {
        ours = vmshm_window_at(host);
    }
    vmshm_window_unlock();
    return ours;
}

static bool repair(VMShmAttachments *t, VMShmAttachment *a, void *opaque)
{
    uint64_t has = has_now(a);

    if (has < a->shown) {
        drop(t, a, has, VMSHM_LOST_END);
    }
    return false;
}

void vmshm_loss_repair(void)
{
    vmshm_window_lock();
    vmshm_attachments_each(repair, NULL);
    vmshm_window_unlock();
}

uint64_t vmshm_loss_count(void)
{
    uint64_t now;

    vmshm_window_lock();
    now = losses;
    vmshm_window_unlock();
    return now;
}

/* Returns and clears the unreported losses. Private page copies end here. */
static unsigned take_report(VMShmAttachment *a)
{
    unsigned lost;

    vmshm_window_lock();
    lost = a->unreported;
    a->unreported = 0;
    if (lost & VMSHM_LOST_WRITE && a->shown) {
        vmshm_window_map(a->window, a->place, a->shown, a->fd, a->offset,
                         a->readonly, false);
    }
    vmshm_window_unlock();
    return lost;
}

void vmshm_loss_report(VMShmAttachments *t,
                       void (*report)(void *opaque, const VMShmAttachment *a,
                                      unsigned lost),
                       void *opaque)
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, t->by_handle);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        VMShmAttachment *a = value;
        unsigned lost = take_report(a);

        if (lost) {
            VMSHM_TRACE(loss, a->name, lost);
            vmshm_window_forget_code(a->window, a->place, a->length);
            report(opaque, a, lost);
        }
    }
}

static bool show_same(const VMShmAttachment *one, const VMShmAttachment *other)
{
    struct stat a, b;

    return one == other ||
           (fstat(one->fd, &a) == 0 && fstat(other->fd, &b) == 0 &&
            vmshm_host_same(&a, &b));
}

bool vmshm_loss_tell(VMShmAttachments *t, const VMShmAttachment *a)
{
    bool told = false;
    GHashTableIter iter;
    gpointer value;

    vmshm_window_lock();
    if (t->untold) {
        t->untold = false;
        g_hash_table_iter_init(&iter, t->by_handle);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
            VMShmAttachment *other = value;

            if (other->untold && show_same(a, other)) {
                other->untold = false;
                told = true;
            }
            t->untold |= other->untold;
        }
    }
    vmshm_window_unlock();
    return told;
}

void vmshm_loss_pass_on(VMShmAttachments *t, const VMShmAttachment *a)
{
    GHashTableIter iter;
    gpointer value;

    vmshm_window_lock();
    if (a->untold) {
        g_hash_table_iter_init(&iter, t->by_handle);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
            VMShmAttachment *other = value;

            if (other != a && show_same(a, other)) {
                other->untold = true;
                break;
            }
        }
    }
    vmshm_window_unlock();
}
