/*
 * VMShm: the commands that change objects of the host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "vmshm-command-parts.h"
#include "vmshm-host.h"

/* A guest's CPU does not wait for the allocation of more than this. */
#define SHORT_ALLOCATION 0x40000

static int limit_exceeded(VMShmJob *job, const char *name, int err)
{
    job->refused = name;
    job->refusal = VMSHM_REFUSED_LIMIT;
    return err;
}

/*
 * Whether the guest may have @objects more objects with @bytes more in all.
 * All objects that exist now count, also those that the guest has not created:
 * a guest that could create more of them after each reboot would have no limit.
 * Objects that the guest cannot open count, too, and objects that it has
 * unlinked and keeps open.
 *
 * A step without the big lock. The job is exclusive, so the guest cannot change
 * the sum meanwhile. The step waits for objects that are still being freed.
 */
static int check_store(VMShmJob *job, const char *name, uint64_t objects,
                       uint64_t bytes)
{
    VMShmPolicy *p = &job->s->policy;
    uint64_t have, have_bytes = 0;
    int ret;

    if (!objects && !p->max_bytes) {
        return 0;
    }
    if (p->max_bytes) {
        vmshm_scope_settle(job->s->scope);
    }
    ret = vmshm_store_count(job->s->store, &have,
                            p->max_bytes ? &have_bytes : NULL);
    if (ret < 0) {
        return ret;
    }
    have_bytes = vmshm_attachments_sum(have_bytes, job->nameless);
    if (objects > 0 && have >= p->max_objects) {
        return limit_exceeded(job, name, -ENFILE);
    }
    if (p->max_bytes && bytes > 0 &&
        (have_bytes > p->max_bytes || bytes > p->max_bytes - have_bytes)) {
        return limit_exceeded(job, name, -EDQUOT);
    }
    return 0;
}

/* The part of check_store() that needs the big lock */
static void prepare_store(VMShmJob *job)
{
    if (job->s->policy.max_bytes) {
        job->nameless = vmshm_attachments_nameless(&job->s->attachments,
                                                   NULL, NULL);
    }
}

/* For the commands that change the host's objects. */
static bool may_change(VMShmJob *job, const char *what)
{
    VMShmPolicy *p = &job->s->policy;

    if (!p->create) {
        job->ret = vmshm_policy_refuse(p, VMSHM_REFUSED_READONLY, what, -EROFS);
        return false;
    }
    return true;
}

static void create_work(VMShmJob *job)
{
    int fd;

    job->ret = check_store(job, job->name, 1, 0);
    if (job->ret < 0) {
        return;
    }
    fd = job->is_temporary
         ? vmshm_host_create_nameless(job->s->dir, job->host_name,
                                      job->request.mode, &job->st)
         : vmshm_host_create(job->s->dir, job->host_name, job->request.mode,
                             &job->st);
    if (fd < 0) {
        vmshm_command_host_failed(job, fd);
    } else {
        job->fd = fd;
    }
}

static void created_named(VMShmJob *job)
{
    if (!(job->request.flags & VMSHM_RQ_HOLD)) {
        vmshm_command_set_attr(job);
        return;
    }
    vmshm_command_add_hold(job, false);
    if (job->ret < 0) {
        vmshm_host_unlink_own(job->s->dir, job->host_name, &job->st);
    }
}

static void created_temporary(VMShmJob *job)
{
    VMShmTemporaries *t = &job->s->attachments.temporaries;
    g_autofree char *name = g_strdup(job->name);

    job->ret = vmshm_temporaries_add(t, job->s->scope, name, job->fd);
    if (job->ret < 0) {
        vmshm_policy_refuse(&job->s->policy, VMSHM_REFUSED_LIMIT, name,
                            job->ret);
        return;
    }
    if (!(job->request.flags & VMSHM_RQ_HOLD)) {
        vmshm_command_set_attr(job);
        return;
    }
    vmshm_command_add_hold(job, false);
    if (job->ret < 0) {
        vmshm_temporaries_remove(t, vmshm_temporaries_find(t, name));
    }
}

void vmshm_command_create(VMShmJob *job)
{
    VMShmRequest *rq = &job->request;

    if (!may_change(job, "create") ||
        !vmshm_command_flags(job, VMSHM_RQ_HOLD, "create: flags") ||
        !vmshm_command_new_name(job)) {
        return;
    }
    if (rq->mode & ~0777) {
        vmshm_command_refuse(job, "create: mode", -EINVAL);
        return;
    }
    if (rq->flags & VMSHM_RQ_HOLD) {
        job->ret = vmshm_command_check_limits(job, 0);
    }
    job->work = create_work;
    job->then = job->is_temporary ? created_temporary : created_named;
}

static void unlink_work(VMShmJob *job)
{
    int ret = vmshm_host_unlink(job->s->dir, job->host_name);

    if (ret < 0) {
        vmshm_command_host_failed(job, ret);
    }
}

static void rename_work(VMShmJob *job)
{
    int ret = vmshm_host_rename(job->s->dir, job->host_name, job->host_second,
                                job->request.flags & VMSHM_RQ_NOREPLACE);

    if (ret < 0) {
        vmshm_command_host_failed(job, ret);
    }
}

/*
 * If an object that is attached loses its name, it keeps its memory, which the
 * host cannot find any more. The limit of max-bytes= applies to the sum of all
 * attached, nameless objects.
 */
static void check_nameless(VMShmJob *job)
{
    uint64_t most = job->s->policy.max_bytes;
    uint64_t size = job->st.st_size;
    bool held = false;
    uint64_t have = vmshm_attachments_nameless(&job->s->attachments, &job->st,
                                               &held);

    if (held && job->st.st_nlink == 1 &&
        (have > most || size > most - have)) {
        job->ret = vmshm_policy_refuse(&job->s->policy, VMSHM_REFUSED_LIMIT,
                                       job->name, -EDQUOT);
    }
}

static void may_unlink(VMShmJob *job)
{
    check_nameless(job);
    job->work = unlink_work;
}

static void may_rename(VMShmJob *job)
{
    check_nameless(job);
    job->work = rename_work;
}

/* Whether the first name is of the object @st, so that RENAME does nothing */
static bool is_own_name(VMShmJob *job, const struct stat *st)
{
    struct stat own;

    return job->host_second &&
           vmshm_host_entry(job->s->dir, job->host_name + 1, &own) == 0 &&
           vmshm_host_same(&own, st);
}

/* If the name does not exist, no object loses it; the next step reports it. */
static void stat_victim(VMShmJob *job)
{
    const char *victim = job->host_second ?: job->host_name;

    if (vmshm_host_entry(job->s->dir, victim + 1, &job->st) < 0 ||
        is_own_name(job, &job->st)) {
        job->st = (struct stat) { 0 };
    }
}

/* @work takes the name from an object; with max-bytes=, @may comes first. */
static void take_name(VMShmJob *job, void (*may)(VMShmJob *job),
                      void (*work)(VMShmJob *job))
{
    if (job->s->policy.max_bytes) {
        job->work = stat_victim;
        job->then = may;
    } else {
        job->work = work;
    }
}

static void unlink_temporary(VMShmJob *job)
{
    VMShmTemporaries *t = &job->s->attachments.temporaries;

    vmshm_temporaries_remove(t, vmshm_temporaries_find(t, job->name));
}

void vmshm_command_unlink(VMShmJob *job)
{
    if (!may_change(job, "unlink") || !vmshm_command_name(job, -ENOENT)) {
        return;
    }
    if (job->temporary >= 0) {
        unlink_temporary(job);
    } else {
        take_name(job, may_unlink, unlink_work);
    }
}

static void link_work(VMShmJob *job)
{
    int ret;

    job->ret = check_store(job, job->second, 1, 0);
    if (job->ret < 0) {
        return;
    }
    ret = job->temporary >= 0
          ? vmshm_host_link_fd(job->s->dir, job->temporary, job->host_second)
          : vmshm_host_link(job->s->dir, job->host_name, job->host_second);
    if (ret < 0) {
        vmshm_command_host_failed(job, ret);
    }
}

/* RENAME and LINK: two names, of which the second is to be new. */
void vmshm_command_second_name(VMShmJob *job)
{
    bool rename = job->request.command == VMSHM_CMD_RENAME;

    if (may_change(job, rename ? "rename" : "link") &&
        vmshm_command_flags(job, rename ? VMSHM_RQ_NOREPLACE : 0,
                            rename ? "rename: flags" : "link: flags") &&
        vmshm_command_name(job, -ENOENT) &&
        vmshm_command_second(job, -EACCES)) {
        if (rename && job->temporary >= 0) {
            /* No C library does this, and it would need the checks of LINK. */
            job->ret = vmshm_policy_refuse(&job->s->policy,
                                           VMSHM_REFUSED_POLICY, job->name,
                                           -EACCES);
        } else if (rename) {
            take_name(job, may_rename, rename_work);
        } else {
            job->work = link_work;
        }
    }
}

/* Replaces the parts of attachments that lie beyond the object's end. */
static int cut(VMShmJob *job)
{
    vmshm_futex_settle(job->s->futex);
    return vmshm_attachments_cut(&job->s->attachments, &job->st,
                                 job->st.st_size);
}

static int set_size(VMShmJob *job, uint64_t size)
{
    if (job->request.flags & VMSHM_RQ_GROW) {
        /* Unlike ftruncate(), it never shrinks an object that has grown. */
        return fallocate(job->fd, 0, size - 1, 1);
    }
    return ftruncate(job->fd, size);
}

static void resize_work(VMShmJob *job)
{
    uint64_t size = job->request.length;

    if (size > job->st.st_size) {
        job->ret = check_store(job, job->name, 0, size - job->st.st_size);
    }
    if (job->ret == 0 && (set_size(job, size) < 0 ||
                          fstat(job->fd, &job->st) < 0)) {
        job->ret = -errno;
    }
}

static void resized(VMShmJob *job)
{
    /*
     * Another attachment of the object may have been added in between. The
     * object may also have grown again, so the cut is at its current size.
     */
    if (job->deferred) {
        job->ret = fstat(job->fd, &job->st) < 0 ? -errno : cut(job);
    }
    if (job->ret == 0) {
        vmshm_command_set_attr(job);
    }
}

static void resize(VMShmJob *job)
{
    uint64_t size = job->request.length;

    if (size <= job->st.st_size && job->request.flags & VMSHM_RQ_GROW) {
        vmshm_command_set_attr(job);
        return;
    }
    if (!(job->request.flags & VMSHM_RQ_GROW)) {
        /* Also if the object grows: the host may have truncated it before. */
        GArray *ranges = g_array_new(false, false, sizeof(VMShmRange));

        vmshm_attachments_cut_ranges(&job->s->attachments, &job->st, size,
                                     ranges);
        if (vmshm_command_before_unmap(job, ranges, resize)) {
            return;
        }
        vmshm_futex_settle(job->s->futex);
        job->ret = vmshm_attachments_cut(&job->s->attachments, &job->st, size);
    }
    if (size > job->st.st_size) {
        prepare_store(job);
    }
    job->work = resize_work;
    job->then = resized;
}

void vmshm_command_resize(VMShmJob *job)
{
    if (!may_change(job, "resize") ||
        !vmshm_command_flags(job, VMSHM_RQ_HANDLE | VMSHM_RQ_GROW,
                             "resize: flags")) {
        return;
    }
    if (job->request.length > INT64_MAX) {
        vmshm_command_refuse(job, "resize: length", -EFBIG);
        return;
    }
    vmshm_command_open(job, false, resize);
}

static void allocate_work(VMShmJob *job)
{
    uint64_t offset = job->request.offset;
    uint64_t length = job->request.length;

    if (offset + length > job->st.st_size) {
        job->ret = check_store(job, job->name, 0,
                               offset + length - job->st.st_size);
    }
    if (job->ret == 0 && (fallocate(job->fd, 0, offset, length) < 0 ||
                          fstat(job->fd, &job->st) < 0)) {
        job->ret = -errno;
    }
}

static void allocate(VMShmJob *job)
{
    prepare_store(job);
    job->patient = job->request.length <= SHORT_ALLOCATION;
    job->work = allocate_work;
    job->then = vmshm_command_set_attr;
}

void vmshm_command_allocate(VMShmJob *job)
{
    uint64_t length = job->request.length;

    if (!may_change(job, "allocate") ||
        !vmshm_command_flags(job, VMSHM_RQ_HANDLE, "allocate: flags")) {
        return;
    }
    if (!length || length > VMSHM_ALLOCATE_MAX ||
        job->request.offset > INT64_MAX - length) {
        vmshm_command_refuse(job, "allocate: range", -EINVAL);
        return;
    }
    vmshm_command_open(job, false, allocate);
}

static void setattr_work(VMShmJob *job)
{
    VMShmRequest *rq = &job->request;
    struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
                                 { .tv_nsec = UTIME_OMIT } };
    int ret = 0;

    if (job->temporary >= 0) {
        job->fd = job->temporary;
        job->temporary = -1;
    }
    if (job->fd < 0) {
        ret = vmshm_host_open_path(job->s->dir, job->host_name, &job->st);
        if (ret < 0) {
            vmshm_command_host_failed(job, ret);
            return;
        }
        job->fd = ret;
    }
    if (rq->flags & VMSHM_RQ_ATIME) {
        times[0] = rq->atime;
    }
    if (rq->flags & VMSHM_RQ_MTIME) {
        times[1] = rq->mtime;
    }
    ret = vmshm_host_set_attr(job->fd, rq->flags & VMSHM_RQ_MODE
                              ? (int)rq->mode : -1, times);
    if (ret < 0) {
        vmshm_command_host_failed(job, ret);
    } else if (fstat(job->fd, &job->st) < 0) {
        job->ret = -errno;
    }
}

static bool is_time(const struct timespec *time)
{
    return time->tv_nsec < 1000000000 || time->tv_nsec == VMSHM_TIME_NOW;
}

static void setattr(VMShmJob *job)
{
    job->work = setattr_work;
    job->then = vmshm_command_set_attr;
}

void vmshm_command_setattr(VMShmJob *job)
{
    VMShmRequest *rq = &job->request;

    QEMU_BUILD_BUG_ON(VMSHM_TIME_NOW != UTIME_NOW);
    if (!may_change(job, "setattr") ||
        !vmshm_command_flags(job, VMSHM_RQ_HANDLE | VMSHM_RQ_MODE |
                             VMSHM_RQ_ATIME | VMSHM_RQ_MTIME,
                             "setattr: flags")) {
        return;
    }
    if ((rq->flags & VMSHM_RQ_MODE && rq->mode & ~0777) ||
        (rq->flags & VMSHM_RQ_ATIME && !is_time(&rq->atime)) ||
        (rq->flags & VMSHM_RQ_MTIME && !is_time(&rq->mtime))) {
        vmshm_command_refuse(job, "setattr: value", -EINVAL);
    } else if (rq->flags & VMSHM_RQ_HANDLE) {
        vmshm_command_open(job, true, setattr);
    } else if (vmshm_command_name(job, -ENOENT)) {
        setattr(job);
    }
}
