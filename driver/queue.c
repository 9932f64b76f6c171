// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm queues: the waiters of this guest, by word.
 *
 * A wake-up by a task of this guest goes to waiters of this guest first. The
 * rest of the count goes to the host. A wake-up by a task of the host or of
 * another guest reaches the slot of a group. The interrupt of the slot then
 * wakes all waiters of that group.
 *
 * No wake-up is lost:
 * - A waiter compares the word under the lock of the bucket, and a waker in
 *   this guest takes that lock after it has changed the word.
 * - The host compares again, when the slot is armed.
 * - A slot that loses its last waiter is disarmed. If the slot has fired
 *   before, it has consumed a wake-up of the host. A last waiter that leaves by
 *   itself takes this wake-up. If a task of this guest woke the last waiter,
 *   the wake-up is passed on.
 * docs/waiting.md has the reasons, tests/model/local.pml is the model.
 */
#include <linux/err.h>
#include <linux/hash.h>
#include <linux/hrtimer.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "queue.h"
#include "slot.h"
#include "word.h"

#define VMSHM_QUEUE_BUCKETS 256
/* The interval at which the words of groups without a slot are examined */
#define VMSHM_QUEUE_PARK_MS 10
/* After so many intervals, one of these groups of each bucket was woken. */
#define VMSHM_QUEUE_PARK_TURNS 64

/* Waiters of one word that expect the same value, and share a slot */
struct vmshm_queue_group {
	/* In the bucket's list; empty once the group has ended */
	struct list_head node;
	/* struct vmshm_queue_waiter, in the order in which they came */
	struct list_head waiters;
	/* Tasks that use the group: waiters, and those that are leaving */
	unsigned int users;
	/* Its page keeps the place of the word. */
	struct vmshm_word word;
	u32 expected;
	/* The user to whose limit the slot counts */
	kuid_t user;
	/* A slot, or negative: parked */
	int slot;
	/* Is signalled when the slot fires */
	struct vmshm_slot_waiter signal;
};

/* The waiters of some words */
struct vmshm_queue_bucket {
	/* Protects the list of groups, and the members of each group. */
	struct mutex lock;
	/* struct vmshm_queue_group, in the order in which they began to wait */
	struct list_head groups;
};

struct vmshm_queue {
	struct vmshm_slots *slots;
	struct delayed_work park_work;
	/* The number of the next examination, for @park_work only */
	unsigned int park_turn;
	struct vmshm_queue_bucket bucket[VMSHM_QUEUE_BUCKETS];
};

struct vmshm_queue_waiter {
	/* In the group's list; empty once a task of this guest woke @task */
	struct list_head node;
	struct task_struct *task;
	bool woken;
};

static struct vmshm_queue_bucket *
vmshm_queue_bucket(struct vmshm_queue *queue, const struct vmshm_word *word)
{
	u64 key = (u64)(uintptr_t)word->vnode + word->offset;

	return &queue->bucket[hash_64(key, ilog2(VMSHM_QUEUE_BUCKETS))];
}

static bool vmshm_queue_is_of(const struct vmshm_queue_group *group,
			      const struct vmshm_word *word)
{
	return group->word.vnode == word->vnode &&
	       group->word.offset == word->offset &&
	       !READ_ONCE(group->signal.fired);
}

static struct vmshm_queue_group *
vmshm_queue_group_new(const struct vmshm_word *word, u32 expected)
{
	struct vmshm_queue_group *group;

	group = kzalloc(sizeof(*group), GFP_KERNEL_ACCOUNT);
	if (!group)
		return NULL;
	INIT_LIST_HEAD(&group->node);
	INIT_LIST_HEAD(&group->waiters);
	group->word = *word;
	get_page(group->word.page);
	group->expected = expected;
	group->user = vmshm_slot_user();
	group->slot = -1;
	vmshm_slot_waiter_init(&group->signal);
	return group;
}

static void vmshm_queue_group_free(struct vmshm_queue_group *group)
{
	put_page(group->word.page);
	kfree(group);
}

static void vmshm_queue_park(struct vmshm_queue *queue)
{
	schedule_delayed_work(&queue->park_work,
			      msecs_to_jiffies(VMSHM_QUEUE_PARK_MS));
}

/* Gives the group a slot; or returns -ENOSPC or -ENODEV. */
static int vmshm_queue_arm(struct vmshm_queue *queue,
			   struct vmshm_queue_group *group, bool unshared,
			   struct vmshm_slot_wake *wake)
{
	struct vmshm_slots *slots = queue->slots;
	enum vmshm_slot_use use;
	int n;

	use = unshared ? VMSHM_SLOT_WAITS_UNSHARED : VMSHM_SLOT_WAITS;
	n = vmshm_slot_get(slots, use, group->word.place, group->user,
			   &group->signal);
	if (n < 0)
		return n;
	if (!vmshm_slots_enter(slots)) {
		vmshm_slot_put(slots, n);
		return -ENODEV;
	}
	vmshm_slot_arm(slots, n, group->word.place, group->expected, wake);
	vmshm_slots_leave(slots);
	group->slot = n;
	return 0;
}

/*
 * The group takes no more waiters and no more wake-ups. Returns true if a
 * wake-up of the host had reached the group before.
 */
static bool vmshm_queue_end(struct vmshm_queue *queue,
			    struct vmshm_queue_group *group)
{
	bool fired;

	if (list_empty(&group->node))
		return false;
	list_del_init(&group->node);
	if (group->slot < 0)
		return false;
	fired = vmshm_slot_disarm(queue->slots, group->slot);
	vmshm_slot_put(queue->slots, group->slot);
	group->slot = -1;
	return fired;
}

/* A group that the waiter can join, or NULL */
static struct vmshm_queue_group *
vmshm_queue_find(struct vmshm_queue_bucket *bucket,
		 const struct vmshm_word *word, u32 expected)
{
	struct vmshm_queue_group *group;

	list_for_each_entry(group, &bucket->groups, node)
		if (group->expected == expected &&
		    vmshm_queue_is_of(group, word))
			return group;
	return NULL;
}

/*
 * Chooses the group of a waiter. If few slots are in use, the waiter gets a
 * group of its own. Otherwise it joins an existing group for the same word and
 * value. If there is no such group, the waiter gets a group of its own.
 */
static struct vmshm_queue_group *
vmshm_queue_join(struct vmshm_queue *queue, struct vmshm_queue_bucket *bucket,
		 struct vmshm_queue_group **fresh, struct vmshm_slot_wake *wake)
{
	struct vmshm_queue_group *group = *fresh;
	struct vmshm_queue_group *other;
	int err;

	err = vmshm_queue_arm(queue, group, true, wake);
	if (err == -ENOSPC) {
		other = vmshm_queue_find(bucket, &group->word, group->expected);
		if (other)
			return other;
		err = vmshm_queue_arm(queue, group, false, wake);
	}
	if (err == -ENOSPC && READ_ONCE(queue->slots->gone))
		err = -ENODEV;
	if (err && err != -ENOSPC)
		return ERR_PTR(err);
	list_add_tail(&group->node, &bucket->groups);
	if (err)
		vmshm_queue_park(queue);
	*fresh = NULL;
	return group;
}

static int vmshm_queue_sleep(const struct vmshm_queue_deadline *deadline)
{
	ktime_t time = deadline->time;

	if (signal_pending(current))
		return -ERESTARTSYS;
	if (deadline->none) {
		schedule();
		return 0;
	}
	/* 0: the deadline has passed, possibly before the call. */
	return schedule_hrtimeout_range_clock(&time, current->timer_slack_ns,
					      HRTIMER_MODE_ABS,
					      deadline->clock) ?
		       0 :
		       -ETIMEDOUT;
}

/* Sleeps until the waiter or its whole group is woken. */
static int vmshm_queue_wait_event(struct vmshm_queue *queue,
				  struct vmshm_queue_group *group,
				  struct vmshm_queue_waiter *waiter,
				  const struct vmshm_queue_deadline *deadline)
{
	DEFINE_WAIT(wait);
	int err = 0;

	for (;;) {
		prepare_to_wait(&group->signal.wait, &wait, TASK_INTERRUPTIBLE);
		if (READ_ONCE(waiter->woken) ||
		    READ_ONCE(group->signal.fired) ||
		    READ_ONCE(queue->slots->gone))
			break;
		err = vmshm_queue_sleep(deadline);
		if (err)
			break;
	}
	finish_wait(&group->signal.wait, &wait);
	return err;
}

/* Ends a wait and returns its result; @err is the reason why sleep ended. */
static int vmshm_queue_leave(struct vmshm_queue *queue,
			     struct vmshm_queue_group *group,
			     struct vmshm_queue_waiter *waiter, int err)
{
	bool woken = waiter->woken;

	if (!woken) {
		list_del_init(&waiter->node);
		if (list_empty(&group->waiters))
			woken = vmshm_queue_end(queue, group);
		woken = woken || READ_ONCE(group->signal.fired);
	}
	if (!--group->users)
		vmshm_queue_group_free(group);
	if (woken)
		return 0;
	return err ?: -ENODEV;
}

/**
 * vmshm_queue_wait() - wait until the word is woken
 * @queue: the queue of the device
 * @word: the word; the caller keeps its page and its vnode
 * @expected: the value that the word has to have
 * @deadline: when to give up
 * @wake: a wake-up on the host that is executed first, with as few register
 *	accesses as possible; or NULL
 *
 * Context: sleeps; takes no lock that a command takes.
 * Return: 0 if the word was woken, or for no reason; -EAGAIN if the word has
 * another value; -ETIMEDOUT; -ERESTARTSYS after a signal; -ENOMEM; -ENODEV if
 * the device is gone.
 */
int vmshm_queue_wait(struct vmshm_queue *queue, struct vmshm_word *word,
		     u32 expected, const struct vmshm_queue_deadline *deadline,
		     struct vmshm_slot_wake *wake)
{
	struct vmshm_queue_bucket *bucket = vmshm_queue_bucket(queue, word);
	struct vmshm_queue_waiter waiter = { .task = current };
	struct vmshm_queue_group *fresh, *group;
	int err;

	/* Without records, the wake-up could reach the slot of this waiter. */
	if (wake && !queue->slots->records) {
		err = vmshm_queue_wake_others(queue, wake);
		if (err)
			return err;
	}
	fresh = vmshm_queue_group_new(word, expected);
	if (!fresh)
		return -ENOMEM;
	mutex_lock(&bucket->lock);
	if (vmshm_word_read(word) != expected)
		group = ERR_PTR(-EAGAIN);
	else
		group = vmshm_queue_join(queue, bucket, &fresh, wake);
	if (!IS_ERR(group)) {
		list_add_tail(&waiter.node, &group->waiters);
		group->users++;
	}
	mutex_unlock(&bucket->lock);
	if (fresh)
		vmshm_queue_group_free(fresh);
	/* The wake-up is still pending if no slot was armed by a record. */
	err = wake ? vmshm_queue_wake_others(queue, wake) : 0;
	if (IS_ERR(group))
		return PTR_ERR(group);

	/* If the device is gone, the waiter does not sleep. */
	err = vmshm_queue_wait_event(queue, group, &waiter, deadline);
	mutex_lock(&bucket->lock);
	err = vmshm_queue_leave(queue, group, &waiter, err);
	mutex_unlock(&bucket->lock);
	return err;
}

/* Wakes up to @count waiters of the group, in their order. */
static u32 vmshm_queue_wake_group(struct vmshm_queue_group *group, u32 count)
{
	struct vmshm_queue_waiter *waiter, *next;
	u32 woken = 0;

	list_for_each_entry_safe(waiter, next, &group->waiters, node) {
		if (woken == count)
			break;
		list_del_init(&waiter->node);
		WRITE_ONCE(waiter->woken, true);
		/* The task needs the lock of the bucket to go on. */
		wake_up_process(waiter->task);
		woken++;
	}
	return woken;
}

/**
 * vmshm_queue_wake_here() - wake waiters of a word that are in this guest
 * @queue: the queue of the device
 * @word: the word; the caller keeps its page and its vnode
 * @count: maximum number of waiters to wake, in this guest and elsewhere
 * @wake: set to the wake-up on the host that has to follow
 *
 * Context: sleeps; takes no lock that a command takes.
 * Return: how many waiters were woken, at most INT_MAX.
 */
int vmshm_queue_wake_here(struct vmshm_queue *queue, struct vmshm_word *word,
			  u32 count, struct vmshm_slot_wake *wake)
{
	struct vmshm_queue_bucket *bucket = vmshm_queue_bucket(queue, word);
	struct vmshm_queue_group *group, *next;
	u32 woken = 0, passed_on = 0;

	mutex_lock(&bucket->lock);
	list_for_each_entry_safe(group, next, &bucket->groups, node) {
		if (woken == count)
			break;
		if (!vmshm_queue_is_of(group, word))
			continue;
		woken += vmshm_queue_wake_group(group, count - woken);
		if (list_empty(&group->waiters) &&
		    vmshm_queue_end(queue, group))
			passed_on++;
	}
	mutex_unlock(&bucket->lock);
	/* A count that is larger than the device's maximum means all. */
	wake->count = min_t(u64, U32_MAX, (u64)count - woken + passed_on);
	wake->place = word->place;
	return min_t(u32, woken, INT_MAX);
}

/**
 * vmshm_queue_wake_others() - wake waiters on the host and in other guests
 * @queue: the queue of the device
 * @wake: the wake-up; its count is 0 afterwards
 *
 * Return: 0 or -ENODEV.
 */
int vmshm_queue_wake_others(struct vmshm_queue *queue,
			    struct vmshm_slot_wake *wake)
{
	if (!wake->count)
		return 0;
	if (!vmshm_slots_enter(queue->slots))
		return -ENODEV;
	vmshm_slot_wake(queue->slots, wake->place, wake->count);
	vmshm_slots_leave(queue->slots);
	wake->count = 0;
	return 0;
}

/* Under the lock of the bucket. Returns true if the group is still parked. */
static bool vmshm_queue_unpark(struct vmshm_queue *queue,
			       struct vmshm_queue_group *group)
{
	if (group->slot >= 0 || READ_ONCE(group->signal.fired))
		return false;
	if (vmshm_word_read(&group->word) != group->expected) {
		vmshm_slot_waiter_fire(queue->slots, &group->signal);
		return false;
	}
	return vmshm_queue_arm(queue, group, false, NULL) == -ENOSPC;
}

/* Under the lock of the bucket. Returns true if a group is still parked. */
static bool vmshm_queue_unpark_all(struct vmshm_queue *queue,
				   struct vmshm_queue_bucket *bucket,
				   bool wake_one)
{
	struct vmshm_queue_group *group;
	bool parked = false;

	list_for_each_entry(group, &bucket->groups, node) {
		if (!vmshm_queue_unpark(queue, group))
			continue;
		/* The first one is the one that waits longest. */
		if (wake_one && !parked)
			vmshm_slot_waiter_fire(queue->slots, &group->signal);
		parked = true;
	}
	return parked;
}

/*
 * The host does not know of groups without a slot. Such a group gets a slot as
 * soon as a slot is free, or is woken when its word has changed. A wake-up from
 * outside that leaves the word as it was, or a change that is undone, is not
 * seen. So that it is not lost, the groups are also woken in turn.
 */
static void vmshm_queue_park_work(struct work_struct *work)
{
	struct vmshm_queue *queue = container_of(to_delayed_work(work),
						 struct vmshm_queue, park_work);
	unsigned int turn = queue->park_turn++ % VMSHM_QUEUE_PARK_TURNS;
	bool again = false;
	int i;

	for (i = 0; i < VMSHM_QUEUE_BUCKETS; i++) {
		struct vmshm_queue_bucket *bucket = &queue->bucket[i];

		if (list_empty_careful(&bucket->groups))
			continue;
		mutex_lock(&bucket->lock);
		if (vmshm_queue_unpark_all(queue, bucket,
					   i % VMSHM_QUEUE_PARK_TURNS == turn))
			again = true;
		mutex_unlock(&bucket->lock);
	}
	if (again)
		vmshm_queue_park(queue);
}

/**
 * vmshm_queue_new() - make a queue that is empty
 * @slots: the slots of the device
 *
 * Return: the queue, which vmshm_queue_free() frees; or NULL.
 */
struct vmshm_queue *vmshm_queue_new(struct vmshm_slots *slots)
{
	struct vmshm_queue *queue = kvzalloc(sizeof(*queue), GFP_KERNEL);
	int i;

	if (!queue)
		return NULL;
	queue->slots = slots;
	INIT_DELAYED_WORK(&queue->park_work, vmshm_queue_park_work);
	for (i = 0; i < VMSHM_QUEUE_BUCKETS; i++) {
		mutex_init(&queue->bucket[i].lock);
		INIT_LIST_HEAD(&queue->bucket[i].groups);
	}
	return queue;
}

/**
 * vmshm_queue_wake_all() - wake all waiters, because the device is reset
 * @queue: the queue
 *
 * A waiter may have been woken on the host in the meantime.
 */
void vmshm_queue_wake_all(struct vmshm_queue *queue)
{
	struct vmshm_queue_group *group;
	int i;

	for (i = 0; i < VMSHM_QUEUE_BUCKETS; i++) {
		struct vmshm_queue_bucket *bucket = &queue->bucket[i];

		mutex_lock(&bucket->lock);
		list_for_each_entry(group, &bucket->groups, node)
			vmshm_slot_waiter_fire(queue->slots, &group->signal);
		mutex_unlock(&bucket->lock);
	}
}

/**
 * vmshm_queue_stop() - end all waits, because the device is gone
 * @queue: the queue; its slots are stopped
 */
void vmshm_queue_stop(struct vmshm_queue *queue)
{
	struct vmshm_queue_group *group;
	int i;

	for (i = 0; i < VMSHM_QUEUE_BUCKETS; i++) {
		struct vmshm_queue_bucket *bucket = &queue->bucket[i];

		mutex_lock(&bucket->lock);
		list_for_each_entry(group, &bucket->groups, node)
			wake_up_all(&group->signal.wait);
		mutex_unlock(&bucket->lock);
	}
	cancel_delayed_work_sync(&queue->park_work);
}

/**
 * vmshm_queue_free() - free a queue that has no waiters
 * @queue: the queue, or NULL
 */
void vmshm_queue_free(struct vmshm_queue *queue)
{
	int i;

	if (!queue)
		return;
	for (i = 0; i < VMSHM_QUEUE_BUCKETS; i++)
		mutex_destroy(&queue->bucket[i].lock);
	kvfree(queue);
}
