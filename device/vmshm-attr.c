/*
 * VMShm: attributes of an object, as the contract lays them out
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "vmshm-attr.h"

void vmshm_attr_store(uint8_t *to, const VMShmAttr *attr)
{
    const struct stat *st = &attr->st;

    stq_le_p(to + VMSHM_ATTR_IDENT, attr->ident);
    stq_le_p(to + VMSHM_ATTR_BYTES, st->st_size);
    stq_le_p(to + VMSHM_ATTR_BLOCKS, st->st_blocks);
    stq_le_p(to + VMSHM_ATTR_MTIME, st->st_mtim.tv_sec);
    stq_le_p(to + VMSHM_ATTR_ATIME, st->st_atim.tv_sec);
    stl_le_p(to + VMSHM_ATTR_MTIME_NS, st->st_mtim.tv_nsec);
    stl_le_p(to + VMSHM_ATTR_ATIME_NS, st->st_atim.tv_nsec);
    stl_le_p(to + VMSHM_ATTR_MODE, st->st_mode & 07777);
    stl_le_p(to + VMSHM_ATTR_UID, st->st_uid);
    stl_le_p(to + VMSHM_ATTR_GID, st->st_gid);
    stl_le_p(to + VMSHM_ATTR_NLINK, st->st_nlink);
}
