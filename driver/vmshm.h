/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm device: the structure that all parts of the driver share.
 */
#ifndef VMSHM_H
#define VMSHM_H

#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/hashtable.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

struct inode;
struct pci_saved_state;
struct task_struct;
struct vmshm_arena;
struct vmshm_buffer;
struct vmshm_mailboxes;
struct vmshm_owners;
struct vmshm_queue;
struct vmshm_recent;
struct vmshm_slots;

#define VMSHM_FS_MAGIC 0x68736d76

/**
 * enum vmshm_pause - how far a pause has come
 * @VMSHM_PAUSE_NONE: there is no pause
 * @VMSHM_PAUSE_VNODES: the locks of vnodes are taken only by the task that
 *	resets
 * @VMSHM_PAUSE_COMMANDS: commands, too, are executed only for that task
 */
enum vmshm_pause {
	VMSHM_PAUSE_NONE,
	VMSHM_PAUSE_VNODES,
	VMSHM_PAUSE_COMMANDS,
};

/**
 * struct vmshm_dev - a PCI function, and the objects opened through it
 * @dev: in /sys/class/vmshm; its references keep this structure
 * @cdev: /dev/vmshmN
 * @inode: all user mappings of the buffer belong to its i_mapping
 * @regs: BAR0; not accessed once @gone is set
 * @memory: the command memory in BAR0, at the offsets of BAR0; or NULL, as
 *	@mailboxes; on x86 the same as @regs
 * @buffer_pfn: first page frame of BAR1
 * @name: BAR2; not accessed once @gone is set
 * @arena: BAR4, or NULL: then only the buffer exists
 * @features: VMSHM_F_* of <vmshm/regs.h>
 * @mailboxes: or NULL: then commands go through registers
 * @slots: or NULL: then waiting is not supported
 * @queue: waiters of this guest; or NULL, as @slots
 * @owners: users of this guest that created objects
 * @pause: a reset of the PCI function is in progress
 * @pauser: the task that resets
 * @pause_ends: where tasks wait for the end of the pause
 * @hurry: the pause does not wait for a host that is slow
 * @pci_state: the configuration of the PCI function
 * @watch: looks for a reset of which the kernel has not told the driver
 * @watch_found: is called if there was one
 * @surprised: there was such a reset before that which is in progress
 * @resets: counts resets of the device; a handle is valid until the next one
 * @gone: the PCI function no longer belongs to the driver
 * @buffer: the object that BAR1 shows, or NULL
 * @changes: counts commands of the driver that change objects
 * @asked: counts commands and answers, so that answers have an order
 * @recent: attributes that a listing has read, or NULL
 * @recent_work: frees @recent when it has expired
 * @vnodes: struct vmshm_vnode by identity
 * @word_files: struct vmshm_word_file
 * @lingering: extents that are mapped nowhere and have a page in use
 * @linger_work: detaches lingering extents
 *
 * The structure lives until the last file that was opened through the device
 * is closed, even if the PCI function is removed earlier.
 *
 * Locks are taken in this order: @names_lock, vnode->lock, @vnodes_lock, @lock;
 * @list_lock before @lock. @lock is never held across an access to user memory,
 * because page faults take it. Memory reclaim may take @vnodes_lock, because it
 * evicts inodes.
 */
struct vmshm_dev {
	struct device dev;
	struct cdev cdev;
	struct inode *inode;

	void __iomem *regs;
	void __iomem *memory;
	unsigned long buffer_pfn;
	void __iomem *name;
	struct vmshm_arena *arena;
	u32 features;
	struct vmshm_mailboxes *mailboxes;
	struct vmshm_slots *slots;
	struct vmshm_queue *queue;
	struct vmshm_owners *owners;

	enum vmshm_pause pause;
	struct task_struct *pauser;
	wait_queue_head_t pause_ends;
	bool hurry;
	struct pci_saved_state *pci_state;
	struct delayed_work watch;
	void (*watch_found)(struct vmshm_dev *vdev);
	bool surprised;
	unsigned int resets;

	/** @lock: protects the registers, @gone and @buffer */
	struct mutex lock;
	bool gone;
	struct vmshm_buffer *buffer;

	/** @recent_lock: protects @recent */
	struct mutex recent_lock;
	struct vmshm_recent *recent;
	struct delayed_work recent_work;
	atomic_t changes;
	atomic64_t asked;

	/** @names_lock: held while names are removed, renamed or replaced */
	struct mutex names_lock;

	/** @list_lock: serialises the reading of the device's list of names */
	struct mutex list_lock;

	/** @vnodes_lock: protects @vnodes and @lingering */
	struct mutex vnodes_lock;
	DECLARE_HASHTABLE(vnodes, 10);
	/** @word_files_lock: protects @word_files */
	spinlock_t word_files_lock;
	struct list_head word_files;
	struct list_head lingering;
	struct delayed_work linger_work;
};

#endif /* VMSHM_H */
