/*
 * VMShm: what a command's request says
 *
 * This is the border: every byte of BAR2 and of the request comes from the
 * guest and is checked here before anything is done with it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "vmshm-host.h"
#include "vmshm-loss.h"
#include "vmshm-request.h"

uint32_t vmshm_request_get(VMShmState *s, unsigned reg)
{
    return s->request[(reg - VMSHM_REQUEST_FIRST) / 4];
}

/* @reg is the low half. */
uint64_t vmshm_request_get64(VMShmState *s, unsigned reg)
{
    return vmshm_request_get(s, reg) |
           (uint64_t)vmshm_request_get(s, reg + 4) << 32;
}

void vmshm_request_set(VMShmState *s, unsigned reg, uint32_t value)
{
    s->result[(reg - VMSHM_RESULT_FIRST) / 4] = value;
}

void vmshm_request_set64(VMShmState *s, unsigned reg, uint64_t value)
{
    vmshm_request_set(s, reg, value);
    vmshm_request_set(s, reg + 4, value >> 32);
}

void vmshm_request_set_stat(VMShmState *s, int fd, const struct stat *st)
{
    vmshm_request_set(s, VMSHM_REG_RES_MODE, st->st_mode & 07777);
    vmshm_request_set64(s, VMSHM_REG_RES_SIZE_LO, st->st_size);
    vmshm_request_set64(s, VMSHM_REG_RES_IDENT_LO,
                        vmshm_host_identity(fd, st));
    vmshm_request_set(s, VMSHM_REG_RES_UID, st->st_uid);
    vmshm_request_set(s, VMSHM_REG_RES_GID, st->st_gid);
    vmshm_request_set64(s, VMSHM_REG_RES_MTIME_LO, st->st_mtim.tv_sec);
    vmshm_request_set(s, VMSHM_REG_RES_MTIME_NS, st->st_mtim.tv_nsec);
    vmshm_request_set64(s, VMSHM_REG_RES_BLOCKS_LO, st->st_blocks);
}

int vmshm_request_refuse(VMShmState *s, const char *what, int err)
{
    return vmshm_policy_refuse(&s->policy, VMSHM_REFUSED_REQUEST, what, err);
}

/*
 * The name at @at in BAR2, checked, as the guest calls it in *@name and as the
 * host does in *@host_name; the caller frees both, also after a failure.
 * @denied is what a name is answered that the policy keeps from the guest.
 */
int vmshm_request_name(VMShmState *s, unsigned at, int denied, char **name,
                       char **host_name)
{
    int ret = vmshm_host_name_check(s->name + at, sizeof(s->name) - at);

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
    ret = vmshm_host_name_check((uint8_t *)*host_name, strlen(*host_name) + 1);
    if (ret < 0) {
        return vmshm_policy_refuse(&s->policy, VMSHM_REFUSED_NAME, *name, ret);
    }
    return 0;
}

/* What the host said of a name; only what it forbids is worth a record. */
int vmshm_request_host_answer(VMShmState *s, const char *name, int ret)
{
    if (ret < 0 && ret != -ENOENT && ret != -EEXIST) {
        vmshm_policy_refuse(&s->policy, VMSHM_REFUSED_PERMISSION, name, ret);
    }
    return ret;
}

/*
 * The object named in BAR2: a descriptor to close with *@st filled in, or
 * -errno. The caller frees *@name, also after a failure.
 */
int vmshm_request_open_named(VMShmState *s, bool readonly, char **name,
                             struct stat *st)
{
    g_autofree char *host_name = NULL;
    int ret = vmshm_request_name(s, 0, -ENOENT, name, &host_name);

    if (ret < 0) {
        return ret;
    }
    return vmshm_request_host_answer(s, *name,
                                     vmshm_host_open(host_name, readonly, st));
}

/* The attachment that HANDLE names; what is at BAR1 has no handle. */
VMShmAttachment *vmshm_request_attachment(VMShmState *s)
{
    uint32_t handle = vmshm_request_get(s, VMSHM_REG_HANDLE);

    if (handle && handle == s->open_handle) {
        return NULL;
    }
    return vmshm_attachments_find(&s->attachments, handle);
}

/* The same for the object that is attached as HANDLE. */
static int open_attached(VMShmState *s, bool readonly, char **name,
                         struct stat *st)
{
    VMShmAttachment *a = vmshm_request_attachment(s);
    int fd, ret;

    if (!a || (a->readonly && !readonly)) {
        return vmshm_request_refuse(s, "handle", -EBADF);
    }
    if (vmshm_loss_tell(a)) {
        return -EIO;
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
int vmshm_request_open(VMShmState *s, bool readonly, char **name,
                       struct stat *st)
{
    return vmshm_request_get(s, VMSHM_REG_FLAGS) & VMSHM_RQ_HANDLE
           ? open_attached(s, readonly, name, st)
           : vmshm_request_open_named(s, readonly, name, st);
}
