/* SPDX-License-Identifier: MIT */
/*
 * On the host: a file descriptor that becomes readable when a word is woken.
 */
#ifndef VMSHM_LIB_POLLER_H
#define VMSHM_LIB_POLLER_H

#include <stdbool.h>
#include <stdint.h>

struct poller;

/* 0 or -errno */
int poller_new(struct poller **p);

/* NULL is allowed. @ours: the poller's thread is a thread of this process. */
void poller_free(struct poller *p, bool ours);

int poller_fd(struct poller *p);

/* Polls this word from now on. 0; -EAGAIN: no thread could be created. */
int poller_arm(struct poller *p, void *word, uint32_t expected);

#endif /* VMSHM_LIB_POLLER_H */
