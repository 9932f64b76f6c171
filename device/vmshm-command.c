/*
 * VMShm: the commands of the guest
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "vmshm-command.h"
#include "vmshm-command-parts.h"

static void first_step(VMShmJob *job)
{
    switch (job->request.command) {
    case VMSHM_CMD_STAT:
        vmshm_command_stat(job);
        return;
    case VMSHM_CMD_ATTACH:
        vmshm_command_attach(job);
        return;
    case VMSHM_CMD_DETACH:
        vmshm_command_detach(job);
        return;
    case VMSHM_CMD_LIST:
        vmshm_command_list(job);
        return;
    case VMSHM_CMD_CREATE:
        vmshm_command_create(job);
        return;
    case VMSHM_CMD_UNLINK:
        vmshm_command_unlink(job);
        return;
    case VMSHM_CMD_RENAME:
    case VMSHM_CMD_LINK:
        vmshm_command_second_name(job);
        return;
    case VMSHM_CMD_HOLD:
        vmshm_command_hold(job);
        return;
    case VMSHM_CMD_RESIZE:
        vmshm_command_resize(job);
        return;
    case VMSHM_CMD_ALLOCATE:
        vmshm_command_allocate(job);
        return;
    case VMSHM_CMD_RELEASE:
        vmshm_command_release(job);
        return;
    case VMSHM_CMD_SETATTR:
        vmshm_command_setattr(job);
        return;
    case VMSHM_CMD_STATFS:
        vmshm_command_statfs(job);
        return;
    default:
        vmshm_command_refuse(job, "command", -ENOSYS);
    }
}

/*
 * Limits are exact only if nothing else that counts changes between the check
 * and the change. Without max-bytes= only the number of names counts.
 */
static bool is_exclusive(VMShmJob *job)
{
    switch (job->request.command) {
    case VMSHM_CMD_CREATE:
    case VMSHM_CMD_LINK:
        return job->s->policy.create;
    case VMSHM_CMD_UNLINK:
    case VMSHM_CMD_RENAME:
    case VMSHM_CMD_RESIZE:
    case VMSHM_CMD_ALLOCATE:
        return job->s->policy.create && job->s->policy.max_bytes;
    default:
        return false;
    }
}

void vmshm_command_prepare(VMShmJob *job, bool mailbox)
{
    job->mailbox = mailbox;
    job->exclusive = job->ret == 0 && is_exclusive(job);
    job->then = first_step;
}

static uint32_t latched(VMShmState *s, unsigned reg)
{
    return s->request[(reg - VMSHM_REQUEST_FIRST) / 4];
}

static uint64_t latched64(VMShmState *s, unsigned reg)
{
    return latched(s, reg) | (uint64_t)latched(s, reg + 4) << 32;
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

static void set_attr(VMShmState *s, const VMShmAttr *attr)
{
    const struct stat *st = &attr->st;

    set_result(s, VMSHM_REG_RES_MODE, st->st_mode & 07777);
    set_result64(s, VMSHM_REG_RES_SIZE_LO, st->st_size);
    set_result64(s, VMSHM_REG_RES_IDENT_LO, attr->ident);
    set_result(s, VMSHM_REG_RES_UID, st->st_uid);
    set_result(s, VMSHM_REG_RES_GID, st->st_gid);
    set_result64(s, VMSHM_REG_RES_MTIME_LO, st->st_mtim.tv_sec);
    set_result(s, VMSHM_REG_RES_MTIME_NS, st->st_mtim.tv_nsec);
    set_result64(s, VMSHM_REG_RES_BLOCKS_LO, st->st_blocks);
}

static void set_results(VMShmState *s, const VMShmResult *res)
{
    if (res->handle) {
        set_result(s, VMSHM_REG_RES_HANDLE, res->handle);
    }
    if (res->has_attr) {
        set_attr(s, &res->attr);
    }
    if (res->data) {
        memset(s->name, 0, sizeof(s->name));
        if (res->data->len) {
            memcpy(s->name, res->data->data, res->data->len);
        }
        set_result(s, VMSHM_REG_RES_COUNT, res->count);
    }
}

int vmshm_command_register(VMShmState *s, uint32_t command)
{
    VMShmJob *job = vmshm_job_new(s);
    int ret;

    job->request = (VMShmRequest) {
        .command = command,
        .flags = latched(s, VMSHM_REG_FLAGS),
        .handle = latched(s, VMSHM_REG_HANDLE),
        .mode = latched(s, VMSHM_REG_MODE),
        .offset = latched64(s, VMSHM_REG_OFFSET_LO),
        .length = latched64(s, VMSHM_REG_LENGTH_LO),
        .place = latched64(s, VMSHM_REG_PLACE_LO),
    };
    memcpy(job->request.names, s->name, sizeof(s->name));
    vmshm_command_prepare(job, false);
    if (command == VMSHM_CMD_LIST) {
        job->list = g_steal_pointer(&s->list);
    } else if (command == VMSHM_CMD_SETATTR || command == VMSHM_CMD_STATFS) {
        /* The registers have no fields for these commands. */
        job->request.command = 0;
    }
    ret = vmshm_job_run_now(job);
    if (ret == 0) {
        set_results(s, &job->result);
    }
    if (command == VMSHM_CMD_LIST && ret == 0) {
        s->list = g_steal_pointer(&job->list);
    }
    vmshm_job_free(job);
    return ret;
}
