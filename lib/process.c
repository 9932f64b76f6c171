// SPDX-License-Identifier: MIT
/*
 * The process that has opened something. A process ID cannot tell, because the
 * kernel uses it again.
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
