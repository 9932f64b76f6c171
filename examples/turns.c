/* SPDX-License-Identifier: MIT */
/*
 * Two processes take turns: an ordinary program with named semaphores and a
 * counter in POSIX shared memory. It does not use VMShm, and works with one
 * process on the host and the other in a guest; see
 * docs/unmodified-programs.md.
 *
 * usage: turns NAME SIDE ROUNDS
 *
 * NAME as in shm_open(), e.g. "/demo". SIDE is 0 in one process, 1 in the
 * other one. What was made is removed at the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int failed(const char *what, const char *name)
{
	fprintf(stderr, "turns: cannot %s %s: %s\n", what, name,
		strerror(errno));
	return 1;
}

/* The counter; a new object has 0 in it. */
static volatile long *map_counter(const char *name)
{
	int fd = shm_open(name, O_RDWR | O_CREAT, 0600);
	void *shm;

	if (fd < 0 || ftruncate(fd, sizeof(long)))
		return NULL;
	shm = mmap(NULL, sizeof(long), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		   0);
	close(fd);
	return shm == MAP_FAILED ? NULL : shm;
}

/* The semaphore of a side is 1 while it is its turn; side 0 begins. */
static sem_t *open_turn(const char *name, int side)
{
	char sem[200];

	snprintf(sem, sizeof(sem), "%s-turn%d", name, side);
	return sem_open(sem, O_CREAT, 0600, !side);
}

static void remove_all(const char *name)
{
	char sem[200];
	int side;

	for (side = 0; side < 2; side++) {
		snprintf(sem, sizeof(sem), "%s-turn%d", name, side);
		sem_unlink(sem);
	}
	shm_unlink(name);
}

int main(int argc, char **argv)
{
	volatile long *counter;
	sem_t *turn[2];
	long round;
	int side;

	if (argc != 4) {
		fprintf(stderr, "usage: turns NAME 0|1 ROUNDS\n");
		return 2;
	}
	side = atoi(argv[2]) == 1;
	counter = map_counter(argv[1]);
	if (!counter)
		return failed("map", argv[1]);
	turn[0] = open_turn(argv[1], 0);
	turn[1] = open_turn(argv[1], 1);
	if (turn[0] == SEM_FAILED || turn[1] == SEM_FAILED)
		return failed("open the semaphores of", argv[1]);
	for (round = 0; round < atol(argv[3]); round++) {
		while (sem_wait(turn[side]))
			if (errno != EINTR)
				return failed("wait for", argv[1]);
		printf("side %d counts to %ld\n", side, ++*counter);
		sem_post(turn[!side]);
	}
	/* Side 1 has the last turn. */
	if (side)
		remove_all(argv[1]);
	return 0;
}
