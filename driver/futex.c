// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMShm futexes: futex(2) on mappings of the file system "vmshm" acts on the
 * futex queues of the host.
 *
 * The kernel has no hook for that, so the driver diverts the functions behind
 * futex(2), as livepatch does: an ftrace handler at their first instruction
 * diverts calls that concern a mapping of VMShm to a function of this module.
 * The handler looks up the page of the word in the page tables, which takes no
 * lock, so that other calls need not be diverted. If there is no page, the call
 * is diverted, and the function examines the mappings. It calls the kernel's
 * function if the word is in no mapping of VMShm.
 */
#include <linux/errno.h>
#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>

#include "arena.h"
#include "compat.h"
#include "futex-op.h"
#include "futex.h"
#include "mmap.h"

#ifdef VMSHM_HAS_FUTEX

/* Maximum offset of ftrace's instruction in a function, in bytes */
#define VMSHM_FUTEX_ENTRY 8

/* 1: the page tables have a page of VMShm; 0: another page; -ENOENT: none */
static int vmshm_futex_page(unsigned long addr)
{
	struct page *page;
	int ours;

	if (get_user_pages_fast_only(addr, 1, 0, &page) != 1)
		return -ENOENT;
	ours = vmshm_arena_owns(page);
	put_page(page);
	return ours;
}

static bool vmshm_futex_concerns(struct vmshm_futex_hook *hook,
				 struct ftrace_regs *fregs)
{
	unsigned long flags, addr;
	int i;

	for (i = 0; i < ARRAY_SIZE(hook->arg); i++) {
		const struct vmshm_futex_arg *arg = &hook->arg[i];

		if (arg->addr == VMSHM_FUTEX_NONE)
			return !i;
		addr = vmshm_compat_ftrace_arg(fregs, arg->addr);
		flags = vmshm_compat_ftrace_arg(fregs, arg->flags);
		if ((flags & VMSHM_COMPAT_FLAGS_SHARED) &&
		    IS_ALIGNED(addr, sizeof(u32)) && vmshm_futex_page(addr))
			return true;
	}
	return false;
}

/* The hook whose function an ftrace handler is called for */
static struct vmshm_futex_hook *vmshm_futex_find_hook(unsigned long ip)
{
	int i;

	for (i = 0; i < VMSHM_FUTEX_FUNCTIONS; i++)
		if (ip - vmshm_futex_hook[i].kernel <= VMSHM_FUTEX_ENTRY)
			return &vmshm_futex_hook[i];
	return NULL;
}

/* Runs without preemption at the first instruction of the kernel's function */
static void notrace vmshm_futex_divert(unsigned long ip,
				       unsigned long parent_ip,
				       struct ftrace_ops *ops,
				       struct ftrace_regs *fregs)
{
	struct vmshm_futex_hook *hook;
	int bit;

	/* A call that a function of this module makes is not diverted. */
	if (within_module(parent_ip, THIS_MODULE) || !current->mm ||
	    !vmshm_mmap_may_be_in(current->mm))
		return;
	bit = ftrace_test_recursion_trylock(ip, parent_ip);
	if (bit < 0)
		return;
	hook = vmshm_futex_find_hook(ip);
	if (hook && vmshm_futex_concerns(hook, fregs))
		vmshm_compat_ftrace_set_ip(fregs, (unsigned long)hook->ours);
	ftrace_test_recursion_unlock(bit);
}

/*
 * The address of a function of the kernel that modules cannot link to, or 0.
 * The probe stays disabled: it changes no instruction and does not use ftrace.
 */
static unsigned long vmshm_futex_symbol(const char *name)
{
	struct kprobe probe = {
		.symbol_name = name,
		.flags = KPROBE_FLAG_DISABLED,
	};
	unsigned long addr;

	if (register_kprobe(&probe))
		return 0;
	addr = vmshm_compat_function((unsigned long)probe.addr);
	unregister_kprobe(&probe);
	return addr;
}

static struct ftrace_ops vmshm_futex_ops = {
	.func = vmshm_futex_divert,
	.flags = FTRACE_OPS_FL_IPMODIFY | FTRACE_OPS_FL_PERMANENT,
};

static int vmshm_futex_add_hook(struct vmshm_futex_hook *hook)
{
	int err = -ENOENT;

	hook->kernel = vmshm_futex_symbol(hook->name);
	if (hook->kernel)
		err = ftrace_set_filter_ip(&vmshm_futex_ops, hook->kernel, 0,
					   0);
	if (!err)
		return 0;
	hook->kernel = 0;
	if (hook->optional)
		return 0;
	pr_err("vmshm: futex: ftrace does not know %s of this kernel (error %d)\n",
	       hook->name, err);
	return err;
}

static void vmshm_futex_remove(void)
{
	unregister_ftrace_function(&vmshm_futex_ops);
	ftrace_free_filter(&vmshm_futex_ops);
	vmshm_futex_op_drain();
}

static int vmshm_futex_install(void)
{
	unsigned long restart;
	int i, err = 0;

	restart = vmshm_futex_symbol("futex_wait_restart");
	if (!restart) {
		pr_err("vmshm: futex: this kernel has no futex_wait_restart\n");
		return -ENOENT;
	}
	for (i = 0; i < VMSHM_FUTEX_FUNCTIONS && !err; i++)
		err = vmshm_futex_add_hook(&vmshm_futex_hook[i]);
	if (!err) {
		vmshm_futex_op_init(restart);
		err = register_ftrace_function(&vmshm_futex_ops);
		if (err == -EBUSY)
			pr_err("vmshm: futex: a live patch has futex(2), or kernel.ftrace_enabled is 0\n");
		else if (err)
			pr_err("vmshm: futex: ftrace refuses (error %d)\n",
			       err);
	}
	if (err)
		ftrace_free_filter(&vmshm_futex_ops);
	return err;
}

#else

static void vmshm_futex_remove(void)
{
}

static int vmshm_futex_install(void)
{
	if (IS_ENABLED(CONFIG_X86_64))
		pr_err("vmshm: futex: this kernel is built without ftrace or kprobes\n");
	else
		pr_err("vmshm: futex: this needs x86-64\n");
	return -EOPNOTSUPP;
}

#endif /* VMSHM_HAS_FUTEX */

static bool vmshm_futex_on;
module_param_named(futex, vmshm_futex_on, bool, 0444);
MODULE_PARM_DESC(futex,
		 "futex(2) on files of vmshm acts on the host (default: off)");

/**
 * vmshm_futex_init() - divert futex(2) if the parameter futex says so
 *
 * Where that is not possible, the log says why, the parameter is off, and
 * everything else works.
 */
void vmshm_futex_init(void)
{
	if (vmshm_futex_on && vmshm_futex_install())
		vmshm_futex_on = false;
}

/**
 * vmshm_futex_exit() - let futex(2) be the kernel's again
 */
void vmshm_futex_exit(void)
{
	if (vmshm_futex_on)
		vmshm_futex_remove();
}
