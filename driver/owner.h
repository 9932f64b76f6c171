/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm owners: users of this guest that created objects.
 */
#ifndef VMSHM_OWNER_H
#define VMSHM_OWNER_H

#include <linux/types.h>
#include <linux/uidgid.h>

struct vmshm_owner;
struct vmshm_owners;

struct vmshm_owners *vmshm_owners_new(void);
void vmshm_owners_free(struct vmshm_owners *owners);

struct vmshm_owner *vmshm_owner_new(void);
void vmshm_owner_free(struct vmshm_owner *owner);

void vmshm_owners_begin_create(struct vmshm_owners *owners);
void vmshm_owners_end_create(struct vmshm_owners *owners);
void vmshm_owners_add(struct vmshm_owners *owners, struct vmshm_owner *owner,
		      u64 ident);
bool vmshm_owners_find(struct vmshm_owners *owners, u64 ident, bool fresh,
		       kuid_t *uid, kgid_t *gid);
void vmshm_owners_set_idle(struct vmshm_owners *owners, u64 ident);

#endif /* VMSHM_OWNER_H */
