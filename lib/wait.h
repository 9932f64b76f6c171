/* SPDX-License-Identifier: MIT */
/* Checks and waits that channels and broadcasts share; see wait.c. */
#ifndef VMSHM_LIB_WAIT_H
#define VMSHM_LIB_WAIT_H

#include <stdbool.h>
#include <vmshm/vmshm.h>

/* Whether vmshm_wait() can work; 0 or -errno. -ENODEV: device unplugged. */
int wait_is_possible(struct vmshm *shm);

/*
 * Wakes all waiters of the word at @wake, and then waits for the word at
 * @offset, as vmshm_wait(). In a guest this is one system call, which most
 * often costs one exit from the virtual machine. A host has no such call.
 */
int wait_after_wake(struct vmshm *shm, uint64_t wake, uint64_t offset,
		    uint32_t expected, int64_t deadline);

/* Whether the mapping has @size bytes, and the object of a node as well */
bool wait_has_bytes(struct vmshm *shm, uint64_t size);

#endif /* VMSHM_LIB_WAIT_H */
