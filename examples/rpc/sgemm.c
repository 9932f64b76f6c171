// SPDX-License-Identifier: MIT
/* See sgemm.h. */
#include <cblas.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "sgemm.h"

#define WORDS (sizeof(struct request) / sizeof(uint32_t))

/*
 * Reads each word once, which memcpy() does not guarantee. The validated words
 * and the used words must be the same, even if the sender changes the memory in
 * between.
 */
static void copy_request(struct request *r, const void *message)
{
	const volatile uint32_t *from = message;
	uint32_t words[WORDS];
	size_t i;

	for (i = 0; i < WORDS; i++)
		words[i] = from[i];
	memcpy(r, words, sizeof(*r));
}

int sgemm_check(struct sgemm *s, const void *message, size_t size)
{
	struct request *r = &s->r;

	if (size < sizeof(*r))
		return -EBADMSG;
	copy_request(r, message);
	if (r->call != CALL_SGEMM)
		return -EOPNOTSUPP;
	if (r->flags & ~(SGEMM_TRANS_A | SGEMM_TRANS_B) || r->reserved)
		return -EINVAL;
	if (!r->m || r->m > INT_MAX || !r->n || r->n > INT_MAX || !r->k ||
	    r->k > INT_MAX)
		return -EINVAL;
	/* Each is below 2^62, so that neither they nor their sum overflow. */
	s->a = (size_t)r->m * r->k;
	s->b = (size_t)r->k * r->n;
	s->c = (size_t)r->m * r->n;
	size -= sizeof(*r);
	if (size % sizeof(float) ||
	    size / sizeof(float) != s->a + s->b + (r->beta ? s->c : 0))
		return -EBADMSG;
	return 0;
}

size_t sgemm_answer_size(const struct sgemm *s)
{
	return sizeof(struct answer) + s->c * sizeof(float);
}

void sgemm_run(const struct sgemm *s, const void *message, void *answer)
{
	const struct request *r = &s->r;
	const float *a = (const float *)((const struct request *)message + 1);
	const float *b = a + s->a;
	float *c = (float *)((struct answer *)answer + 1);
	bool trans_a = r->flags & SGEMM_TRANS_A;
	bool trans_b = r->flags & SGEMM_TRANS_B;

	if (r->beta)
		memcpy(c, b + s->b, s->c * sizeof(float));
	cblas_sgemm(CblasRowMajor, trans_a ? CblasTrans : CblasNoTrans,
		    trans_b ? CblasTrans : CblasNoTrans, r->m, r->n, r->k,
		    r->alpha, a, trans_a ? r->m : r->k, b,
		    trans_b ? r->k : r->n, r->beta, c, r->n);
}
