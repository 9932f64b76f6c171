// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm file system: files, each a host object.
 */
#include <linux/err.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/uio.h>

#include "fs.h"

static int vmshm_file_open(struct inode *inode, struct file *file)
{
	struct vmshm_object *object = vmshm_inode_object(inode);
	struct vmshm_words *words = vmshm_words_new(object->vdev);
	int err;

	if (!words)
		return -ENOMEM;
	err = vmshm_object_open(object, i_size_read(inode),
				file->f_mode & FMODE_WRITE);
	if (err)
		vmshm_words_free(words);
	else
		file->private_data = words;
	return err;
}

static int vmshm_file_flush(struct file *file, fl_owner_t id)
{
	vmshm_words_flush(file->private_data, id);
	return 0;
}

static int vmshm_file_release(struct inode *inode, struct file *file)
{
	vmshm_words_free(file->private_data);
	vmshm_object_close(vmshm_inode_object(inode));
	return 0;
}

/* The page at @offset, to be put; no lock is held over a copy to a user. */
static struct page *vmshm_file_page(struct vmshm_object *object, u64 offset)
{
	struct page *page;

	mutex_lock(&object->lock);
	page = vmshm_object_page(object, offset);
	mutex_unlock(&object->lock);
	return page;
}

/* Copies up to the end of one page; bytes, or -errno if there were none. */
static ssize_t vmshm_copy_page(struct vmshm_object *object, loff_t pos,
			       size_t size, struct iov_iter *iter, bool write)
{
	size_t offset = offset_in_page(pos);
	size_t bytes = min_t(size_t, PAGE_SIZE - offset, size);
	struct page *page;
	size_t copied;
	void *addr;

	page = vmshm_file_page(object, pos & PAGE_MASK);
	if (IS_ERR(page))
		return PTR_ERR(page);
	/* Not copy_page_to_iter(): that would put the page itself in a pipe. */
	addr = kmap_local_page(page) + offset;
	if (write)
		copied = copy_from_iter(addr, bytes, iter);
	else
		copied = copy_to_iter(addr, bytes, iter);
	kunmap_local(addr);
	put_page(page);
	return copied ?: -EFAULT;
}

static ssize_t vmshm_copy(struct kiocb *iocb, size_t size,
			  struct iov_iter *iter, bool write)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	ssize_t done = 0;

	while (done < size) {
		ssize_t copied;

		copied = vmshm_copy_page(vmshm_inode_object(inode),
					 iocb->ki_pos, size - done, iter,
					 write);
		if (copied < 0)
			return done ?: copied;
		done += copied;
		iocb->ki_pos += copied;
		if (fatal_signal_pending(current))
			return done;
		cond_resched();
	}
	return done;
}

static ssize_t vmshm_read_iter(struct kiocb *iocb, struct iov_iter *iter)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	loff_t size;

	vmshm_inode_refresh(inode);
	size = i_size_read(inode);
	if (iocb->ki_pos >= size)
		return 0;
	return vmshm_copy(iocb, min_t(u64, iov_iter_count(iter),
				      size - iocb->ki_pos), iter, false);
}

static int vmshm_resize(struct inode *inode, loff_t size)
{
	struct vmshm_stat st;
	int err;

	err = vmshm_object_resize(vmshm_inode_object(inode), size, &st);
	if (!err)
		vmshm_inode_update(inode, &st);
	return err;
}

/* Lets the file grow to @end if it has to; what is below can be written. */
static ssize_t vmshm_make_room(struct inode *inode, loff_t pos, size_t count)
{
	loff_t size = i_size_read(inode);
	int err;

	if (pos + count <= size)
		return count;
	err = vmshm_resize(inode, pos + count);
	if (!err)
		return count;
	return pos < size ? size - pos : err;
}

static ssize_t vmshm_write_iter(struct kiocb *iocb, struct iov_iter *iter)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	ssize_t ret;

	inode_lock(inode);
	vmshm_inode_refresh(inode);
	ret = generic_write_checks(iocb, iter);
	if (ret > 0)
		ret = vmshm_make_room(inode, iocb->ki_pos, ret);
	if (ret > 0)
		ret = vmshm_copy(iocb, ret, iter, true);
	inode_unlock(inode);
	return ret;
}

static loff_t vmshm_llseek(struct file *file, loff_t offset, int whence)
{
	vmshm_inode_refresh(file_inode(file));
	return generic_file_llseek(file, offset, whence);
}

static int vmshm_file_mmap(struct file *file, struct vm_area_struct *vma)
{
	vmshm_object_mmap(vmshm_inode_object(file_inode(file)), vma);
	return 0;
}

static int vmshm_allocate_part(struct inode *inode, loff_t offset,
			       loff_t length)
{
	struct vmshm_stat st;
	int err;

	err = vmshm_object_allocate(vmshm_inode_object(inode), offset, length,
				    &st);
	if (!err)
		vmshm_inode_update(inode, &st);
	return err;
}

static long vmshm_fallocate(struct file *file, int mode, loff_t offset,
			    loff_t length)
{
	struct inode *inode = file_inode(file);
	loff_t end = offset + length;
	int err = 0;

	if (mode)
		return -EOPNOTSUPP;
	inode_lock(inode);
	while (!err && offset < end) {
		loff_t part = min_t(loff_t, end - offset, VMSHM_ALLOCATE_MAX);

		err = vmshm_allocate_part(inode, offset, part);
		offset += part;
		if (!err && fatal_signal_pending(current))
			err = -EINTR;
	}
	inode_unlock(inode);
	return err;
}

static long vmshm_file_ioctl(struct file *file, unsigned int cmd,
			     unsigned long arg)
{
	return vmshm_words_ioctl(file->private_data,
				 vmshm_inode_object(file_inode(file)), file,
				 cmd, arg);
}

static __poll_t vmshm_file_poll(struct file *file,
				struct poll_table_struct *wait)
{
	return vmshm_words_poll(file->private_data, file, wait);
}

static int vmshm_getattr(struct mnt_idmap *idmap, const struct path *path,
			 struct kstat *stat, u32 mask, unsigned int flags)
{
	struct inode *inode = d_inode(path->dentry);

	vmshm_inode_refresh(inode);
	vmshm_fillattr(idmap, mask, inode, stat);
	stat->blksize = PAGE_SIZE;
	return 0;
}

/* Only the size can be changed; whose an object is, is the host's to say. */
static int vmshm_setattr(struct mnt_idmap *idmap, struct dentry *dentry,
			 struct iattr *attr)
{
	int err;

	err = setattr_prepare(idmap, dentry, attr);
	if (err)
		return err;
	if (attr->ia_valid & ATTR_SIZE)
		return vmshm_resize(d_inode(dentry), attr->ia_size);
	return -EPERM;
}

const struct inode_operations vmshm_file_inode_ops = {
	.getattr = vmshm_getattr,
	.setattr = vmshm_setattr,
};

const struct file_operations vmshm_file_ops = {
	.owner = THIS_MODULE,
	.open = vmshm_file_open,
	.flush = vmshm_file_flush,
	.release = vmshm_file_release,
	.read_iter = vmshm_read_iter,
	.write_iter = vmshm_write_iter,
	.splice_read = vmshm_splice_read,
	.splice_write = iter_file_splice_write,
	.llseek = vmshm_llseek,
	.unlocked_ioctl = vmshm_file_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.poll = vmshm_file_poll,
	.mmap = vmshm_file_mmap,
	/* Addresses that huge entries can be used for */
	.get_unmapped_area = thp_get_unmapped_area,
	.fallocate = vmshm_fallocate,
	.fsync = noop_fsync,
};
