// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm slots: their allocation, and the interrupts that report that slots have
 * fired.
 */
#include <linux/bitmap.h>
#include <linux/cpumask.h>
#include <linux/cred.h>
#include <linux/interrupt.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/mm.h>
#include <linux/pci.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>

#include <vmshm/regs.h>

#include "slot.h"

/*
 * Number of the first slot that may poll. vmshm_slots_wait() returns the number
 * of the first slot that only waits. Slots before VMSHM_SLOTS_POLL hold words.
 * They never fire, so the interrupt handler does not read their word of FIRED.
 */
#define VMSHM_SLOTS_POLL 32
/* As long as fewer slots poll or wait, a waiter does not share a slot. */
#define VMSHM_SLOTS_UNSHARED 48

/* A quarter of the slots that can fire is reserved for waiters. */
static unsigned int vmshm_slots_wait(struct vmshm_slots *slots)
{
	return slots->count - (slots->count - VMSHM_SLOTS_POLL) / 4;
}

static void __iomem *vmshm_slot_reg(struct vmshm_slots *slots, unsigned int n,
				    unsigned int reg)
{
	return slots->regs + VMSHM_REG_SLOT + n * VMSHM_SLOT_SIZE + reg;
}

/* The word of FIRED that has the bit of the slot; needs no register access */
static atomic_t *vmshm_slot_fired_memory(struct vmshm_slots *slots,
					 unsigned int n)
{
	return (__force atomic_t *)(slots->memory + VMSHM_MEM_FIRED +
				    n / 32 * sizeof(u32));
}

static void __iomem *vmshm_slot_fired_reg(struct vmshm_slots *slots,
					  unsigned int n)
{
	return slots->regs + VMSHM_REG_FIRED + n / 32 * sizeof(u32);
}

static u32 vmshm_slot_read_fired(struct vmshm_slots *slots, unsigned int n)
{
	if (slots->memory)
		return atomic_read(vmshm_slot_fired_memory(slots, n));
	return ioread32(vmshm_slot_fired_reg(slots, n));
}

/* Under slots->lock, so that no bit of an earlier wait is left over. */
static void vmshm_slot_clear_fired(struct vmshm_slots *slots, unsigned int n,
				   u32 bits)
{
	if (slots->memory)
		atomic_andnot(bits, vmshm_slot_fired_memory(slots, n));
	else
		iowrite32(bits, vmshm_slot_fired_reg(slots, n));
}

/**
 * vmshm_slot_waiter_init() - prepare a waiter
 * @waiter: the waiter
 */
void vmshm_slot_waiter_init(struct vmshm_slot_waiter *waiter)
{
	init_waitqueue_head(&waiter->wait);
	waiter->fired = false;
	waiter->seen = false;
}

static void vmshm_slot_waiter_tell(struct vmshm_slot_waiter *waiter)
{
	WRITE_ONCE(waiter->fired, true);
	wake_up_poll(&waiter->wait, EPOLLIN | EPOLLRDNORM);
}

/**
 * vmshm_slot_waiter_fire() - wake a waiter as if its slot had fired
 * @slots: the slots of the device
 * @waiter: the waiter
 */
void vmshm_slot_waiter_fire(struct vmshm_slots *slots,
			    struct vmshm_slot_waiter *waiter)
{
	spin_lock_irq(&slots->lock);
	vmshm_slot_waiter_tell(waiter);
	spin_unlock_irq(&slots->lock);
}

/*
 * At unbind, a slot can fire after its waiter has left. The bit of the slot
 * stays set, and vmshm_slots_stop() passes the wake-up on.
 */
static void vmshm_slot_irq_word(struct vmshm_slots *slots, unsigned int first)
{
	unsigned long fired = vmshm_slot_read_fired(slots, first);
	unsigned int bit;
	u32 told = 0;

	for_each_set_bit(bit, &fired, 32) {
		struct vmshm_slot_waiter *waiter;

		waiter = slots->slot[first + bit].waiter;
		if (waiter) {
			vmshm_slot_waiter_tell(waiter);
			told |= BIT(bit);
		}
	}
	if (told)
		vmshm_slot_clear_fired(slots, first, told);
}

static irqreturn_t vmshm_slot_irq(int irq, void *data)
{
	struct vmshm_slots *slots = data;
	unsigned int first;

	spin_lock(&slots->lock);
	for (first = VMSHM_SLOTS_POLL; first < slots->count; first += 32)
		/* A register access takes longer than this check. */
		if (find_next_bit(slots->used, first + 32, first) < first + 32)
			vmshm_slot_irq_word(slots, first);
	spin_unlock(&slots->lock);
	/* A waiter that gave up may have cleared the bit already. */
	return IRQ_HANDLED;
}

/**
 * vmshm_slots_enter() - begin to use registers of slots
 * @slots: the slots of the device
 *
 * Waits until a reset of the device, if one is in progress, has ended.
 *
 * Return: true, and vmshm_slots_leave() has to follow; or false: the device is
 * gone.
 */
bool vmshm_slots_enter(struct vmshm_slots *slots)
{
	down_read(&slots->gone_lock);
	while (slots->paused) {
		up_read(&slots->gone_lock);
		wait_event(slots->pause_ends, !READ_ONCE(slots->paused));
		down_read(&slots->gone_lock);
	}
	if (!slots->gone)
		return true;
	up_read(&slots->gone_lock);
	return false;
}

/**
 * vmshm_slots_leave() - end what vmshm_slots_enter() began
 * @slots: the slots of the device
 */
void vmshm_slots_leave(struct vmshm_slots *slots)
{
	up_read(&slots->gone_lock);
}

/**
 * vmshm_slot_user() - the user to whose limit the slots of this task count
 *
 * A user can have many user IDs in a user namespace, so all of them count to
 * the user that created the outermost namespace. In a namespace that root has
 * created, as for a container or a service, each user ID counts to itself,
 * because the user IDs can be those of different users.
 *
 * Return: the user.
 */
kuid_t vmshm_slot_user(void)
{
	struct user_namespace *ns = current_user_ns();

	if (ns == &init_user_ns)
		return current_fsuid();
	while (ns->parent != &init_user_ns)
		ns = ns->parent;
	return uid_eq(ns->owner, GLOBAL_ROOT_UID) ? current_fsuid() : ns->owner;
}

/* Whether a user other than root has half of the slots in [@first, @end) */
static bool vmshm_slot_is_over_limit(struct vmshm_slots *slots,
				     unsigned int first, unsigned int end,
				     kuid_t user)
{
	unsigned int n, count = 0;

	if (uid_eq(user, GLOBAL_ROOT_UID))
		return false;
	for (n = find_next_bit(slots->used, end, first); n < end;
	     n = find_next_bit(slots->used, end, n + 1))
		if (uid_eq(slots->slot[n].owner, user))
			count++;
	return count >= (end - first) / 2;
}

/*
 * A free slot of [@first, @end); or -ENOSPC. A slot whose PLACE is already
 * @place is preferred, because it saves a register write.
 */
static int vmshm_slot_find(struct vmshm_slots *slots, unsigned int first,
			   unsigned int end, u64 place)
{
	int best = -ENOSPC;
	unsigned int n;

	if (slots->records) {
		n = find_next_zero_bit(slots->used, end, first);
		return n < end ? n : -ENOSPC;
	}
	for (n = find_next_zero_bit(slots->used, end, first); n < end;
	     n = find_next_zero_bit(slots->used, end, n + 1)) {
		if (slots->slot[n].place == place)
			return n;
		if (best < 0)
			best = n;
	}
	return best;
}

/* Whether the number of busy slots makes further waiters share one */
static bool vmshm_slots_shared(struct vmshm_slots *slots)
{
	unsigned int held = bitmap_weight(slots->used, VMSHM_SLOTS_POLL);

	return bitmap_weight(slots->used, slots->count) - held >=
	       VMSHM_SLOTS_UNSHARED;
}

static int vmshm_slot_find_wait(struct vmshm_slots *slots, u64 place,
				kuid_t user)
{
	unsigned int wait = vmshm_slots_wait(slots);
	int n;

	if (vmshm_slot_is_over_limit(slots, VMSHM_SLOTS_POLL, slots->count,
				     user))
		return -ENOSPC;
	n = vmshm_slot_find(slots, wait, slots->count, place);
	return n >= 0 ? n : vmshm_slot_find(slots, VMSHM_SLOTS_POLL, wait,
					    place);
}

static int vmshm_slot_find_use(struct vmshm_slots *slots,
			       enum vmshm_slot_use use, u64 place, kuid_t user)
{
	unsigned int wait = vmshm_slots_wait(slots);

	switch (use) {
	case VMSHM_SLOT_HOLDS:
		if (vmshm_slot_is_over_limit(slots, 0, VMSHM_SLOTS_POLL, user))
			return -ENOSPC;
		return vmshm_slot_find(slots, 0, VMSHM_SLOTS_POLL, place);
	case VMSHM_SLOT_POLLS:
		if (vmshm_slot_is_over_limit(slots, VMSHM_SLOTS_POLL, wait,
					     user))
			return -ENOSPC;
		return vmshm_slot_find(slots, VMSHM_SLOTS_POLL, wait, place);
	case VMSHM_SLOT_WAITS_UNSHARED:
		if (vmshm_slots_shared(slots))
			return -ENOSPC;
		fallthrough;
	default:
		return vmshm_slot_find_wait(slots, place, user);
	}
}

/**
 * vmshm_slot_get() - get a free slot
 * @slots: the slots of the device
 * @use: the purpose of the slot
 * @place: of the word; bytes into BAR4
 * @user: the user to whose limit the slot counts
 * @waiter: is woken when the slot fires; or NULL
 *
 * Return: number of the slot; or -ENOSPC: all slots are in use, or this user
 * has half of them, which is the limit for all users but root.
 */
int vmshm_slot_get(struct vmshm_slots *slots, enum vmshm_slot_use use,
		   u64 place, kuid_t user, struct vmshm_slot_waiter *waiter)
{
	int n;

	spin_lock_irq(&slots->lock);
	n = vmshm_slot_find_use(slots, use, place, user);
	if (n >= 0) {
		__set_bit(n, slots->used);
		slots->slot[n].waiter = waiter;
		slots->slot[n].owner = user;
	}
	spin_unlock_irq(&slots->lock);
	return n;
}

/**
 * vmshm_slot_put() - give back a slot
 * @slots: the slots of the device
 * @n: number of the slot, which is stopped
 */
void vmshm_slot_put(struct vmshm_slots *slots, unsigned int n)
{
	spin_lock_irq(&slots->lock);
	slots->slot[n].waiter = NULL;
	__clear_bit(n, slots->used);
	spin_unlock_irq(&slots->lock);
}

static void vmshm_slot_start_by_registers(struct vmshm_slots *slots,
					  unsigned int n, u64 place,
					  u64 control)
{
	struct vmshm_slot *slot = &slots->slot[n];

	if (slot->place != place)
		writeq(place, vmshm_slot_reg(slots, n, VMSHM_SLOT_PLACE));
	slot->place = place;
	writeq(control, vmshm_slot_reg(slots, n, VMSHM_SLOT_CONTROL));
}

/**
 * vmshm_slot_hold() - begin to hold
 * @slots: the slots of the device, entered
 * @n: number of the slot
 * @place: of the word; bytes into BAR4
 *
 * Return: VMSHM_SLOT_IS_*, with the owner if the word is held.
 */
u64 vmshm_slot_hold(struct vmshm_slots *slots, unsigned int n, u64 place)
{
	vmshm_slot_start_by_registers(slots, n, place, VMSHM_SLOT_HOLD);
	return readq(vmshm_slot_reg(slots, n, VMSHM_SLOT_CONTROL));
}

static u64 vmshm_slot_wake_value(u64 place, u32 count)
{
	u64 most = min_t(u32, count, 0xffff);

	return most << VMSHM_WAKE_COUNT_SHIFT | place / sizeof(u32);
}

/*
 * The interrupt arrives at the processor on which the waiter runs now, or at
 * another processor with the same vector.
 */
static unsigned int vmshm_slot_vector(struct vmshm_slots *slots)
{
	return raw_smp_processor_id() % slots->vectors;
}

static void vmshm_slot_start_by_record(struct vmshm_slots *slots,
				       unsigned int n, u64 place, u32 expected,
				       struct vmshm_slot_wake *wake)
{
	void __iomem *record =
		slots->memory + VMSHM_MEM_RECORD + n * VMSHM_RECORD_SIZE;
	u64 vector = vmshm_slot_vector(slots);
	u64 first = 0;

	if (wake && wake->count) {
		first = vmshm_slot_wake_value(wake->place, wake->count);
		wake->count = 0;
	}
	slots->slot[n].place = place;
	writeq(place, record + VMSHM_RECORD_PLACE);
	writeq(first, record + VMSHM_RECORD_WAKE);
	writeq(expected | vector << 32, record + VMSHM_RECORD_EXPECTED);
	writeq(0, record + VMSHM_RECORD_ZERO);
	writeq(VMSHM_SLOT_ARM | n, slots->regs + VMSHM_REG_START);
}

/**
 * vmshm_slot_arm() - begin to wait
 * @slots: the slots of the device, entered
 * @n: number of the slot
 * @place: of the word; bytes into BAR4
 * @expected: the value the word has to have
 * @wake: a wake-up that precedes the wait, or NULL; its count is 0 afterwards
 *	if the device has executed both with one access
 */
void vmshm_slot_arm(struct vmshm_slots *slots, unsigned int n, u64 place,
		    u32 expected, struct vmshm_slot_wake *wake)
{
	if (slots->records)
		vmshm_slot_start_by_record(slots, n, place, expected, wake);
	else
		vmshm_slot_start_by_registers(slots, n, place,
					      VMSHM_SLOT_ARM | expected);
}

/* Ends the wait or the hold of the slot. */
static void vmshm_slot_clear(struct vmshm_slots *slots, unsigned int n)
{
	if (n < VMSHM_SLOTS)
		writeq(0, vmshm_slot_reg(slots, n, VMSHM_SLOT_CONTROL));
	else
		writeq(n, slots->regs + VMSHM_REG_START);
}

/**
 * vmshm_slot_wake() - wake waiters of a word
 * @slots: the slots of the device, entered
 * @place: of the word; bytes into BAR4
 * @count: how many at most; 0xffff and more: all
 */
void vmshm_slot_wake(struct vmshm_slots *slots, u64 place, u32 count)
{
	writeq(vmshm_slot_wake_value(place, count),
	       slots->regs + VMSHM_REG_WAKE);
}

/* Ends the wait of a slot. Returns true if the slot has fired before. */
static bool vmshm_slot_end_wait(struct vmshm_slots *slots, unsigned int n)
{
	struct vmshm_slot_waiter *waiter = slots->slot[n].waiter;
	bool fired, late;

	if (READ_ONCE(waiter->fired))
		return true;
	vmshm_slot_clear(slots, n);
	spin_lock_irq(&slots->lock);
	/* If the handler has not seen the FIRED bit, the bit is still set. */
	fired = waiter->fired;
	late = vmshm_slot_read_fired(slots, n) & BIT(n % 32);
	if (!fired && late) {
		vmshm_slot_clear_fired(slots, n, BIT(n % 32));
		WRITE_ONCE(waiter->fired, true);
		fired = true;
	}
	spin_unlock_irq(&slots->lock);
	return fired;
}

/**
 * vmshm_slot_disarm() - end a wait
 * @slots: the slots of the device
 * @n: number of the slot, which has a waiter
 *
 * Return: true if the slot has fired before.
 */
bool vmshm_slot_disarm(struct vmshm_slots *slots, unsigned int n)
{
	bool fired;

	if (!vmshm_slots_enter(slots))
		return READ_ONCE(slots->slot[n].waiter->fired);
	fired = vmshm_slot_end_wait(slots, n);
	vmshm_slots_leave(slots);
	return fired;
}

/**
 * vmshm_slot_keep() - keep the page of a word until vmshm_slot_stop()
 * @slots: the slots of the device, entered
 * @n: number of the slot
 * @page: the page; gets another reference
 */
void vmshm_slot_keep(struct vmshm_slots *slots, unsigned int n,
		     struct page *page)
{
	get_page(page);
	slots->slot[n].page = page;
}

/* vmshm_slots_stop() may call this at the same time, hence xchg(). */
static void vmshm_slot_drop_page(struct vmshm_slots *slots, unsigned int n)
{
	struct page *page = xchg(&slots->slot[n].page, NULL);

	if (page)
		put_page(page);
}

/**
 * vmshm_slot_stop() - end the wait or hold of a slot, and drop the page
 * @slots: the slots of the device
 * @n: number of the slot
 * @pass_on: if the slot was woken, wake another waiter instead
 *
 * Return: true if the slot was woken or the device is gone.
 */
bool vmshm_slot_stop(struct vmshm_slots *slots, unsigned int n, bool pass_on)
{
	bool fired = true;

	if (vmshm_slots_enter(slots)) {
		if (n < VMSHM_SLOTS_POLL) {
			vmshm_slot_clear(slots, n);
		} else {
			fired = vmshm_slot_end_wait(slots, n);
			if (fired && pass_on)
				vmshm_slot_wake(slots, slots->slot[n].place, 1);
		}
		vmshm_slots_leave(slots);
	}
	vmshm_slot_drop_page(slots, n);
	return fired;
}

/*
 * The device is about to go, but its registers still work. The slot takes no
 * more wake-ups. A wake-up that no waiter has seen is passed on to another
 * waiter.
 */
static void vmshm_slot_end(struct vmshm_slots *slots, unsigned int n)
{
	struct vmshm_slot *slot = &slots->slot[n];
	bool fired;

	vmshm_slot_clear(slots, n);
	if (n < VMSHM_SLOTS_POLL)
		return;
	spin_lock_irq(&slots->lock);
	fired = vmshm_slot_read_fired(slots, n) & BIT(n % 32);
	if (fired)
		vmshm_slot_clear_fired(slots, n, BIT(n % 32));
	if (slot->waiter)
		wake_up_all(&slot->waiter->wait);
	spin_unlock_irq(&slots->lock);
	if (fired)
		vmshm_slot_wake(slots, slot->place, 1);
}

/**
 * vmshm_slots_stop() - end all slots: the device is gone
 * @slots: the slots of the device
 *
 * No waiter of a slot sleeps on, and no page is kept.
 */
void vmshm_slots_stop(struct vmshm_slots *slots)
{
	unsigned int n;

	down_write(&slots->gone_lock);
	WRITE_ONCE(slots->gone, true);
	/* A task that waits for the end of a pause has the lock of a queue. */
	WRITE_ONCE(slots->paused, false);
	up_write(&slots->gone_lock);
	wake_up_all(&slots->pause_ends);
	/* Waits end before holds: the end of a hold makes peers respond. */
	for (n = slots->count; n--;) {
		vmshm_slot_end(slots, n);
		vmshm_slot_drop_page(slots, n);
	}
}

/**
 * vmshm_slots_drop_pages() - keep no page any more
 * @slots: the slots of the device, which will be reset
 */
void vmshm_slots_drop_pages(struct vmshm_slots *slots)
{
	unsigned int n;

	for (n = 0; n < slots->count; n++)
		vmshm_slot_drop_page(slots, n);
}

/* The reset ends the hold of a slot. A wake-up reaches the waiter. */
static void vmshm_slot_pause(struct vmshm_slots *slots, unsigned int n)
{
	if (n < VMSHM_SLOTS_POLL || !test_bit(n, slots->used))
		return;
	vmshm_slot_clear(slots, n);
	spin_lock_irq(&slots->lock);
	vmshm_slot_irq_word(slots, round_down(n, 32));
	spin_unlock_irq(&slots->lock);
}

/**
 * vmshm_slots_pause() - let no task use registers of slots
 * @slots: the slots of the device, which will be reset
 *
 * No slot is armed afterwards. vmshm_slots_resume() ends the pause.
 */
void vmshm_slots_pause(struct vmshm_slots *slots)
{
	unsigned int n;

	down_write(&slots->gone_lock);
	WRITE_ONCE(slots->paused, true);
	up_write(&slots->gone_lock);
	for (n = 0; n < slots->count; n++)
		vmshm_slot_pause(slots, n);
}

/**
 * vmshm_slots_resume() - end the pause
 * @slots: the slots of the device
 */
void vmshm_slots_resume(struct vmshm_slots *slots)
{
	down_write(&slots->gone_lock);
	WRITE_ONCE(slots->paused, false);
	up_write(&slots->gone_lock);
	wake_up_all(&slots->pause_ends);
}

/**
 * vmshm_slots_forget() - the device was reset, and no slot is armed
 * @slots: the slots of the device
 */
void vmshm_slots_forget(struct vmshm_slots *slots)
{
	unsigned int n;

	for (n = 0; n < slots->count; n++)
		slots->slot[n].place = 0;
}

static void vmshm_slots_free_vectors(struct vmshm_slots *slots,
				     unsigned int requested)
{
	while (requested--)
		free_irq(pci_irq_vector(slots->pdev, requested), slots);
	pci_free_irq_vectors(slots->pdev);
}

/**
 * vmshm_slots_exit() - give back the interrupts
 * @slots: the slots of the device, which are stopped
 *
 * The caller frees the memory when no file of the device is open any more.
 */
void vmshm_slots_exit(struct vmshm_slots *slots)
{
	vmshm_slots_free_vectors(slots, slots->vectors);
}

/* Vector v is for processor v, and for others if there are more of them. */
static void vmshm_slots_set_affinity(struct vmshm_slots *slots, unsigned int v)
{
	cpumask_var_t mask;
	unsigned int cpu;

	/* Without the affinity, wake-ups are only slower. */
	if (slots->vectors == 1 || !zalloc_cpumask_var(&mask, GFP_KERNEL))
		return;
	for_each_possible_cpu(cpu)
		if (cpu % slots->vectors == v)
			cpumask_set_cpu(cpu, mask);
	irq_set_affinity(pci_irq_vector(slots->pdev, v), mask);
	free_cpumask_var(mask);
}

static int vmshm_slots_request_vector(struct vmshm_slots *slots, unsigned int v)
{
	int err;

	snprintf(slots->vector_name[v], sizeof(slots->vector_name[v]),
		 "vmshm-%u", v);
	/* Vector 0 also reports completions of commands. */
	err = request_irq(pci_irq_vector(slots->pdev, v), vmshm_slot_irq,
			  IRQF_SHARED, slots->vector_name[v], slots);
	if (!err)
		vmshm_slots_set_affinity(slots, v);
	return err;
}

static int vmshm_slots_request_irqs(struct vmshm_slots *slots)
{
	unsigned int most = min_t(unsigned int, nr_cpu_ids, VMSHM_VECTORS_MAX);
	unsigned int v;
	int err;

	pci_set_master(slots->pdev);
	/* A device of contract 1.0 has one vector. */
	err = pci_alloc_irq_vectors(slots->pdev, 1, slots->records ? most : 1,
				    PCI_IRQ_MSIX);
	if (err < 0)
		return err;
	slots->vectors = err;
	for (v = 0; v < slots->vectors; v++) {
		err = vmshm_slots_request_vector(slots, v);
		if (err) {
			vmshm_slots_free_vectors(slots, v);
			return err;
		}
	}
	return 0;
}

/* Number of slots that have records; 0 if the device reports a wrong number. */
static unsigned int vmshm_slots_records(void __iomem *regs)
{
	u32 count = ioread32(regs + VMSHM_REG_SLOTS);

	if (count < VMSHM_SLOTS || count % 32)
		return 0;
	return min_t(u32, count, VMSHM_SLOTS_MAX);
}

/**
 * vmshm_slots_new() - prepare the slots of a new device
 * @pdev: its PCI function
 * @regs: its BAR0
 * @memory: the command memory at its offsets in BAR0, or NULL: the device has
 *	none
 *
 * Return: the slots, which kvfree() frees; or NULL: then only waiting is not
 * supported.
 */
struct vmshm_slots *vmshm_slots_new(struct pci_dev *pdev, void __iomem *regs,
				    void __iomem *memory)
{
	unsigned int records = memory ? vmshm_slots_records(regs) : 0;
	unsigned int count = records ?: VMSHM_SLOTS;
	struct vmshm_slots *slots;
	int err;

	slots = kvzalloc(struct_size(slots, slot, count), GFP_KERNEL);
	if (!slots)
		return NULL;
	slots->pdev = pdev;
	slots->regs = regs;
	slots->memory = memory;
	slots->records = records;
	slots->count = count;
	init_rwsem(&slots->gone_lock);
	init_waitqueue_head(&slots->pause_ends);
	spin_lock_init(&slots->lock);
	err = vmshm_slots_request_irqs(slots);
	if (!err)
		return slots;
	kvfree(slots);
	dev_warn(&pdev->dev,
		 "no interrupt (error %d): waiting is not supported\n", err);
	return NULL;
}
