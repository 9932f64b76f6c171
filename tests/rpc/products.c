// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * usage: products COUNT THREADS LARGEST
 *
 * Compares COUNT random calls of cblas_sgemm(), of all kinds, with loops. With
 * COUNT 0 it does not end. It prints "ready" after the first calls.
 */
#include <cblas.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int total, largest;

static float number(unsigned int *seed)
{
	return (float)(rand_r(seed) % 201 - 100) / 100;
}

static int below(unsigned int *seed, int n)
{
	return rand_r(seed) % n;
}

struct matrix {
	float *x;
	int ld;
	bool by_rows, trans;
	size_t size;
};

/* @rows and @columns are those of the operand, with @trans applied. */
static struct matrix matrix(unsigned int *seed, int rows, int columns,
			    bool by_rows, bool trans)
{
	struct matrix m = { .by_rows = by_rows, .trans = trans };
	int width = by_rows != trans ? columns : rows;
	int count = by_rows != trans ? rows : columns;
	size_t i;

	m.ld = width + (below(seed, 2) ? below(seed, 4) : 0);
	/*
	 * No padding follows the last row: that memory belongs to other code.
	 */
	m.size = (size_t)m.ld * (count - 1) + width;
	m.x = malloc(m.size * sizeof(float));
	for (i = 0; i < m.size; i++)
		m.x[i] = number(seed);
	return m;
}

static float *at(const struct matrix *m, int row, int column)
{
	return m->by_rows != m->trans ? m->x + (size_t)row * m->ld + column :
					m->x + (size_t)column * m->ld + row;
}

static float scalar(unsigned int *seed)
{
	static const float usual[] = { 0, 1, 1, -2.5 };

	return usual[below(seed, 4)];
}

static void fail(const char *what)
{
	fprintf(stderr, "products: %s\n", what);
	exit(1);
}

/*
 * Computes the product with loops, in a matrix that is otherwise a copy of C.
 */
static void expect(float *to, const struct matrix *a, const struct matrix *b,
		   const struct matrix *c, int m, int n, int k, float alpha,
		   float beta)
{
	struct matrix e = *c;
	int i, j, l;

	memcpy(to, c->x, c->size * sizeof(float));
	e.x = to;
	for (i = 0; i < m; i++) {
		for (j = 0; j < n; j++) {
			double sum = 0;

			for (l = 0; alpha && l < k; l++)
				sum += (double)*at(a, i, l) * *at(b, l, j);
			sum *= alpha;
			if (beta)
				sum += beta * *at(c, i, j);
			*at(&e, i, j) = sum;
		}
	}
}

static CBLAS_TRANSPOSE trans(unsigned int *seed, const struct matrix *x)
{
	if (!x->trans)
		return CblasNoTrans;
	return below(seed, 2) ? CblasTrans : CblasConjTrans;
}

static void product(unsigned int *seed)
{
	bool by_rows = below(seed, 2);
	int m = 1 + below(seed, largest), n = 1 + below(seed, largest);
	int k = 1 + below(seed, largest);
	float alpha = scalar(seed), beta = scalar(seed);
	struct matrix a = matrix(seed, m, k, by_rows, below(seed, 2));
	struct matrix b = matrix(seed, k, n, by_rows, below(seed, 2));
	struct matrix c = matrix(seed, m, n, by_rows, false);
	float *expected = malloc(c.size * sizeof(float));
	size_t i;

	/*
	 * If beta is 0, C is only a result: its old contents may be anything.
	 */
	if (!beta)
		*at(&c, m - 1, n - 1) = NAN;
	expect(expected, &a, &b, &c, m, n, k, alpha, beta);
	cblas_sgemm(by_rows ? CblasRowMajor : CblasColMajor, trans(seed, &a),
		    trans(seed, &b), m, n, k, alpha, alpha ? a.x : NULL, a.ld,
		    alpha ? b.x : NULL, b.ld, beta, c.x, c.ld);
	for (i = 0; i < c.size; i++)
		if (!(fabsf(expected[i] - c.x[i]) <= 1e-4 * k))
			fail("a wrong product");
	free(a.x);
	free(b.x);
	free(c.x);
	free(expected);
}

static void *some(void *arg)
{
	unsigned int seed = (unsigned long)arg;
	int i;

	for (i = 0; !total || i < total; i++) {
		product(&seed);
		if (i == 0) {
			puts("ready");
			fflush(stdout);
		}
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[16];
	unsigned long i, count;

	if (argc != 4)
		return 2;
	total = atoi(argv[1]);
	count = atoi(argv[2]);
	largest = atoi(argv[3]);
	for (i = 0; i < count && i < 16; i++)
		if (pthread_create(&threads[i], NULL, some, (void *)(i + 1)))
			fail("no thread");
	for (i = 0; i < count && i < 16; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
