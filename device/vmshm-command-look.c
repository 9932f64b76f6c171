/*
 * VMShm: the commands that look at objects, and at what objects there are
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/error-report.h"
#include "vmshm-attr.h"
#include "vmshm-command-parts.h"
#include "vmshm-host.h"

void vmshm_command_stat(VMShmJob *job)
{
    if (vmshm_command_flags(job, VMSHM_RQ_HANDLE, "stat: flags")) {
        vmshm_command_open(job, true, vmshm_command_set_attr);
    }
}

static void statfs_work(VMShmJob *job)
{
    job->ret = vmshm_host_space(job->s->dir, &job->result.total,
                                &job->result.free);
}

void vmshm_command_statfs(VMShmJob *job)
{
    if (vmshm_command_flags(job, 0, "statfs: flags")) {
        job->work = statfs_work;
    }
}

static bool list_add(void *opaque, const char *entry)
{
    VMShmJob *job = opaque;
    int dir = job->s->dir;
    g_autofree char *name = vmshm_policy_guest_name(&job->s->policy, entry);
    struct stat st;

    if (!name || vmshm_host_entry(dir, entry, &st) < 0) {
        return true;
    }
    if (!vmshm_host_may_read(dir, entry)) {
        if (!job->hidden++) {
            job->hidden_name = g_strdup(entry);
        }
    } else if (job->list->len == VMSHM_HOST_NAMES_MAX) {
        job->ret = -EOVERFLOW;
        job->refused = "list";
        job->refusal = VMSHM_REFUSED_LIMIT;
    } else {
        g_ptr_array_add(job->list, g_steal_pointer(&name));
    }
    return job->ret == 0;
}

/* With the big lock: the operator is told once of objects that are hidden. */
static void report_hidden(VMShmJob *job)
{
    VMShmState *s = job->s;

    if (!job->hidden_name) {
        return;
    }
    if (!s->hidden) {
        g_autofree char *shown = g_strescape(job->hidden_name, NULL);

        warn_report("vmshm: the guest does not see %" PRIu64 " objects, "
                    "because QEMU's user (%u) may not read them; the first is "
                    "%s/%.80s; setfacl -m u:%u:rw FILE lets it use one",
                    job->hidden, geteuid(), s->dir_path, shown, geteuid());
    }
    s->hidden = job->hidden;
}

static void list_begin(VMShmJob *job)
{
    int ret;

    job->list = g_ptr_array_new_with_free_func(g_free);
    ret = vmshm_host_each(job->s->dir, list_add, job);
    if (ret < 0) {
        job->ret = ret;
    }
}

/* Names, each with its NUL, as many as fit into BAR2. */
static void list_names(VMShmJob *job)
{
    uint64_t next = job->request.offset;
    GByteArray *data = g_byte_array_new();

    report_hidden(job);
    job->result.data = data;
    for (; next < job->list->len; next++) {
        const char *name = g_ptr_array_index(job->list, next);
        size_t size = strlen(name) + 1;

        if (size > VMSHM_NAME_SIZE - data->len) {
            break;
        }
        g_byte_array_append(data, (const uint8_t *)name, size);
        job->result.count++;
    }
    if (!job->result.count) {
        g_clear_pointer(&job->list, g_ptr_array_unref);
    }
}

/* Adds one entry; false if the entry does not fit any more. */
static bool add_entry(GByteArray *data, const char *name,
                      const VMShmAttr *attr)
{
    uint8_t entry[VMSHM_LIST_NAME] = { 0 };
    size_t size = strlen(name) + 1;
    size_t bytes = QEMU_ALIGN_UP(VMSHM_LIST_NAME + size, 8);
    static const uint8_t padding[8];

    if (bytes > VMSHM_MAILBOX_SIZE - VMSHM_MB_DATA - data->len) {
        return false;
    }
    vmshm_attr_store(entry, attr);
    stl_le_p(entry + VMSHM_LIST_BYTES, bytes);
    g_byte_array_append(data, entry, sizeof(entry));
    g_byte_array_append(data, (const uint8_t *)name, size);
    g_byte_array_append(data, padding, bytes - sizeof(entry) - size);
    return true;
}

/* Names with attributes, as many as fit into a mailbox. */
static void list_entries(VMShmJob *job)
{
    VMShmResult *res = &job->result;
    uint64_t next = job->request.offset;

    res->data = g_byte_array_new();
    for (; next < job->list->len; next++) {
        const char *name = g_ptr_array_index(job->list, next);
        g_autofree char *host_name = vmshm_policy_host_name(&job->s->policy,
                                                            name);
        VMShmAttr attr;

        if (vmshm_host_attr(job->s->dir, host_name, &attr) < 0) {
            continue;
        }
        if (!add_entry(res->data, name, &attr)) {
            break;
        }
        res->count++;
    }
    res->next = next < job->list->len ? next : 0;
}

static void list_entries_work(VMShmJob *job)
{
    if (!job->list) {
        list_begin(job);
    }
    if (job->ret == 0) {
        list_entries(job);
    }
}

/*
 * job->list has the names with which the guest's listing has begun, or is NULL.
 * The caller gives the list to the job and takes it back.
 */
void vmshm_command_list(VMShmJob *job)
{
    bool begin = !job->request.offset;

    if (job->mailbox && !vmshm_command_flags(job, 0, "list: flags")) {
        return;
    }
    if (begin) {
        g_clear_pointer(&job->list, g_ptr_array_unref);
    }
    if (!job->mailbox) {
        if (!job->list) {
            job->work = list_begin;
        }
        job->then = list_names;
        if (!job->work) {
            job->then = NULL;
            list_names(job);
        }
    } else if (!begin && !job->list) {
        vmshm_command_refuse(job, "list: offset", -EINVAL);
    } else {
        job->work = list_entries_work;
        job->then = report_hidden;
    }
}
