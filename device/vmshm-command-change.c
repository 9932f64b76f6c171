/*
 * VMShm: the commands that change objects of the host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "vmshm-command-parts.h"
#include "vmshm-host.h"
#include "vmshm-request.h"

typedef struct Usage {
    VMShmPolicy *policy;
    uint64_t objects;
    uint64_t bytes;
} Usage;

static void usage_add(void *opaque, const char *entry, const struct stat *st)
{
    Usage *u = opaque;
    g_autofree char *name = vmshm_policy_guest_name(u->policy, entry);

    if (name) {
        u->objects++;
        u->bytes = vmshm_attachments_sum(u->bytes, st->st_size);
    }
}

/*
 * Whether the guest may have @objects more objects with @bytes more in all.
 * What counts is what there is now, whoever made it: a guest that could come
 * back for more after each reboot would have no limit. Nor would one that can
 * make what it cannot open, or keep what it has unlinked.
 */
static int check_store(VMShmState *s, const char *name, uint64_t objects,
                       uint64_t bytes)
{
    VMShmPolicy *p = &s->policy;
    Usage u = { .policy = p };
    int ret = vmshm_host_each(false, usage_add, &u);

    if (ret < 0) {
        return ret;
    }
    u.bytes = vmshm_attachments_sum(
        u.bytes, vmshm_attachments_nameless(&s->attachments));
    if (objects > 0 && u.objects >= p->max_objects) {
        return vmshm_policy_refuse(p, VMSHM_REFUSED_LIMIT, name, -ENFILE);
    }
    if (p->max_bytes && bytes > 0 &&
        (u.bytes > p->max_bytes || bytes > p->max_bytes - u.bytes)) {
        return vmshm_policy_refuse(p, VMSHM_REFUSED_LIMIT, name, -EDQUOT);
    }
    return 0;
}

/* For the commands that change the host's objects. */
static int check_create(VMShmState *s, const char *what)
{
    if (!s->policy.create) {
        return vmshm_policy_refuse(&s->policy, VMSHM_REFUSED_READONLY, what,
                                   -EROFS);
    }
    return 0;
}

int vmshm_command_create(VMShmState *s)
{
    uint32_t mode = vmshm_request_get(s, VMSHM_REG_MODE);
    g_autofree char *name = NULL;
    g_autofree char *host_name = NULL;
    struct stat st;
    int fd, ret;

    ret = check_create(s, "create");
    if (ret == 0) {
        ret = vmshm_request_name(s, 0, -EACCES, &name, &host_name);
    }
    if (ret == 0 && mode & ~0777) {
        ret = vmshm_request_refuse(s, "create: mode", -EINVAL);
    }
    if (ret == 0) {
        ret = check_store(s, name, 1, 0);
    }
    if (ret < 0) {
        return ret;
    }
    fd = vmshm_host_create(host_name, mode, &st);
    if (fd < 0) {
        return vmshm_request_host_answer(s, name, fd);
    }
    vmshm_request_set_stat(s, fd, &st);
    close(fd);
    return 0;
}

int vmshm_command_unlink(VMShmState *s)
{
    g_autofree char *name = NULL;
    g_autofree char *host_name = NULL;
    int ret = check_create(s, "unlink");

    if (ret == 0) {
        ret = vmshm_request_name(s, 0, -ENOENT, &name, &host_name);
    }
    if (ret < 0) {
        return ret;
    }
    return vmshm_request_host_answer(s, name, vmshm_host_unlink(host_name));
}

/* RENAME and LINK: two names, of which the second is to be new. */
int vmshm_command_second_name(VMShmState *s, uint32_t command)
{
    uint32_t flags = vmshm_request_get(s, VMSHM_REG_FLAGS);
    bool rename = command == VMSHM_CMD_RENAME;
    g_autofree char *from = NULL;
    g_autofree char *host_from = NULL;
    g_autofree char *to = NULL;
    g_autofree char *host_to = NULL;
    int ret = check_create(s, rename ? "rename" : "link");

    if (ret == 0 && flags & ~(rename ? VMSHM_RQ_NOREPLACE : 0)) {
        ret = vmshm_request_refuse(s, rename ? "rename: flags" : "link: flags",
                                   -EINVAL);
    }
    if (ret == 0) {
        ret = vmshm_request_name(s, 0, -ENOENT, &from, &host_from);
    }
    if (ret == 0) {
        ret = vmshm_request_name(s, VMSHM_NAME_SECOND, -EACCES, &to, &host_to);
    }
    if (ret == 0 && !rename) {
        ret = check_store(s, to, 1, 0);
    }
    if (ret < 0) {
        return ret;
    }
    if (rename) {
        ret = vmshm_host_rename(host_from, host_to,
                                flags & VMSHM_RQ_NOREPLACE);
    } else {
        ret = vmshm_host_link(host_from, host_to);
    }
    return vmshm_request_host_answer(s, from, ret);
}

int vmshm_command_resize(VMShmState *s)
{
    uint64_t size = vmshm_request_get64(s, VMSHM_REG_LENGTH_LO);
    g_autofree char *name = NULL;
    struct stat st;
    int fd, ret;

    ret = check_create(s, "resize");
    if (ret < 0) {
        return ret;
    }
    if (vmshm_request_get(s, VMSHM_REG_FLAGS) & ~VMSHM_RQ_HANDLE) {
        return vmshm_request_refuse(s, "resize: flags", -EINVAL);
    }
    if (size > INT64_MAX) {
        return vmshm_request_refuse(s, "resize: length", -EFBIG);
    }
    fd = vmshm_request_open(s, false, &name, &st);
    if (fd < 0) {
        return fd;
    }
    if (size > st.st_size) {
        ret = check_store(s, name, 0, size - st.st_size);
    } else {
        vmshm_futex_settle(s->futex);
        ret = vmshm_attachments_cut(&s->attachments, &st, size);
    }
    if (ret == 0 && (ftruncate(fd, size) < 0 || fstat(fd, &st) < 0)) {
        ret = -errno;
    }
    if (ret == 0) {
        vmshm_request_set_stat(s, fd, &st);
    }
    close(fd);
    return ret;
}

int vmshm_command_allocate(VMShmState *s)
{
    uint64_t offset = vmshm_request_get64(s, VMSHM_REG_OFFSET_LO);
    uint64_t length = vmshm_request_get64(s, VMSHM_REG_LENGTH_LO);
    g_autofree char *name = NULL;
    struct stat st;
    int fd, ret;

    ret = check_create(s, "allocate");
    if (ret < 0) {
        return ret;
    }
    if (vmshm_request_get(s, VMSHM_REG_FLAGS) & ~VMSHM_RQ_HANDLE) {
        return vmshm_request_refuse(s, "allocate: flags", -EINVAL);
    }
    if (!length || length > VMSHM_ALLOCATE_MAX || offset > INT64_MAX - length) {
        return vmshm_request_refuse(s, "allocate: range", -EINVAL);
    }
    fd = vmshm_request_open(s, false, &name, &st);
    if (fd < 0) {
        return fd;
    }
    if (offset + length > st.st_size) {
        ret = check_store(s, name, 0, offset + length - st.st_size);
    }
    if (ret == 0 &&
        (fallocate(fd, 0, offset, length) < 0 || fstat(fd, &st) < 0)) {
        ret = -errno;
    }
    if (ret == 0) {
        vmshm_request_set_stat(s, fd, &st);
    }
    close(fd);
    return ret;
}
