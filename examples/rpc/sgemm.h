/* SPDX-License-Identifier: MIT */
/*
 * The service's side of cblas_sgemm(). The request is not validated yet, and
 * its sender may still change the memory.
 */
#ifndef RPC_SGEMM_H
#define RPC_SGEMM_H

#include <stddef.h>

#include "protocol.h"

/* A request that was copied and validated */
struct sgemm {
	struct request r;
	/* Floats of each matrix */
	size_t a, b, c;
};

/* 0, or a negative errno */
int sgemm_check(struct sgemm *s, const void *message, size_t size);

/* Bytes of the answer */
size_t sgemm_answer_size(const struct sgemm *s);

/* Computes from the message into the answer, which follows struct answer. */
void sgemm_run(const struct sgemm *s, const void *message, void *answer);

#endif /* RPC_SGEMM_H */
