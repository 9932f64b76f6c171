/*
 * VMShm: what the guest can ask for
 *
 * This is the border: every byte of BAR2 and of the request comes from the
 * guest and is checked here before anything is done with it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "vmshm-object.h"
#include "vmshm-state.h"



static uint32_t request(VMShmState *s, unsigned reg)
{
    return s->request[(reg - VMSHM_REQUEST_FIRST) / 4];
}

/* @reg is the low half. */
static uint64_t request64(VMShmState *s, unsigned reg)
{
    return request(s, reg) | (uint64_t)request(s, reg + 4) << 32;
}

static void set_result(VMShmState *s, unsigned reg, uint32_t value)
{
    s->result[(reg - VMSHM_RESULT_FIRST) / 4] = value;
}

static void set_result64(VMShmState *s, unsigned reg, uint64_t value)
{
    set_result(s, reg, value);
    set_result(s, reg + 4, value >> 32);
}

static void set_result_stat(VMShmState *s, int fd, const struct stat *st)
{
    set_result(s, VMSHM_REG_RES_MODE, st->st_mode & 07777);
    set_result64(s, VMSHM_REG_RES_SIZE_LO, st->st_size);
    set_result64(s, VMSHM_REG_RES_IDENT_LO, vmshm_object_identity(fd, st));
    set_result(s, VMSHM_REG_RES_UID, st->st_uid);
    set_result(s, VMSHM_REG_RES_GID, st->st_gid);
    set_result64(s, VMSHM_REG_RES_MTIME_LO, st->st_mtim.tv_sec);
    set_result(s, VMSHM_REG_RES_MTIME_NS, st->st_mtim.tv_nsec);
    set_result64(s, VMSHM_REG_RES_BLOCKS_LO, st->st_blocks);
}

static int refuse_request(VMShmState *s, const char *what, int err)
{
    return vmshm_policy_refuse(&s->policy, VMSHM_REFUSED_REQUEST, what, err);
}

/*
 * The name at @at in BAR2, checked, as the guest calls it in *@name and as the
 * host does in *@host_name; the caller frees both, also after a failure.
 * @denied is what a name is answered that the policy keeps from the guest.
 */
static int get_name(VMShmState *s, unsigned at, int denied, char **name,
                    char **host_name)
{
    int ret = vmshm_name_check(s->name + at, sizeof(s->name) - at);

    if (ret < 0) {
        g_autofree char *raw = g_strndup((char *)s->name + at,
                                         sizeof(s->name) - at);

        return vmshm_policy_refuse(&s->policy, VMSHM_REFUSED_NAME, raw, ret);
    }
    *name = g_strdup((char *)s->name + at);
    *host_name = vmshm_policy_host_name(&s->policy, *name);
    if (!*host_name) {
        return vmshm_policy_refuse(&s->policy, VMSHM_REFUSED_POLICY, *name,
                                   denied);
    }
    /* With a prefix it may have become something else. */
    ret = vmshm_name_check((uint8_t *)*host_name, strlen(*host_name) + 1);
    if (ret < 0) {
        return vmshm_policy_refuse(&s->policy, VMSHM_REFUSED_NAME, *name, ret);
    }
    return 0;
}

/* What the host said of a name; only what it forbids is worth a record. */
static int host_answer(VMShmState *s, const char *name, int ret)
{
    if (ret < 0 && ret != -ENOENT && ret != -EEXIST) {
        vmshm_policy_refuse(&s->policy, VMSHM_REFUSED_PERMISSION, name, ret);
    }
    return ret;
}

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
 * The object named in BAR2: a descriptor to close with *@st filled in, or
 * -errno. The caller frees *@name, also after a failure.
 */
static int open_named(VMShmState *s, bool readonly, char **name,
                      struct stat *st)
{
    g_autofree char *host_name = NULL;
    int ret = get_name(s, 0, -ENOENT, name, &host_name);

    if (ret < 0) {
        return ret;
    }
    return host_answer(s, *name, vmshm_object_open(host_name, readonly, st));
}

/* The attachment that HANDLE names; what is at BAR1 has no handle. */
static VMShmAttachment *requested_attachment(VMShmState *s)
{
    uint32_t handle = request(s, VMSHM_REG_HANDLE);

    if (handle && handle == s->open_handle) {
        return NULL;
    }
    return vmshm_attachment_find(&s->attachments, handle);
}

/* The same for the object that is attached as HANDLE. */
static int open_attached(VMShmState *s, bool readonly, char **name,
                         struct stat *st)
{
    VMShmAttachment *a = requested_attachment(s);
    int fd, ret;

    if (!a || (a->readonly && !readonly)) {
        return refuse_request(s, "handle", -EBADF);
    }
    fd = fcntl(a->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    if (fstat(fd, st) < 0) {
        ret = -errno;
        close(fd);
        return ret;
    }
    *name = g_strdup(a->name);
    return fd;
}

/* As FLAGS says, one or the other. */
static int open_requested(VMShmState *s, bool readonly, char **name,
                          struct stat *st)
{
    return request(s, VMSHM_REG_FLAGS) & VMSHM_RQ_HANDLE
           ? open_attached(s, readonly, name, st)
           : open_named(s, readonly, name, st);
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
        return refuse_request(s, name, -EINVAL);
    }
    ret = check_limits(s, name, want->length);
    if (ret < 0) {
        return ret;
    }
    want->fd = fd;
    want->name = name;
    return vmshm_attach(&s->attachments, want, &want->handle);
}

int vmshm_open(VMShmState *s)
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
    fd = open_named(s, want.readonly, &name, &st);
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
        vmshm_close(s);
    }
    return ret;
}

int vmshm_close(VMShmState *s)
{
    VMShmAttachment *a = vmshm_attachment_find(&s->attachments,
                                               s->open_handle);
    int ret = a ? vmshm_detach(&s->attachments, a) : 0;

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

static int command_attach(VMShmState *s)
{
    bool readonly = request(s, VMSHM_REG_FLAGS) & VMSHM_RQ_READONLY;
    uint64_t length = request64(s, VMSHM_REG_LENGTH_LO);
    uint64_t place = request64(s, VMSHM_REG_PLACE_LO);
    uint64_t first = readonly ? s->arena_size : 0;
    VMShmAttachment want = {
        .window = s->arena_window,
        .place = place,
        .offset = request64(s, VMSHM_REG_OFFSET_LO),
        .readonly = readonly,
    };
    g_autofree char *name = NULL;
    struct stat st;
    int fd, ret;

    if (request(s, VMSHM_REG_FLAGS) & ~(VMSHM_RQ_READONLY | VMSHM_RQ_HANDLE)) {
        return refuse_request(s, "attach: flags", -EINVAL);
    }
    if (s->policy.readonly && !readonly) {
        return vmshm_policy_refuse(&s->policy, VMSHM_REFUSED_READONLY,
                                   "attach", -EROFS);
    }
    if (!page_aligned(want.offset) || !page_aligned(place)) {
        return refuse_request(s, "attach: alignment", -EINVAL);
    }
    if (place < first || place - first >= s->arena_size ||
        length > s->arena_size) {
        return refuse_request(s, "attach: place", -EINVAL);
    }
    want.length = QEMU_ALIGN_UP(length, VMSHM_PAGE_SIZE);
    fd = open_requested(s, readonly, &name, &st);
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
    set_result(s, VMSHM_REG_RES_HANDLE, want.handle);
    set_result_stat(s, want.fd, &st);
    return 0;
}

/* A handle for an object that need not have any bytes yet. */
static int command_hold(VMShmState *s)
{
    VMShmAttachment want = {
        .readonly = request(s, VMSHM_REG_FLAGS) & VMSHM_RQ_READONLY,
    };
    g_autofree char *name = NULL;
    struct stat st;
    int fd, ret;

    if (request(s, VMSHM_REG_FLAGS) & ~(VMSHM_RQ_READONLY | VMSHM_RQ_HANDLE)) {
        return refuse_request(s, "hold: flags", -EINVAL);
    }
    if (s->policy.readonly && !want.readonly) {
        return vmshm_policy_refuse(&s->policy, VMSHM_REFUSED_READONLY, "hold",
                                   -EROFS);
    }
    fd = open_requested(s, want.readonly, &name, &st);
    if (fd < 0) {
        return fd;
    }
    ret = check_limits(s, name, 0);
    if (ret == 0) {
        want.fd = fd;
        want.name = name;
        ret = vmshm_attach(&s->attachments, &want, &want.handle);
    }
    if (ret < 0) {
        close(fd);
        return ret;
    }
    g_steal_pointer(&name);
    set_result(s, VMSHM_REG_RES_HANDLE, want.handle);
    set_result_stat(s, fd, &st);
    return 0;
}

/* Before what is attached goes */
static void settle_waits(VMShmState *s)
{
    if (s->waits) {
        vmshm_waits_settle(s->waits);
    }
}

static int command_detach(VMShmState *s)
{
    VMShmAttachment *a = requested_attachment(s);

    settle_waits(s);
    return a ? vmshm_detach(&s->attachments, a)
             : refuse_request(s, "detach: handle", -EBADF);
}

static int command_stat(VMShmState *s)
{
    g_autofree char *name = NULL;
    struct stat st;
    int fd;

    if (request(s, VMSHM_REG_FLAGS) & ~VMSHM_RQ_HANDLE) {
        return refuse_request(s, "stat: flags", -EINVAL);
    }
    fd = open_requested(s, true, &name, &st);
    if (fd < 0) {
        return fd;
    }
    set_result_stat(s, fd, &st);
    close(fd);
    return 0;
}

static void list_add(void *opaque, const char *entry, const struct stat *st)
{
    VMShmState *s = opaque;
    char *name = vmshm_policy_guest_name(&s->policy, entry);

    if (name) {
        g_ptr_array_add(s->list, name);
    }
}

/*
 * Names, each with its NUL, as many as fit into BAR2. OFFSET is how many names
 * the guest has already; 0 starts anew. A COUNT of 0 is the end.
 */
static int command_list(VMShmState *s)
{
    uint64_t next = request64(s, VMSHM_REG_OFFSET_LO);
    size_t used = 0;
    uint32_t count = 0;
    int ret;

    if (!s->list || next == 0) {
        g_clear_pointer(&s->list, g_ptr_array_unref);
        s->list = g_ptr_array_new_with_free_func(g_free);
        ret = vmshm_object_each(true, list_add, s);
        if (ret < 0) {
            g_clear_pointer(&s->list, g_ptr_array_unref);
            return ret;
        }
    }
    memset(s->name, 0, sizeof(s->name));
    while (next < s->list->len) {
        const char *name = g_ptr_array_index(s->list, next);
        size_t size = strlen(name) + 1;

        if (size > sizeof(s->name) - used) {
            break;
        }
        memcpy(s->name + used, name, size);
        used += size;
        count++;
        next++;
    }
    if (!count) {
        g_clear_pointer(&s->list, g_ptr_array_unref);
    }
    set_result(s, VMSHM_REG_RES_COUNT, count);
    return 0;
}

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
        u->bytes = vmshm_add_bytes(u->bytes, st->st_size);
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
    int ret = vmshm_object_each(false, usage_add, &u);

    if (ret < 0) {
        return ret;
    }
    u.bytes = vmshm_add_bytes(u.bytes,
                              vmshm_attachments_nameless(&s->attachments));
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

static int command_create(VMShmState *s)
{
    uint32_t mode = request(s, VMSHM_REG_MODE);
    g_autofree char *name = NULL;
    g_autofree char *host_name = NULL;
    struct stat st;
    int fd, ret;

    ret = check_create(s, "create");
    if (ret == 0) {
        ret = get_name(s, 0, -EACCES, &name, &host_name);
    }
    if (ret == 0 && mode & ~0777) {
        ret = refuse_request(s, "create: mode", -EINVAL);
    }
    if (ret == 0) {
        ret = check_store(s, name, 1, 0);
    }
    if (ret < 0) {
        return ret;
    }
    fd = vmshm_object_create(host_name, mode, &st);
    if (fd < 0) {
        return host_answer(s, name, fd);
    }
    set_result_stat(s, fd, &st);
    close(fd);
    return 0;
}

static int command_unlink(VMShmState *s)
{
    g_autofree char *name = NULL;
    g_autofree char *host_name = NULL;
    int ret = check_create(s, "unlink");

    if (ret == 0) {
        ret = get_name(s, 0, -ENOENT, &name, &host_name);
    }
    if (ret < 0) {
        return ret;
    }
    return host_answer(s, name, vmshm_object_unlink(host_name));
}

/* RENAME and LINK: two names, of which the second is to be new. */
static int command_second_name(VMShmState *s, uint32_t command)
{
    uint32_t flags = request(s, VMSHM_REG_FLAGS);
    bool rename = command == VMSHM_CMD_RENAME;
    g_autofree char *from = NULL;
    g_autofree char *host_from = NULL;
    g_autofree char *to = NULL;
    g_autofree char *host_to = NULL;
    int ret = check_create(s, rename ? "rename" : "link");

    if (ret == 0 && flags & ~(rename ? VMSHM_RQ_NOREPLACE : 0)) {
        ret = refuse_request(s, rename ? "rename: flags" : "link: flags",
                             -EINVAL);
    }
    if (ret == 0) {
        ret = get_name(s, 0, -ENOENT, &from, &host_from);
    }
    if (ret == 0) {
        ret = get_name(s, VMSHM_NAME_SECOND, -EACCES, &to, &host_to);
    }
    if (ret == 0 && !rename) {
        ret = check_store(s, to, 1, 0);
    }
    if (ret < 0) {
        return ret;
    }
    if (rename) {
        ret = vmshm_object_rename(host_from, host_to,
                                  flags & VMSHM_RQ_NOREPLACE);
    } else {
        ret = vmshm_object_link(host_from, host_to);
    }
    return host_answer(s, from, ret);
}

static int command_resize(VMShmState *s)
{
    uint64_t size = request64(s, VMSHM_REG_LENGTH_LO);
    g_autofree char *name = NULL;
    struct stat st;
    int fd, ret;

    ret = check_create(s, "resize");
    if (ret < 0) {
        return ret;
    }
    if (request(s, VMSHM_REG_FLAGS) & ~VMSHM_RQ_HANDLE) {
        return refuse_request(s, "resize: flags", -EINVAL);
    }
    if (size > INT64_MAX) {
        return refuse_request(s, "resize: length", -EFBIG);
    }
    fd = open_requested(s, false, &name, &st);
    if (fd < 0) {
        return fd;
    }
    if (size > st.st_size) {
        ret = check_store(s, name, 0, size - st.st_size);
    } else {
        settle_waits(s);
        ret = vmshm_attachments_cut(&s->attachments, &st, size);
    }
    if (ret == 0 && (ftruncate(fd, size) < 0 || fstat(fd, &st) < 0)) {
        ret = -errno;
    }
    if (ret == 0) {
        set_result_stat(s, fd, &st);
    }
    close(fd);
    return ret;
}

static int command_allocate(VMShmState *s)
{
    uint64_t offset = request64(s, VMSHM_REG_OFFSET_LO);
    uint64_t length = request64(s, VMSHM_REG_LENGTH_LO);
    g_autofree char *name = NULL;
    struct stat st;
    int fd, ret;

    ret = check_create(s, "allocate");
    if (ret < 0) {
        return ret;
    }
    if (request(s, VMSHM_REG_FLAGS) & ~VMSHM_RQ_HANDLE) {
        return refuse_request(s, "allocate: flags", -EINVAL);
    }
    if (!length || length > VMSHM_ALLOCATE_MAX || offset > INT64_MAX - length) {
        return refuse_request(s, "allocate: range", -EINVAL);
    }
    fd = open_requested(s, false, &name, &st);
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
        set_result_stat(s, fd, &st);
    }
    close(fd);
    return ret;
}

int vmshm_command(VMShmState *s, uint32_t command)
{
    switch (command) {
    case VMSHM_CMD_STAT:
        return command_stat(s);
    case VMSHM_CMD_ATTACH:
        return command_attach(s);
    case VMSHM_CMD_DETACH:
        return command_detach(s);
    case VMSHM_CMD_LIST:
        return command_list(s);
    case VMSHM_CMD_CREATE:
        return command_create(s);
    case VMSHM_CMD_UNLINK:
        return command_unlink(s);
    case VMSHM_CMD_RENAME:
    case VMSHM_CMD_LINK:
        return command_second_name(s, command);
    case VMSHM_CMD_HOLD:
        return command_hold(s);
    case VMSHM_CMD_RESIZE:
        return command_resize(s);
    case VMSHM_CMD_ALLOCATE:
        return command_allocate(s);
    case VMSHM_CMD_RELEASE:
        return vmshm_release_all(s);
    default:
        return refuse_request(s, "command", -ENOSYS);
    }
}

int vmshm_release_all(VMShmState *s)
{
    int ret, cleared;

    /* First, because the words that are held have to be there at the end. */
    if (s->waits) {
        vmshm_waits_reset(s->waits);
    }
    settle_waits(s);
    ret = vmshm_detach_all(&s->attachments);
    g_clear_pointer(&s->list, g_ptr_array_unref);
    if (ret == 0) {
        s->open_handle = 0;
    }
    cleared = vmshm_window_clear(s->buffer_window, 0, VMSHM_BUFFER_SIZE);
    return ret ?: cleared;
}
