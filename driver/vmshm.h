/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the parts of the VMShm driver share.
 */
#ifndef VMSHM_H
#define VMSHM_H

#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/hashtable.h>
#include <linux/limits.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/time64.h>
#include <linux/types.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include <vmshm/regs.h>

#include "compat.h"

struct file;
struct inode;
struct page;
struct pci_dev;
struct poll_table_struct;
struct vm_area_struct;
struct vmshm_arena;
struct vmshm_waits;
struct vmshm_words;

#define VMSHM_FS_MAGIC 0x68736d76

/*
 * A device. It lives on after its PCI function is gone, until the last file
 * that was opened through it is closed.
 *
 * Locks are taken in this order: object->lock, objects_lock, lock. Finding
 * memory may take objects_lock, as inodes are dropped for it.
 */
struct vmshm_dev {
	struct device dev;
	struct cdev cdev;
	/* All user mappings of the buffer hang on its i_mapping. */
	struct inode *inode;

	/* BAR0, BAR1 and BAR2; not to be used when gone */
	void __iomem *regs;
	unsigned long buffer_pfn;
	void __iomem *name;
	/* BAR4, or NULL: then only the buffer serves */
	struct vmshm_arena *arena;
	/* VMSHM_F_* */
	u32 features;
	/* Or NULL: then nobody can wait. Its memory lives as long as we do. */
	struct vmshm_waits *waits;

	/*
	 * Protects the registers and the next two. Never held across an access
	 * to user memory, because page faults take it.
	 */
	struct mutex lock;
	/* The PCI function is not ours any more. */
	bool gone;
	/* What the buffer shows, or NULL */
	struct vmshm_buffer *buffer;

	/* Held by who reads the device's list of names, before lock */
	struct mutex list_lock;

	/* Protects objects and lingering. */
	struct mutex objects_lock;
	/* struct vmshm_object, by identity */
	DECLARE_HASHTABLE(objects, 10);
	/* Protects words. */
	spinlock_t words_lock;
	/* What files poll and hold: struct vmshm_words */
	struct list_head words;
	/* Extents that nobody maps, but somebody holds a page of */
	struct list_head lingering;
	struct delayed_work linger_work;
};

/* The object at BAR1; users are open files. */
struct vmshm_buffer {
	unsigned int users;
	char name[VMSHM_NAME_SIZE];
};

/* What the device tells about an object. */
struct vmshm_stat {
	u64 ident;
	u64 size;
	u64 blocks;
	struct timespec64 mtime;
	u32 mode;
	u32 uid;
	u32 gid;
};

/* A part of an object, attached; offset, length and place are whole pages. */
struct vmshm_extent {
	struct list_head node;
	struct vmshm_object *object;
	u64 offset;
	u64 length;
	u64 place;
	u32 handle;
	bool readonly;
	/* There may be huge entries for it. */
	bool huge;
	/* The pages that were ever given out, by number in the extent */
	unsigned long touched_first;
	unsigned long touched_end;
};

/*
 * A host object that the arena shows or could show. There is one for each
 * identity, whoever uses it and by whatever way, so that all its users share
 * one address space, and a futex in it is the same for all of them.
 */
struct vmshm_object {
	struct vmshm_dev *vdev;
	struct hlist_node node;
	/* Under vdev->objects_lock */
	unsigned int refs;
	u64 ident;
	/* Its i_mapping is what pages and user mappings belong to. */
	struct inode *inode;

	/* Protects all below. */
	struct mutex lock;
	/* The device is gone, and with it the pages. */
	bool gone;
	/* Open files; the extents stay while there are any. */
	unsigned int users;
	/* Attached for reading only; valid while there are users */
	bool readonly;
	/* Bytes, as of the last look */
	u64 size;
	/* A handle that shows nothing, or 0 */
	u32 held;
	struct list_head extents;
	/* Zero pages behind the end, for mappings that reach beyond it */
	struct xarray tail;
	/* The device knows no longer ones. */
	char name[NAME_MAX + 2];
};

/* A file open on the character device. */
struct vmshm_file {
	struct vmshm_dev *vdev;
	struct vmshm_words *words;
	/* What it asked for: neither, or one; under lock */
	struct mutex lock;
	struct vmshm_buffer *buffer;
	struct vmshm_object *object;
};

/*
 * regs.c: the register contract. All return 0 or -errno, and are called with
 * vdev->lock held. What is not named by a handle is named by @name.
 */
int vmshm_regs_open(struct vmshm_dev *vdev, const char *name);
void vmshm_regs_close(struct vmshm_dev *vdev);
void vmshm_regs_release(struct vmshm_dev *vdev);
u32 vmshm_regs_read(struct vmshm_dev *vdev, unsigned int reg);
u64 vmshm_regs_read64(struct vmshm_dev *vdev, unsigned int reg);
int vmshm_regs_stat(struct vmshm_dev *vdev, const char *name, u32 handle,
		    struct vmshm_stat *st);
int vmshm_regs_attach(struct vmshm_dev *vdev, const char *name, u32 handle,
		      struct vmshm_extent *extent, u64 *ident, u64 *size);
int vmshm_regs_hold(struct vmshm_dev *vdev, const char *name, u32 handle,
		    bool readonly, u32 *held, u64 *ident, u64 *size);
int vmshm_regs_detach(struct vmshm_dev *vdev, u32 handle);
int vmshm_regs_list(struct vmshm_dev *vdev, u64 first, char *names);
int vmshm_regs_create(struct vmshm_dev *vdev, const char *name, u32 mode,
		      struct vmshm_stat *st);
int vmshm_regs_unlink(struct vmshm_dev *vdev, const char *name);
int vmshm_regs_second_name(struct vmshm_dev *vdev, u32 command,
			   const char *from, const char *to, u32 flags);
int vmshm_regs_resize(struct vmshm_dev *vdev, const char *name, u32 handle,
		      u64 size, struct vmshm_stat *st);
int vmshm_regs_allocate(struct vmshm_dev *vdev, const char *name, u32 handle,
			u64 offset, u64 length, struct vmshm_stat *st);

/* arena.c: places in BAR4 and their struct pages; thread safe */
struct vmshm_arena *vmshm_arena_new(struct device *dev, phys_addr_t base,
				    u64 rw_size, u64 ro_size);
void vmshm_arena_destroy(struct vmshm_arena *arena);
int vmshm_arena_alloc(struct vmshm_arena *arena, u64 size, bool readonly,
		      u64 *place);
void vmshm_arena_free(struct vmshm_arena *arena, u64 place, u64 size);
struct page *vmshm_arena_page(struct vmshm_arena *arena, u64 place);
bool vmshm_arena_allows_pmd(struct vmshm_arena *arena);
size_t vmshm_arena_size(struct vmshm_arena *arena);
size_t vmshm_arena_avail(struct vmshm_arena *arena);

/* extent.c: parts of objects in the arena; object->lock is held */
int vmshm_extent_attach(struct vmshm_object *object, u64 offset, u64 length);
void vmshm_extent_release(struct vmshm_extent *extent);
struct vmshm_extent *vmshm_extent_find(struct vmshm_object *object, u64 offset);
struct page *vmshm_extent_page(struct vmshm_extent *extent, u64 offset);
struct page *vmshm_extent_huge_page(struct vmshm_extent *extent, u64 offset);
void vmshm_extent_reclaim(struct vmshm_object *object);
void vmshm_extents_init(struct vmshm_dev *vdev);
void vmshm_extents_stop(struct vmshm_dev *vdev);

/* object.c: host objects of the arena */
struct vmshm_object *vmshm_object_get(struct vmshm_dev *vdev, const char *name,
				      const struct vmshm_stat *st);
void vmshm_object_hold(struct vmshm_object *object);
void vmshm_object_put(struct vmshm_object *object);
int vmshm_object_open(struct vmshm_object *object, u64 size, bool write);
void vmshm_object_close(struct vmshm_object *object);
int vmshm_object_stat(struct vmshm_object *object, struct vmshm_stat *st);
int vmshm_object_resize(struct vmshm_object *object, u64 size,
			struct vmshm_stat *st);
int vmshm_object_allocate(struct vmshm_object *object, u64 offset, u64 length,
			  struct vmshm_stat *st);
void vmshm_object_renamed(struct vmshm_object *object, const char *name);
int vmshm_object_stat_name(struct vmshm_object *object, const char *name,
			   struct vmshm_stat *st);
int vmshm_object_second_name(struct vmshm_object *object, u32 command,
			     const char *from, const char *to, u32 flags);
int vmshm_object_keep(struct vmshm_object *object);
u32 vmshm_object_handle(struct vmshm_object *object);
struct page *vmshm_object_page(struct vmshm_object *object, u64 offset);
struct page *vmshm_object_tail(struct vmshm_object *object, u64 offset);

/* mmap.c: objects of the arena in user mappings */
void vmshm_object_mmap(struct vmshm_object *object, struct vm_area_struct *vma);
void vmshm_object_mmap_buffer(struct vmshm_object *object,
			      struct vm_area_struct *vma);

/* slot.c: waiting and waking across the border */
void vmshm_waits_init(struct vmshm_dev *vdev, struct pci_dev *pdev);
void vmshm_waits_stop(struct vmshm_dev *vdev);
void vmshm_waits_exit(struct vmshm_dev *vdev);

/* word.c, poll.c, hold.c: what open files do with words of their objects */
struct vmshm_words *vmshm_words_new(struct vmshm_dev *vdev);
void vmshm_words_free(struct vmshm_words *words);
void vmshm_words_gone(struct vmshm_dev *vdev);
void vmshm_words_flush(struct vmshm_words *words, fl_owner_t id);
long vmshm_words_ioctl(struct vmshm_words *words, struct vmshm_object *object,
		       struct file *file, unsigned int cmd, unsigned long arg);
__poll_t vmshm_words_poll(struct vmshm_words *words, struct file *file,
			  struct poll_table_struct *wait);

/* buffer.c: BAR1, for devices without an arena */
struct vmshm_buffer *vmshm_buffer_get(struct vmshm_dev *vdev, const char *name);
void vmshm_buffer_put(struct vmshm_dev *vdev, struct vmshm_buffer *buffer);
void vmshm_buffer_mmap(struct vmshm_dev *vdev, struct vm_area_struct *vma);

/* chardev.c: /dev/vmshmN */
void vmshm_chardev_init(struct cdev *cdev);

/* sysfs.c: /sys/class/vmshm/vmshmN */
extern const struct attribute_group *vmshm_dev_groups[];

/* super.c, dir.c, file.c: the file system "vmshm" */
int vmshm_super_init(void);
void vmshm_super_exit(void);

/* inode.c: an inode, hence an address space, of our own */
struct inode *vmshm_inode_new(void);
int vmshm_inode_init(void);
void vmshm_inode_exit(void);

/* dev.c: life of struct vmshm_dev */
struct vmshm_dev *vmshm_dev_new(struct device *parent);
struct vmshm_dev *vmshm_dev_find(const char *name);
int vmshm_dev_add(struct vmshm_dev *vdev);
void vmshm_dev_del(struct vmshm_dev *vdev);
void vmshm_dev_stop(struct vmshm_dev *vdev);
void vmshm_dev_shutdown(struct vmshm_dev *vdev);
int vmshm_dev_init(void);
void vmshm_dev_exit(void);

#endif /* VMSHM_H */
