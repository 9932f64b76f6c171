/* SPDX-License-Identifier: MIT */
/*
 * An open object. No call on it takes a lock, so that a signal handler and the
 * child of a fork() can use it at any moment.
 */
#ifndef VMSHM_LIB_OBJECT_H
#define VMSHM_LIB_OBJECT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <vmshm/vmshm.h>

struct poller;

struct vmshm {
	int fd;
	/* The driver waits and wakes, because this is a guest. */
	bool guest;
	/* The object is reached through a device node, not through a file. */
	bool node;
	bool writable;
	/* The driver cannot wake and wait in one call. */
	_Atomic bool only_single;
	/* The process that has opened the object; see process.h */
	uint32_t generation;
	/* The device was unplugged: an access to the memory is SIGBUS. */
	_Atomic bool gone;
	/* Bytes of the mapping, set once; then its address, set once */
	_Atomic size_t size;
	_Atomic(void *) data;
	/* Set once; see poll.c */
	_Atomic(struct poller *) poller;
};

/* Bytes of the mapping; 0: there is none yet */
static inline size_t object_mapped(struct vmshm *shm)
{
	return atomic_load(&shm->data) ? atomic_load(&shm->size) : 0;
}

/* The word in this process's memory; EINVAL, EFAULT, or as vmshm_map() */
int object_word(struct vmshm *shm, uint64_t offset, void **word);

#endif /* VMSHM_LIB_OBJECT_H */
