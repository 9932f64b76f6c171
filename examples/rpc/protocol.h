/* SPDX-License-Identifier: MIT */
/*
 * The protocol of the guest's library and the host's service. The service sends
 * a hello. Then the library sends a request and the service its answer, and so
 * on. Both sides have the same architecture, so that numbers have the byte
 * order of the processor.
 *
 * Matrices are stored by rows and without gaps. There are no leading dimensions
 * and no offsets that could be wrong. m, n and k determine the length of the
 * message; another length is an error.
 */
#ifndef RPC_PROTOCOL_H
#define RPC_PROTOCOL_H

#include <stdint.h>

#define HELLO_MAGIC 0x31636c62u	/* "blc1" */

struct hello {
	uint32_t magic;
	/* The longest request and the longest answer, bytes */
	uint32_t max;
};

/* struct request's call */
#define CALL_SGEMM 1u

/* struct request's flags: A, B is stored transposed */
#define SGEMM_TRANS_A 1u
#define SGEMM_TRANS_B 2u

/*
 * C = alpha * A * B + beta * C. A follows, m times k floats, then B, k times n,
 * and, only if beta is not 0, C, m times n.
 */
struct request {
	uint32_t call;
	uint32_t flags;
	uint32_t m, n, k;
	float alpha, beta;
	uint32_t reserved;	/* 0 */
};

/* C follows, m times n floats, if error is 0 */
struct answer {
	uint32_t error;		/* 0 or an errno */
	uint32_t reserved;	/* 0 */
};

#endif /* RPC_PROTOCOL_H */
