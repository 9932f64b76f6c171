// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm file system: files, each a host object.
 */
#include <linux/err.h>
#include <linux/falloc.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include <vmshm/regs.h>

#include "arena.h"
#include "compat.h"
#include "content.h"
#include "file.h"
#include "hold.h"
#include "inode.h"
#include "ioctl.h"
#include "mmap.h"
#include "poll.h"
#include "command.h"
#include "vmshm.h"
#include "vnode.h"

/* Bytes that the host allocates at once before they are written */
#define VMSHM_FS_WRITE_PART SZ_1M
/* Bytes by which a file grows at once; the device allocates them quickly */
#define VMSHM_FS_GROW_PART SZ_256K

/* The permission that an open file needs */
static int vmshm_fs_file_mask(const struct file *file)
{
	int mask = 0;

	if (file->f_flags & __FMODE_EXEC)
		return MAY_EXEC;
	if (file->f_mode & FMODE_READ)
		mask |= MAY_READ;
	/* O_TRUNC truncates even a file that is opened read-only. */
	if (file->f_mode & FMODE_WRITE || file->f_flags & O_TRUNC)
		mask |= MAY_WRITE;
	return mask;
}

/*
 * Updates the attributes, and checks the permission again. If @attached is
 * true, the device has reported the attributes when it attached the object.
 */
static int vmshm_fs_file_recheck(struct file *file, bool attached)
{
	struct inode *inode = file_inode(file);
	struct vmshm_vnode *vnode = vmshm_fs_inode_vnode(inode);
	struct vmshm_stat st;
	int err;

	/* Registers do not report the attributes of an attached object. */
	if (!attached || !vmshm_vnode_seen(vnode, &st)) {
		err = vmshm_vnode_stat(vnode, &st);
		if (err)
			return err;
	}
	vmshm_fs_inode_update(inode, &st);
	return file_permission(file, vmshm_fs_file_mask(file));
}

/*
 * The VFS has checked the permission on the basis of the attributes of the
 * inode. They can be old: if the open is to attach the object, the lookup has
 * not asked the device, and an open of /proc/PID/fd/N looks up no name.
 */
static int vmshm_fs_file_open(struct inode *inode, struct file *file)
{
	struct vmshm_vnode *vnode = vmshm_fs_inode_vnode(inode);
	struct vmshm_word_file *wfile = vmshm_ioctl_open(vnode->vdev);
	bool fresh = vmshm_vnode_take_fresh(vnode), first;
	int err;

	if (!wfile)
		return -ENOMEM;
	err = vmshm_content_open(vnode, i_size_read(inode),
				 file->f_mode & FMODE_WRITE, &first);
	/* The creator needs no permission. */
	if (!err && !fresh && !(file->f_mode & FMODE_CREATED)) {
		err = vmshm_fs_file_recheck(file, first);
		if (err)
			vmshm_content_close(vnode);
	}
	if (err) {
		vmshm_ioctl_release(wfile);
		/* The name belongs to another object or none: look up again. */
		return err == -ESTALE || err == -ENOENT ? -EOPENSTALE : err;
	}
	vmshm_arena_prepare(vnode->vdev->arena, vnode->readonly);
	file->private_data = wfile;
	/* Access to memory does not block. */
	file->f_mode |= VMSHM_COMPAT_FMODE_NOWAIT;
	return 0;
}

static int vmshm_fs_file_flush(struct file *file, fl_owner_t id)
{
	vmshm_hold_flush(file->private_data, id);
	return 0;
}

static int vmshm_fs_file_release(struct inode *inode, struct file *file)
{
	vmshm_ioctl_release(file->private_data);
	vmshm_content_close(vmshm_fs_inode_vnode(inode));
	return 0;
}

/*
 * Copies without page faults: a page fault could wait for the end of a reset of
 * the device, while the reset waits for @page.
 */
static size_t vmshm_fs_copy_bytes(struct page *page, size_t offset,
				  size_t bytes, struct iov_iter *iter,
				  bool write)
{
	void *addr = kmap_local_page(page);
	size_t copied;

	pagefault_disable();
	/* copy_page_to_iter() would put the page itself in a pipe. */
	if (write)
		copied = copy_from_iter(addr + offset, bytes, iter);
	else
		copied = copy_to_iter(addr + offset, bytes, iter);
	pagefault_enable();
	kunmap_local(addr);
	return copied;
}

/* Makes the memory of the user accessible for a copy of up to @size bytes. */
static int vmshm_fs_fault_in(struct iov_iter *iter, size_t size, bool write)
{
	size_t left;

	/* Other memory does not fault; a pipe may be full. */
	if (!user_backed_iter(iter))
		return -EFAULT;
	size = min_t(size_t, size, VMSHM_FS_WRITE_PART);
	left = write ? fault_in_iov_iter_readable(iter, size) :
		       fault_in_iov_iter_writeable(iter, size);
	if (left == size)
		return -EFAULT;
	return fatal_signal_pending(current) ? -EINTR : 0;
}

/* Copies up to the end of one page. Returns bytes, or -errno if none. */
static ssize_t vmshm_fs_copy_page(struct vmshm_vnode *vnode, loff_t pos,
				  size_t size, struct iov_iter *iter,
				  bool write)
{
	size_t offset = offset_in_page(pos);
	size_t bytes = min_t(size_t, PAGE_SIZE - offset, size);
	struct vmshm_content_at at = { .offset = pos & PAGE_MASK };
	unsigned int resets;
	size_t copied;
	int err;

	do {
		err = vmshm_content_get_pages(vnode, &at, 1, &resets);
		if (err)
			return err;
		copied = vmshm_fs_copy_bytes(at.page, offset, bytes, iter,
					     write);
		put_page(at.page);
		/* A reset of the device may have replaced the memory. */
		if (resets != READ_ONCE(vnode->vdev->resets)) {
			iov_iter_revert(iter, copied);
			continue;
		}
		if (copied)
			return copied;
		err = vmshm_fs_fault_in(iter, size, write);
	} while (!err);
	return err;
}

static ssize_t vmshm_fs_copy(struct kiocb *iocb, size_t size,
			     struct iov_iter *iter, bool write)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	ssize_t done = 0;

	while (done < size) {
		ssize_t copied;

		copied = vmshm_fs_copy_page(vmshm_fs_inode_vnode(inode),
					    iocb->ki_pos, size - done, iter,
					    write);
		if (copied < 0)
			return done ?: copied;
		done += copied;
		iocb->ki_pos += copied;
		/* A part of a write is short, and the file has grown for it. */
		if (!write && fatal_signal_pending(current))
			return done;
		cond_resched();
	}
	return done;
}

/*
 * If the kernel did not tell the driver of a reset, what was copied may have
 * been lost. The object is gone then, or will be.
 */
static ssize_t vmshm_fs_copied(struct vmshm_vnode *vnode, ssize_t bytes)
{
	return bytes > 0 && vmshm_vnode_is_lost(vnode) ? -ENODEV : bytes;
}

static ssize_t vmshm_fs_file_read_iter(struct kiocb *iocb,
				       struct iov_iter *iter)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	loff_t size;
	int err;

	err = vmshm_fs_inode_refresh(inode);
	if (err)
		return err;
	size = i_size_read(inode);
	if (iocb->ki_pos >= size)
		return 0;
	size = min_t(u64, iov_iter_count(iter), size - iocb->ki_pos);
	return vmshm_fs_copied(vmshm_fs_inode_vnode(inode),
			       vmshm_fs_copy(iocb, size, iter, false));
}

static int vmshm_fs_resize(struct inode *inode, loff_t size)
{
	struct vmshm_stat st;
	int err;

	err = vmshm_content_resize(vmshm_fs_inode_vnode(inode), size, &st);
	if (!err)
		vmshm_fs_inode_update(inode, &st);
	return err;
}

static int vmshm_fs_allocate_part(struct inode *inode, loff_t offset,
				  loff_t length)
{
	struct vmshm_stat st;
	int err;

	err = vmshm_content_allocate(vmshm_fs_inode_vnode(inode), offset,
				     length, &st);
	if (!err)
		vmshm_fs_inode_update(inode, &st);
	return err;
}

static bool vmshm_fs_has_holes(struct inode *inode)
{
	return inode->i_blocks * 512 < PAGE_ALIGN(i_size_read(inode));
}

/*
 * Has the host allocate the memory before it is written. If the host is full,
 * the allocation fails, while a store to memory that the host does not have
 * would terminate the virtual machine. The allocation never shrinks the object,
 * so that two programs can append. A device without create=on refuses it, so
 * the driver does not ask that device. The bytes are below the end of the file,
 * or the file grows.
 *
 * Returns the number of bytes that can be written, or -errno.
 */
static ssize_t vmshm_fs_prepare_write(struct inode *inode, loff_t pos,
				      size_t size)
{
	struct vmshm_dev *vdev = vmshm_fs_inode_vnode(inode)->vdev;
	size_t first = min_t(size_t, size, PAGE_SIZE - offset_in_page(pos));
	int err;

	if (pos < i_size_read(inode) && (!(vdev->features & VMSHM_F_CREATE) ||
					 !vmshm_fs_has_holes(inode)))
		return size;
	err = vmshm_fs_allocate_part(inode, pos, size);
	if (!err)
		return size;
	/* There may be room for a single page. */
	if (err == -ENOSPC && first < size)
		err = vmshm_fs_allocate_part(inode, pos, first);
	return err ?: (ssize_t)first;
}

/*
 * Writes up to VMSHM_FS_GROW_PART bytes behind the end of the file. The file
 * has to grow before it is written, and it must not shrink again: another
 * program may have written to the new part. The bytes are therefore read from
 * the user first, so that the file grows by what was read.
 *
 * Returns bytes, or -errno if none.
 */
static ssize_t vmshm_fs_write_behind(struct kiocb *iocb, struct iov_iter *iter)
{
	size_t size = min_t(size_t, iov_iter_count(iter), VMSHM_FS_GROW_PART);
	struct iov_iter from;
	struct kvec copy;
	ssize_t ret;

	copy.iov_base = kvmalloc(size, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!copy.iov_base)
		return -ENOMEM;
	copy.iov_len = copy_from_iter(copy.iov_base, size, iter);
	ret = -EFAULT;
	if (copy.iov_len)
		ret = vmshm_fs_prepare_write(file_inode(iocb->ki_filp),
					     iocb->ki_pos, copy.iov_len);
	if (ret > 0) {
		iov_iter_kvec(&from, WRITE, &copy, 1, ret);
		ret = vmshm_fs_copy(iocb, ret, &from, true);
	}
	iov_iter_revert(iter, copy.iov_len - max_t(ssize_t, ret, 0));
	kvfree(copy.iov_base);
	return ret;
}

/* Writes up to VMSHM_FS_WRITE_PART bytes. Returns bytes, or -errno if none. */
static ssize_t vmshm_fs_write_part(struct kiocb *iocb, struct iov_iter *iter)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	size_t size = min_t(size_t, iov_iter_count(iter), VMSHM_FS_WRITE_PART);
	loff_t end = i_size_read(inode);
	ssize_t ret;

	if (iocb->ki_pos >= end)
		return vmshm_fs_write_behind(iocb, iter);
	size = min_t(loff_t, size, end - iocb->ki_pos);
	/* No memory is allocated for bytes that cannot be read. */
	size -= fault_in_iov_iter_readable(iter, size);
	if (!size)
		return -EFAULT;
	ret = vmshm_fs_prepare_write(inode, iocb->ki_pos, size);
	return ret < 0 ? ret : vmshm_fs_copy(iocb, ret, iter, true);
}

static ssize_t vmshm_fs_write_parts(struct kiocb *iocb, struct iov_iter *iter)
{
	ssize_t part, done = 0;

	do {
		part = vmshm_fs_write_part(iocb, iter);
		if (part > 0)
			done += part;
		if (fatal_signal_pending(current))
			break;
	} while (part > 0 && iov_iter_count(iter));
	return done ?: part;
}

static ssize_t vmshm_fs_file_write_iter(struct kiocb *iocb,
					struct iov_iter *iter)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	/* All mounts share this inode, so its lock makes O_APPEND atomic. */
	struct inode *host = inode->i_mapping->host;
	ssize_t ret;

	inode_lock(inode);
	inode_lock(host);
	ret = vmshm_fs_inode_refresh(inode);
	if (!ret)
		ret = generic_write_checks(iocb, iter);
	if (ret > 0)
		ret = vmshm_fs_write_parts(iocb, iter);
	inode_unlock(host);
	inode_unlock(inode);
	return vmshm_fs_copied(vmshm_fs_inode_vnode(inode), ret);
}

static loff_t vmshm_fs_file_llseek(struct file *file, loff_t offset, int whence)
{
	int err = 0;

	/* SEEK_SET and SEEK_CUR do not depend on the size. */
	if (whence != SEEK_SET && whence != SEEK_CUR)
		err = vmshm_fs_inode_refresh(file_inode(file));
	return err ?: generic_file_llseek(file, offset, whence);
}

static int vmshm_fs_file_mmap(struct file *file, struct vm_area_struct *vma)
{
	vmshm_mmap_vnode(vmshm_fs_inode_vnode(file_inode(file)), vma);
	return 0;
}

static long vmshm_fs_file_fallocate(struct file *file, int mode, loff_t offset,
				    loff_t length)
{
	struct inode *inode = file_inode(file);
	loff_t end = offset + length;
	int err;

	if (mode)
		return -EOPNOTSUPP;
	inode_lock(inode);
	err = vmshm_fs_inode_refresh(inode);
	if (!err && end > i_size_read(inode))
		err = inode_newsize_ok(inode, end);
	while (!err && offset < end) {
		loff_t part = min_t(loff_t, end - offset, VMSHM_ALLOCATE_MAX);

		err = vmshm_fs_allocate_part(inode, offset, part);
		offset += part;
		if (!err && fatal_signal_pending(current))
			err = -EINTR;
	}
	inode_unlock(inode);
	return err;
}

static long vmshm_fs_file_ioctl(struct file *file, unsigned int cmd,
				unsigned long arg)
{
	return vmshm_ioctl_dispatch(file->private_data,
				    vmshm_fs_inode_vnode(file_inode(file)),
				    file, cmd, arg);
}

static __poll_t vmshm_fs_file_poll(struct file *file,
				   struct poll_table_struct *wait)
{
	return vmshm_poll_mask(file->private_data, file, wait);
}

static int vmshm_fs_getattr(struct mnt_idmap *idmap, const struct path *path,
			    struct kstat *stat, u32 mask, unsigned int flags)
{
	struct inode *inode = d_inode(path->dentry);
	int err = 0;

	if ((flags & AT_STATX_FORCE_SYNC) ||
	    !vmshm_vnode_take_fresh(vmshm_fs_inode_vnode(inode)))
		err = vmshm_fs_inode_refresh(inode);
	/* After other errors the cached attributes are used. */
	if (err == -EIO)
		return err;
	vmshm_compat_fillattr(idmap, mask, inode, stat);
	stat->blksize = PAGE_SIZE;
	return 0;
}

/* Whether the request leaves owner and group unchanged */
static bool vmshm_fs_same_owner(struct inode *inode, const struct iattr *attr)
{
	unsigned int valid = attr->ia_valid;

	return !((valid & ATTR_UID && !uid_eq(attr->ia_uid, inode->i_uid)) ||
		 (valid & ATTR_GID && !gid_eq(attr->ia_gid, inode->i_gid)));
}

/* A time that utimensat(2) sets; without a value, the host's current time */
static struct timespec64 vmshm_fs_time(const struct iattr *attr,
				       unsigned int has_value,
				       struct timespec64 value)
{
	const struct timespec64 now = { .tv_nsec = VMSHM_TIME_NOW };

	return attr->ia_valid & has_value ? value : now;
}

/* Attributes that the host has to change. A new size also sets the times. */
static struct vmshm_attr vmshm_fs_host_attr(struct inode *inode,
					    const struct iattr *attr)
{
	unsigned int valid = attr->ia_valid;
	struct vmshm_attr host = {
		.atime = vmshm_fs_time(attr, ATTR_ATIME_SET, attr->ia_atime),
		.mtime = vmshm_fs_time(attr, ATTR_MTIME_SET, attr->ia_mtime),
	};

	if (valid & ATTR_MODE && (attr->ia_mode ^ inode->i_mode) & S_IALLUGO) {
		host.flags |= VMSHM_RQ_MODE;
		host.mode = attr->ia_mode & S_IALLUGO;
	}
	if (valid & ATTR_ATIME && !(valid & ATTR_SIZE))
		host.flags |= VMSHM_RQ_ATIME;
	if (valid & ATTR_MTIME && !(valid & ATTR_SIZE))
		host.flags |= VMSHM_RQ_MTIME;
	return host;
}

/*
 * Permission bits and times are those of the host. Without create=on, the bits
 * cannot be changed. The times are then not changed, either, but the call
 * succeeds, because touch(1) and cp(1) expect success.
 */
static int vmshm_fs_set_host_attr(struct inode *inode, struct vmshm_attr *attr)
{
	struct vmshm_vnode *vnode = vmshm_fs_inode_vnode(inode);
	struct vmshm_stat st;
	int err;

	if (!attr->flags)
		return 0;
	if (!(vnode->vdev->features & VMSHM_F_CREATE) ||
	    !vnode->vdev->mailboxes)
		return attr->flags & VMSHM_RQ_MODE ? -EPERM : 0;
	/* The permission bits come from the mount option. */
	if (attr->flags & VMSHM_RQ_MODE &&
	    (vmshm_fs_sb(inode->i_sb)->has_mode || attr->mode & ~0777))
		return -EPERM;
	err = vmshm_content_setattr(vnode, attr, &st);
	if (!err)
		vmshm_fs_inode_update(inode, &st);
	return err;
}

/*
 * The VFS has checked the permission for truncate(2), and to set the current
 * time, on the basis of cached attributes. A listing can have read them seconds
 * ago.
 */
static int vmshm_fs_may_setattr(struct mnt_idmap *idmap, struct inode *inode,
				const struct iattr *attr)
{
	unsigned int valid = attr->ia_valid;

	if ((valid & ATTR_SIZE && !(valid & ATTR_FILE)) ||
	    (valid & ATTR_TOUCH && !inode_owner_or_capable(idmap, inode)))
		return inode_permission(idmap, inode, MAY_WRITE);
	return 0;
}

/* Owner and group are those of the host, or of the mount. */
static int vmshm_fs_setattr(struct mnt_idmap *idmap, struct dentry *dentry,
			    struct iattr *attr)
{
	struct inode *inode = d_inode(dentry);
	struct vmshm_attr host;
	int err;

	/* Permission is not granted on the basis of old attributes. */
	err = vmshm_fs_inode_refresh(inode);
	if (err)
		return err;
	err = vmshm_fs_may_setattr(idmap, inode, attr) ?:
		      setattr_prepare(idmap, dentry, attr);
	if (err)
		return err;
	if (!vmshm_fs_same_owner(inode, attr))
		return -EPERM;
	host = vmshm_fs_host_attr(inode, attr);
	err = vmshm_fs_set_host_attr(inode, &host);
	if (!err && attr->ia_valid & ATTR_SIZE)
		err = vmshm_fs_resize(inode, attr->ia_size);
	return err;
}

const struct inode_operations vmshm_fs_file_inode_ops = {
	.getattr = vmshm_fs_getattr,
	.setattr = vmshm_fs_setattr,
};

const struct file_operations vmshm_fs_file_ops = {
	VMSHM_COMPAT_FOPS,
	.open = vmshm_fs_file_open,
	.flush = vmshm_fs_file_flush,
	.release = vmshm_fs_file_release,
	.read_iter = vmshm_fs_file_read_iter,
	.write_iter = vmshm_fs_file_write_iter,
	.splice_read = vmshm_compat_splice_read,
	.splice_write = iter_file_splice_write,
	.llseek = vmshm_fs_file_llseek,
	.unlocked_ioctl = vmshm_fs_file_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.poll = vmshm_fs_file_poll,
	.mmap = vmshm_fs_file_mmap,
	/* Chooses addresses for which huge entries can be used */
	.get_unmapped_area = thp_get_unmapped_area,
	.fallocate = vmshm_fs_file_fallocate,
	.fsync = noop_fsync,
};
