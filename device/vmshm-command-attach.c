/*
 * VMShm: the commands that show objects to the guest
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "vmshm-command.h"
#include "vmshm-command-parts.h"
#include "vmshm-request.h"

static int check_limits(VMShmState *s, const char *name, uint64_t length)
{
    VMShmPolicy *p = &s->policy;

    if (g_hash_table_size(s->attachments.by_handle) >= p->max_objects) {
        return vmshm_policy_refuse(p, VMSHM_REFUSED_LIMIT, name, -ENFILE);
    }
    if (p->max_bytes && (s->attachments.bytes > p->max_bytes ||
                         length > p->max_bytes - s->attachments.bytes)) {
        return vmshm_policy_refuse(p, VMSHM_REFUSED_LIMIT, name, -EDQUOT);
    }
    return 0;
}

/*
 * Attaches the object of @fd as *@want says: window, place, offset, readonly,
 * and length, where 0 is all there is but not more than @most. On success fd
 * and name are the attachment's; else they stay the caller's.
 */
static int attach_opened(VMShmState *s, VMShmAttachment *want, uint64_t most,
                         int fd, char *name, const struct stat *st)
{
    uint64_t pages;
    int ret;

    /* Never map what the object does not have: touching it raises SIGBUS. */
    pages = QEMU_ALIGN_UP((uint64_t)st->st_size, VMSHM_PAGE_SIZE);
    if (want->offset >= pages || want->length > pages - want->offset) {
        return -ENODATA;
    }
    if (!want->length) {
        want->length = MIN(pages - want->offset, most);
    }
    if (want->length > most) {
        return vmshm_request_refuse(s, name, -EINVAL);
    }
    ret = check_limits(s, name, want->length);
    if (ret < 0) {
        return ret;
    }
    want->fd = fd;
    want->name = name;
    return vmshm_attachments_add(&s->attachments, want, &want->handle);
}

int vmshm_buffer_open(VMShmState *s)
{
    VMShmAttachment want = {
        .window = s->buffer_window,
        .readonly = s->policy.readonly,
    };
    g_autofree char *name = NULL;
    struct stat st;
    int fd, ret;

    if (s->open_handle) {
        return -EBUSY;
    }
    fd = vmshm_request_open_named(s, want.readonly, &name, &st);
    if (fd < 0) {
        return fd;
    }
    ret = attach_opened(s, &want, VMSHM_BUFFER_SIZE, fd, name, &st);
    if (ret < 0) {
        close(fd);
        return ret;
    }
    g_steal_pointer(&name);
    s->open_handle = want.handle;
    /* Drop what the guest wrote behind it while nothing was open. */
    ret = vmshm_window_clear(s->buffer_window, want.length,
                             VMSHM_BUFFER_SIZE - want.length);
    if (ret < 0) {
        vmshm_buffer_close(s);
    }
    return ret;
}

int vmshm_buffer_close(VMShmState *s)
{
    VMShmAttachment *a = vmshm_attachments_find(&s->attachments,
                                                s->open_handle);
    int ret = a ? vmshm_attachments_remove(&s->attachments, a) : 0;

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

int vmshm_command_attach(VMShmState *s)
{
    bool readonly = vmshm_request_get(s, VMSHM_REG_FLAGS) & VMSHM_RQ_READONLY;
    uint64_t length = vmshm_request_get64(s, VMSHM_REG_LENGTH_LO);
    uint64_t place = vmshm_request_get64(s, VMSHM_REG_PLACE_LO);
    uint64_t first = readonly ? s->arena_size : 0;
    VMShmAttachment want = {
        .window = s->arena_window,
        .place = place,
        .offset = vmshm_request_get64(s, VMSHM_REG_OFFSET_LO),
        .readonly = readonly,
    };
    g_autofree char *name = NULL;
    struct stat st;
    int fd, ret;

    if (vmshm_request_get(s, VMSHM_REG_FLAGS) &
        ~(VMSHM_RQ_READONLY | VMSHM_RQ_HANDLE)) {
        return vmshm_request_refuse(s, "attach: flags", -EINVAL);
    }
    if (s->policy.readonly && !readonly) {
        return vmshm_policy_refuse(&s->policy, VMSHM_REFUSED_READONLY,
                                   "attach", -EROFS);
    }
    if (!page_aligned(want.offset) || !page_aligned(place)) {
        return vmshm_request_refuse(s, "attach: alignment", -EINVAL);
    }
    if (place < first || place - first >= s->arena_size ||
        length > s->arena_size) {
        return vmshm_request_refuse(s, "attach: place", -EINVAL);
    }
    want.length = QEMU_ALIGN_UP(length, VMSHM_PAGE_SIZE);
    fd = vmshm_request_open(s, readonly, &name, &st);
    if (fd < 0) {
        return fd;
    }
    ret = attach_opened(s, &want, s->arena_size - (place - first), fd, name,
                        &st);
    if (ret < 0) {
        close(fd);
        return ret;
    }
    g_steal_pointer(&name);
    vmshm_request_set(s, VMSHM_REG_RES_HANDLE, want.handle);
    vmshm_request_set_stat(s, want.fd, &st);
    return 0;
}

/* A handle for an object that need not have any bytes yet. */
int vmshm_command_hold(VMShmState *s)
{
    VMShmAttachment want = {
        .readonly = vmshm_request_get(s, VMSHM_REG_FLAGS) & VMSHM_RQ_READONLY,
    };
    g_autofree char *name = NULL;
    struct stat st;
    int fd, ret;

    if (vmshm_request_get(s, VMSHM_REG_FLAGS) &
        ~(VMSHM_RQ_READONLY | VMSHM_RQ_HANDLE)) {
        return vmshm_request_refuse(s, "hold: flags", -EINVAL);
    }
    if (s->policy.readonly && !want.readonly) {
        return vmshm_policy_refuse(&s->policy, VMSHM_REFUSED_READONLY, "hold",
                                   -EROFS);
    }
    fd = vmshm_request_open(s, want.readonly, &name, &st);
    if (fd < 0) {
        return fd;
    }
    ret = check_limits(s, name, 0);
    if (ret == 0) {
        want.fd = fd;
        want.name = name;
        ret = vmshm_attachments_add(&s->attachments, &want, &want.handle);
    }
    if (ret < 0) {
        close(fd);
        return ret;
    }
    g_steal_pointer(&name);
    vmshm_request_set(s, VMSHM_REG_RES_HANDLE, want.handle);
    vmshm_request_set_stat(s, fd, &st);
    return 0;
}

int vmshm_command_detach(VMShmState *s)
{
    VMShmAttachment *a = vmshm_request_attachment(s);

    vmshm_futex_settle(s->futex);
    return a ? vmshm_attachments_remove(&s->attachments, a)
             : vmshm_request_refuse(s, "detach: handle", -EBADF);
}

int vmshm_command_release(VMShmState *s)
{
    int ret, cleared;

    /* First, because the words that are held have to be there at the end. */
    if (s->futex) {
        vmshm_futex_reset(s->futex);
    }
    vmshm_futex_settle(s->futex);
    ret = vmshm_attachments_remove_all(&s->attachments);
    g_clear_pointer(&s->list, g_ptr_array_unref);
    if (ret == 0) {
        s->open_handle = 0;
    }
    cleared = vmshm_window_clear(s->buffer_window, 0, VMSHM_BUFFER_SIZE);
    return ret ?: cleared;
}
