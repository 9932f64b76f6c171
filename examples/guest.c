/* SPDX-License-Identifier: MIT */
/*
 * The program of the VMShm page of 2010: maps an object of the host, prints
 * the text in it, and replaces it by "I was here: PID".
 *
 * usage: guest [NAME]		NAME as in shm_open(), "/shared-with-qemu"
 *
 * The name of the device, the exit codes and the error messages are corrected.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define DEVICE "/dev/vmshm0"
#define SIZE (1024 * 1024)

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "/shared-with-qemu";
	char *shm;
	int fd;

	fd = open(DEVICE, O_RDWR);
	if (fd < 0) {
		perror("Cannot open " DEVICE);
		return 1;
	}

	if (ioctl(fd, 0, name) != 0) {
		perror("Cannot map host's shared memory object");
		return 1;
	}

	shm = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shm == MAP_FAILED) {
		perror("Cannot mmap device buffer");
		return 1;
	}

	/* do everything that you need on the shm buffer */
	printf("the host wrote: %.1000s\n", shm);
	/* for example write the pid of the process */
	sprintf(shm, "I was here: %d", getpid());
	printf("I wrote:        %.1000s\n", shm);

	munmap(shm, SIZE);
	close(fd);
	return 0;
}
