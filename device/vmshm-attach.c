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
#include "vmshm-budget.h"
#include "vmshm-compat.h"
#include "vmshm-host.h"
#include "vmshm-trace.h"
#include "vmshm/regs.h"

/* Detaches between two sweeps; see sweep(). */
#define SWEEP_AFTER 4096

static QLIST_HEAD(, VMShmAttachments) tables = QLIST_HEAD_INITIALIZER(tables);

static const uint8_t *first_byte(const VMShmAttachment *a)
{
    return a->window->host + a->place;
}

static bool ends_before(const VMShmAttachment *a, const VMShmAttachment *b)
{
    return first_byte(a) + a->length <= first_byte(b);
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

    if (a->fd >= 0) {
        vmshm_scope_close(a->scope, a->fd, true);
    } else {
        vmshm_budget_give_file();
    }
    g_free(a->name);
    g_free(a);
}

void vmshm_attachments_init(VMShmAttachments *t, VMShmScope *scope,
                            QEMUBHFunc *loss, void *opaque)
{
    t->scope = scope;
    t->by_handle = g_hash_table_new_full(NULL, NULL, NULL, attachment_free);
    t->by_place = g_tree_new_full(compare_places, NULL, NULL, NULL);
    t->loss_bh = qemu_bh_new(loss, opaque);
    QTAILQ_INIT(&t->temporaries);
    vmshm_window_lock();
    QLIST_INSERT_HEAD(&tables, t, next);
    vmshm_window_unlock();
}

/* An attachment that is left goes with its window, and costs nothing then. */
static void give_pieces(gpointer key, gpointer value, gpointer opaque)
{
    VMShmAttachment *a = value;

    vmshm_budget_give_mappings(a->pieces);
}

void vmshm_attachments_destroy(VMShmAttachments *t)
{
    if (!t->by_place) {
        return;
    }
    g_hash_table_foreach(t->by_handle, give_pieces, NULL);
    vmshm_window_lock();
    QLIST_REMOVE(t, next);
    vmshm_window_unlock();
    g_clear_pointer(&t->loss_bh, qemu_bh_delete);
    g_clear_pointer(&t->by_place, g_tree_destroy);
    g_clear_pointer(&t->by_handle, g_hash_table_destroy);
}

/* For g_tree_search(): where @host lies relative to an attachment */
static gint compare_host(gconstpointer key, gconstpointer host)
{
    const VMShmAttachment *a = key;

    if ((const uint8_t *)host < first_byte(a)) {
        return -1;
    }
    return (const uint8_t *)host >= first_byte(a) + a->length ? 1 : 0;
}

VMShmAttachment *vmshm_attachments_at(const void *host, VMShmAttachments **t)
{
    QLIST_FOREACH(*t, &tables, next) {
        VMShmAttachment *a = g_tree_search((*t)->by_place, compare_host, host);

        if (a) {
            return a;
        }
    }
    return NULL;
}

typedef struct Each {
    VMShmAttachments *table;
    VMShmAttachmentFunc *fn;
    void *opaque;
    bool ended;
} Each;

static gboolean each_one(gpointer key, gpointer value, gpointer opaque)
{
    Each *each = opaque;

    each->ended = each->fn(each->table, value, each->opaque);
    return each->ended;
}

void vmshm_attachments_each(VMShmAttachmentFunc *fn, void *opaque)
{
    Each each = { .fn = fn, .opaque = opaque };

    QLIST_FOREACH(each.table, &tables, next) {
        g_tree_foreach(each.table->by_place, each_one, &each);
        if (each.ended) {
            return;
        }
    }
}

/* An object on this host cannot follow the guest to another one. */
static int block_migration(VMShmAttachments *t)
{
    if (t->migration_blocker) {
        return 0;
    }
    error_setg(&t->migration_blocker, "vmshm: a shared memory object of this "
               "host is mapped; the guest has to close it first");
    return vmshm_compat_migration_block(&t->migration_blocker, NULL);
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

typedef struct Sweep {
    VMShmWindow *window;
    uint64_t gap;       /* where the gap before the next attachment begins */
} Sweep;

static void sweep_gap(Sweep *s, uint64_t end)
{
    if (s->gap < end) {
        /* After a failure the gap is still zero memory, in more mappings. */
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
 * If a guest writes into unattached memory, the kernel may keep each piece of
 * that memory as a mapping of its own. The number of mappings is limited for
 * the whole of QEMU. So each gap is replaced by a single mapping from time to
 * time.
 */
static void sweep(VMShmAttachments *t, VMShmWindow *window)
{
    Sweep s = { .window = window };

    vmshm_budget_give_mappings(window->cleared);
    window->cleared = 0;
    vmshm_window_lock();
    vmshm_budget_give_mappings(window->pieces);
    window->pieces = 0;
    vmshm_window_unlock();
    g_tree_foreach(t->by_place, sweep_before, &s);
    sweep_gap(&s, window->size);
}

/* Mappings for one more attachment of @t in @window; 0 or -ENOMEM. */
static int take_mappings(VMShmAttachments *t, VMShmWindow *window)
{
    if (vmshm_budget_take_mappings(VMSHM_BUDGET_ATTACHMENT)) {
        return 0;
    }
    if (window->cleared || qatomic_read(&window->pieces)) {
        sweep(t, window);
    }
    return vmshm_budget_take_mappings(VMSHM_BUDGET_ATTACHMENT) ? 0 : -ENOMEM;
}

/* Puts the object of @a into its window, where the handler finds it. */
static int map_and_enter(VMShmAttachments *t, VMShmAttachment *a,
                         VMShmRefusal *why)
{
    int ret = take_mappings(t, a->window);

    if (ret < 0) {
        *why = VMSHM_REFUSED_LIMIT;
        return ret;
    }
    a->pieces = VMSHM_BUDGET_ATTACHMENT;
    a->shown = a->length;
    vmshm_window_lock();
    ret = vmshm_window_map(a->window, a->place, a->length, a->fd, a->offset,
                           a->readonly, false);
    if (ret == 0) {
        g_tree_insert(t->by_place, a, a);
    }
    vmshm_window_unlock();
    if (ret < 0) {
        vmshm_budget_give_mappings(a->pieces);
        return ret;
    }
    vmshm_window_forget_code(a->window, a->place, a->length);
    return 0;
}

int vmshm_attachments_add(VMShmAttachments *t, const VMShmAttachment *want,
                          uint32_t *handle, VMShmRefusal *why)
{
    VMShmAttachment *a;
    int ret;

    if (want->window && g_tree_lookup(t->by_place, want)) {
        return -EBUSY;
    }
    if (!vmshm_budget_take_file()) {
        *why = VMSHM_REFUSED_LIMIT;
        return -EMFILE;
    }
    ret = block_migration(t);
    if (ret < 0) {
        *why = VMSHM_REFUSED_MIGRATION;
        vmshm_budget_give_file();
        return ret;
    }
    a = g_memdup2(want, sizeof(*want));
    a->scope = t->scope;
    a->page = a->page ?: VMSHM_PAGE_SIZE;
    ret = a->window ? map_and_enter(t, a, why) : 0;
    if (ret < 0) {
        g_free(a);
        vmshm_budget_give_file();
        unblock_migration_if_empty(t);
        return ret;
    }
    a->handle = new_handle(t);
    a->since = qemu_clock_get_ms(QEMU_CLOCK_HOST);
    g_hash_table_insert(t->by_handle, GUINT_TO_POINTER(a->handle), a);
    t->bytes += a->length;
    VMSHM_TRACE(attach, a->name, a->handle, a->place, a->offset, a->length);
    *handle = a->handle;
    return 0;
}

/* Takes @a from its window; 0 or -errno. */
static int unmap_and_leave(VMShmAttachments *t, VMShmAttachment *a)
{
    VMShmWindow *window = a->window;
    int ret;

    vmshm_window_lock();
    ret = vmshm_window_clear(window, a->place, a->length);
    if (ret == 0) {
        g_tree_remove(t->by_place, a);
    }
    vmshm_window_unlock();
    if (ret < 0) {
        return ret;
    }
    vmshm_window_forget_code(window, a->place, a->length);
    /* Until the next sweep, the range is one mapping of zero memory. */
    vmshm_budget_give_mappings(a->pieces - 1);
    if (++window->cleared >= SWEEP_AFTER) {
        sweep(t, window);
    }
    return 0;
}

int vmshm_attachments_remove(VMShmAttachments *t, VMShmAttachment *a, int *fd)
{
    if (a->window) {
        int ret = unmap_and_leave(t, a);

        if (ret < 0) {
            return ret;
        }
    }
    VMSHM_TRACE(detach, a->handle);
    if (fd) {
        *fd = a->fd;
        a->fd = -1;
    }
    t->bytes -= a->length;
    g_hash_table_remove(t->by_handle, GUINT_TO_POINTER(a->handle));
    unblock_migration_if_empty(t);
    return 0;
}

/* From @keep bytes of the attachment on */
static void add_range(const VMShmAttachment *a, uint64_t keep, GArray *ranges)
{
    VMShmRange range;

    if (a->window && keep < a->shown) {
        range.host = a->window->host + a->place + keep;
        range.length = a->shown - keep;
        g_array_append_val(ranges, range);
    }
}

void vmshm_attachments_ranges(VMShmAttachments *t, const VMShmAttachment *a,
                              GArray *ranges)
{
    GHashTableIter iter;
    gpointer value;

    if (a) {
        add_range(a, 0, ranges);
        return;
    }
    g_hash_table_iter_init(&iter, t->by_handle);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        add_range(value, 0, ranges);
    }
}

int vmshm_attachments_remove_all(VMShmAttachments *t)
{
    g_autoptr(GList) all = g_hash_table_get_values(t->by_handle);
    GList *item;
    int first = 0;

    for (item = all; item; item = item->next) {
        int ret = vmshm_attachments_remove(t, item->data, NULL);

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

typedef struct Nameless {
    GHashTable *seen;           /* their inode numbers */
    uint64_t bytes;
    const struct stat *wanted;
    bool held;
} Nameless;

static void add_if_nameless(Nameless *n, int fd)
{
    struct stat st;
    uint64_t ino;

    if (fstat(fd, &st) < 0) {
        return;
    }
    if (n->wanted && vmshm_host_same(&st, n->wanted)) {
        n->held = true;
    }
    ino = st.st_ino;    /* they are all of one file system */
    if (!st.st_nlink &&
        g_hash_table_add(n->seen, g_memdup2(&ino, sizeof(ino)))) {
        n->bytes = vmshm_attachments_sum(n->bytes, st.st_size);
    }
}

static void add_nameless(VMShmAttachments *t, Nameless *n)
{
    VMShmBorrowed *borrowed;
    VMShmTemporary *one;
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, t->by_handle);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        VMShmAttachment *a = value;

        add_if_nameless(n, a->fd);
    }
    QLIST_FOREACH(borrowed, &t->borrowed, next) {
        add_if_nameless(n, borrowed->fd);
    }
    QTAILQ_FOREACH(one, &t->temporaries, entry) {
        add_if_nameless(n, one->fd);
    }
}

uint64_t vmshm_attachments_nameless(VMShmAttachments *t, const struct stat *st,
                                    bool *held)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_int64_hash,
                                                       g_int64_equal, g_free,
                                                       NULL);
    Nameless n = { .seen = seen, .wanted = st };
    VMShmAttachments *other;

    QLIST_FOREACH(other, &tables, next) {
        if (other->scope == t->scope) {
            add_nameless(other, &n);
        }
    }
    if (st) {
        *held = n.held;
    }
    return n.bytes;
}

int vmshm_attachments_borrow(VMShmAttachments *t, int fd,
                             VMShmBorrowed *borrowed)
{
    borrowed->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (borrowed->fd < 0) {
        return -errno;
    }
    QLIST_INSERT_HEAD(&t->borrowed, borrowed, next);
    return borrowed->fd;
}

void vmshm_attachments_return(VMShmBorrowed *borrowed)
{
    QLIST_SAFE_REMOVE(borrowed, next);
}

int vmshm_attachment_drop(VMShmAttachment *a, uint64_t keep)
{
    /* The first drop costs one mapping. Later drops cost no more. */
    bool split = keep && a->shown == a->length;
    int ret;

    if (keep >= a->shown) {
        return 0;
    }
    if (split && !vmshm_budget_take_mappings(1)) {
        return -ENOMEM;
    }
    ret = vmshm_window_clear(a->window, a->place + keep, a->shown - keep);
    if (ret == 0) {
        a->shown = keep;
        a->pieces += split;
    } else if (split) {
        vmshm_budget_give_mappings(1);
    }
    return ret;
}

/* A part of an attachment that is beyond the end of its object */
typedef struct Cut {
    VMShmAttachment *a;
    uint64_t keep;              /* bytes before it */
    uint64_t shown;             /* before the cut */
} Cut;

/* Whether @a has a part beyond @size, and shows the object @st */
static bool is_cut(VMShmAttachment *a, const struct stat *st, uint64_t size,
                   Cut *cut)
{
    uint64_t end = QEMU_ALIGN_UP(size, a->page);
    struct stat other;

    *cut = (Cut) {
        .a = a,
        .keep = end > a->offset ? end - a->offset : 0,
        .shown = a->shown,
    };
    return a->window && fstat(a->fd, &other) == 0 &&
           vmshm_host_same(&other, st) && cut->keep < a->length;
}

static int make_cut(const Cut *cut)
{
    int ret;

    vmshm_window_lock();
    ret = vmshm_attachment_drop(cut->a, cut->keep);
    vmshm_window_unlock();
    if (ret == 0) {
        vmshm_window_forget_code(cut->a->window, cut->a->place + cut->keep,
                                 cut->a->length - cut->keep);
    }
    return ret;
}

/* If that fails, the guest learns of a loss. */
static void undo_cut(VMShmAttachments *t, const Cut *cut)
{
    VMShmAttachment *a = cut->a;

    vmshm_window_lock();
    if (a->shown < cut->shown) {
        if (vmshm_window_map(a->window, a->place + a->shown,
                             cut->shown - a->shown, a->fd,
                             a->offset + a->shown, a->readonly, false) == 0) {
            a->shown = cut->shown;
            if (cut->keep && a->shown == a->length) {
                vmshm_budget_give_mappings(1);
                a->pieces--;
            }
        } else {
            a->untold = true;
            t->untold = true;
        }
    }
    vmshm_window_unlock();
    vmshm_window_forget_code(a->window, a->place + cut->keep,
                             a->length - cut->keep);
}

int vmshm_attachments_cut(VMShmAttachments *t, const struct stat *st,
                          uint64_t size)
{
    g_autoptr(GArray) cuts = g_array_new(false, false, sizeof(Cut));
    GHashTableIter iter;
    gpointer value;
    unsigned n;
    Cut cut;

    g_hash_table_iter_init(&iter, t->by_handle);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        int ret;

        if (!is_cut(value, st, size, &cut)) {
            continue;
        }
        ret = make_cut(&cut);
        if (ret < 0) {
            for (n = 0; n < cuts->len; n++) {
                undo_cut(t, &g_array_index(cuts, Cut, n));
            }
            return ret;
        }
        g_array_append_val(cuts, cut);
    }
    return 0;
}

void vmshm_attachments_cut_ranges(VMShmAttachments *t, const struct stat *st,
                                  uint64_t size, GArray *ranges)
{
    GHashTableIter iter;
    gpointer value;
    Cut cut;

    g_hash_table_iter_init(&iter, t->by_handle);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        if (is_cut(value, st, size, &cut)) {
            add_range(value, cut.keep, ranges);
        }
    }
}
