/*
 * VMShm: the commands that look at objects, and at what objects there are
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "vmshm-command-parts.h"
#include "vmshm-host.h"
#include "vmshm-request.h"

int vmshm_command_stat(VMShmState *s)
{
    g_autofree char *name = NULL;
    struct stat st;
    int fd;

    if (vmshm_request_get(s, VMSHM_REG_FLAGS) & ~VMSHM_RQ_HANDLE) {
        return vmshm_request_refuse(s, "stat: flags", -EINVAL);
    }
    fd = vmshm_request_open(s, true, &name, &st);
    if (fd < 0) {
        return fd;
    }
    vmshm_request_set_stat(s, fd, &st);
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
int vmshm_command_list(VMShmState *s)
{
    uint64_t next = vmshm_request_get64(s, VMSHM_REG_OFFSET_LO);
    size_t used = 0;
    uint32_t count = 0;
    int ret;

    if (!s->list || next == 0) {
        g_clear_pointer(&s->list, g_ptr_array_unref);
        s->list = g_ptr_array_new_with_free_func(g_free);
        ret = vmshm_host_each(true, list_add, s);
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
    vmshm_request_set(s, VMSHM_REG_RES_COUNT, count);
    return 0;
}
