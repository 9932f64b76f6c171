/*
 * VMShm: threads for calls that can block in the host's kernel
 *
 * One pool serves all devices of a QEMU. A thread starts when a call finds no
 * idle thread, and ends after it was idle for some time. The last thread exists
 * until the last device is deleted, because the host may refuse a new thread
 * later.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/queue.h"
#include "qemu/rcu.h"
#include "qemu/thread.h"
#include "vmshm-thread.h"
#include "vmshm-worker.h"

#define IDLE_MS 10000

typedef struct Call {
    void (*run)(void *opaque);
    void *opaque;
    QSIMPLEQ_ENTRY(Call) next;
} Call;

static struct {
    QemuMutex lock;         /* protects all below */
    QemuCond more;
    unsigned threads;
    unsigned threads_max;
    unsigned idle;          /* threads without a call, new ones included */
    unsigned waiting;       /* calls in the queue */
    QSIMPLEQ_HEAD(, Call) calls;
} pool;

static void pool_init(void)
{
    static gsize once;

    if (g_once_init_enter(&once)) {
        qemu_mutex_init(&pool.lock);
        qemu_cond_init(&pool.more);
        QSIMPLEQ_INIT(&pool.calls);
        g_once_init_leave(&once, 1);
    }
}

/* The lock is held. */
static bool is_needed(void)
{
    return pool.threads == 1 && pool.threads_max > 0;
}

/* The lock is held. NULL when the thread has been idle for long. */
static Call *next_call(void)
{
    Call *call;

    while (QSIMPLEQ_EMPTY(&pool.calls)) {
        if (!qemu_cond_timedwait(&pool.more, &pool.lock, IDLE_MS) &&
            QSIMPLEQ_EMPTY(&pool.calls) && !is_needed()) {
            return NULL;
        }
    }
    call = QSIMPLEQ_FIRST(&pool.calls);
    QSIMPLEQ_REMOVE_HEAD(&pool.calls, next);
    pool.waiting--;
    pool.idle--;
    return call;
}

static void *worker_thread(void *opaque)
{
    Call *call;

    rcu_register_thread();
    qemu_mutex_lock(&pool.lock);
    while ((call = next_call())) {
        qemu_mutex_unlock(&pool.lock);
        call->run(call->opaque);
        g_free(call);
        qemu_mutex_lock(&pool.lock);
        pool.idle++;
    }
    pool.idle--;
    pool.threads--;
    qemu_mutex_unlock(&pool.lock);
    rcu_unregister_thread();
    return NULL;
}

/* The lock is held. */
static void start_thread(void)
{
    pthread_t thread;

    if (pool.threads < pool.threads_max &&
        vmshm_thread_start(&thread, "vmshm-worker", worker_thread, NULL)) {
        pthread_detach(thread);
        pool.threads++;
        pool.idle++;
    }
}

void vmshm_worker_add(int threads)
{
    pool_init();
    qemu_mutex_lock(&pool.lock);
    pool.threads_max += threads;
    qemu_mutex_unlock(&pool.lock);
}

bool vmshm_worker_exists(void)
{
    bool exists;

    pool_init();
    qemu_mutex_lock(&pool.lock);
    if (!pool.threads) {
        start_thread();
    }
    exists = pool.threads > 0;
    qemu_mutex_unlock(&pool.lock);
    return exists;
}

bool vmshm_worker_call(void (*run)(void *opaque), void *opaque, bool may_wait)
{
    Call *call;
    bool taken;

    pool_init();
    qemu_mutex_lock(&pool.lock);
    if (pool.idle <= pool.waiting) {
        start_thread();
    }
    taken = may_wait ? pool.threads > 0 : pool.idle > pool.waiting;
    if (taken) {
        call = g_new0(Call, 1);
        call->run = run;
        call->opaque = opaque;
        QSIMPLEQ_INSERT_TAIL(&pool.calls, call, next);
        pool.waiting++;
        qemu_cond_signal(&pool.more);
    }
    qemu_mutex_unlock(&pool.lock);
    return taken;
}
