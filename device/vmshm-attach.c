/*
 * VMShm: the objects that are attached, and where
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/host-utils.h"
#include "qemu/timer.h"
#include "qapi/error.h"
#include "vmshm-attach.h"
#include "vmshm-compat.h"
#include "vmshm/regs.h"

/* Detaches between two sweeps; see sweep(). */
#define SWEEP_AFTER 4096

static bool ends_before(const VMShmAttachment *a, const VMShmAttachment *b)
{
    if (a->window != b->window) {
        return (uintptr_t)a->window < (uintptr_t)b->window;
    }
    return a->place + a->length <= b->place;
}

/* Attachments are disjoint, so two that overlap are "equal" to the tree. */
static gint compare_places(gconstpointer one, gconstpointer other, gpointer d)
{
    if (ends_before(one, other)) {
        return -1;
    }
    return ends_before(other, one) ? 1 : 0;
}

static void attachment_free(gpointer p)
{
    VMShmAttachment *a = p;

    close(a->fd);
    g_free(a->name);
    g_free(a);
}

void vmshm_attachments_init(VMShmAttachments *t)
{
    t->by_handle = g_hash_table_new_full(NULL, NULL, NULL, attachment_free);
    t->by_place = g_tree_new_full(compare_places, NULL, NULL, NULL);
}

void vmshm_attachments_destroy(VMShmAttachments *t)
{
    g_clear_pointer(&t->by_place, g_tree_destroy);
    g_clear_pointer(&t->by_handle, g_hash_table_destroy);
}

/* An object on this host cannot follow the guest to another one. */
static int block_migration(VMShmAttachments *t)
{
    Error *err = NULL;
    int ret;

    if (t->migration_blocker) {
        return 0;
    }
    error_setg(&t->migration_blocker, "vmshm: a shared memory object of this "
               "host is mapped; the guest has to close it first");
    ret = vmshm_compat_migration_block(&t->migration_blocker, &err);
    if (ret < 0) {
        warn_report_err(err);
    }
    return ret;
}

static void unblock_migration_if_empty(VMShmAttachments *t)
{
    if (t->migration_blocker && g_hash_table_size(t->by_handle) == 0) {
        vmshm_compat_migration_unblock(&t->migration_blocker);
    }
}

VMShmAttachment *vmshm_attachments_find(VMShmAttachments *t, uint32_t handle)
{
    return g_hash_table_lookup(t->by_handle, GUINT_TO_POINTER(handle));
}

/* A handle is not used again soon, so that a stale one finds nothing. */
static uint32_t new_handle(VMShmAttachments *t)
{
    do {
        t->last_handle++;
    } while (!t->last_handle || vmshm_attachments_find(t, t->last_handle));
    return t->last_handle;
}

int vmshm_attachments_add(VMShmAttachments *t, const VMShmAttachment *want,
                          uint32_t *handle)
{
    VMShmAttachment *a;
    int ret;

    if (want->window && g_tree_lookup(t->by_place, want)) {
        return -EBUSY;
    }
    ret = block_migration(t);
    if (ret < 0) {
        return ret;
    }
    if (want->window) {
        ret = vmshm_window_map(want->window, want->place, want->length,
                               want->fd, want->offset, want->readonly);
    }
    if (ret < 0) {
        unblock_migration_if_empty(t);
        return ret;
    }
    a = g_memdup2(want, sizeof(*want));
    a->handle = new_handle(t);
    a->since = qemu_clock_get_ms(QEMU_CLOCK_HOST);
    g_hash_table_insert(t->by_handle, GUINT_TO_POINTER(a->handle), a);
    if (a->window) {
        g_tree_insert(t->by_place, a, a);
    }
    t->bytes += a->length;
    *handle = a->handle;
    return 0;
}

typedef struct Sweep {
    VMShmWindow *window;
    uint64_t gap;       /* where the gap before the next attachment begins */
} Sweep;

static void sweep_gap(Sweep *s, uint64_t end)
{
    if (s->gap < end) {
        /* A failure leaves what was there: zero memory, in more pieces. */
        vmshm_window_clear(s->window, s->gap, end - s->gap);
    }
}

static gboolean sweep_before(gpointer key, gpointer value, gpointer opaque)
{
    VMShmAttachment *a = value;
    Sweep *s = opaque;

    if (a->window == s->window) {
        sweep_gap(s, a->place);
        s->gap = a->place + a->length;
    }
    return false;
}

/*
 * A guest that writes into unattached memory can bring the kernel to keep each
 * piece of it as a mapping of its own, and the number of those is limited for
 * the whole of QEMU. So now and then each gap is laid anew as one piece.
 */
static void sweep(VMShmAttachments *t, VMShmWindow *window)
{
    Sweep s = { .window = window };

    window->cleared = 0;
    g_tree_foreach(t->by_place, sweep_before, &s);
    sweep_gap(&s, window->size);
}

int vmshm_attachments_remove(VMShmAttachments *t, VMShmAttachment *a)
{
    VMShmWindow *window = a->window;

    if (window) {
        int ret = vmshm_window_clear(window, a->place, a->length);

        if (ret < 0) {
            return ret;
        }
        g_tree_remove(t->by_place, a);
    }
    t->bytes -= a->length;
    g_hash_table_remove(t->by_handle, GUINT_TO_POINTER(a->handle));
    if (window && ++window->cleared >= SWEEP_AFTER) {
        sweep(t, window);
    }
    unblock_migration_if_empty(t);
    return 0;
}

int vmshm_attachments_remove_all(VMShmAttachments *t)
{
    g_autoptr(GList) all = g_hash_table_get_values(t->by_handle);
    GList *item;
    int first = 0;

    for (item = all; item; item = item->next) {
        int ret = vmshm_attachments_remove(t, item->data);

        if (ret < 0 && !first) {
            first = ret;
        }
    }
    return first;
}

uint64_t vmshm_attachments_sum(uint64_t one, uint64_t other)
{
    uint64_t sum;

    return uadd64_overflow(one, other, &sum) ? UINT64_MAX : sum;
}

uint64_t vmshm_attachments_nameless(VMShmAttachments *t)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_int64_hash,
                                                       g_int64_equal, g_free,
                                                       NULL);
    GHashTableIter iter;
    gpointer value;
    uint64_t bytes = 0;

    g_hash_table_iter_init(&iter, t->by_handle);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        VMShmAttachment *a = value;
        struct stat st;
        uint64_t ino;

        if (fstat(a->fd, &st) < 0 || st.st_nlink) {
            continue;
        }
        ino = st.st_ino;    /* they are all of one file system */
        if (g_hash_table_add(seen, g_memdup2(&ino, sizeof(ino)))) {
            bytes = vmshm_attachments_sum(bytes, st.st_size);
        }
    }
    return bytes;
}

int vmshm_attachments_cut(VMShmAttachments *t, const struct stat *st,
                          uint64_t size)
{
    uint64_t end = QEMU_ALIGN_UP(size, VMSHM_PAGE_SIZE);
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, t->by_handle);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        VMShmAttachment *a = value;
        uint64_t keep = end > a->offset ? end - a->offset : 0;
        struct stat other;
        int ret;

        if (keep >= a->length || fstat(a->fd, &other) < 0 ||
            other.st_dev != st->st_dev || other.st_ino != st->st_ino) {
            continue;
        }
        ret = vmshm_window_clear(a->window, a->place + keep, a->length - keep);
        if (ret < 0) {
            return ret;
        }
    }
    return 0;
}
