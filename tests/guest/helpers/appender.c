/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Appends lines of 64 bytes to an object, on the host or in a guest.
 *
 *	appender FILE LINES LETTER
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char *argv[])
{
	char line[64];
	long left;
	int fd;

	if (argc != 4)
		return 2;
	fd = open(argv[1], O_WRONLY | O_APPEND);
	if (fd < 0)
		return 3;
	memset(line, *argv[3], sizeof(line));
	line[63] = '\n';
	for (left = atol(argv[2]); left > 0; left--)
		if (write(fd, line, sizeof(line)) != sizeof(line))
			return 4;
	return 0;
}
