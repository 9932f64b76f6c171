/*
 * VMShm: what devices with the same objects share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/units.h"
#include "vmshm-budget.h"
#include "vmshm-scope.h"
#include "vmshm-worker.h"

/* Freeing more memory than this can take longer than a millisecond. */
#define LONG_CLOSE (4 * MiB)

typedef struct Close {
    VMShmScope *scope;
    int fd;
    bool budgeted;
    QSIMPLEQ_ENTRY(Close) next;
} Close;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t closed = PTHREAD_COND_INITIALIZER;
static QLIST_HEAD(, VMShmScope) scopes = QLIST_HEAD_INITIALIZER(scopes);
static QSIMPLEQ_HEAD(, Close) closes = QSIMPLEQ_HEAD_INITIALIZER(closes);
static bool closer;         /* a thread is at work */

VMShmScope *vmshm_scope_get(char *key)
{
    VMShmScope *scope;

    pthread_mutex_lock(&lock);
    QLIST_FOREACH(scope, &scopes, next) {
        if (strcmp(scope->key, key) == 0) {
            break;
        }
    }
    if (scope) {
        g_free(key);
    } else {
        scope = g_new0(VMShmScope, 1);
        scope->key = key;
        g_queue_init(&scope->waiting);
        QLIST_INSERT_HEAD(&scopes, scope, next);
    }
    scope->refs++;
    pthread_mutex_unlock(&lock);
    return scope;
}

/* The lock is held. */
static void put(VMShmScope *scope)
{
    if (--scope->refs == 0) {
        QLIST_REMOVE(scope, next);
        g_free(scope->key);
        g_free(scope);
    }
}

void vmshm_scope_put(VMShmScope *scope)
{
    if (scope) {
        pthread_mutex_lock(&lock);
        put(scope);
        pthread_mutex_unlock(&lock);
    }
}

void vmshm_scope_close_begin(VMShmScope *scope)
{
    pthread_mutex_lock(&lock);
    scope->refs++;
    scope->closing++;
    pthread_mutex_unlock(&lock);
}

void vmshm_scope_close_end(VMShmScope *scope)
{
    pthread_mutex_lock(&lock);
    scope->closing--;
    pthread_cond_broadcast(&closed);
    put(scope);
    pthread_mutex_unlock(&lock);
}

void vmshm_scope_settle(VMShmScope *scope)
{
    pthread_mutex_lock(&lock);
    while (scope->closing) {
        pthread_cond_wait(&closed, &lock);
    }
    pthread_mutex_unlock(&lock);
}

bool vmshm_scope_close_is_long(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && !st.st_nlink &&
           st.st_blocks > LONG_CLOSE / 512;
}

static void close_now(int fd, bool budgeted)
{
    close(fd);
    if (budgeted) {
        vmshm_budget_give_file();
    }
}

static Close *next_close(void)
{
    Close *c;

    pthread_mutex_lock(&lock);
    c = QSIMPLEQ_FIRST(&closes);
    if (c) {
        QSIMPLEQ_REMOVE_HEAD(&closes, next);
    } else {
        closer = false;
    }
    pthread_mutex_unlock(&lock);
    return c;
}

/* One thread closes all objects, so no command has to wait for a thread. */
static void close_all(void *opaque)
{
    Close *c;

    while ((c = next_close())) {
        close_now(c->fd, c->budgeted);
        vmshm_scope_close_end(c->scope);
        g_free(c);
    }
}

void vmshm_scope_close(VMShmScope *scope, int fd, bool budgeted)
{
    bool start;
    Close *c;

    if (!vmshm_scope_close_is_long(fd)) {
        close_now(fd, budgeted);
        return;
    }
    vmshm_scope_close_begin(scope);
    c = g_new0(Close, 1);
    c->scope = scope;
    c->fd = fd;
    c->budgeted = budgeted;
    pthread_mutex_lock(&lock);
    QSIMPLEQ_INSERT_TAIL(&closes, c, next);
    start = !closer;
    closer = true;
    pthread_mutex_unlock(&lock);
    if (start && !vmshm_worker_call(close_all, NULL, false)) {
        close_all(NULL);
    }
}
