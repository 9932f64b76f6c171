// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * usage: fuzz COUNT SEED
 *
 * Gives requests to the service's code that are valid, or nearly so. The
 * buffers of message and answer have exactly their size, and the cblas_sgemm()
 * here touches all elements that a BLAS may touch, so that the sanitizers see
 * accesses outside of the buffers.
 */
#include <cblas.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sgemm.h"

/* The largest message, in bytes */
#define MOST 8192u

static unsigned int seed;
static unsigned long calls;

static uint32_t any(void)
{
	return (uint32_t)rand_r(&seed) << 16 ^ rand_r(&seed);
}

static float touch(const float *x, int rows, int columns, int ld)
{
	float sum = 0;
	int i, k;

	if (ld < columns || rows < 1 || columns < 1)
		abort();
	for (i = 0; i < rows; i++)
		for (k = 0; k < columns; k++)
			sum += x[(size_t)i * ld + k];
	return sum;
}

void cblas_sgemm(CBLAS_LAYOUT layout, CBLAS_TRANSPOSE trans_a,
		 CBLAS_TRANSPOSE trans_b, const int m, const int n,
		 const int k, const float alpha, const float *a,
		 const int lda, const float *b, const int ldb,
		 const float beta, float *c, const int ldc)
{
	int x = trans_a == CblasTrans, y = trans_b == CblasTrans;
	float sum;
	int i;

	if (layout != CblasRowMajor || ldc < n)
		abort();
	sum = alpha * touch(a, x ? k : m, x ? m : k, lda);
	sum += touch(b, y ? n : k, y ? k : n, ldb);
	if (beta)
		sum += touch(c, m, n, ldc);
	for (i = 0; i < m; i++)
		c[(size_t)i * ldc] = c[(size_t)i * ldc + n - 1] = sum;
	calls++;
}

/* A dimension that is small, or the worst there is */
static uint32_t dimension(void)
{
	static const uint32_t bad[] = { 0, 65535, 65536, INT_MAX, UINT_MAX };

	if (any() % 8)
		return any() % 40 + 1;
	return any() % 2 ? bad[any() % 5] : 1u << any() % 32;
}

static void spoil(struct request *r)
{
	uint32_t words[sizeof(*r) / 4];

	memcpy(words, r, sizeof(*r));
	words[any() % 8] = any() % 2 ? dimension() : any();
	memcpy(r, words, sizeof(*r));
}

static size_t length(const struct request *r)
{
	size_t floats = (size_t)r->m * r->k + (size_t)r->k * r->n;

	if (r->beta)
		floats += (size_t)r->m * r->n;
	return sizeof(*r) + floats * sizeof(float);
}

static void try_one(void)
{
	struct request r = {
		.call = CALL_SGEMM, .flags = any() % 4, .m = dimension(),
		.n = dimension(), .k = dimension(), .alpha = 1,
		.beta = any() % 2,
	};
	struct sgemm s;
	size_t size;
	void *message, *answer;

	if (any() % 4 == 0)
		spoil(&r);
	size = any() % 8 ? length(&r) : any() % 200;
	if (any() % 4 == 0)
		spoil(&r);
	if (size > MOST)
		size = any() % MOST;
	message = calloc(1, size);
	memcpy(message, &r, size < sizeof(r) ? size : sizeof(r));
	if (!sgemm_check(&s, message, size) && sgemm_answer_size(&s) <= MOST) {
		answer = malloc(sgemm_answer_size(&s));
		sgemm_run(&s, message, answer);
		free(answer);
	}
	free(message);
}

int main(int argc, char **argv)
{
	unsigned long count, i;

	if (argc != 3)
		return 2;
	count = strtoul(argv[1], NULL, 10);
	seed = strtoul(argv[2], NULL, 10);
	for (i = 0; i < count; i++)
		try_one();
	printf("%lu requests, %lu of them computed\n", count, calls);
	return calls < count / 10;
}
