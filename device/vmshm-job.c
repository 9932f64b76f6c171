/*
 * VMShm: a command while it is executed
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <linux/futex.h>
#include <sys/syscall.h>
#include "qemu/atomic.h"
#include "vmshm-compat.h"
#include "vmshm-job.h"
#include "vmshm-trace.h"
#include "vmshm-worker.h"

/*
 * For this long a CPU of the guest waits for a worker thread, with the big
 * lock. Most commands take a few microseconds, and an interrupt costs more.
 */
#define PATIENCE_NS 200000

enum {
    JOB_RUNS,       /* its work; a thread waits for the end */
    JOB_DEFERRED,   /* its work; no thread waits */
    JOB_HAS_RUN,
};

VMShmJob *vmshm_job_new(VMShmState *s)
{
    VMShmJob *job = g_new0(VMShmJob, 1);

    job->s = s;
    job->fd = -1;
    job->temporary = -1;
    job->patient = true;
    return job;
}

void vmshm_job_free(VMShmJob *job)
{
    vmshm_attachments_return(&job->borrowed);
    if (job->fd >= 0) {
        vmshm_scope_close(job->s->scope, job->fd, false);
    }
    if (job->temporary >= 0) {
        vmshm_scope_close(job->s->scope, job->temporary, false);
    }
    g_clear_pointer(&job->list, g_ptr_array_unref);
    g_clear_pointer(&job->unmapped, g_array_unref);
    g_clear_pointer(&job->result.data, g_byte_array_unref);
    g_free(job->name);
    g_free(job->host_name);
    g_free(job->second);
    g_free(job->host_second);
    g_free(job->hidden_name);
    g_free(job);
}

/* The next step with the big lock. */
static void next_step(VMShmJob *job)
{
    void (*then)(VMShmJob *job) = job->then;

    job->work = NULL;
    job->then = NULL;
    if (job->ret < 0 && job->refused) {
        vmshm_policy_refuse(&job->s->policy, job->refusal, job->refused,
                            job->ret);
        job->refused = NULL;
    }
    if (then && job->ret == 0 && !job->abandoned) {
        then(job);
    }
}

static bool has_work(VMShmJob *job)
{
    return job->work && job->ret == 0;
}

static void trace_begin(const VMShmJob *job)
{
    VMSHM_TRACE(command, job->request.command, job->request.flags,
                job->request.handle, job->request.offset, job->request.length,
                job->request.place);
}

static void trace_end(const VMShmJob *job)
{
    VMSHM_TRACE(command_done, job->request.command, job->ret, job->deferred,
                job->abandoned);
}

int vmshm_job_run_now(VMShmJob *job)
{
    trace_begin(job);
    if (job->exclusive && job->s->scope->exclusive) {
        return -EBUSY;
    }
    for (next_step(job); has_work(job); next_step(job)) {
        job->work(job);
    }
    trace_end(job);
    return job->ret;
}

static void resume(VMShmJob *job);

/* In a worker thread */
static void work_call(void *opaque)
{
    VMShmJob *job = opaque;

    job->work(job);
    if (qatomic_xchg(&job->state, JOB_HAS_RUN) == JOB_DEFERRED) {
        vmshm_compat_lock();
        resume(job);
        vmshm_compat_unlock();
    } else {
        /* If the job is freed by now, the wake-up finds no waiter. */
        syscall(SYS_futex, &job->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
}

/* Whether the work ended while a thread still waited for it */
static bool wait_for_work(VMShmJob *job)
{
    struct timespec left = { .tv_nsec = PATIENCE_NS };

    if (job->patient && !job->deferred) {
        /* A wake-up, a timeout or a signal: each of them ends the wait. */
        syscall(SYS_futex, &job->state, FUTEX_WAIT_PRIVATE, JOB_RUNS, &left,
                NULL, 0);
    }
    return qatomic_cmpxchg(&job->state, JOB_RUNS, JOB_DEFERRED) == JOB_HAS_RUN;
}

/* Executes steps; false if a worker thread continues with them. */
static bool do_steps(VMShmJob *job)
{
    for (next_step(job); has_work(job); next_step(job)) {
        qatomic_set(&job->state, JOB_RUNS);
        if (!vmshm_worker_call(work_call, job, !job->prompt)) {
            /* Prompt work does not wait for a thread. */
            job->work(job);
        } else if (!wait_for_work(job)) {
            job->deferred = true;
            return false;
        }
    }
    return true;
}

static void start(VMShmJob *job);

static void end(VMShmJob *job)
{
    VMShmState *s = job->s;
    VMShmJob *next = NULL;

    trace_end(job);
    if (s->scope->exclusive == job) {
        s->scope->exclusive = NULL;
        next = g_queue_pop_head(&s->scope->waiting);
    }
    QLIST_REMOVE(job, entry);
    s->jobs.count--;
    if (!job->abandoned) {
        job->done(job);
    }
    vmshm_job_free(job);
    if (next) {
        start(next);
    }
    qemu_cond_broadcast(&s->jobs.ended);
    object_unref(OBJECT(s));
}

static void resume(VMShmJob *job)
{
    if (do_steps(job)) {
        end(job);
    }
}

static void start(VMShmJob *job)
{
    if (job->exclusive) {
        VMShmScope *scope = job->s->scope;

        if (scope->exclusive) {
            job->deferred = true;
            g_queue_push_tail(&scope->waiting, job);
            return;
        }
        scope->exclusive = job;
    }
    resume(job);
}

void vmshm_job_run(VMShmJob *job)
{
    /* The device's state must exist until the job has ended. */
    object_ref(OBJECT(job->s));
    QLIST_INSERT_HEAD(&job->s->jobs.all, job, entry);
    job->s->jobs.count++;
    trace_begin(job);
    start(job);
}

void vmshm_jobs_abandon(VMShmState *s, VMShmJob *except)
{
    VMShmJob *job;

    QLIST_FOREACH(job, &s->jobs.all, entry) {
        if (job != except && !job->abandoned) {
            job->abandoned = true;
            job->done(job);
        }
    }
}

bool vmshm_jobs_drain(VMShmState *s, int ms)
{
    int64_t end = qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + ms;

    while (!QLIST_EMPTY(&s->jobs.all)) {
        int64_t left = end - qemu_clock_get_ms(QEMU_CLOCK_REALTIME);

        if (left <= 0) {
            return false;
        }
        vmshm_compat_cond_timedwait(&s->jobs.ended, left);
    }
    return true;
}
