/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMShm futexes: the functions that replace those of the kernel.
 */
#ifndef VMSHM_FUTEX_OP_H
#define VMSHM_FUTEX_OP_H

#include <linux/types.h>

#define VMSHM_FUTEX_NONE 0xff

/**
 * struct vmshm_futex_arg - a word that a function is called with
 * @addr: number of the argument that is its address; or VMSHM_FUTEX_NONE
 * @flags: number of the argument that has its flags
 */
struct vmshm_futex_arg {
	u8 addr;
	u8 flags;
};

/**
 * struct vmshm_futex_hook - a function of the kernel that is diverted
 * @name: of the kernel's function
 * @ours: the function to which calls that concern VMShm mappings are diverted
 * @arg: the words; if there is none, all calls are diverted
 * @optional: some kernels do not have the function; then no code calls it
 * @kernel: the address of the kernel's function, or 0
 */
struct vmshm_futex_hook {
	const char *name;
	void *ours;
	struct vmshm_futex_arg arg[2];
	bool optional;
	unsigned long kernel;
};

enum vmshm_futex_function {
	VMSHM_FUTEX_WAIT,
	VMSHM_FUTEX_WAKE,
	VMSHM_FUTEX_WAKE_OP,
	VMSHM_FUTEX_REQUEUE,
	VMSHM_FUTEX_LOCK_PI,
	VMSHM_FUTEX_UNLOCK_PI,
	VMSHM_FUTEX_WAIT_REQUEUE_PI,
	VMSHM_FUTEX_WAIT2,
	VMSHM_FUTEX_WAITV,
	VMSHM_FUTEX_WAITV_COMPAT,
	VMSHM_FUTEX_FUNCTIONS
};

extern struct vmshm_futex_hook vmshm_futex_hook[VMSHM_FUTEX_FUNCTIONS];

void vmshm_futex_op_init(unsigned long restart);
void vmshm_futex_op_drain(void);

#endif /* VMSHM_FUTEX_OP_H */
