/*
 * VMShm: a command while it is executed
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_JOB_H
#define VMSHM_JOB_H

#include "vmshm-state.h"

/*
 * A command executes in steps. Steps that use the state of the device hold the
 * big lock; steps that can block in the host's kernel, or take long there, do
 * not, and are executed by a worker thread.
 */
struct VMShmJob {
    VMShmState *s;
    VMShmRequest request;
    VMShmResult result;
    int ret;                        /* 0 or -errno; an error ends the job */
    const char *refused;            /* the name in the record, or NULL */
    VMShmRefusal refusal;           /* why */

    /*
     * A step sets the next ones: first @work, without the big lock, which may
     * use the job alone; then @then, with it. If neither is set, the job ends.
     */
    void (*work)(VMShmJob *job);
    void (*then)(VMShmJob *job);
    /* With the big lock: the job has ended, or was abandoned */
    void (*done)(VMShmJob *job);
    void *opaque;                   /* of done */

    /* Data that a step passes to later steps */
    bool mailbox;                   /* the request has the fields of 1.1 */
    bool exclusive;                 /* it alone changes the host's objects */
    bool patient;                   /* the guest's CPU waits a moment for it */
    bool prompt;                    /* its work waits for no busy thread */
    bool readonly;                  /* how the object is opened */
    char *name;                     /* as the guest calls it */
    char *host_name;                /* NULL for a temporary */
    int temporary;                  /* descriptor of the temporary, or -1 */
    bool is_temporary;              /* CREATE: of a semaphore */
    char *second;
    char *host_second;
    int fd;                         /* of the object, or -1 */
    VMShmBorrowed borrowed;         /* fd, if it is a second descriptor */
    struct stat st;                 /* of fd */
    GArray *unmapped;               /* VMShmRange, about to be; or NULL */
    uint64_t nameless;              /* bytes of attached, nameless objects */
    GPtrArray *list;                /* LIST: names, or NULL */
    uint64_t hidden;                /* LIST: objects that QEMU cannot read */
    char *hidden_name;              /* the first of them on the host, or NULL */

    /* Of vmshm-job.c */
    QLIST_ENTRY(VMShmJob) entry;
    bool deferred;
    bool abandoned;                 /* the result is not needed */
    uint32_t state;                 /* atomic, a futex */
};

/*
 * RELEASE or a reset abandons jobs. They last as long as the host needs for
 * them, and the guest can start more meanwhile, so their number has a limit.
 */
#define VMSHM_JOBS_MAX 64

/* A job that vmshm_job_run() or vmshm_job_free() frees. */
VMShmJob *vmshm_job_new(VMShmState *s);

/*
 * Executes the command under the big lock and returns when it has completed:
 * its result. -EBUSY if another job has to end first. The caller frees the job.
 */
int vmshm_job_run_now(VMShmJob *job);
void vmshm_job_free(VMShmJob *job);

/*
 * Executes the command, holding the big lock for a short time only; calls
 * job->done when it has completed, before or after this returns, and then frees
 * the job.
 */
void vmshm_job_run(VMShmJob *job);

/*
 * Abandons all jobs except @except. Their work on the host continues, but they
 * attach nothing, and their results are not used.
 */
void vmshm_jobs_abandon(VMShmState *s, VMShmJob *except);

/*
 * Releases the big lock until no job is left; false if some are left after @ms
 * milliseconds.
 */
bool vmshm_jobs_drain(VMShmState *s, int ms);

#endif /* VMSHM_JOB_H */
