// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm futexes: the functions that replace those of the kernel.
 *
 * Each function examines the mappings of the task, because the page tables may
 * have had no page. It calls the kernel's function if no word is in a mapping
 * of VMShm.
 */
#include <linux/compat.h>
#include <linux/errno.h>
#include <linux/futex.h>
#include <linux/module.h>
#include <linux/ptrace.h>
#include <linux/rcupdate.h>
#include <linux/restart_block.h>
#include <linux/sched.h>
#include <linux/static_call.h>
#include <linux/uaccess.h>
#include <linux/wait_bit.h>

#include "compat.h"
#include "futex-op.h"
#include "mmap.h"
#include "queue.h"
#include "vnode.h"
#include "wait.h"

#ifdef VMSHM_HAS_FUTEX

/*
 * vmshm_futex_kernel(name) is the kernel's function that vmshm_futex_name()
 * replaces. It is a static call, which is a direct call: a processor with
 * indirect branch tracking refuses indirect calls, because the kernel removes
 * the landing pads of functions whose address it does not take. The types of
 * arguments that are only passed on do not matter. The arguments of some
 * functions depend on the version of the kernel.
 */
#define vmshm_futex_kernel(name) static_call(vmshm_futex_kernel_##name)
#define VMSHM_FUTEX_KERNEL(name) \
	DEFINE_STATIC_CALL_NULL(vmshm_futex_kernel_##name, vmshm_futex_##name)

static int vmshm_futex_wait(u32 __user *uaddr, unsigned int flags, u32 val,
			    ktime_t *abs_time, u32 bitset);
static int vmshm_futex_wake(u32 __user *uaddr, unsigned int flags, ulong arg2,
			    ulong arg3, ulong arg4);
static long vmshm_futex_wake_op(ulong addr1, ulong flags, ulong addr2,
				ulong nr_wake, ulong nr_wake2, ulong op);
static long vmshm_futex_requeue(ulong addr1, ulong flags1, ulong addr2,
				ulong arg3, ulong arg4, ulong arg5, ulong arg6,
				ulong arg7);
static long vmshm_futex_lock_pi(ulong addr, ulong flags, ulong time,
				ulong trylock);
static long vmshm_futex_unlock_pi(ulong addr, ulong flags, ulong pending);
static long vmshm_futex_wait_requeue_pi(ulong addr, ulong flags, ulong value,
					ulong time, ulong bitset, ulong addr2);
static long vmshm_futex_wait2(ulong addr, ulong flags, ulong value, ulong timer,
			      ulong bitset);
static long vmshm_futex_waitv(const struct pt_regs *regs);
static long vmshm_futex_waitv_compat(const struct pt_regs *regs);

VMSHM_FUTEX_KERNEL(wait);
VMSHM_FUTEX_KERNEL(wake);
VMSHM_FUTEX_KERNEL(wake_op);
VMSHM_FUTEX_KERNEL(requeue);
VMSHM_FUTEX_KERNEL(lock_pi);
VMSHM_FUTEX_KERNEL(unlock_pi);
VMSHM_FUTEX_KERNEL(wait_requeue_pi);
VMSHM_FUTEX_KERNEL(wait2);
VMSHM_FUTEX_KERNEL(waitv);
VMSHM_FUTEX_KERNEL(waitv_compat);

/* futex_wait_restart() of the kernel */
static long (*vmshm_futex_restart)(struct restart_block *restart);

/* Number of calls that are in functions of this file */
static atomic_t vmshm_futex_calls = ATOMIC_INIT(0);

/*
 * Whether the call may sleep. A call may not sleep once the module is being
 * unloaded; then no mapping of VMShm is left.
 */
static bool vmshm_futex_enter(void)
{
	atomic_inc(&vmshm_futex_calls);
	return try_module_get(THIS_MODULE);
}

static void vmshm_futex_leave(bool entered)
{
	if (entered)
		module_put(THIS_MODULE);
	if (atomic_dec_and_test(&vmshm_futex_calls))
		wake_up_var(&vmshm_futex_calls);
}

/* Whether the address is in a shared mapping of VMShm */
static bool vmshm_futex_is_ours(unsigned long addr, unsigned long flags)
{
	struct vmshm_mmap_word where;

	if (!(flags & VMSHM_COMPAT_FLAGS_SHARED) ||
	    !vmshm_mmap_find(addr, &where))
		return false;
	vmshm_mmap_put(&where);
	return true;
}

/* glibc aborts the process on an unexpected error. */
static int vmshm_futex_errno(int err)
{
	return err == -ENODEV || err == -ENXIO ? -EFAULT : err;
}

/* Restarts a call with a time-out after a signal; see futex_wait(). */
static int vmshm_futex_set_restart(u32 __user *uaddr, unsigned int flags,
				   u32 val, ktime_t time, u32 bitset)
{
	struct restart_block *restart = &current->restart_block;

	restart->futex.uaddr = uaddr;
	restart->futex.val = val;
	restart->futex.time = time;
	restart->futex.bitset = bitset;
	restart->futex.flags = flags | VMSHM_COMPAT_FLAGS_TIMEOUT;
	return set_restart_fn(restart, vmshm_futex_restart);
}

static int vmshm_futex_wait_at(struct vmshm_mmap_word *where, u32 __user *uaddr,
			       unsigned int flags, u32 val, ktime_t *abs_time,
			       u32 bitset)
{
	struct vmshm_queue_deadline deadline = { .none = !abs_time };
	int err;

	if (!bitset)
		return -EINVAL;
	if (bitset != FUTEX_BITSET_MATCH_ANY)
		return -ENOSYS;
	if (abs_time) {
		deadline.time = *abs_time;
		deadline.clock = flags & VMSHM_COMPAT_FLAGS_CLOCKRT ?
					 CLOCK_REALTIME :
					 CLOCK_MONOTONIC;
	}
	err = vmshm_wait_on(where->vnode->vdev, where->vnode, where->offset,
			    val, &deadline);
	if (err == -ERESTARTSYS && abs_time)
		return vmshm_futex_set_restart(uaddr, flags, val, *abs_time,
					       bitset);
	return vmshm_futex_errno(err);
}

static int vmshm_futex_wait(u32 __user *uaddr, unsigned int flags, u32 val,
			    ktime_t *abs_time, u32 bitset)
{
	bool entered = vmshm_futex_enter();
	struct vmshm_mmap_word where;
	int ret = -EAGAIN;

	if (!entered)
		goto out;
	if (vmshm_mmap_find((unsigned long)uaddr, &where)) {
		ret = vmshm_futex_wait_at(&where, uaddr, flags, val, abs_time,
					  bitset);
		vmshm_mmap_put(&where);
	} else {
		ret = vmshm_futex_kernel(wait)(uaddr, flags, val, abs_time,
					       bitset);
	}
out:
	vmshm_futex_leave(entered);
	return ret;
}

/*
 * Unlocks a robust mutex as the kernel does: the word becomes 0, and then the
 * task's list has no pending entry.
 */
static int vmshm_futex_robust_unlock(u32 __user *uaddr, unsigned int flags,
				     ulong pending)
{
	if (!(flags & VMSHM_COMPAT_FLAGS_ROBUST_UNLOCK))
		return 0;
	/* Stores of the owner come before the unlocking. */
	smp_mb();
	if (put_user(0, uaddr))
		return -EFAULT;
	return flags & VMSHM_COMPAT_FLAGS_ROBUST_LIST32 ?
		       put_user(0, (u32 __user *)pending) :
		       put_user(0, (ulong __user *)pending);
}

static int vmshm_futex_wake_at(struct vmshm_mmap_word *where, u32 __user *uaddr,
			       unsigned int flags, ulong pending, int nr_wake,
			       u32 bitset)
{
	if (!bitset)
		return -EINVAL;
	if (bitset != FUTEX_BITSET_MATCH_ANY)
		return -ENOSYS;
	if (vmshm_futex_robust_unlock(uaddr, flags, pending))
		return -EFAULT;
	/* The kernel's function wakes one waiter even if nr_wake is 0. */
	return vmshm_futex_errno(vmshm_wait_wake(where->vnode->vdev,
						 where->vnode, where->offset,
						 max(nr_wake, 1)));
}

static int vmshm_futex_wake(u32 __user *uaddr, unsigned int flags, ulong arg2,
			    ulong arg3, ulong arg4)
{
	bool entered = vmshm_futex_enter();
	struct vmshm_mmap_word where;
	int ret;

	if (!vmshm_mmap_find((unsigned long)uaddr, &where)) {
		ret = vmshm_futex_kernel(wake)(uaddr, flags, arg2, arg3, arg4);
	} else {
		if (VMSHM_COMPAT_HAS_ROBUST_UNLOCK)
			ret = vmshm_futex_wake_at(&where, uaddr, flags, arg2,
						  arg3, arg4);
		else
			ret = vmshm_futex_wake_at(&where, uaddr, flags, 0, arg2,
						  arg3);
		vmshm_mmap_put(&where);
	}
	vmshm_futex_leave(entered);
	return ret;
}

/*
 * An operation that host futexes do not support fails for a word of VMShm.
 * Returns 0; or the error of the call, if the kernel's function must not be
 * called.
 */
static long vmshm_futex_refusal(bool entered, bool ours)
{
	if (ours)
		return -ENOSYS;
	return entered ? 0 : -EAGAIN;
}

/* Begins a call with one word or two; returns as vmshm_futex_refusal(). */
static long vmshm_futex_begin(bool *entered, ulong addr1, ulong flags1,
			      ulong addr2, ulong flags2)
{
	*entered = vmshm_futex_enter();
	return vmshm_futex_refusal(*entered,
				   vmshm_futex_is_ours(addr1, flags1) ||
					   vmshm_futex_is_ours(addr2, flags2));
}

static long vmshm_futex_wake_op(ulong addr1, ulong flags, ulong addr2,
				ulong nr_wake, ulong nr_wake2, ulong op)
{
	bool entered;
	long ret = vmshm_futex_begin(&entered, addr1, flags, addr2, flags);

	if (!ret)
		ret = vmshm_futex_kernel(wake_op)(addr1, flags, addr2, nr_wake,
						  nr_wake2, op);
	vmshm_futex_leave(entered);
	return ret;
}

static long vmshm_futex_requeue(ulong addr1, ulong flags1, ulong addr2,
				ulong arg3, ulong arg4, ulong arg5, ulong arg6,
				ulong arg7)
{
	ulong flags2 = vmshm_compat_requeue_flags2(flags1, arg3);
	bool entered;
	long ret = vmshm_futex_begin(&entered, addr1, flags1, addr2, flags2);

	if (!ret)
		ret = vmshm_futex_kernel(requeue)(addr1, flags1, addr2, arg3,
						  arg4, arg5, arg6, arg7);
	vmshm_futex_leave(entered);
	return ret;
}

static long vmshm_futex_lock_pi(ulong addr, ulong flags, ulong time,
				ulong trylock)
{
	bool entered;
	long ret = vmshm_futex_begin(&entered, addr, flags, 0, 0);

	if (!ret)
		ret = vmshm_futex_kernel(lock_pi)(addr, flags, time, trylock);
	else if (ret == -ENOSYS)
		/* After -ENOSYS, glibc continues without the mutex. */
		ret = trylock ? -EAGAIN : -EOPNOTSUPP;
	vmshm_futex_leave(entered);
	return ret;
}

static long vmshm_futex_unlock_pi(ulong addr, ulong flags, ulong pending)
{
	bool entered;
	long ret = vmshm_futex_begin(&entered, addr, flags, 0, 0);

	if (!ret)
		ret = vmshm_futex_kernel(unlock_pi)(addr, flags, pending);
	vmshm_futex_leave(entered);
	return ret;
}

static long vmshm_futex_wait_requeue_pi(ulong addr, ulong flags, ulong value,
					ulong time, ulong bitset, ulong addr2)
{
	bool entered;
	long ret = vmshm_futex_begin(&entered, addr, flags, addr2, flags);

	if (!ret)
		ret = vmshm_futex_kernel(wait_requeue_pi)(addr, flags, value,
							  time, bitset, addr2);
	vmshm_futex_leave(entered);
	return ret;
}

/* futex_wait(2); futex_wait() calls it, too, but not for a word of ours. */
static long vmshm_futex_wait2(ulong addr, ulong flags, ulong value, ulong timer,
			      ulong bitset)
{
	bool entered;
	long ret = vmshm_futex_begin(&entered, addr, flags, 0, 0);

	if (!ret)
		ret = vmshm_futex_kernel(wait2)(addr, flags, value, timer,
						bitset);
	vmshm_futex_leave(entered);
	return ret;
}

/* Whether one of the words of futex_waitv(2) is ours */
static bool vmshm_futex_any_ours(const struct futex_waitv __user *words,
				 ulong count)
{
	struct futex_waitv word;
	ulong i;

	for (i = 0; i < count && i < FUTEX_WAITV_MAX; i++) {
		if (copy_from_user(&word, words + i, sizeof(word)))
			return false;
		if (!(word.flags & FUTEX_PRIVATE_FLAG) &&
		    vmshm_futex_is_ours(word.uaddr, VMSHM_COMPAT_FLAGS_SHARED))
			return true;
	}
	return false;
}

/* All calls are diverted here, because the words are in user memory. */
static long vmshm_futex_waitv(const struct pt_regs *regs)
{
	bool entered = vmshm_futex_enter();
	bool ours = vmshm_futex_any_ours((void __user *)regs->di, regs->si);
	long ret = vmshm_futex_refusal(entered, ours);

	if (!ret)
		ret = vmshm_futex_kernel(waitv)(regs);
	vmshm_futex_leave(entered);
	return ret;
}

static long vmshm_futex_waitv_compat(const struct pt_regs *regs)
{
	bool entered = vmshm_futex_enter();
	bool ours = vmshm_futex_any_ours(compat_ptr(regs->bx), regs->cx);
	long ret = vmshm_futex_refusal(entered, ours);

	if (!ret)
		ret = vmshm_futex_kernel(waitv_compat)(regs);
	vmshm_futex_leave(entered);
	return ret;
}

#define VMSHM_FUTEX_HOOK(function, addr1, flags1, addr2, flags2) \
	.ours = function, .arg = { { addr1, flags1 }, { addr2, flags2 } }
#define VMSHM_FUTEX_ONE_WORD(function) \
	VMSHM_FUTEX_HOOK(function, 0, 1, VMSHM_FUTEX_NONE, 0)

struct vmshm_futex_hook vmshm_futex_hook[VMSHM_FUTEX_FUNCTIONS] = {
	[VMSHM_FUTEX_WAIT] = {
		.name = "futex_wait",
		VMSHM_FUTEX_ONE_WORD(vmshm_futex_wait),
	},
	[VMSHM_FUTEX_WAKE] = {
		.name = "futex_wake",
		VMSHM_FUTEX_ONE_WORD(vmshm_futex_wake),
	},
	[VMSHM_FUTEX_WAKE_OP] = {
		.name = "futex_wake_op",
		VMSHM_FUTEX_HOOK(vmshm_futex_wake_op, 0, 1, 2, 1),
	},
	[VMSHM_FUTEX_REQUEUE] = {
		.name = "futex_requeue",
		VMSHM_FUTEX_HOOK(vmshm_futex_requeue, 0, 1, 2,
				 VMSHM_COMPAT_REQUEUE_FLAGS2),
	},
	[VMSHM_FUTEX_LOCK_PI] = {
		.name = "futex_lock_pi",
		.optional = !IS_ENABLED(CONFIG_FUTEX_PI),
		VMSHM_FUTEX_ONE_WORD(vmshm_futex_lock_pi),
	},
	[VMSHM_FUTEX_UNLOCK_PI] = {
		.name = "futex_unlock_pi",
		.optional = !IS_ENABLED(CONFIG_FUTEX_PI),
		VMSHM_FUTEX_ONE_WORD(vmshm_futex_unlock_pi),
	},
	[VMSHM_FUTEX_WAIT_REQUEUE_PI] = {
		.name = "futex_wait_requeue_pi",
		.optional = !IS_ENABLED(CONFIG_FUTEX_PI),
		VMSHM_FUTEX_HOOK(vmshm_futex_wait_requeue_pi, 0, 1, 5, 1),
	},
	[VMSHM_FUTEX_WAIT2] = {
		.name = "__futex_wait",
		.optional = !VMSHM_COMPAT_HAS_FUTEX2,
		VMSHM_FUTEX_ONE_WORD(vmshm_futex_wait2),
	},
	[VMSHM_FUTEX_WAITV] = {
		.name = "__x64_sys_futex_waitv",
		VMSHM_FUTEX_HOOK(vmshm_futex_waitv, VMSHM_FUTEX_NONE, 0,
				 VMSHM_FUTEX_NONE, 0),
	},
	[VMSHM_FUTEX_WAITV_COMPAT] = {
		.name = "__ia32_sys_futex_waitv",
		.optional = !IS_ENABLED(CONFIG_IA32_EMULATION),
		VMSHM_FUTEX_HOOK(vmshm_futex_waitv_compat, VMSHM_FUTEX_NONE, 0,
				 VMSHM_FUTEX_NONE, 0),
	},
};

/* The table says where the kernel has the function. */
#define VMSHM_FUTEX_LINK(number, name)                                    \
	static_call_update(vmshm_futex_kernel_##name,                     \
			   (typeof(vmshm_futex_##name) *)                 \
				   vmshm_futex_hook[VMSHM_FUTEX_##number] \
					   .kernel)

/**
 * vmshm_futex_op_init() - prepare the functions
 * @restart: futex_wait_restart() of the kernel
 *
 * vmshm_futex_hook has the addresses of the kernel's functions.
 */
void vmshm_futex_op_init(unsigned long restart)
{
	vmshm_futex_restart = (void *)restart;
	VMSHM_FUTEX_LINK(WAIT, wait);
	VMSHM_FUTEX_LINK(WAKE, wake);
	VMSHM_FUTEX_LINK(WAKE_OP, wake_op);
	VMSHM_FUTEX_LINK(REQUEUE, requeue);
	VMSHM_FUTEX_LINK(LOCK_PI, lock_pi);
	VMSHM_FUTEX_LINK(UNLOCK_PI, unlock_pi);
	VMSHM_FUTEX_LINK(WAIT_REQUEUE_PI, wait_requeue_pi);
	VMSHM_FUTEX_LINK(WAIT2, wait2);
	VMSHM_FUTEX_LINK(WAITV, waitv);
	VMSHM_FUTEX_LINK(WAITV_COMPAT, waitv_compat);
}

/**
 * vmshm_futex_op_drain() - wait until no call is in one of the functions
 *
 * No handler diverts calls to the functions any more. A call can still be about
 * to enter a function, or to return from it. Such a call does not sleep.
 */
void vmshm_futex_op_drain(void)
{
	synchronize_rcu_tasks();
	wait_var_event(&vmshm_futex_calls, !atomic_read(&vmshm_futex_calls));
	synchronize_rcu_tasks();
}

#endif /* VMSHM_HAS_FUTEX */
