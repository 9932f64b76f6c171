// SPDX-License-Identifier: MIT
/*
 * The process that has opened an object, a channel or a broadcast. A process ID
 * does not identify the process, because the kernel reuses process IDs.
 */
#include <pthread.h>

#include "process.h"

_Atomic uint32_t process_generation;

static void in_child(void)
{
	atomic_fetch_add(&process_generation, 1);
}

static void __attribute__((constructor)) begin(void)
{
	pthread_atfork(NULL, NULL, in_child);
}
