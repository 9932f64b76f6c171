// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An ordinary MPI program: a number goes round all processes of one guest, and
 * blocks that are too large for the fast path go from each to the next.
 *
 * usage: mpi-ring ROUNDS
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 1 << 20 };

static char out[BLOCK], in[BLOCK];

static void exchange_blocks(int rank, int size)
{
	int next = (rank + 1) % size, last = (rank + size - 1) % size;

	memset(out, rank + 1, BLOCK);
	MPI_Sendrecv(out, BLOCK, MPI_BYTE, next, 1, in, BLOCK, MPI_BYTE, last,
		     1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
	if (in[0] != last + 1 || in[BLOCK - 1] != last + 1)
		MPI_Abort(MPI_COMM_WORLD, 2);
}

int main(int argc, char **argv)
{
	long rounds = argc > 1 ? atol(argv[1]) : 1, number = 0, i;
	int rank, size;

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &size);
	for (i = 0; i < rounds; i++) {
		int next = (rank + 1) % size, last = (rank + size - 1) % size;

		if (rank)
			MPI_Recv(&number, 1, MPI_LONG, last, 0, MPI_COMM_WORLD,
				 MPI_STATUS_IGNORE);
		number++;
		MPI_Send(&number, 1, MPI_LONG, next, 0, MPI_COMM_WORLD);
		if (!rank)
			MPI_Recv(&number, 1, MPI_LONG, last, 0, MPI_COMM_WORLD,
				 MPI_STATUS_IGNORE);
	}
	for (i = 0; i < 4; i++)
		exchange_blocks(rank, size);
	if (!rank)
		printf("number %ld of %ld\n", number, rounds * size);
	MPI_Finalize();
	return 0;
}
