/*
 * VMShm: what the guest can ask for
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "vmshm-command.h"
#include "vmshm-command-parts.h"
#include "vmshm-request.h"

int vmshm_command_run(VMShmState *s, uint32_t command)
{
    switch (command) {
    case VMSHM_CMD_STAT:
        return vmshm_command_stat(s);
    case VMSHM_CMD_ATTACH:
        return vmshm_command_attach(s);
    case VMSHM_CMD_DETACH:
        return vmshm_command_detach(s);
    case VMSHM_CMD_LIST:
        return vmshm_command_list(s);
    case VMSHM_CMD_CREATE:
        return vmshm_command_create(s);
    case VMSHM_CMD_UNLINK:
        return vmshm_command_unlink(s);
    case VMSHM_CMD_RENAME:
    case VMSHM_CMD_LINK:
        return vmshm_command_second_name(s, command);
    case VMSHM_CMD_HOLD:
        return vmshm_command_hold(s);
    case VMSHM_CMD_RESIZE:
        return vmshm_command_resize(s);
    case VMSHM_CMD_ALLOCATE:
        return vmshm_command_allocate(s);
    case VMSHM_CMD_RELEASE:
        return vmshm_command_release(s);
    default:
        return vmshm_request_refuse(s, "command", -ENOSYS);
    }
}
