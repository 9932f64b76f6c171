// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Text for people: messages, sizes, and names that may hold anything.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmshm.h"

#define COLUMNS 80
#define PREFIX "vmshm: "

/* Room for a name of NAME_MAX bytes that are all escaped */
#define BUFFER_SIZE 1100
#define BUFFERS 8

static char *next_buffer(void)
{
	static _Thread_local char buffers[BUFFERS][BUFFER_SIZE];
	static _Thread_local unsigned int next;

	return buffers[next++ % BUFFERS];
}

static bool continuation(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

/* Overlong forms, surrogates and what is beyond U+10FFFF are none. */
size_t utf8_length(const char *s)
{
	const unsigned char *u = (const unsigned char *)s;

	if (u[0] < 0x80)
		return u[0] ? 1 : 0;
	if (u[0] < 0xc2 || u[0] > 0xf4 || !continuation(u[1]))
		return 0;
	if (u[0] < 0xe0)
		return 2;
	if ((u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xed && u[1] > 0x9f) ||
	    (u[0] == 0xf0 && u[1] < 0x90) || (u[0] == 0xf4 && u[1] > 0x8f) ||
	    !continuation(u[2]))
		return 0;
	if (u[0] < 0xf0)
		return 3;
	return continuation(u[3]) ? 4 : 0;
}

/* Bytes to show as they are; 0: the first one could move the cursor. */
static size_t printable_length(const char *s)
{
	const unsigned char *u = (const unsigned char *)s;

	if (u[0] < 0x20 || u[0] == 0x7f || u[0] == '\\')
		return 0;
	/* U+0080 to U+009F are control characters, too. */
	if (u[0] == 0xc2 && u[1] < 0xa0)
		return 0;
	return utf8_length(s);
}

const char *escaped(const char *bytes)
{
	char *buffer = next_buffer();
	char *out = buffer;

	/* Always room for one more character and "..." */
	while (*bytes && out < buffer + BUFFER_SIZE - 8) {
		size_t len = printable_length(bytes);

		if (len) {
			memcpy(out, bytes, len);
			out += len;
			bytes += len;
		} else {
			out += sprintf(out, "\\x%02x", (unsigned char)*bytes++);
		}
	}
	strcpy(out, *bytes ? "..." : "");
	return buffer;
}

const char *human_size(uint64_t bytes)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB",
					     "EiB" };
	char *buffer = next_buffer();
	uint64_t unit = 1024;
	size_t i = 0;

	if (bytes < 1024) {
		sprintf(buffer, "%u %s", (unsigned int)bytes,
			bytes == 1 ? "byte" : "bytes");
		return buffer;
	}
	for (; bytes / unit >= 1024; i++)
		unit *= 1024;
	if (bytes % unit)
		sprintf(buffer, "%u.%u %s", (unsigned int)(bytes / unit),
			(unsigned int)(bytes % unit * 10 / unit),
			units[i]);
	else
		sprintf(buffer, "%u %s", (unsigned int)(bytes / unit),
			units[i]);
	return buffer;
}

/*
 * Breaks at spaces; a word that is longer than a line is not broken. @first
 * is as wide as @next, though it may have colours in it.
 */
void print_wrapped(FILE *out, const char *first, const char *next,
		   const char *text)
{
	size_t column = strlen(next);
	const char *blank = "";

	fputs(first, out);
	while (*text) {
		size_t len = strcspn(text, " ");

		if (*blank && column + 1 + len > COLUMNS) {
			fprintf(out, "\n%s", next);
			column = strlen(next);
			blank = "";
		}
		fprintf(out, "%s%.*s", blank, (int)len, text);
		column += strlen(blank) + len;
		blank = " ";
		text += len;
		text += strspn(text, " ");
	}
	fputc('\n', out);
}

static void verror(const char *fmt, va_list args)
{
	char *text;

	/* The order in which things happened */
	fflush(stdout);
	if (vasprintf(&text, fmt, args) < 0)
		return;
	print_wrapped(stderr, PREFIX, PREFIX, text);
	free(text);
}

void error(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	verror(fmt, args);
	va_end(args);
}

int usage_error(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	verror(fmt, args);
	va_end(args);
	return EXIT_USAGE;
}

/* Not wrapped, because it is to be copied. */
void hint(const char *fmt, ...)
{
	va_list args;

	fputs(PREFIX "type: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

bool use_colour(FILE *out)
{
	const char *no = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	return isatty(fileno(out)) && !(no && *no) &&
	       !(term && strcmp(term, "dumb") == 0);
}
