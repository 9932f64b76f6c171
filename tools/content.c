// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmshm cat and vmshm write
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "hint.h"
#include "parse.h"
#include "place.h"
#include "print.h"

#define CHUNK 65536

static char buffer[CHUNK];

/* Bytes; 0 at the end; -1 with errno */
static ssize_t read_some(int fd, size_t size)
{
	ssize_t got;

	do {
		got = read(fd, buffer, size);
	} while (got < 0 && errno == EINTR);
	return got;
}

static bool write_all(const char *data, size_t size)
{
	while (size) {
		ssize_t put = write(STDOUT_FILENO, data, size);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return false;
		data += put;
		size -= put;
	}
	return true;
}

static int cat(const struct place *place, const char *name)
{
	int code = EXIT_FAILED;
	struct stat st;
	ssize_t got;
	int fd;

	fd = object_open(place, name, O_RDONLY, &st);
	if (fd < 0)
		return EXIT_FAILED;
	while ((got = read_some(fd, CHUNK)) > 0)
		if (!write_all(buffer, got))
			break;
	if (got < 0)
		object_error(place, name);
	else if (got > 0)
		error("the output: %s", strerror(errno));
	else
		code = EXIT_OK;
	close(fd);
	return code;
}

int cmd_cat(const struct options *o, int argc, char **argv)
{
	char name[NAME_BYTES];
	struct place place;
	int code;

	if (argc != 1)
		return usage_error("cat takes one name");
	if (!parse_name(argv[0], name))
		return EXIT_USAGE;
	if (!place_open(o, &place))
		return EXIT_FAILED;
	code = cat(&place, name);
	place_close(&place);
	return code;
}

/* @size: the size that the object needs; 0: not known */
static void too_long(const struct place *place, const char *name,
		     uint64_t size, const char *what)
{
	char path[PATH_MAX + NAME_BYTES];

	error("%s: %s", escaped(name), what);
	if (!size || size > INT64_MAX)
		return;
	snprintf(path, sizeof(path), "%s%s", place->path, name);
	hint("truncate -s %" PRIu64 " %s", size, quoted(path));
}

/* Bytes left in a file on stdin; -1: not known */
static int64_t input_left(void)
{
	struct stat st;
	off_t here;

	if (fstat(STDIN_FILENO, &st) < 0 || !S_ISREG(st.st_mode))
		return -1;
	here = lseek(STDIN_FILENO, 0, SEEK_CUR);
	if (here < 0)
		return -1;
	return here < st.st_size ? st.st_size - here : 0;
}

/*
 * Writes buffer[] at @at. The size is read again each time: a write beyond the
 * end would enlarge an object that was truncated meanwhile.
 */
static bool put_at(int fd, uint64_t at, size_t size)
{
	struct stat st;
	ssize_t put;

	while (size) {
		if (fstat(fd, &st) < 0)
			return false;
		if (at + size > (uint64_t)st.st_size) {
			errno = EFBIG;
			return false;
		}
		put = pwrite(fd, buffer, size, at);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return false;
		memmove(buffer, buffer + put, size - put);
		at += put;
		size -= put;
	}
	return true;
}

static void put_error(const struct place *place, const char *name)
{
	if (errno == EFBIG)
		error("%s: another process has truncated the object",
		      escaped(name));
	else
		object_error(place, name);
}

/* Reads one byte more than fits, to detect input that is too long. */
static int copy_in(const struct place *place, const char *name, int fd,
		   uint64_t start, uint64_t end)
{
	uint64_t at = start;
	char text[120];

	for (;;) {
		size_t room = end - at < CHUNK ? end - at : CHUNK;
		ssize_t got = read_some(STDIN_FILENO, room ? room : 1);

		if (got == 0)
			return EXIT_OK;
		if (got < 0) {
			error("the input: %s", strerror(errno));
			return EXIT_FAILED;
		}
		if (!room) {
			snprintf(text, sizeof(text),
				 "the object is full: %" PRIu64
				 " bytes were written, and the input has more",
				 at - start);
			too_long(place, name, 0, text);
			return EXIT_FAILED;
		}
		if (!put_at(fd, at, got)) {
			put_error(place, name);
			return EXIT_FAILED;
		}
		at += got;
	}
}

static int write_object(const struct place *place, const char *name,
			uint64_t offset)
{
	int64_t input = input_left();
	int code = EXIT_FAILED;
	char text[120];
	struct stat st;
	uint64_t end;
	int fd;

	fd = object_open(place, name, O_WRONLY, &st);
	if (fd < 0)
		return EXIT_FAILED;
	end = st.st_size;
	if (offset > end) {
		snprintf(text, sizeof(text), "the object ends at %" PRIu64
			 ", before the offset %" PRIu64, end, offset);
		too_long(place, name, offset + (input > 0 ? input : 0), text);
	} else if (input > (int64_t)(end - offset)) {
		snprintf(text, sizeof(text), "the object has room for %" PRIu64
			 " bytes there, and the input has %" PRId64
			 "; nothing was written", end - offset, input);
		too_long(place, name, offset + input, text);
	} else {
		code = copy_in(place, name, fd, offset, end);
	}
	close(fd);
	return code;
}

int cmd_write(const struct options *o, int argc, char **argv)
{
	char name[NAME_BYTES];
	uint64_t offset = 0;
	struct place place;
	int code;

	if (argc < 1 || argc > 2)
		return usage_error("write takes a name and an optional offset");
	if (!parse_name(argv[0], name) ||
	    (argc > 1 && !parse_size(argv[1], "offset", &offset)))
		return EXIT_USAGE;
	if (!place_open(o, &place))
		return EXIT_FAILED;
	code = write_object(&place, name, offset);
	place_close(&place);
	return code;
}
