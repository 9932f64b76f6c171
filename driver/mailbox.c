// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm mailboxes: commands through memory, on devices with command memory.
 *
 * A request is written into the memory of a mailbox, and one register access
 * executes it. If the device defers the completion, an interrupt follows.
 */
#include <linux/bitmap.h>
#include <linux/errno.h>
#include <linux/fs.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/pci.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/wait.h>

#include <vmshm/regs.h>

#include "request.h"
#include "mailbox.h"
#include "pause.h"
#include "regs.h"
#include "vmshm.h"

/* A lost interrupt delays a completion by no more than this. */
#define VMSHM_MAILBOX_LOOK HZ

/* Limit of entries in a list, so that no device can exhaust the memory */
#define VMSHM_MAILBOX_ENTRIES_MAX 0x100000

/**
 * struct vmshm_mailboxes - all mailboxes of a device
 * @count: number of mailboxes
 * @used: bitmap of the mailboxes that are in use
 * @room: where tasks wait for a free mailbox
 * @tag: tag of the last request of each mailbox
 * @done: where tasks wait for the completion of each mailbox
 * @irq: the interrupt, or 0: then tasks poll at each tick
 * @epoch: EPOCH since the last reset that the driver knows
 * @handles: number of handles since then
 */
struct vmshm_mailboxes {
	unsigned int count;
	DECLARE_BITMAP(used, VMSHM_MAILBOXES_MAX);
	wait_queue_head_t room;
	u32 tag[VMSHM_MAILBOXES_MAX];
	wait_queue_head_t done[VMSHM_MAILBOXES_MAX];
	unsigned int irq;
	u32 epoch;
	atomic_t handles;
};

static void __iomem *vmshm_mailbox_at(struct vmshm_dev *vdev, unsigned int n)
{
	return vdev->memory + VMSHM_MEM_MAILBOX + n * VMSHM_MAILBOX_SIZE;
}

/* Reserves a free mailbox; or returns -1. */
static int vmshm_mailbox_try(struct vmshm_mailboxes *boxes)
{
	unsigned int n;

	do {
		n = find_first_zero_bit(boxes->used, boxes->count);
		if (n >= boxes->count)
			return -1;
	} while (test_and_set_bit(n, boxes->used));
	return n;
}

static void vmshm_mailbox_put(struct vmshm_mailboxes *boxes, unsigned int n)
{
	clear_bit_unlock(n, boxes->used);
	if (wq_has_sleeper(&boxes->room))
		wake_up(&boxes->room);
}

/* Waits for a free mailbox; -ENODEV if the device is gone. */
static int vmshm_mailbox_get(struct vmshm_dev *vdev)
{
	struct vmshm_mailboxes *boxes = vdev->mailboxes;
	bool paused;
	int n;

	do {
		vmshm_pause_wait(vdev, VMSHM_PAUSE_COMMANDS);
		wait_event(boxes->room, (n = vmshm_mailbox_try(boxes)) >= 0);
		/* Others check used after they have set gone or the pause. */
		paused = vmshm_pause_concerns(vdev, VMSHM_PAUSE_COMMANDS);
		if (!paused && !READ_ONCE(vdev->gone))
			return n;
		vmshm_mailbox_put(boxes, n);
	} while (paused);
	return -ENODEV;
}

static void vmshm_mailbox_put_name(void __iomem *at, const char *name)
{
	memcpy_toio(at, name, strlen(name) + 1);
}

/* Without a name, or with a handle, the empty string is written. */
static int vmshm_mailbox_put_names(void __iomem *box,
				   const struct vmshm_request *rq)
{
	void __iomem *names = box + VMSHM_MB_NAMES;
	const char *name = rq->name && !rq->handle ? rq->name : "";

	if (strlen(name) >= VMSHM_NAME_SECOND ||
	    (rq->second && strlen(rq->second) >= VMSHM_NAME_SECOND))
		return -ENAMETOOLONG;
	vmshm_mailbox_put_name(names, name);
	if (rq->second)
		vmshm_mailbox_put_name(names + VMSHM_NAME_SECOND, rq->second);
	return 0;
}

static u32 vmshm_mailbox_next_tag(struct vmshm_mailboxes *boxes, unsigned int n)
{
	/* The tag is never 0, which the memory has after a reset. */
	do
		boxes->tag[n]++;
	while (!boxes->tag[n]);
	return boxes->tag[n];
}

static void vmshm_mailbox_put_times(void __iomem *box,
				    const struct vmshm_request *rq)
{
	writeq(rq->atime.tv_sec, box + VMSHM_MB_ATIME);
	writeq(rq->mtime.tv_sec, box + VMSHM_MB_MTIME);
	writeq((u32)rq->atime.tv_nsec | (u64)rq->mtime.tv_nsec << 32,
	       box + VMSHM_MB_ATIME_NS);
}

static void vmshm_mailbox_put_request(struct vmshm_dev *vdev, unsigned int n,
				      const struct vmshm_request *rq)
{
	void __iomem *box = vmshm_mailbox_at(vdev, n);
	u32 flags = rq->flags | (rq->handle && rq->command != VMSHM_CMD_DETACH ?
					 VMSHM_RQ_HANDLE :
					 0);
	u32 tag = vmshm_mailbox_next_tag(vdev->mailboxes, n);

	/* Few accesses: this memory is not cached on every machine. */
	writeq(tag | (u64)rq->command << 32, box + VMSHM_MB_TAG);
	writeq(flags | (u64)rq->handle << 32, box + VMSHM_MB_FLAGS);
	writeq(rq->offset, box + VMSHM_MB_OFFSET);
	writeq(rq->length, box + VMSHM_MB_LENGTH);
	writeq(rq->place, box + VMSHM_MB_PLACE);
	writel(rq->mode, box + VMSHM_MB_MODE);
	if (rq->command == VMSHM_CMD_SETATTR)
		vmshm_mailbox_put_times(box, rq);
}

static bool vmshm_mailbox_done(struct vmshm_dev *vdev, unsigned int n)
{
	return readl(vmshm_mailbox_at(vdev, n) + VMSHM_MB_RES_TAG) ==
	       vdev->mailboxes->tag[n];
}

/* A device that was reset forgets its requests. */
static int vmshm_mailbox_wait(struct vmshm_dev *vdev, unsigned int n, u32 epoch)
{
	struct vmshm_mailboxes *boxes = vdev->mailboxes;
	long look = boxes->irq ? VMSHM_MAILBOX_LOOK : 1;

	while (!vmshm_mailbox_done(vdev, n)) {
		if (READ_ONCE(vdev->gone))
			return -ENODEV;
		if (READ_ONCE(vdev->hurry) ||
		    readl(vdev->memory + VMSHM_MEM_EPOCH) != epoch)
			return -EIO;
		wait_event_idle_timeout(boxes->done[n],
					vmshm_mailbox_done(vdev, n) ||
						READ_ONCE(vdev->gone) ||
						READ_ONCE(vdev->hurry),
					look);
	}
	return 0;
}

/* Whether the device does not decode accesses to its memory */
static bool vmshm_mailbox_is_silent(u32 epoch)
{
	return !epoch || epoch == U32_MAX;
}

/* Executes the request in the mailbox. */
static int vmshm_mailbox_invoke(struct vmshm_dev *vdev, unsigned int n,
				u32 epoch)
{
	u32 status;
	int err;

	/* A saved state that was loaded has a new epoch, and no handles. */
	vmshm_mailboxes_lost(vdev);
	if (vmshm_mailbox_is_silent(epoch))
		return -EIO;
	writel(n, vdev->regs + VMSHM_REG_DOORBELL);
	err = vmshm_mailbox_wait(vdev, n, epoch);
	if (err)
		return err;
	status = readl(vmshm_mailbox_at(vdev, n) + VMSHM_MB_RES_STATUS);
	return vmshm_regs_errno(status);
}

/* The results in the mailbox are those of the request, if this succeeds. */
static int vmshm_mailbox_check(struct vmshm_dev *vdev, u32 epoch)
{
	/* Results before EPOCH */
	rmb();
	return readl(vdev->memory + VMSHM_MEM_EPOCH) == epoch ? 0 : -EIO;
}

/* Counts the handle that the device has given or taken back. */
static void vmshm_mailbox_count(struct vmshm_dev *vdev,
				const struct vmshm_request *rq)
{
	atomic_t *handles = &vdev->mailboxes->handles;

	if (rq->command == VMSHM_CMD_DETACH)
		atomic_dec_if_positive(handles);
	else if (rq->command == VMSHM_CMD_ATTACH ||
		 rq->command == VMSHM_CMD_HOLD ||
		 (rq->command == VMSHM_CMD_CREATE &&
		  rq->flags & VMSHM_RQ_HOLD))
		atomic_inc(handles);
}

static void vmshm_mailbox_attr(const u8 *attr, struct vmshm_stat *st)
{
	const __le64 *wide = (const __le64 *)attr;
	const __le32 *narrow = (const __le32 *)attr;
	u64 size = le64_to_cpu(wide[VMSHM_ATTR_BYTES / 8]);
	u32 atime_ns = le32_to_cpu(narrow[VMSHM_ATTR_ATIME_NS / 4]);
	u32 mtime_ns = le32_to_cpu(narrow[VMSHM_ATTR_MTIME_NS / 4]);

	st->ident = le64_to_cpu(wide[VMSHM_ATTR_IDENT / 8]);
	st->blocks = le64_to_cpu(wide[VMSHM_ATTR_BLOCKS / 8]);
	st->atime.tv_sec = le64_to_cpu(wide[VMSHM_ATTR_ATIME / 8]);
	st->mtime.tv_sec = le64_to_cpu(wide[VMSHM_ATTR_MTIME / 8]);
	st->mode = le32_to_cpu(narrow[VMSHM_ATTR_MODE / 4]);
	st->uid = le32_to_cpu(narrow[VMSHM_ATTR_UID / 4]);
	st->gid = le32_to_cpu(narrow[VMSHM_ATTR_GID / 4]);
	/* Not trusted: keep the invariants of the rest of the kernel. */
	st->size = min_t(u64, size, MAX_LFS_FILESIZE);
	st->atime.tv_nsec = min_t(u32, atime_ns, NSEC_PER_SEC - 1);
	st->mtime.tv_nsec = min_t(u32, mtime_ns, NSEC_PER_SEC - 1);
}

/**
 * vmshm_mailbox_execute() - do a command
 * @vdev: a device with mailboxes
 * @rq: the command
 * @reply: its results, or NULL
 *
 * Sleeps until the command has completed.
 *
 * Return: 0; -ENODEV; -ENAMETOOLONG; -EIO if the device was reset meanwhile; or
 * the error of the device.
 */
int vmshm_mailbox_execute(struct vmshm_dev *vdev,
			  const struct vmshm_request *rq,
			  struct vmshm_reply *reply)
{
	u8 attr[VMSHM_ATTR_SIZE] __aligned(8);
	int n = vmshm_mailbox_get(vdev);
	void __iomem *box;
	u32 epoch;
	int err;

	if (n < 0)
		return n;
	epoch = readl(vdev->memory + VMSHM_MEM_EPOCH);
	box = vmshm_mailbox_at(vdev, n);
	err = vmshm_mailbox_put_names(box, rq);
	if (!err) {
		vmshm_mailbox_put_request(vdev, n, rq);
		err = vmshm_mailbox_invoke(vdev, n, epoch);
	}
	if (!err && reply) {
		reply->resets = READ_ONCE(vdev->resets);
		reply->handle = readl(box + VMSHM_MB_RES_HANDLE);
		memcpy_fromio(attr, box + VMSHM_MB_RES_ATTR, sizeof(attr));
		vmshm_mailbox_attr(attr, &reply->st);
		reply->has_attr = true;
		if (rq->command == VMSHM_CMD_STATFS) {
			reply->total = readq(box + VMSHM_MB_RES_TOTAL);
			reply->free = readq(box + VMSHM_MB_RES_FREE);
		}
	}
	if (!err)
		err = vmshm_mailbox_check(vdev, epoch);
	if (!err)
		vmshm_mailbox_count(vdev, rq);
	vmshm_mailbox_put(vdev->mailboxes, n);
	return err;
}

/* Passes the entries in @data to @ops; 0 or a negative errno. */
static int vmshm_mailbox_entries(const u8 *data, size_t size, u32 count,
				 const struct vmshm_list_ops *ops, void *arg)
{
	int err = 0;

	while (count-- && !err) {
		struct vmshm_stat st;
		const char *name;
		u32 bytes;

		if (size <= VMSHM_LIST_NAME)
			return -EIO;
		bytes = le32_to_cpup((__le32 *)(data + VMSHM_LIST_BYTES));
		if (bytes <= VMSHM_LIST_NAME || bytes > size || bytes % 8)
			return -EIO;
		name = data + VMSHM_LIST_NAME;
		/* "/", at least one byte, and the NUL in the entry */
		if (strnlen(name, bytes - VMSHM_LIST_NAME) < 2 ||
		    !memchr(name, 0, bytes - VMSHM_LIST_NAME))
			return -EIO;
		vmshm_mailbox_attr(data, &st);
		err = ops->entry(arg, name, &st);
		data += bytes;
		size -= bytes;
	}
	return err;
}

/* Reads all parts of a list through the mailbox to which the list belongs. */
static int vmshm_mailbox_list_parts(struct vmshm_dev *vdev, unsigned int n,
				    u8 *data, const struct vmshm_list_ops *ops,
				    void *arg)
{
	const size_t size = VMSHM_MAILBOX_SIZE - VMSHM_MB_DATA;
	struct vmshm_request rq = { .command = VMSHM_CMD_LIST };
	void __iomem *box = vmshm_mailbox_at(vdev, n);
	unsigned int flags;
	u32 count, epoch;
	u64 next;
	int err;

	do {
		epoch = readl(vdev->memory + VMSHM_MEM_EPOCH);
		vmshm_mailbox_put_request(vdev, n, &rq);
		err = vmshm_mailbox_invoke(vdev, n, epoch);
		if (err)
			return err;
		memcpy_fromio(data, box + VMSHM_MB_DATA, size);
		count = readl(box + VMSHM_MB_RES_COUNT);
		next = readq(box + VMSHM_MB_RES_NEXT);
		err = vmshm_mailbox_check(vdev, epoch);
		if (err)
			return err;
		/* Eviction of an inode may take a mailbox as well. */
		flags = memalloc_nofs_save();
		err = vmshm_mailbox_entries(data, size, count, ops, arg);
		memalloc_nofs_restore(flags);
		if (!err && next &&
		    (next <= rq.offset || next > VMSHM_MAILBOX_ENTRIES_MAX))
			err = -EIO;
		if (!err && fatal_signal_pending(current))
			err = -EINTR;
		rq.offset = next;
		cond_resched();
	} while (!err && next);
	return err;
}

/**
 * vmshm_mailbox_list() - read all names with their attributes
 * @vdev: a device with mailboxes
 * @ops: takes the entries
 * @arg: of @ops
 *
 * Return: 0; -EINTR; -ENOMEM; or as vmshm_mailbox_execute().
 */
int vmshm_mailbox_list(struct vmshm_dev *vdev, const struct vmshm_list_ops *ops,
		       void *arg)
{
	int n, err;
	u8 *data;

	data = kmalloc(VMSHM_MAILBOX_SIZE - VMSHM_MB_DATA, GFP_KERNEL_ACCOUNT);
	if (!data)
		return -ENOMEM;
	n = vmshm_mailbox_get(vdev);
	err = n;
	if (n >= 0) {
		err = vmshm_mailbox_list_parts(vdev, n, data, ops, arg);
		vmshm_mailbox_put(vdev->mailboxes, n);
	}
	kfree(data);
	return err;
}

/* Each task checks itself whether its command has completed. */
static irqreturn_t vmshm_mailbox_irq(int irq, void *data)
{
	struct vmshm_mailboxes *boxes = data;
	unsigned int n;

	for_each_set_bit(n, boxes->used, boxes->count)
		wake_up(&boxes->done[n]);
	return IRQ_HANDLED;
}

/**
 * vmshm_mailboxes_new() - find the mailboxes of a new device
 * @vdev: the device, with its features
 * @pdev: its PCI function
 *
 * Without mailboxes, commands go through registers. The mailboxes are freed
 * with @vdev.
 */
void vmshm_mailboxes_new(struct vmshm_dev *vdev, struct pci_dev *pdev)
{
	struct vmshm_mailboxes *boxes;
	unsigned int n;

	if (!vdev->arena || !(vdev->features & VMSHM_F_MEMORY) ||
	    !vdev->memory)
		return;
	boxes = kzalloc(sizeof(*boxes), GFP_KERNEL);
	if (!boxes)
		return;
	boxes->count = min_t(u32, vmshm_regs_read(vdev, VMSHM_REG_MAILBOXES),
			     VMSHM_MAILBOXES_MAX);
	init_waitqueue_head(&boxes->room);
	for (n = 0; n < VMSHM_MAILBOXES_MAX; n++)
		init_waitqueue_head(&boxes->done[n]);
	if (!boxes->count) {
		kfree(boxes);
		return;
	}
	vdev->mailboxes = boxes;
	vmshm_mailboxes_begin_epoch(vdev);
	/* A reply that another driver has left is not the next reply. */
	for (n = 0; n < boxes->count; n++)
		boxes->tag[n] =
			readl(vmshm_mailbox_at(vdev, n) + VMSHM_MB_RES_TAG);
}

/**
 * vmshm_mailboxes_begin_epoch() - note that the driver knows of a reset
 * @vdev: the device
 */
void vmshm_mailboxes_begin_epoch(struct vmshm_dev *vdev)
{
	struct vmshm_mailboxes *boxes = vdev->mailboxes;

	if (!boxes)
		return;
	WRITE_ONCE(boxes->epoch, readl(vdev->memory + VMSHM_MEM_EPOCH));
	atomic_set(&boxes->handles, 0);
}

/**
 * vmshm_mailboxes_lost() - whether the device was reset, and the driver does
 *	not know it
 * @vdev: the device
 *
 * A saved state that was loaded looks like a reset, but the device had no
 * handle before. Nothing was lost, and the driver knows this reset from now on.
 *
 * Return: true if it was; false if it was not, or the device has no command
 * memory.
 */
bool vmshm_mailboxes_lost(struct vmshm_dev *vdev)
{
	struct vmshm_mailboxes *boxes = vdev->mailboxes;
	u32 epoch;

	if (!boxes)
		return false;
	epoch = readl(vdev->memory + VMSHM_MEM_EPOCH);
	if (epoch == READ_ONCE(boxes->epoch))
		return false;
	if (vmshm_mailbox_is_silent(epoch) || atomic_read(&boxes->handles))
		return true;
	WRITE_ONCE(boxes->epoch, epoch);
	return false;
}

/**
 * vmshm_mailboxes_request_irq() - have an interrupt for deferred completions
 * @vdev: the device
 * @pdev: its PCI function, with an MSI-X vector if there are slots
 */
void vmshm_mailboxes_request_irq(struct vmshm_dev *vdev, struct pci_dev *pdev)
{
	struct vmshm_mailboxes *boxes = vdev->mailboxes;
	int irq;

	if (!boxes || !vdev->slots)
		return;
	irq = pci_irq_vector(pdev, 0);
	if (irq > 0 &&
	    !request_irq(irq, vmshm_mailbox_irq, IRQF_SHARED, "vmshm", boxes))
		boxes->irq = irq;
}

/* Has each task look at its command again. */
static void vmshm_mailboxes_wake(struct vmshm_mailboxes *boxes)
{
	unsigned int n;

	for (n = 0; n < boxes->count; n++)
		wake_up(&boxes->done[n]);
}

/**
 * vmshm_mailboxes_stop() - end all commands: the device is gone
 * @vdev: the device; gone is set
 *
 * No task uses the memory afterwards.
 */
void vmshm_mailboxes_stop(struct vmshm_dev *vdev)
{
	struct vmshm_mailboxes *boxes = vdev->mailboxes;

	if (!boxes)
		return;
	/* Pairs with the barrier of test_and_set_bit() in _mailbox_try(). */
	smp_mb();
	vmshm_mailboxes_wake(boxes);
	wait_event(boxes->room, bitmap_empty(boxes->used, boxes->count));
}

/**
 * vmshm_mailboxes_hurry() - end commands with -EIO that are not complete
 * @vdev: a device that will be reset
 *
 * The reset then ends them on the host.
 */
void vmshm_mailboxes_hurry(struct vmshm_dev *vdev)
{
	WRITE_ONCE(vdev->hurry, true);
	if (vdev->mailboxes)
		vmshm_mailboxes_wake(vdev->mailboxes);
}

/**
 * vmshm_mailboxes_pause() - wait until no other task executes a command
 * @vdev: a device whose commands pause
 * @end: jiffies after which commands that are not complete fail
 */
void vmshm_mailboxes_pause(struct vmshm_dev *vdev, unsigned long end)
{
	struct vmshm_mailboxes *boxes = vdev->mailboxes;
	long left = max_t(long, end - jiffies, 1);

	if (!boxes)
		return;
	if (wait_event_timeout(boxes->room,
			       bitmap_empty(boxes->used, boxes->count), left))
		return;
	vmshm_mailboxes_hurry(vdev);
	wait_event(boxes->room, bitmap_empty(boxes->used, boxes->count));
}

/**
 * vmshm_mailboxes_free_irq() - give back the interrupt
 * @vdev: the device
 */
void vmshm_mailboxes_free_irq(struct vmshm_dev *vdev)
{
	struct vmshm_mailboxes *boxes = vdev->mailboxes;

	if (boxes && boxes->irq)
		free_irq(boxes->irq, boxes);
}
