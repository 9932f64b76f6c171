// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Names, sizes and modes of the command line.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "parse.h"
#include "print.h"

/*
 * "frames" is "/frames", as for shm_open(). A name with other slashes is
 * refused, as the device refuses it.
 */
bool parse_name(const char *arg, char name[NAME_BYTES])
{
	const char *tail = arg + (*arg == '/');
	const char *why = NULL;

	if (!*tail)
		why = "the name is empty";
	else if (strchr(tail, '/'))
		why = "a name has only one '/', at its beginning";
	else if (strcmp(tail, ".") == 0 || strcmp(tail, "..") == 0)
		why = "not a name of an object";
	else if (strlen(tail) > NAME_MAX)
		why = "a name has at most 255 bytes after the '/'";
	if (why) {
		usage_error("'%s': %s", escaped(arg), why);
		return false;
	}
	name[0] = '/';
	strcpy(name + 1, tail);
	return true;
}

static unsigned int shift_of(char unit)
{
	static const char units[] = "KMGT";
	const char *found = strchr(units, toupper((unsigned char)unit));

	return found ? 10 * (found - units + 1) : 0;
}

/* At most what off_t holds. */
bool parse_size(const char *arg, const char *what, uint64_t *size)
{
	unsigned int shift = 0;
	unsigned long long n;
	char *end;

	/* strtoull() also accepts blanks and signs. */
	if (!isdigit((unsigned char)*arg))
		goto bad;
	errno = 0;
	n = strtoull(arg, &end, 10);
	if (*end) {
		shift = shift_of(*end);
		if (!shift || end[1])
			goto bad;
	}
	if (errno || n > (uint64_t)INT64_MAX >> shift) {
		usage_error("%s '%s': larger than any file can be", what,
			    escaped(arg));
		return false;
	}
	*size = (uint64_t)n << shift;
	return true;
bad:
	usage_error("%s '%s': give bytes, such as 4096, 64K, 1M or 2G", what,
		    escaped(arg));
	return false;
}

bool parse_mode(const char *arg, mode_t *mode)
{
	if (!*arg || strlen(arg) > 4 || arg[strspn(arg, "01234567")] ||
	    strtoul(arg, NULL, 8) > 0777) {
		usage_error("mode '%s': give three octal digits, such as 660",
			    escaped(arg));
		return false;
	}
	*mode = strtoul(arg, NULL, 8);
	return true;
}

/* The first character must be a digit: strtod() accepts "nan" and "inf". */
bool parse_seconds(const char *arg, double *seconds)
{
	char *end = NULL;

	if (isdigit((unsigned char)*arg) && !arg[strspn(arg, "0123456789.")])
		*seconds = strtod(arg, &end);
	if (end && !*end && *seconds >= 0.1 && *seconds <= 86400)
		return true;
	usage_error("interval '%s': give seconds, from 0.1 to 86400",
		    escaped(arg));
	return false;
}
