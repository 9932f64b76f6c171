/* SPDX-License-Identifier: MIT */
/*
 * The process that has opened an object, a channel or a broadcast. The child of
 * a fork() has a copy of the memory, but not the threads that watch and poll.
 */
#ifndef VMSHM_LIB_PROCESS_H
#define VMSHM_LIB_PROCESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Changes in the child of each fork(3). */
extern _Atomic uint32_t process_generation
	__attribute__((visibility("hidden")));

static inline uint32_t process_this(void)
{
	return atomic_load_explicit(&process_generation, memory_order_relaxed);
}

/* Whether process_this() has returned @generation in this process */
static inline bool process_is(uint32_t generation)
{
	return generation == process_this();
}

#endif /* VMSHM_LIB_PROCESS_H */
