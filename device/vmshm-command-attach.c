/*
 * VMShm: the commands that show objects to the guest
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/units.h"
#include "vmshm-command.h"
#include "vmshm-command-parts.h"
#include "vmshm-host.h"
#include "vmshm-loss.h"

/* Bytes whose unmapping takes less than 0.1 ms, also if all were accessed */
#define SHORT_UNMAPPING MiB

int vmshm_command_check_limits(VMShmJob *job, uint64_t length)
{
    VMShmAttachments *t = &job->s->attachments;
    VMShmPolicy *p = &job->s->policy;

    if (g_hash_table_size(t->by_handle) >= p->max_objects) {
        return vmshm_policy_refuse(p, VMSHM_REFUSED_LIMIT, job->name, -ENFILE);
    }
    if (p->max_bytes && (t->bytes > p->max_bytes ||
                         length > p->max_bytes - t->bytes)) {
        return vmshm_policy_refuse(p, VMSHM_REFUSED_LIMIT, job->name, -EDQUOT);
    }
    return 0;
}

/*
 * Whether the object was opened by its name, and has lost it since. With
 * max-bytes=, such an object counts as not found: a limit may have been checked
 * meanwhile, and that check did not count the object.
 */
static bool has_gone(VMShmJob *job)
{
    struct stat st;

    return job->s->policy.max_bytes &&
           !QLIST_IS_INSERTED(&job->borrowed, next) &&
           fstat(job->fd, &st) == 0 && !st.st_nlink && st.st_size;
}

/* On success descriptor and name are the table's. */
static int add(VMShmJob *job, VMShmAttachment *want)
{
    VMShmRefusal why = VMSHM_REFUSED_KINDS;
    int ret;

    if (has_gone(job)) {
        return -ENOENT;
    }
    want->fd = job->fd;
    want->name = job->name;
    ret = vmshm_attachments_add(&job->s->attachments, want, &want->handle,
                                &why);
    if (why != VMSHM_REFUSED_KINDS) {
        vmshm_policy_refuse(&job->s->policy, why, job->name, ret);
    }
    if (ret == 0) {
        vmshm_command_set_attr(job);
        job->result.handle = want->handle;
        job->fd = -1;
        job->name = NULL;
    }
    return ret;
}

void vmshm_command_add_hold(VMShmJob *job, bool readonly)
{
    VMShmAttachment want = { .readonly = readonly };

    job->ret = vmshm_command_check_limits(job, 0);
    if (job->ret == 0) {
        job->ret = add(job, &want);
    }
}

/*
 * Attaches the object as *@want says: window, place, offset, readonly, and
 * length. A length of 0 stands for the rest of the object, but at most @most.
 */
static void attach_opened(VMShmJob *job, VMShmAttachment *want, uint64_t most)
{
    uint64_t pages;

    want->page = vmshm_host_page(job->fd);
    /* Never map what the object does not have: touching it raises SIGBUS. */
    pages = QEMU_ALIGN_UP((uint64_t)job->st.st_size, want->page);
    if (want->offset >= pages || want->length > pages - want->offset) {
        job->ret = -ENODATA;
        return;
    }
    if (!want->length) {
        want->length = MIN(pages - want->offset, most);
    }
    /* The kernel maps whole pages, and would map over what lies beside them. */
    if (want->length > most ||
        !QEMU_IS_ALIGNED(want->place | want->offset | want->length,
                         want->page)) {
        vmshm_command_refuse(job, job->name, -EINVAL);
        return;
    }
    job->ret = vmshm_command_check_limits(job, want->length);
    if (job->ret == 0) {
        job->ret = add(job, want);
    }
}

static void buffer_opened(VMShmJob *job)
{
    VMShmState *s = job->s;
    VMShmAttachment want = {
        .window = s->buffer_window,
        .readonly = job->readonly,
    };

    attach_opened(job, &want, VMSHM_BUFFER_SIZE);
    if (job->ret < 0) {
        return;
    }
    s->open_handle = want.handle;
    /* Drop what the guest wrote beyond the object while none was open. */
    job->ret = vmshm_window_clear(s->buffer_window, want.length,
                                  VMSHM_BUFFER_SIZE - want.length);
    if (job->ret < 0) {
        vmshm_buffer_close(s);
    }
}

static void buffer_open(VMShmJob *job)
{
    vmshm_command_open_named(job, job->s->policy.readonly, buffer_opened);
}

int vmshm_buffer_open(VMShmState *s)
{
    VMShmJob *job;
    int ret;

    if (s->open_handle) {
        return -EBUSY;
    }
    job = vmshm_job_new(s);
    memcpy(job->request.names, s->name, sizeof(s->name));
    job->then = buffer_open;
    ret = vmshm_job_run_now(job);
    vmshm_job_free(job);
    return ret;
}

int vmshm_buffer_close(VMShmState *s)
{
    VMShmAttachment *a = vmshm_attachments_find(&s->attachments,
                                                s->open_handle);
    int ret = a ? vmshm_attachments_remove(&s->attachments, a, NULL) : 0;

    if (ret < 0) {
        return ret;
    }
    s->open_handle = 0;
    return vmshm_window_clear(s->buffer_window, 0, VMSHM_BUFFER_SIZE);
}

static bool page_aligned(uint64_t value)
{
    return QEMU_IS_ALIGNED(value, VMSHM_PAGE_SIZE);
}

static void attach(VMShmJob *job)
{
    VMShmState *s = job->s;
    VMShmRequest *rq = &job->request;
    uint64_t room = s->arena_size - rq->place % s->arena_size;
    VMShmAttachment want = {
        .window = s->arena_window,
        .place = rq->place,
        .offset = rq->offset,
        .length = QEMU_ALIGN_UP(rq->length, VMSHM_PAGE_SIZE),
        .readonly = job->readonly,
    };

    if (rq->flags & VMSHM_RQ_LIMIT) {
        uint64_t pages = QEMU_ALIGN_UP((uint64_t)job->st.st_size,
                                       VMSHM_PAGE_SIZE);

        if (want.length > room) {
            vmshm_command_refuse(job, job->name, -EINVAL);
            return;
        }
        if (want.offset >= pages) {
            vmshm_command_add_hold(job, job->readonly);
            return;
        }
        want.length = MIN(want.length, pages - want.offset);
    }
    attach_opened(job, &want, room);
}

/* Fails if the device does not let the guest have writable objects. */
static bool may_write(VMShmJob *job, const char *what)
{
    VMShmPolicy *p = &job->s->policy;

    if (p->readonly && !(job->request.flags & VMSHM_RQ_READONLY)) {
        job->ret = vmshm_policy_refuse(p, VMSHM_REFUSED_READONLY, what,
                                       -EROFS);
        return false;
    }
    return true;
}

void vmshm_command_attach(VMShmJob *job)
{
    VMShmRequest *rq = &job->request;
    bool readonly = rq->flags & VMSHM_RQ_READONLY;
    uint64_t size = job->s->arena_size;
    uint64_t first = readonly ? size : 0;

    if (!vmshm_command_flags(job, VMSHM_RQ_READONLY | VMSHM_RQ_HANDLE |
                             VMSHM_RQ_LIMIT, "attach: flags") ||
        !may_write(job, "attach")) {
        return;
    }
    if (!page_aligned(rq->offset) || !page_aligned(rq->place)) {
        vmshm_command_refuse(job, "attach: alignment", -EINVAL);
    } else if (rq->place < first || rq->place - first >= size ||
               rq->length > size) {
        vmshm_command_refuse(job, "attach: place", -EINVAL);
    } else if (rq->flags & VMSHM_RQ_LIMIT && !rq->length) {
        vmshm_command_refuse(job, "attach: length", -EINVAL);
    } else {
        vmshm_command_open(job, readonly, attach);
    }
}

static void hold(VMShmJob *job)
{
    vmshm_command_add_hold(job, job->readonly);
}

/* A handle for an object that need not have any bytes yet. */
void vmshm_command_hold(VMShmJob *job)
{
    if (vmshm_command_flags(job, VMSHM_RQ_READONLY | VMSHM_RQ_HANDLE,
                            "hold: flags") && may_write(job, "hold")) {
        vmshm_command_open(job, job->request.flags & VMSHM_RQ_READONLY, hold);
    }
}

static void close_work(VMShmJob *job)
{
    close(job->fd);
    job->fd = -1;
    vmshm_scope_close_end(job->s->scope);
}

/*
 * All slots have to be idle before everything is unmapped. The threads of
 * slots that wait no more have to leave their queues before any unmapping.
 */
static void before_unmap_work(VMShmJob *job)
{
    VMShmFutex *futex = job->s->futex;
    unsigned n;

    if (futex && job->request.command == VMSHM_CMD_RELEASE) {
        vmshm_futex_reset(futex);
    }
    vmshm_futex_settle(futex);
    for (n = 0; n < job->unmapped->len; n++) {
        vmshm_window_empty(&g_array_index(job->unmapped, VMShmRange, n));
    }
}

bool vmshm_command_before_unmap(VMShmJob *job, GArray *ranges,
                                void (*then)(VMShmJob *job))
{
    bool releases = job->request.command != VMSHM_CMD_RESIZE;
    uint64_t bytes = 0;
    unsigned n;

    for (n = 0; n < ranges->len; n++) {
        bytes += g_array_index(ranges, VMShmRange, n).length;
    }
    if (!job->mailbox || job->unmapped ||
        (bytes < SHORT_UNMAPPING && !vmshm_futex_leaving(job->s->futex) &&
         job->request.command != VMSHM_CMD_RELEASE)) {
        g_array_unref(ranges);
        job->prompt = false;
        return false;
    }
    job->unmapped = ranges;
    job->prompt = releases;
    job->work = before_unmap_work;
    job->then = then;
    return true;
}

static GArray *new_ranges(void)
{
    return g_array_new(false, false, sizeof(VMShmRange));
}

void vmshm_command_detach(VMShmJob *job)
{
    VMShmState *s = job->s;
    VMShmAttachment *a = vmshm_command_attachment(job);
    GArray *ranges;

    if (!a) {
        vmshm_command_refuse(job, "detach: handle", -EBADF);
        return;
    }
    ranges = new_ranges();
    vmshm_attachments_ranges(&s->attachments, a, ranges);
    if (vmshm_command_before_unmap(job, ranges, vmshm_command_detach)) {
        return;
    }
    vmshm_futex_settle(s->futex);
    vmshm_loss_pass_on(&s->attachments, a);
    job->ret = vmshm_attachments_remove(&s->attachments, a, &job->fd);
    if (job->ret == 0 && vmshm_scope_close_is_long(job->fd)) {
        /*
         * The close may free the object's memory. A command of a register
         * waits for that with the big lock (vmshm_scope_settle()), so the close
         * must not wait for a thread that another process keeps busy.
         */
        vmshm_scope_close_begin(s->scope);
        job->prompt = true;
        job->work = close_work;
    }
}

int vmshm_release(VMShmState *s)
{
    int ret, cleared;

    /* First, because a held word must still be mapped when its hold ends. */
    if (s->futex) {
        vmshm_futex_reset(s->futex);
    }
    vmshm_futex_settle(s->futex);
    ret = vmshm_attachments_remove_all(&s->attachments);
    vmshm_temporaries_remove_all(&s->attachments.temporaries);
    g_clear_pointer(&s->list, g_ptr_array_unref);
    if (ret == 0) {
        s->open_handle = 0;
    }
    cleared = vmshm_window_clear(s->buffer_window, 0, VMSHM_BUFFER_SIZE);
    return ret ?: cleared;
}

void vmshm_command_release(VMShmJob *job)
{
    GArray *ranges = new_ranges();

    vmshm_jobs_abandon(job->s, job);
    vmshm_attachments_ranges(&job->s->attachments, NULL, ranges);
    if (!vmshm_command_before_unmap(job, ranges, vmshm_command_release)) {
        job->ret = vmshm_release(job->s);
    }
}
