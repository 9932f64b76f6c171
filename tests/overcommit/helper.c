// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * usage: helper as UID COMMAND...    runs a command as another user
 *        helper fill                 takes all memory that the kernel commits
 *
 * Memory that is committed, and not used, costs nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void fill(void)
{
	size_t size = 1ul << 30;

	while (size >= 4096) {
		if (mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
			size /= 2;
	}
	puts("full");
	fflush(stdout);
	pause();
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "fill")) {
		fill();
	} else if (argc > 3 && !strcmp(argv[1], "as")) {
		uid_t uid = atoi(argv[2]);

		if (setgid(uid) || setuid(uid)) {
			perror("setuid");
			return 1;
		}
		execv(argv[3], argv + 3);
		perror(argv[3]);
	}
	return 1;
}
