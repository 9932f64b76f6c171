/* SPDX-License-Identifier: MIT */
/*
 * On the host: a file descriptor that tells that a word was woken.
 */
#ifndef VMSHM_LIB_POLLER_H
#define VMSHM_LIB_POLLER_H

#include <stdbool.h>
#include <stdint.h>

struct poller;

/* 0 or -errno */
int poller_new(struct poller **p);

/* NULL is allowed. @ours: its thread is one of this process. */
void poller_free(struct poller *p, bool ours);

int poller_fd(struct poller *p);

/* From now on for this word: 0; -EAGAIN: no thread could be made. */
int poller_arm(struct poller *p, void *word, uint32_t expected);

#endif /* VMSHM_LIB_POLLER_H */
