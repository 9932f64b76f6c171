// SPDX-License-Identifier: MIT
/*
 * Multiplies matrices with CBLAS, checks a part of the result, and prints the
 * time. It works with any BLAS, and has no code for remote calls.
 *
 * usage: sgemm-demo [N...]	matrices of N x N
 */
#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SECONDS 0.25	/* for the measurement of one size */
#define LOOKED_AT 4096	/* numbers that are checked, at least */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static float *matrix(size_t n)
{
	float *x = malloc(n * n * sizeof(*x));
	size_t i;

	if (!x) {
		perror("sgemm-demo");
		exit(1);
	}
	for (i = 0; i < n * n; i++)
		x[i] = (float)(random() % 2001 - 1000) / 1000;
	return x;
}

static void multiply(size_t n, const float *a, const float *b, float *c)
{
	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1, a, n,
		    b, n, 0, c, n);
}

static void check(size_t n, const float *a, const float *b, const float *c)
{
	size_t at, i;

	for (at = 0; at < n * n; at += n * n / LOOKED_AT + 1) {
		double sum = 0;

		for (i = 0; i < n; i++)
			sum += (double)a[at / n * n + i] * b[i * n + at % n];
		/* Not <, for NaN */
		if (!(fabs(sum - c[at]) <= 1e-5 * n)) {
			fprintf(stderr,
				"sgemm-demo: C[%zu][%zu] is %g, not %g\n",
				at / n, at % n, c[at], sum);
			exit(1);
		}
	}
}

static void measure(size_t n)
{
	float *a = matrix(n), *b = matrix(n), *c = matrix(n);
	double begin, time;
	size_t calls = 0, batch = 1, i;

	multiply(n, a, b, c);
	check(n, a, b, c);
	begin = now();
	do {
		for (i = 0; i < batch; i++)
			multiply(n, a, b, c);
		calls += batch;
		time = now() - begin;
		batch *= time < SECONDS / 8 ? 2 : 1;
	} while (time < SECONDS);
	time /= calls;
	printf("%6zu %12.2f %10.4f %10.1f\n", n, time * 1e6,
	       2.0 * n * n * n / time * 1e-9,
	       3.0 * n * n * sizeof(*a) / time * 1e-6);
	free(a);
	free(b);
	free(c);
}

int main(int argc, char **argv)
{
	static const size_t usual[] = { 4, 16, 64, 128, 256, 512 };
	size_t i;

	printf("%6s %12s %10s %10s\n", "n", "us a call", "GFLOP/s", "MB/s");
	for (i = 0; argc == 1 && i < sizeof(usual) / sizeof(*usual); i++)
		measure(usual[i]);
	for (i = 1; i < (size_t)argc; i++)
		measure(strtoul(argv[i], NULL, 10));
	return 0;
}
