/*
 * VMShm: the number of objects that a guest may see
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <sys/inotify.h>
#include "vmshm-attach.h"
#include "vmshm-host.h"
#include "vmshm-store.h"

#define COMES (IN_CREATE | IN_MOVED_TO)
#define GOES (IN_DELETE | IN_MOVED_FROM)

struct VMShmStore {
    int dir;
    const VMShmPolicy *policy;
    GHashTable *entries;        /* a set of names in the directory */
    bool complete;              /* entries has every admitted name */
    bool overflow;              /* there are more than are kept */
    int watch;                  /* an inotify descriptor, or -1 */
};

static void stop_watching(VMShmStore *s)
{
    if (s->watch >= 0) {
        close(s->watch);
        s->watch = -1;
    }
}

void vmshm_store_free(VMShmStore *s)
{
    if (s) {
        stop_watching(s);
        g_hash_table_destroy(s->entries);
        g_free(s);
    }
}

static void start_watching(VMShmStore *s)
{
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", s->dir);

    s->watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (s->watch >= 0 && inotify_add_watch(s->watch, path, COMES | GOES) < 0) {
        stop_watching(s);
    }
}

VMShmStore *vmshm_store_new(int dir, const VMShmPolicy *policy)
{
    VMShmStore *s = g_new0(VMShmStore, 1);

    s->dir = dir;
    s->policy = policy;
    s->entries = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    start_watching(s);
    return s;
}

static bool add(void *opaque, const char *entry)
{
    VMShmStore *s = opaque;
    g_autofree char *name = vmshm_policy_guest_name(s->policy, entry);
    struct stat st;

    if (!name || vmshm_host_entry(s->dir, entry, &st) < 0) {
        return true;
    }
    g_hash_table_add(s->entries, g_strdup(entry));
    if (g_hash_table_size(s->entries) > VMSHM_HOST_NAMES_MAX) {
        s->overflow = true;
        s->complete = false;
    }
    return !s->overflow;
}

/* Changes during this read are in the inotify queue, too. */
static int read_all(VMShmStore *s)
{
    int ret;

    g_hash_table_remove_all(s->entries);
    s->overflow = false;
    ret = vmshm_host_each(s->dir, add, s);
    s->complete = ret == 0 && s->watch >= 0 && !s->overflow;
    return ret;
}

static void take(VMShmStore *s, const struct inotify_event *event)
{
    if (event->mask & COMES) {
        add(s, event->name);
    } else if (event->mask & GOES) {
        g_hash_table_remove(s->entries, event->name);
    } else if (event->mask & IN_Q_OVERFLOW) {
        s->complete = false;
    }
}

static void take_events(VMShmStore *s, const char *buffer, ssize_t size)
{
    const char *at = buffer;

    while (at < buffer + size) {
        const struct inotify_event *event = (const void *)at;

        take(s, event);
        at += sizeof(*event) + event->len;
    }
}

static int update(VMShmStore *s)
{
    char buffer[8192] QEMU_ALIGNED(__alignof__(struct inotify_event));
    ssize_t size;

    while (s->watch >= 0 && !s->overflow &&
           (size = read(s->watch, buffer, sizeof(buffer))) > 0) {
        take_events(s, buffer, size);
    }
    return s->complete ? 0 : read_all(s);
}

int vmshm_store_count(VMShmStore *s, uint64_t *objects, uint64_t *bytes)
{
    GHashTableIter iter;
    gpointer entry;
    int ret = update(s);

    if (ret < 0) {
        return ret;
    }
    *objects = g_hash_table_size(s->entries);
    if (!bytes) {
        return 0;
    }
    if (s->overflow) {
        *bytes = UINT64_MAX;
        return 0;
    }
    *bytes = 0;
    g_hash_table_iter_init(&iter, s->entries);
    while (g_hash_table_iter_next(&iter, &entry, NULL)) {
        struct stat st;

        /* If the name is gone, the queue has its removal for the next count. */
        if (vmshm_host_entry(s->dir, entry, &st) == 0) {
            *bytes = vmshm_attachments_sum(*bytes, st.st_size);
        }
    }
    return 0;
}
