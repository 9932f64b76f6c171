// SPDX-License-Identifier: MIT
/*
 * librpcblas.so: a BLAS whose work is done by blas-service, on the host. A
 * program uses it like any other BLAS, through LD_PRELOAD or by linking.
 *
 * RPCBLAS is the address of the service: vmshm:/NAME or tcp:HOST:PORT.
 *
 * BLAS calls return no errors, so that a failure prints a message and aborts.
 */
#include <cblas.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocol.h"
#include "transport.h"

#define API __attribute__((visibility("default")))

/* Seconds for the service's hello */
#define PATIENCE 5

/* A matrix as it is stored, by rows; @trans: it is used transposed. */
struct matrix {
	float *data;
	size_t gap;	/* leading dimension: from one row to the next */
	bool trans;
};

struct product {
	size_t m, n, k;
	float alpha, beta;
	struct matrix a, b, c;
};

/*
 * One call at a time. @owner is the process that has connected. A child of
 * fork() is another program and connects again. It can do so when its parent
 * has exited, because the service has one client at a time.
 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct transport *service;
static pid_t owner;

/* The longest message of both sides, in floats after the header */
static size_t room;

static void die(const char *what, int err)
{
	const char *address = getenv("RPCBLAS");

	fprintf(stderr, "rpcblas: %s: %s%s%s\n", address ? address : "RPCBLAS",
		what, err ? ": " : "", err ? strerror(-err) : "");
	abort();
}

/* A thread of the parent may hold the lock, and the child lacks that thread. */
static void unlock_in_child(void)
{
	pthread_mutex_init(&lock, NULL);
}

static void __attribute__((constructor)) prepare_for_fork(void)
{
	pthread_atfork(NULL, NULL, unlock_in_child);
}

static void connect_service(void)
{
	const char *address = getenv("RPCBLAS");
	struct hello hello = { 0 };
	struct piece piece = { &hello, 1, sizeof(hello), sizeof(hello) };
	size_t max;
	int err;

	if (!address)
		die("is not set; set it to an address such as vmshm:/NAME", 0);
	/* In a child this does not end the parent's connection. */
	if (service)
		service->close(service);
	service = NULL;
	err = transport_connect(&service, address);
	if (err)
		die(err == -EBUSY ? "another program uses it" :
				    "cannot connect", err);
	owner = getpid();
	err = service->wait(service, PATIENCE);
	if (err)
		die("no service answers there", err);
	err = service->recv(service, &piece, 1);
	if (err != sizeof(hello) || hello.magic != HELLO_MAGIC)
		die("this is not a service for BLAS", err < 0 ? err : 0);
	max = hello.max < service->max ? hello.max : service->max;
	if (max < sizeof(struct request) + 3 * sizeof(float))
		die("its messages are too short", 0);
	room = (max - sizeof(struct request)) / sizeof(float);
}

/* Closes the connection, unless another thread is in a call */
static void __attribute__((destructor)) disconnect(void)
{
	if (!service || owner != getpid() || pthread_mutex_trylock(&lock))
		return;
	service->close(service);
	service = NULL;
	pthread_mutex_unlock(&lock);
}

/* Rows from @i and columns from @k of the matrix as it is used */
static struct piece part(const struct matrix *x, size_t i, size_t k,
			 size_t rows, size_t columns)
{
	size_t at = x->trans ? k * x->gap + i : i * x->gap + k;

	return (struct piece){
		.data = x->data + at,
		.rows = x->trans ? columns : rows,
		.width = (x->trans ? rows : columns) * sizeof(float),
		.stride = x->gap * sizeof(float),
	};
}

/* A product that fits into one message. */
static void call(const struct product *p)
{
	struct request r = {
		.call = CALL_SGEMM,
		.flags = (p->a.trans ? SGEMM_TRANS_A : 0) |
			 (p->b.trans ? SGEMM_TRANS_B : 0),
		.m = p->m, .n = p->n, .k = p->k,
		.alpha = p->alpha, .beta = p->beta,
	};
	struct answer answer = { 0 };
	struct piece c = part(&p->c, 0, 0, p->m, p->n);
	struct piece out[] = {
		{ &r, 1, sizeof(r), sizeof(r) },
		part(&p->a, 0, 0, p->m, p->k),
		part(&p->b, 0, 0, p->k, p->n),
		c,
	};
	struct piece in[] = {
		{ &answer, 1, sizeof(answer), sizeof(answer) },
		c,
	};
	ssize_t got;
	int err;

	err = service->send(service, out, p->beta ? 4 : 3);
	if (err)
		die("lost the service", err);
	got = service->recv(service, in, 2);
	if (got < 0)
		die("lost the service", got);
	if (answer.error)
		die("the service refuses", -answer.error);
	if ((size_t)got != pieces_size(in, 2))
		die("the service gives a wrong answer", 0);
}

static bool fits(size_t m, size_t n, size_t k, bool with_c)
{
	return m * k + k * n + (with_c ? m * n : 0) <= room && m * n <= room;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* The same matrix from another row and column on */
static struct matrix from(const struct matrix *x, size_t i, size_t k)
{
	struct matrix y = *x;

	y.data = part(x, i, k, 0, 0).data;
	return y;
}

/* Uses as few blocks as fit. The first one for a block of C applies beta. */
static void multiply(const struct product *p)
{
	size_t m = p->m, n = p->n, k = p->k, i, j, l;

	while (!fits(m, n, k, p->beta || k < p->k)) {
		if (k > m && k > n)
			k = (k + 1) / 2;
		else if (m > n)
			m = (m + 1) / 2;
		else
			n = (n + 1) / 2;
	}
	for (i = 0; i < p->m; i += m) {
		for (j = 0; j < p->n; j += n) {
			for (l = 0; l < p->k; l += k) {
				struct product block = {
					.m = least(m, p->m - i),
					.n = least(n, p->n - j),
					.k = least(k, p->k - l),
					.alpha = p->alpha,
					.beta = l ? 1 : p->beta,
					.a = from(&p->a, i, l),
					.b = from(&p->b, l, j),
					.c = from(&p->c, i, j),
				};

				call(&block);
			}
		}
	}
}

/* The case that needs neither A nor B */
static void scale(const struct matrix *c, size_t m, size_t n, float beta)
{
	size_t i, j;

	for (i = 0; i < m; i++) {
		float *row = c->data + i * c->gap;

		for (j = 0; j < n; j++)
			row[j] = beta ? beta * row[j] : 0;
	}
}

/* The leading dimension; aborts if it is too small, as other BLAS do */
static size_t gap(const char *name, int ld, size_t columns)
{
	if (ld < 1 || (size_t)ld < columns)
		die(name, -EINVAL);
	return ld;
}

static bool is_trans(CBLAS_TRANSPOSE t)
{
	if (t != CblasNoTrans && t != CblasTrans && t != CblasConjTrans)
		die("TransA, TransB", -EINVAL);
	return t != CblasNoTrans;
}

API void cblas_sgemm(CBLAS_LAYOUT layout, CBLAS_TRANSPOSE trans_a,
		     CBLAS_TRANSPOSE trans_b, const int m, const int n,
		     const int k, const float alpha, const float *a,
		     const int lda, const float *b, const int ldb,
		     const float beta, float *c, const int ldc)
{
	struct product p = {
		.m = m, .n = n, .k = k, .alpha = alpha, .beta = beta,
		.a = { .data = (float *)a, .trans = is_trans(trans_a) },
		.b = { .data = (float *)b, .trans = is_trans(trans_b) },
		.c = { .data = c },
	};

	if (layout == CblasColMajor) {
		/* By rows that is C' = B' * A'. */
		cblas_sgemm(CblasRowMajor, trans_b, trans_a, n, m, k, alpha, b,
			    ldb, a, lda, beta, c, ldc);
		return;
	}
	if (layout != CblasRowMajor || m < 0 || n < 0 || k < 0)
		die("layout, m, n or k", -EINVAL);
	p.a.gap = gap("lda", lda, p.a.trans ? m : k);
	p.b.gap = gap("ldb", ldb, p.b.trans ? k : n);
	p.c.gap = gap("ldc", ldc, n);
	if (!m || !n)
		return;
	if (!k || !alpha) {
		scale(&p.c, m, n, beta);
		return;
	}
	pthread_mutex_lock(&lock);
	if (!service || owner != getpid())
		connect_service();
	multiply(&p);
	pthread_mutex_unlock(&lock);
}
