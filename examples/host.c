/* SPDX-License-Identifier: MIT */
/*
 * The host's side of guest.c: plain POSIX shared memory, without VMShm.
 *
 * usage: host create NAME TEXT		create the object, with the text in it
 *	  host show NAME		print the current text
 *	  host remove NAME
 *
 * NAME as in shm_open(), e.g. "/shared-with-qemu".
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE (1024 * 1024)

static int failed(const char *what, const char *name)
{
	fprintf(stderr, "host: cannot %s %s: %s\n", what, name,
		strerror(errno));
	return 1;
}

static int create(const char *name, const char *text)
{
	int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
	char *shm;

	if (fd < 0)
		return failed("create", name);
	if (ftruncate(fd, SIZE))
		return failed("size", name);
	shm = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shm == MAP_FAILED)
		return failed("map", name);
	snprintf(shm, SIZE, "%s", text);
	return 0;
}

static int show(const char *name)
{
	int fd = shm_open(name, O_RDONLY, 0);
	char *shm;

	if (fd < 0)
		return failed("open", name);
	shm = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	if (shm == MAP_FAILED)
		return failed("map", name);
	printf("%.1000s\n", shm);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "create"))
		return create(argv[2], argv[3]);
	if (argc == 3 && !strcmp(argv[1], "show"))
		return show(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "remove"))
		return shm_unlink(argv[2]) ? failed("remove", argv[2]) : 0;
	fprintf(stderr, "usage: host create NAME TEXT\n"
			"       host show NAME\n"
			"       host remove NAME\n");
	return 2;
}
