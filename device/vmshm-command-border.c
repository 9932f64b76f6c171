/*
 * VMShm: the checks of a command's request
 *
 * This is the trust border: every byte of the request comes from the guest, and
 * is checked here before it is used.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "vmshm-command-parts.h"
#include "vmshm-host.h"
#include "vmshm-loss.h"

void vmshm_command_refuse(VMShmJob *job, const char *what, int err)
{
    job->ret = vmshm_policy_refuse(&job->s->policy, VMSHM_REFUSED_REQUEST,
                                   what, err);
}

bool vmshm_command_flags(VMShmJob *job, uint32_t allowed, const char *what)
{
    if (job->request.flags & ~allowed) {
        vmshm_command_refuse(job, what, -EINVAL);
        return false;
    }
    return true;
}

static int take_name(VMShmJob *job, unsigned at, char **name)
{
    const uint8_t *raw = job->request.names + at;
    size_t size = VMSHM_NAME_SIZE - at;
    int ret = vmshm_host_name_check(raw, size);

    if (ret < 0) {
        g_autofree char *shown = g_strndup((const char *)raw, size);

        return vmshm_policy_refuse(&job->s->policy, VMSHM_REFUSED_NAME, shown,
                                   ret);
    }
    *name = g_strdup((const char *)raw);
    return 0;
}

/* A C library checks that its temporary name is free. This is no refusal. */
static bool is_look_for_temporary(VMShmJob *job, const char *name)
{
    return job->request.command == VMSHM_CMD_STAT &&
           vmshm_policy_is_temporary(&job->s->policy, name);
}

static int check_name(VMShmJob *job, const char *name, int denied,
                      char **host_name)
{
    VMShmPolicy *p = &job->s->policy;
    int ret;

    *host_name = vmshm_policy_host_name(p, name);
    if (!*host_name) {
        return is_look_for_temporary(job, name)
               ? denied
               : vmshm_policy_refuse(p, VMSHM_REFUSED_POLICY, name, denied);
    }
    /* With the prefix, the name may be too long or, for example, "/..". */
    ret = vmshm_host_name_check((uint8_t *)*host_name, strlen(*host_name) + 1);
    if (ret < 0) {
        return vmshm_policy_refuse(p, VMSHM_REFUSED_NAME, name, ret);
    }
    return 0;
}

/* The temporary of job->name, if there is one */
static int take_temporary(VMShmJob *job)
{
    VMShmAttachments *t = &job->s->attachments;
    VMShmTemporary *one = vmshm_temporaries_find(&t->temporaries, job->name);
    int fd;

    if (!one) {
        return 0;
    }
    fd = vmshm_attachments_borrow(t, one->fd, &job->borrowed);
    if (fd >= 0) {
        job->temporary = fd;
    }
    return MIN(fd, 0);
}

bool vmshm_command_name(VMShmJob *job, int denied)
{
    job->ret = take_name(job, 0, &job->name) ?: take_temporary(job);
    if (job->ret == 0 && job->temporary < 0) {
        job->ret = check_name(job, job->name, denied, &job->host_name);
    }
    return job->ret == 0;
}

bool vmshm_command_new_name(VMShmJob *job)
{
    VMShmPolicy *p = &job->s->policy;

    job->ret = take_name(job, 0, &job->name);
    if (job->ret < 0) {
        return false;
    }
    job->is_temporary = vmshm_policy_is_temporary(p, job->name);
    if (!job->is_temporary) {
        job->ret = check_name(job, job->name, -EACCES, &job->host_name);
    } else if (vmshm_temporaries_find(&job->s->attachments.temporaries,
                                      job->name)) {
        job->ret = -EEXIST;
    } else {
        /* NULL if the guest may not know of an object with this name */
        job->host_name = vmshm_policy_host_name(p, job->name);
    }
    return job->ret == 0;
}

bool vmshm_command_second(VMShmJob *job, int denied)
{
    job->ret = take_name(job, VMSHM_NAME_SECOND, &job->second) ?:
               check_name(job, job->second, denied, &job->host_second);
    return job->ret == 0;
}

VMShmAttachment *vmshm_command_attachment(VMShmJob *job)
{
    VMShmState *s = job->s;
    uint32_t handle = job->request.handle;

    if (handle && handle == s->open_handle) {
        return NULL;
    }
    return vmshm_attachments_find(&s->attachments, handle);
}

/* A missing or an existing name is no refusal by the host. */
void vmshm_command_host_failed(VMShmJob *job, int ret)
{
    job->ret = ret;
    if (ret != -ENOENT && ret != -EEXIST) {
        job->refused = job->name;
        job->refusal = VMSHM_REFUSED_PERMISSION;
    }
}

static void opened(VMShmJob *job, int fd)
{
    if (fd < 0) {
        vmshm_command_host_failed(job, fd);
    } else {
        job->fd = fd;
    }
}

static void open_work(VMShmJob *job)
{
    opened(job, vmshm_host_open(job->s->dir, job->host_name, job->readonly,
                                &job->st));
}

void vmshm_command_open_named(VMShmJob *job, bool readonly,
                              void (*then)(VMShmJob *job))
{
    int fd;

    if (!vmshm_command_name(job, -ENOENT)) {
        return;
    }
    job->readonly = readonly;
    if (job->temporary >= 0) {
        job->fd = job->temporary;
        job->temporary = -1;
        if (fstat(job->fd, &job->st) < 0) {
            job->ret = -errno;
        } else {
            then(job);
        }
        return;
    }
    fd = vmshm_host_open_cached(job->s->dir, job->host_name, readonly,
                                &job->st);
    if (fd >= 0) {
        opened(job, fd);
        then(job);
    } else {
        job->work = open_work;
        job->then = then;
    }
}

static void open_attached(VMShmJob *job, bool readonly,
                          void (*then)(VMShmJob *job))
{
    VMShmAttachment *a = vmshm_command_attachment(job);
    int ret;

    if (!a || (a->readonly && !readonly)) {
        vmshm_command_refuse(job, "handle", -EBADF);
        return;
    }
    if (vmshm_loss_tell(&job->s->attachments, a)) {
        job->ret = -EIO;
        return;
    }
    job->readonly = readonly;
    job->name = g_strdup(a->name);
    ret = vmshm_attachments_borrow(&job->s->attachments, a->fd,
                                   &job->borrowed);
    if (ret < 0) {
        job->ret = ret;
        return;
    }
    job->fd = ret;
    if (fstat(job->fd, &job->st) < 0) {
        job->ret = -errno;
        return;
    }
    then(job);
}

void vmshm_command_open(VMShmJob *job, bool readonly,
                        void (*then)(VMShmJob *job))
{
    if (job->request.flags & VMSHM_RQ_HANDLE) {
        open_attached(job, readonly, then);
    } else {
        vmshm_command_open_named(job, readonly, then);
    }
}

void vmshm_command_set_attr(VMShmJob *job)
{
    job->result.has_attr = true;
    job->result.attr.st = job->st;
    job->result.attr.ident = vmshm_host_identity(job->fd, &job->st);
}
