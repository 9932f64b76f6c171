/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files of the kernel that tests read and write. Include t.h first. */
#ifndef KERNFILE_H
#define KERNFILE_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/*
 * The number in the first line that matches the format, which has one %ld; -1
 * if no line matches
 */
static inline long kernfile_number(const char *path, const char *format)
{
	long number = -1;
	char line[128];
	FILE *file = fopen(path, "re");

	T_ASSERT(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, format, &number) == 1)
			break;
	fclose(file);
	return number;
}

static inline void kernfile_put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		t_fail("%s to %s: %s", text, path, strerror(errno));
	close(fd);
}

#endif
