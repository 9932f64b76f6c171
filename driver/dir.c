// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm file system: the only directory, and the lookup of its files.
 *
 * The host creates, removes and replaces objects at any time. The driver
 * therefore asks the device again before it uses cached data about a name, with
 * one exception: a process that lists the directory gets the attributes with
 * the names. The inode of an object that is not in use is only a cache, which
 * this kernel may reclaim.
 */
#include <linux/capability.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/lockdep.h>
#include <linux/mutex.h>
#include <linux/namei.h>
#include <linux/sched/signal.h>

#include <vmshm/regs.h>

#include "compat.h"
#include "content.h"
#include "dir.h"
#include "extent.h"
#include "file.h"
#include "inode.h"
#include "list.h"
#include "owner.h"
#include "recent.h"
#include "command.h"
#include "vmshm.h"
#include "vnode.h"

#define VMSHM_FS_ROOT_INO 1

static int vmshm_fs_dentry_name(struct dentry *dentry, char *name)
{
	int err = 0;

	spin_lock(&dentry->d_lock);
	if (dentry->d_name.len + 2 > VMSHM_NAME_SIZE) {
		err = -ENAMETOOLONG;
	} else {
		name[0] = '/';
		memcpy(name + 1, dentry->d_name.name, dentry->d_name.len + 1);
	}
	spin_unlock(&dentry->d_lock);
	return err;
}

/* The device has just found the object of the inode by a name. */
static void vmshm_fs_inode_named(struct inode *inode,
				 const struct vmshm_stat *st)
{
	/*
	 * The host may have created a name again after the last known name was
	 * removed in this guest.
	 */
	spin_lock(&inode->i_lock);
	if (!inode->i_nlink)
		set_nlink(inode, 1);
	spin_unlock(&inode->i_lock);
	vmshm_fs_inode_update(inode, st);
}

static int vmshm_fs_inode_test(struct inode *inode, void *vnode)
{
	return inode->i_private == vnode;
}

/* The inode takes over the caller's reference. */
static int vmshm_fs_inode_set(struct inode *inode, void *vnode)
{
	inode->i_private = vnode;
	return 0;
}

static struct inode *vmshm_fs_inode_get(struct super_block *sb,
					const char *name,
					const struct vmshm_stat *st)
{
	struct vmshm_vnode *vnode;
	struct inode *inode;

	vnode = vmshm_vnode_lookup(vmshm_fs_sb(sb)->vdev, name, st);
	if (IS_ERR(vnode))
		return ERR_CAST(vnode);
	inode = iget5_locked(sb, st->ident, vmshm_fs_inode_test,
			     vmshm_fs_inode_set, vnode);
	if (!inode) {
		vmshm_vnode_put(vnode);
		return ERR_PTR(-ENOMEM);
	}
	if (!vmshm_compat_inode_is_new(inode)) {
		vmshm_vnode_put(vnode);
		vmshm_fs_inode_named(inode, st);
		return inode;
	}
	inode->i_ino = st->ident;
	inode->i_flags |= S_NOATIME | S_NOCMTIME;
	inode->i_op = &vmshm_fs_file_inode_ops;
	inode->i_fop = &vmshm_fs_file_ops;
	inode->i_mapping = vnode->inode->i_mapping;
	vmshm_fs_inode_update(inode, st);
	unlock_new_inode(inode);
	return inode;
}

/*
 * Takes the attributes that a listing has read for the name. They are too old
 * where a permission check depends on them: for opening the file, and for
 * removing or replacing a name.
 */
static bool vmshm_fs_take_recent(struct dentry *dentry, const char *name,
				 unsigned int flags, struct vmshm_stat *st)
{
	const unsigned int others = LOOKUP_OPEN | LOOKUP_CREATE | LOOKUP_EXCL |
				    LOOKUP_RENAME_TARGET | LOOKUP_REVAL;
	struct inode *dir = d_inode(dentry->d_sb->s_root);

	return !(flags & others) && !vmshm_compat_inode_locked_here(dir) &&
	       vmshm_recent_take(vmshm_fs_sb(dentry->d_sb)->vdev, name, st);
}

/*
 * Attaches the object for a file that is opened next, and finds its inode by
 * the identity that the device reports. Returns NULL if the caller has to look
 * up the name before the file is opened.
 */
static struct inode *vmshm_fs_inode_attached(struct super_block *sb,
					     const char *name)
{
	struct vmshm_dev *vdev = vmshm_fs_sb(sb)->vdev;
	bool readonly = vdev->features & VMSHM_F_READONLY;
	struct vmshm_extent *extent;
	struct inode *inode;

	/* The registers do not report all attributes of the inode. */
	if (!vdev->mailboxes)
		return NULL;
	extent = vmshm_extent_attach_named(vdev, name, readonly);
	if (!readonly &&
	    (extent == ERR_PTR(-EACCES) || extent == ERR_PTR(-EPERM)))
		extent = vmshm_extent_attach_named(vdev, name, true);
	if (IS_ERR(extent))
		return extent == ERR_PTR(-ENOENT) ? ERR_CAST(extent) : NULL;
	inode = vmshm_fs_inode_get(sb, name, &extent->seen);
	if (IS_ERR(inode))
		vmshm_extent_detach(extent);
	else
		vmshm_content_give(vmshm_fs_inode_vnode(inode), extent);
	return inode;
}

/* The current inode of the name; ERR_PTR(-ENOENT): there is no object */
static struct inode *vmshm_fs_inode_asked(struct dentry *dentry,
					  const char *name, unsigned int flags)
{
	struct super_block *sb = dentry->d_sb;
	struct vmshm_stat st;
	int err = 0;

	if (!vmshm_fs_take_recent(dentry, name, flags, &st))
		err = vmshm_request_stat(vmshm_fs_sb(sb)->vdev, name, 0, &st);
	return err ? ERR_PTR(err) : vmshm_fs_inode_get(sb, name, &st);
}

static struct dentry *vmshm_fs_lookup(struct inode *dir, struct dentry *dentry,
				      unsigned int flags)
{
	char name[NAME_MAX + 2];
	struct inode *inode;
	int err;

	if (dentry->d_name.len > NAME_MAX)
		return ERR_PTR(-ENAMETOOLONG);
	err = vmshm_fs_dentry_name(dentry, name);
	if (err)
		return ERR_PTR(err);
	inode = vmshm_fs_inode_asked(dentry, name, flags);
	if (inode == ERR_PTR(-ENOENT))
		inode = NULL;
	if (!IS_ERR_OR_NULL(inode))
		vmshm_vnode_set_fresh(vmshm_fs_inode_vnode(inode));
	return d_splice_alias(inode, dentry);
}

/*
 * Whether the name is looked up for open(2). The open attaches the object by
 * its name, and the reported identity then shows whether the name still belongs
 * to the vnode. If the permission check fails, the object is not attached.
 */
static bool vmshm_fs_is_opened(struct inode *inode, unsigned int flags)
{
	const unsigned int others = LOOKUP_CREATE | LOOKUP_EXCL | LOOKUP_REVAL |
				    LOOKUP_DIRECTORY;

	if (!(flags & LOOKUP_OPEN) || flags & others)
		return false;
	return !vmshm_compat_inode_permission(inode, MAY_READ | MAY_WRITE);
}

/*
 * Whether the name is looked up to be removed or renamed. The device then
 * reports whether the name still exists. The owner has to be current for users
 * without CAP_FOWNER.
 */
static bool vmshm_fs_is_removed(struct dentry *dentry, unsigned int flags)
{
	struct inode *dir = d_inode(dentry->d_sb->s_root);

	return !flags && vmshm_compat_inode_locked_here(dir) &&
	       ns_capable_noaudit(dentry->d_sb->s_user_ns, CAP_FOWNER);
}

static int vmshm_fs_revalidate(struct dentry *dentry, unsigned int flags)
{
	char name[NAME_MAX + 2];
	struct vmshm_vnode *vnode;
	struct inode *inode;
	struct vmshm_stat st;

	if (flags & LOOKUP_RCU)
		return -ECHILD;
	inode = d_inode(dentry);
	if (!inode)
		return 0;
	/* The only directory is the root. */
	if (!inode->i_private)
		return 1;
	if (vmshm_fs_dentry_name(dentry, name))
		return 0;
	vnode = vmshm_fs_inode_vnode(inode);
	if (vmshm_fs_is_opened(inode, flags) &&
	    vmshm_vnode_is_detached(vnode, name))
		return 1;
	if (vmshm_fs_is_removed(dentry, flags))
		return 1;
	if (vmshm_fs_take_recent(dentry, name, flags, &st)) {
		/* After a reset, the object may need a new vnode. */
		if (st.ident != vnode->ident || READ_ONCE(vnode->gone))
			return 0;
	} else if (vmshm_vnode_stat_name(vnode, name, &st)) {
		return 0;
	}
	vmshm_fs_inode_named(inode, &st);
	vmshm_vnode_set_fresh(vnode);
	return 1;
}

VMSHM_D_REVALIDATE(vmshm_fs_revalidate)

/*
 * An unused dentry is not cached if it is negative. Nor is it cached if the
 * link count of its inode was changed in this guest, because the host may
 * change the number of names, too.
 */
static int vmshm_fs_dentry_delete(const struct dentry *dentry)
{
	return d_really_is_negative(dentry) || d_inode(dentry)->i_nlink != 1;
}

/* Ends what vmshm_fs_keep() began, and the use of the inode. */
static void vmshm_fs_dentry_iput(struct dentry *dentry, struct inode *inode)
{
	if (dentry->d_fsdata) {
		dentry->d_fsdata = NULL;
		vmshm_content_close(vmshm_fs_inode_vnode(inode));
	}
	iput(inode);
}

const struct dentry_operations vmshm_fs_dentry_ops = {
	.d_revalidate = vmshm_fs_d_revalidate,
	.d_delete = vmshm_fs_dentry_delete,
	.d_iput = vmshm_fs_dentry_iput,
};

/*
 * Keeps an object attached whose name is going to be removed, if its dentry has
 * users besides the caller: a bind mount of the file, or a file that is open
 * with O_PATH. Such a user may open the file later, and the device would not
 * find it without a name. Returns whether the object is kept. If it cannot be
 * kept, the name is removed nevertheless.
 */
static bool vmshm_fs_keep(struct dentry *dentry)
{
	struct inode *inode = d_inode(dentry);
	bool first;

	return d_count(dentry) > 1 &&
	       !vmshm_content_open(vmshm_fs_inode_vnode(inode),
				   i_size_read(inode), false, &first);
}

/*
 * @err is the result of the removal. After a removal, the dentry has no name.
 * The object is kept until the last user of the dentry is gone.
 */
static void vmshm_fs_keep_result(struct dentry *dentry, int err)
{
	if (err)
		vmshm_content_close(vmshm_fs_inode_vnode(d_inode(dentry)));
	else
		dentry->d_fsdata = dentry;
}

/* A name of the inode was removed in this guest. */
static void vmshm_fs_inode_unnamed(struct inode *inode)
{
	struct vmshm_vnode *vnode = vmshm_fs_inode_vnode(inode);
	bool last;

	spin_lock(&inode->i_lock);
	if (inode->i_nlink)
		drop_nlink(inode);
	last = !inode->i_nlink;
	spin_unlock(&inode->i_lock);
	if (last)
		vmshm_owners_set_idle(vnode->vdev->owners, vnode->ident);
}

/* Gives the dentry the inode of an object that the device has just reported. */
static int vmshm_fs_instantiate(struct inode *dir, struct dentry *dentry,
				const char *name, const struct vmshm_stat *st)
{
	struct inode *inode = vmshm_fs_inode_get(dir->i_sb, name, st);

	if (IS_ERR(inode))
		return PTR_ERR(inode);
	d_instantiate(dentry, inode);
	return 0;
}

/* Has the device create an object that belongs to the user of this task. */
static int vmshm_fs_create_owned(struct vmshm_dev *vdev, const char *name,
				 umode_t mode, bool opened,
				 struct vmshm_reply *reply)
{
	struct vmshm_owner *owner = vmshm_owner_new();
	int err;

	if (!owner)
		return -ENOMEM;
	vmshm_owners_begin_create(vdev->owners);
	err = vmshm_request_create(vdev, name, mode & 0777, opened, reply);
	/* The handle of the new object needs an attachment. */
	if (err == -ENFILE && opened && vmshm_content_spare(vdev))
		err = vmshm_request_create(vdev, name, mode & 0777, opened,
					   reply);
	if (!err)
		vmshm_owners_add(vdev->owners, owner, reply->st.ident);
	vmshm_owners_end_create(vdev->owners);
	if (err)
		vmshm_owner_free(owner);
	return err;
}

/*
 * Creates an object; -EEXIST if the name is taken. If @opened is true, the
 * caller opens the object next, and the vnode keeps a handle for this open.
 */
static int vmshm_fs_create_excl(struct inode *dir, struct dentry *dentry,
				umode_t mode, bool opened)
{
	struct vmshm_dev *vdev = vmshm_fs_sb(dir->i_sb)->vdev;
	char name[NAME_MAX + 2];
	struct vmshm_reply reply = {};
	int err;

	if (dentry->d_name.len > NAME_MAX)
		return -ENAMETOOLONG;
	err = vmshm_fs_dentry_name(dentry, name);
	if (err)
		return err;
	err = vmshm_fs_create_owned(vdev, name, mode, opened, &reply);
	err = err ?: vmshm_fs_instantiate(dir, dentry, name, &reply.st);
	if (reply.handle && !err)
		vmshm_vnode_give_handle(vmshm_fs_inode_vnode(d_inode(dentry)),
					&reply);
	else if (reply.handle)
		vmshm_request_detach(vdev, reply.handle);
	return err;
}

/* For mknod(2) */
static int vmshm_fs_create_closed(struct inode *dir, struct dentry *dentry,
				  umode_t mode)
{
	return vmshm_fs_create_excl(dir, dentry, mode, false);
}

VMSHM_CREATE(vmshm_fs_create_closed)

/* The inode of a name that is opened next; ERR_PTR(-ENOENT): none */
static struct inode *vmshm_fs_inode_to_open(struct super_block *sb,
					    struct dentry *dentry)
{
	char name[NAME_MAX + 2];
	struct inode *inode;
	int err;

	err = vmshm_fs_dentry_name(dentry, name);
	if (err)
		return ERR_PTR(err);
	inode = vmshm_fs_inode_attached(sb, name);
	return inode ?: vmshm_fs_inode_asked(dentry, name, LOOKUP_OPEN);
}

/*
 * Creates the object, or finds an existing object. Creation is tried first,
 * because O_CREAT is most often for a new object. The VFS checks the permission
 * for an object that was found, but not for an object that was created. So
 * FMODE_CREATED has to be exact.
 */
static int vmshm_fs_create_or_find(struct inode *dir, struct dentry *dentry,
				   struct file *file, unsigned int flags,
				   umode_t mode)
{
	struct inode *inode;
	int err;

	for (;;) {
		err = vmshm_fs_create_excl(dir, dentry, mode, true);
		if (!err)
			file->f_mode |= FMODE_CREATED;
		if (!err || flags & O_EXCL)
			return err;
		/* An error of creation does not concern an existing object. */
		inode = vmshm_fs_inode_to_open(dir->i_sb, dentry);
		if (!IS_ERR(inode)) {
			d_instantiate(dentry, inode);
			return 0;
		}
		if (inode != ERR_PTR(-ENOENT) || err != -EEXIST)
			return err == -EEXIST ? PTR_ERR(inode) : err;
		/* The object was removed between the two commands. */
		if (signal_pending(current))
			return -EINTR;
	}
}

/* Looks up the object, unless the open may create it. */
static int vmshm_fs_find(struct inode *dir, struct dentry *dentry,
			 unsigned int flags)
{
	struct vmshm_dev *vdev = vmshm_fs_sb(dir->i_sb)->vdev;
	struct inode *inode = NULL;
	struct dentry *found;

	if (dentry->d_name.len > NAME_MAX)
		return -ENAMETOOLONG;
	if (!(flags & O_CREAT) || !(vdev->features & VMSHM_F_CREATE))
		inode = vmshm_fs_inode_to_open(dir->i_sb, dentry);
	if (inode == ERR_PTR(-ENOENT))
		inode = NULL;
	found = d_splice_alias(inode, dentry);
	if (IS_ERR(found))
		return PTR_ERR(found);
	/* Files have no other alias that d_splice_alias() could find */
	if (WARN_ON_ONCE(found)) {
		dput(found);
		return -EIO;
	}
	return 0;
}

/* Called for an open of a name that is not cached, or with O_CREAT. */
static int vmshm_fs_atomic_open(struct inode *dir, struct dentry *dentry,
				struct file *file, unsigned int flags,
				umode_t mode)
{
	struct vmshm_vnode *vnode;
	int err = 0;

	if (d_in_lookup(dentry))
		err = vmshm_fs_find(dir, dentry, flags);
	if (!err && d_really_is_negative(dentry) && flags & O_CREAT)
		err = vmshm_fs_create_or_find(dir, dentry, file, flags, mode);
	if (err)
		return err;
	if (d_really_is_negative(dentry))
		return finish_no_open(file, NULL);
	/* The VFS checks the permission later, unless FMODE_CREATED is set. */
	vnode = vmshm_fs_inode_vnode(d_inode(dentry));
	vmshm_vnode_set_fresh(vnode);
	err = finish_open(file, dentry, NULL);
	/* finish_open() may have failed before it called ->open(). */
	if (err)
		vmshm_content_detach_unused(vnode);
	return err;
}

/*
 * Checks that the name still belongs to the object whose owner was checked.
 * This matters for users without CAP_FOWNER, which may not remove the names of
 * other users. The lock of this directory does not exclude other mounts, but
 * names_lock does. No lock excludes the host.
 */
static int vmshm_fs_check_object(struct dentry *dentry, const char *name)
{
	struct vmshm_vnode *vnode = vmshm_fs_inode_vnode(d_inode(dentry));
	struct vmshm_stat st;
	int err;

	lockdep_assert_held(&vnode->vdev->names_lock);
	if (ns_capable_noaudit(dentry->d_sb->s_user_ns, CAP_FOWNER))
		return 0;
	err = vmshm_request_stat(vnode->vdev, name, 0, &st);
	return err ?: st.ident == vnode->ident ? 0 : -ESTALE;
}

static int vmshm_fs_unlink(struct inode *dir, struct dentry *dentry)
{
	struct vmshm_dev *vdev = vmshm_fs_sb(dir->i_sb)->vdev;
	char name[NAME_MAX + 2];
	bool keep;
	int err;

	err = vmshm_fs_dentry_name(dentry, name);
	if (err)
		return err;
	mutex_lock(&vdev->names_lock);
	keep = vmshm_fs_keep(dentry);
	err = vmshm_fs_check_object(dentry, name) ?:
		      vmshm_request_unlink(vdev, name);
	mutex_unlock(&vdev->names_lock);
	if (keep)
		vmshm_fs_keep_result(dentry, err);
	if (!err)
		vmshm_fs_inode_unnamed(d_inode(dentry));
	return err;
}

static int vmshm_fs_second_name(struct dentry *from, struct dentry *to,
				u32 command, u32 flags)
{
	struct vmshm_vnode *vnode = vmshm_fs_inode_vnode(d_inode(from));
	char from_name[NAME_MAX + 2], to_name[NAME_MAX + 2];
	int err;

	if (to->d_name.len > NAME_MAX)
		return -ENAMETOOLONG;
	err = vmshm_fs_dentry_name(from, from_name) ?:
		      vmshm_fs_dentry_name(to, to_name);
	if (err)
		return err;
	mutex_lock(&vnode->vdev->names_lock);
	err = vmshm_fs_check_object(from, from_name);
	if (!err && d_inode(to))
		err = vmshm_fs_check_object(to, to_name);
	if (!err)
		err = vmshm_vnode_second_name(vnode, command, from_name,
					      to_name, flags);
	mutex_unlock(&vnode->vdev->names_lock);
	return err;
}

static int vmshm_fs_rename(struct mnt_idmap *idmap, struct inode *dir,
			   struct dentry *from, struct inode *to_dir,
			   struct dentry *to, unsigned int flags)
{
	/*
	 * If the new name did not exist, the owner of an object under it was
	 * not checked. Such an object is not replaced.
	 */
	u32 rq = d_inode(to) ? 0 : VMSHM_RQ_NOREPLACE;
	bool keep;
	int err;

	if (flags & ~RENAME_NOREPLACE)
		return -EINVAL;
	keep = d_inode(to) && vmshm_fs_keep(to);
	err = vmshm_fs_second_name(from, to, VMSHM_CMD_RENAME, rq);
	if (keep)
		vmshm_fs_keep_result(to, err);
	/* The new name exists by now. The VFS looks it up again. */
	if (err == -EEXIST && !(flags & RENAME_NOREPLACE))
		err = -ESTALE;
	if (!err && d_inode(to))
		vmshm_fs_inode_unnamed(d_inode(to));
	return err;
}

static int vmshm_fs_link(struct dentry *from, struct inode *dir,
			 struct dentry *to)
{
	struct inode *inode = d_inode(from);
	int err;

	err = vmshm_fs_second_name(from, to, VMSHM_CMD_LINK, 0);
	if (err)
		return err;
	spin_lock(&inode->i_lock);
	inc_nlink(inode);
	spin_unlock(&inode->i_lock);
	ihold(inode);
	d_instantiate(to, inode);
	return 0;
}

static const struct inode_operations vmshm_fs_dir_inode_ops = {
	.lookup = vmshm_fs_lookup,
	.create = vmshm_fs_create,
	.atomic_open = vmshm_fs_atomic_open,
	.unlink = vmshm_fs_unlink,
	.rename = vmshm_fs_rename,
	.link = vmshm_fs_link,
};

/**
 * vmshm_fs_root_new() - make the inode of the directory
 * @sb: a mount
 *
 * Return: the inode, or NULL.
 */
struct inode *vmshm_fs_root_new(struct super_block *sb)
{
	struct vmshm_fs_sb *vsb = vmshm_fs_sb(sb);
	struct inode *inode = new_inode(sb);

	if (!inode)
		return NULL;
	inode->i_ino = VMSHM_FS_ROOT_INO;
	/* As /dev/shm; the device and the host check permissions. */
	inode->i_mode = S_IFDIR | S_ISVTX | 0777;
	inode->i_uid = vsb->has_uid ? vsb->uid : GLOBAL_ROOT_UID;
	inode->i_gid = vsb->has_gid ? vsb->gid : GLOBAL_ROOT_GID;
	vmshm_compat_inode_set_times_now(inode);
	inode->i_op = &vmshm_fs_dir_inode_ops;
	inode->i_fop = &vmshm_fs_dir_ops;
	set_nlink(inode, 2);
	return inode;
}
