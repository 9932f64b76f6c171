// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm owners: users of this guest that created objects.
 *
 * On the host, an object that the guest creates belongs to QEMU's user. In the
 * guest it belongs to its creator. The driver remembers the creator by the
 * identity of the object, which no later object has, so a new object under an
 * old name, or in an old inode of the host, never belongs to a former owner.
 *
 * Records of objects that are gone only take memory. When there are too many
 * records, the driver first drops the record of an object that has lost its
 * last known name, whatever its user: a user of a user namespace can have many
 * user IDs. If there is no such record, the user with the most records loses
 * its least recently used record. So a user cannot displace the records of
 * another user that has fewer.
 */
#include <linux/cred.h>
#include <linux/hashtable.h>
#include <linux/list.h>
#include <linux/rwsem.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "owner.h"

/* The maximum number of names that a device can have */
#define VMSHM_OWNERS_MAX 16384

/* A user with at least one record */
struct vmshm_owner_user {
	struct list_head node;
	/* struct vmshm_owner, the least recently used first */
	struct list_head owners;
	unsigned int count;
	kuid_t uid;
};

struct vmshm_owner {
	struct hlist_node node;
	struct list_head order;
	/* Until the record is added: a new entry, used if the user has none */
	struct vmshm_owner_user *user;
	kgid_t gid;
	u64 ident;
};

/**
 * struct vmshm_owners - the records of a device
 * @creating: held for writing from before an object is created until the record
 *	of its owner is added; the first lookup of an object waits for it
 * @table: struct vmshm_owner by identity
 * @users: struct vmshm_owner_user
 * @idle: struct vmshm_owner of objects that have lost their last known name;
 *	the first entry is dropped first
 * @count: of all records
 */
struct vmshm_owners {
	struct rw_semaphore creating;

	/** @lock: protects the members below */
	spinlock_t lock;
	DECLARE_HASHTABLE(table, 10);
	struct list_head users;
	struct list_head idle;
	unsigned int count;
};

/**
 * vmshm_owners_new() - make an empty set of records
 *
 * Return: the set, or NULL.
 */
struct vmshm_owners *vmshm_owners_new(void)
{
	struct vmshm_owners *owners = kzalloc(sizeof(*owners), GFP_KERNEL);

	if (!owners)
		return NULL;
	init_rwsem(&owners->creating);
	spin_lock_init(&owners->lock);
	hash_init(owners->table);
	INIT_LIST_HEAD(&owners->users);
	INIT_LIST_HEAD(&owners->idle);
	return owners;
}

/* Locked, or no other thread knows the set. */
static void vmshm_owner_remove(struct vmshm_owners *owners,
			       struct vmshm_owner *owner)
{
	struct vmshm_owner_user *user = owner->user;

	hash_del(&owner->node);
	list_del(&owner->order);
	owners->count--;
	if (!--user->count) {
		list_del(&user->node);
		kfree(user);
	}
	kfree(owner);
}

/**
 * vmshm_owners_free() - forget all records
 * @owners: the set, or NULL; it is freed
 */
void vmshm_owners_free(struct vmshm_owners *owners)
{
	struct vmshm_owner *owner;
	struct hlist_node *next;
	int bucket;

	if (!owners)
		return;
	hash_for_each_safe(owners->table, bucket, next, owner, node)
		vmshm_owner_remove(owners, owner);
	kfree(owners);
}

/**
 * vmshm_owner_new() - make the record of an object that is to be created
 *
 * The owner is the user of this task.
 *
 * Return: a record for vmshm_owners_add() or vmshm_owner_free(); or NULL.
 */
struct vmshm_owner *vmshm_owner_new(void)
{
	struct vmshm_owner *owner;

	owner = kzalloc(sizeof(*owner), GFP_KERNEL_ACCOUNT);
	if (!owner)
		return NULL;
	owner->user = kzalloc(sizeof(*owner->user), GFP_KERNEL_ACCOUNT);
	if (!owner->user) {
		kfree(owner);
		return NULL;
	}
	owner->user->uid = current_fsuid();
	INIT_LIST_HEAD(&owner->user->owners);
	owner->gid = current_fsgid();
	return owner;
}

/**
 * vmshm_owner_free() - give back a record that was not added
 * @owner: the record
 */
void vmshm_owner_free(struct vmshm_owner *owner)
{
	kfree(owner->user);
	kfree(owner);
}

/**
 * vmshm_owners_begin_create() - begin to create an object
 * @owners: the records of the device
 *
 * Until vmshm_owners_end_create(), the first lookup of an object waits: the new
 * object exists before the driver knows its identity.
 */
void vmshm_owners_begin_create(struct vmshm_owners *owners)
{
	down_write(&owners->creating);
}

/**
 * vmshm_owners_end_create() - undo vmshm_owners_begin_create()
 * @owners: the records of the device
 */
void vmshm_owners_end_create(struct vmshm_owners *owners)
{
	up_write(&owners->creating);
}

static struct vmshm_owner *vmshm_owner_find(struct vmshm_owners *owners,
					    u64 ident)
{
	struct vmshm_owner *owner;

	hash_for_each_possible(owners->table, owner, node, ident)
		if (owner->ident == ident)
			return owner;
	return NULL;
}

/* Uses the existing entry of the user, or else the record's own entry. */
static void vmshm_owner_set_user(struct vmshm_owners *owners,
				 struct vmshm_owner *owner)
{
	struct vmshm_owner_user *user;

	list_for_each_entry(user, &owners->users, node) {
		if (uid_eq(user->uid, owner->user->uid)) {
			kfree(owner->user);
			owner->user = user;
			break;
		}
	}
	user = owner->user;
	if (!user->count++)
		list_add(&user->node, &owners->users);
	list_add_tail(&owner->order, &user->owners);
}

static void vmshm_owners_lose_one(struct vmshm_owners *owners)
{
	struct vmshm_owner_user *user, *most = NULL;
	struct list_head *list = &owners->idle;

	list_for_each_entry(user, &owners->users, node)
		if (!most || user->count > most->count)
			most = user;
	if (list_empty(list))
		list = &most->owners;
	vmshm_owner_remove(owners, list_first_entry(list, struct vmshm_owner,
						    order));
}

/**
 * vmshm_owners_add() - remember the owner of an object
 * @owners: the records of the device
 * @owner: the record; it is the set's
 * @ident: identity of the object
 */
void vmshm_owners_add(struct vmshm_owners *owners, struct vmshm_owner *owner,
		      u64 ident)
{
	struct vmshm_owner *old;

	owner->ident = ident;
	spin_lock(&owners->lock);
	/* Without birth times on the host, an identity may be used again. */
	old = vmshm_owner_find(owners, ident);
	if (old)
		vmshm_owner_remove(owners, old);
	if (owners->count == VMSHM_OWNERS_MAX)
		vmshm_owners_lose_one(owners);
	vmshm_owner_set_user(owners, owner);
	hash_add(owners->table, &owner->node, ident);
	owners->count++;
	spin_unlock(&owners->lock);
}

static bool vmshm_owners_look(struct vmshm_owners *owners, u64 ident,
			      kuid_t *uid, kgid_t *gid)
{
	struct vmshm_owner *owner;

	spin_lock(&owners->lock);
	owner = vmshm_owner_find(owners, ident);
	if (owner) {
		*uid = owner->user->uid;
		*gid = owner->gid;
		list_move_tail(&owner->order, &owner->user->owners);
	}
	spin_unlock(&owners->lock);
	return owner;
}

/**
 * vmshm_owners_find() - look up the owner of an object
 * @owners: the records of the device
 * @ident: identity of the object
 * @fresh: this is the first lookup of the object, so its creation may not have
 *	ended, and the call waits for the end. Other calls do not wait, because
 *	the device can take long to create an object.
 * @uid: set to the user
 * @gid: set to the group
 *
 * Return: true; or false: the object has no known creator in this guest.
 */
bool vmshm_owners_find(struct vmshm_owners *owners, u64 ident, bool fresh,
		       kuid_t *uid, kgid_t *gid)
{
	bool found = vmshm_owners_look(owners, ident, uid, gid);

	if (found || !fresh)
		return found;
	down_read(&owners->creating);
	found = vmshm_owners_look(owners, ident, uid, gid);
	up_read(&owners->creating);
	return found;
}

/**
 * vmshm_owners_set_idle() - an object has lost its last known name
 * @owners: the records of the device
 * @ident: identity of the object
 *
 * The object may have names that only the host knows, so the owner is not
 * forgotten as long as there is room.
 */
void vmshm_owners_set_idle(struct vmshm_owners *owners, u64 ident)
{
	struct vmshm_owner *owner;

	spin_lock(&owners->lock);
	owner = vmshm_owner_find(owners, ident);
	if (owner)
		list_move_tail(&owner->order, &owners->idle);
	spin_unlock(&owners->lock);
}
