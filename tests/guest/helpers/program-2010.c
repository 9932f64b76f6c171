// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The program on the VMShm page of 2010 as it is printed there, with nothing
 * but its headers and main() added; test-2010.sh runs it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

int main(void)
{
/* as printed, from here ... */
int fd = open("/dev/vshm0", O_RDWR);
if(fd < 0) {
    fprintf(stderr, "Cannot open device\n");
    exit(0);
}

if(ioctl(fd, 0, "/shared-with-qemu") != 0) {
    fprintf(stderr, "Cannot map host's shared memory object.n");
    exit(0);
}

char *shm = mmap(NULL, 1024 * 1024, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

if(shm == MAP_FAILED) {
    fprintf(stderr, "Cannot mmap device buffer\n");
    exit(0);
}

/* do everything that you need on the shm buffer */
/* for example write the pid of the process */
sprintf(shm, "I was here: %d", getpid());

/* ... */

munmap(shm, 1024 * 1024);
close(fd);
/* ... to here */
}
