// SPDX-License-Identifier: GPL-2.0-or-later
/* See link.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "link.h"

void link_die(const char *file, int line, const char *cond)
{
	fprintf(stderr, "%s:%d: not so: %s (%s)\n", file, line, cond,
		strerror(errno));
	exit(1);
}

void *link_map(const char *file, int side, int *fd)
{
	char *p;

	*fd = open(file, O_RDWR | O_CLOEXEC);
	LINK_CHECK(*fd >= 0);
	p = mmap(NULL, LINK_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	LINK_CHECK(p != MAP_FAILED);
	if (side == 0)
		memset(p, 0, LINK_MEMORY);
	return p;
}

static struct link *open_words(char **words, int count)
{
	const char *kind = words[0];

	if (!strcmp(kind, "connect") && count == 3)
		return link_connect(words[1], words[2]);
	if (!strcmp(kind, "unix") && count == 2)
		return link_unix(words[1]);
	if (!strcmp(kind, "file") && count == 2)
		return link_file(words[1]);
	if (!strcmp(kind, "fd") && count == 2)
		return link_fd(atoi(words[1]));
	if (!strcmp(kind, "words") && count == 4)
		return link_words(words[1], atoi(words[2]), words[3]);
	if (!strcmp(kind, "bell") && count == 5)
		return link_bell(atoi(words[1]), words[2], atoi(words[3]),
				 atoi(words[4]));
	if (!strcmp(kind, "ring") && count == 3)
		return link_ring(atoi(words[1]), words[2]);
	if (!strcmp(kind, "channel") && count == 3)
		return link_channel(words[1], words[2]);
	fprintf(stderr, "no such link: %s\n", kind);
	exit(2);
}

struct link *link_open(char **words, int say)
{
	struct link *l;
	int count = 0;

	while (words[count])
		count++;
	LINK_CHECK(count > 1);
	if (!strcmp(words[0], "listen"))
		return link_listen(words[1]);
	l = open_words(words, count);
	if (say) {
		printf("ready\n");
		fflush(stdout);
	}
	return l;
}
