/*
 * VMShm: the command memory in BAR0
 *
 * The guest can write to this memory at any time. The device copies a request
 * once, and uses nothing that it reads from the memory afterwards.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "qemu/bswap.h"
#include "qemu/cutils.h"
#include "qemu/log.h"
#include "vmshm-attr.h"
#include "vmshm-command.h"
#include "vmshm-irq.h"
#include "vmshm-job.h"
#include "vmshm-mailbox.h"
#include "vmshm-worker.h"

bool vmshm_mailbox_shown(const VMShmState *s)
{
    return s->memory_window && s->command_memory;
}

void *vmshm_mailbox_memory(VMShmState *s, unsigned offset)
{
    return s->memory_window->host + offset - VMSHM_REGS_SIZE;
}

static uint8_t *mailbox_at(VMShmState *s, unsigned n)
{
    return vmshm_mailbox_memory(s, VMSHM_MEM_MAILBOX + n * VMSHM_MAILBOX_SIZE);
}

/* 0, or -EINVAL if a reserved byte is set */
static int get_request(VMShmMailbox *m, VMShmRequest *rq, const uint8_t *at)
{
    uint8_t copy[VMSHM_MB_RES_TAG];

    memcpy(copy, at, sizeof(copy));
    memcpy(rq->names, at + VMSHM_MB_NAMES, sizeof(rq->names));
    m->tag = ldl_le_p(copy + VMSHM_MB_TAG);
    m->vector = ldl_le_p(copy + VMSHM_MB_VECTOR);
    rq->command = ldl_le_p(copy + VMSHM_MB_COMMAND);
    rq->flags = ldl_le_p(copy + VMSHM_MB_FLAGS);
    rq->handle = ldl_le_p(copy + VMSHM_MB_HANDLE);
    rq->mode = ldl_le_p(copy + VMSHM_MB_MODE);
    rq->offset = ldq_le_p(copy + VMSHM_MB_OFFSET);
    rq->length = ldq_le_p(copy + VMSHM_MB_LENGTH);
    rq->place = ldq_le_p(copy + VMSHM_MB_PLACE);
    rq->atime.tv_sec = ldq_le_p(copy + VMSHM_MB_ATIME);
    rq->mtime.tv_sec = ldq_le_p(copy + VMSHM_MB_MTIME);
    rq->atime.tv_nsec = (uint32_t)ldl_le_p(copy + VMSHM_MB_ATIME_NS);
    rq->mtime.tv_nsec = (uint32_t)ldl_le_p(copy + VMSHM_MB_MTIME_NS);
    return buffer_is_zero(copy + VMSHM_MB_ZERO, sizeof(copy) - VMSHM_MB_ZERO)
           ? 0 : -EINVAL;
}

static void put_result(const VMShmResult *res, uint8_t *at)
{
    if (res->handle) {
        stl_le_p(at + VMSHM_MB_RES_HANDLE, res->handle);
    }
    if (res->has_attr) {
        vmshm_attr_store(at + VMSHM_MB_RES_ATTR, &res->attr);
    }
    if (res->data) {
        stl_le_p(at + VMSHM_MB_RES_COUNT, res->count);
        stq_le_p(at + VMSHM_MB_RES_NEXT, res->next);
        if (res->data->len) {
            memcpy(at + VMSHM_MB_DATA, res->data->data, res->data->len);
        }
    }
    if (res->total) {
        stq_le_p(at + VMSHM_MB_RES_TOTAL, res->total);
        stq_le_p(at + VMSHM_MB_RES_FREE, res->free);
    }
}

/* The job has ended, or its result is not wanted any more. */
static void complete(VMShmJob *job)
{
    VMShmState *s = job->s;
    VMShmMailbox *m = job->opaque;
    uint8_t *at = mailbox_at(s, m - s->mailbox);

    m->job = NULL;
    if (job->abandoned) {
        return;
    }
    if (job->ret == 0) {
        put_result(&job->result, at);
    }
    stl_le_p(at + VMSHM_MB_RES_STATUS, -job->ret);
    /* The guest may poll the tag at any time, and then read the results. */
    qatomic_store_release((uint32_t *)(at + VMSHM_MB_RES_TAG),
                          cpu_to_le32(m->tag));
    if (job->request.command == VMSHM_CMD_LIST && job->ret == 0 &&
        job->result.next) {
        m->list = g_steal_pointer(&job->list);
    }
    if (job->deferred) {
        vmshm_irq_notify(s->irq, m->vector);
    }
}

/*
 * Whether another command can be executed. Commands that only release resources
 * need no thread.
 */
static bool has_room(VMShmState *s, uint32_t command)
{
    switch (command) {
    case VMSHM_CMD_RELEASE:
        return true;
    case VMSHM_CMD_DETACH:
        return s->jobs.count < VMSHM_JOBS_MAX;
    default:
        return s->jobs.count < VMSHM_JOBS_MAX && vmshm_worker_exists();
    }
}

void vmshm_mailbox_submit(VMShmState *s, uint32_t n)
{
    VMShmMailbox *m;
    VMShmJob *job;

    if (!vmshm_mailbox_shown(s) || n >= VMSHM_MAILBOXES_MAX ||
        s->mailbox[n].job) {
        qemu_log_mask(LOG_GUEST_ERROR, "vmshm: mailbox %u is busy or does not "
                      "exist\n", n);
        return;
    }
    m = &s->mailbox[n];
    job = vmshm_job_new(s);
    m->job = job;
    if (get_request(m, &job->request, mailbox_at(s, n)) < 0) {
        job->ret = vmshm_policy_refuse(&s->policy, VMSHM_REFUSED_REQUEST,
                                       "mailbox", -EINVAL);
    } else if (!has_room(s, job->request.command)) {
        job->ret = vmshm_policy_refuse(&s->policy, VMSHM_REFUSED_LIMIT,
                                       "mailbox", -EAGAIN);
    }
    job->list = g_steal_pointer(&m->list);
    job->done = complete;
    job->opaque = m;
    vmshm_command_prepare(job, true);
    vmshm_job_run(job);
}

static void forget(VMShmState *s)
{
    unsigned n;

    vmshm_jobs_abandon(s, NULL);
    for (n = 0; n < VMSHM_MAILBOXES_MAX; n++) {
        g_clear_pointer(&s->mailbox[n].list, g_ptr_array_unref);
    }
}

static void next_epoch(VMShmState *s)
{
    s->epoch = s->epoch + 1 ?: 1;
    stl_le_p(vmshm_mailbox_memory(s, VMSHM_MEM_EPOCH), s->epoch);
}

void vmshm_mailbox_reset(VMShmState *s)
{
    if (s->memory_window) {
        forget(s);
        memset(s->memory_window->host, 0, s->memory_window->size);
        next_epoch(s);
    }
}

void vmshm_mailbox_loaded(VMShmState *s)
{
    if (s->memory_window) {
        next_epoch(s);
    }
}

void vmshm_mailbox_exit(VMShmState *s)
{
    forget(s);
}
