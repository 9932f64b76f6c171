/* SPDX-License-Identifier: MIT */
/* Threads of the library. */
#ifndef VMSHM_LIB_THREAD_H
#define VMSHM_LIB_THREAD_H

#include <pthread.h>

/* A thread in which no signal of the program is handled; 0 or -errno */
int thread_start(pthread_t *thread, void *(*run)(void *), void *arg);

#endif /* VMSHM_LIB_THREAD_H */
