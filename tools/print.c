// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Text for people: messages, sizes, and names that may hold anything.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "options.h"
#include "print.h"

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

/* Overlong forms, surrogates and values beyond U+10FFFF are not valid. */
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

/*
 * Two groups of characters are not printable: those that move the cursor
 * (U+0080 to U+009F are control characters, too), and those that change the
 * order of a line (the marks, embeddings and isolates of bidirectional text).
 */
bool printable(const char *s)
{
	const unsigned char *u = (const unsigned char *)s;

	if (u[0] < 0x20 || u[0] == 0x7f)
		return false;
	if (u[0] == 0xc2 && u[1] < 0xa0)
		return false;
	if (u[0] == 0xe2 && u[1] == 0x80 &&
	    (u[2] == 0x8e || u[2] == 0x8f || (u[2] >= 0xa8 && u[2] <= 0xae)))
		return false;
	return !(u[0] == 0xe2 && u[1] == 0x81 && u[2] >= 0xa6 && u[2] <= 0xa9);
}

static size_t text_width_of(const char *text, size_t len)
{
	size_t width = 0, i;

	for (i = 0; i < len; i++)
		width += !continuation(text[i]);
	return width;
}

size_t text_width(const char *text)
{
	return text_width_of(text, strlen(text));
}

const char *escaped(const char *bytes)
{
	char *buffer = next_buffer();
	char *out = buffer;

	/* Always room for one more character and "..." */
	while (*bytes && out < buffer + BUFFER_SIZE - 8) {
		size_t len = utf8_length(bytes);

		if (len && printable(bytes) && *bytes != '\\') {
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

const char *local_time(time_t t, bool seconds)
{
	char *buffer = next_buffer();
	struct tm tm;

	/* A year may have more digits than an int. */
	if (!localtime_r(&t, &tm) ||
	    !strftime(buffer, BUFFER_SIZE,
		      seconds ? "%Y-%m-%d %H:%M:%S" : "%Y-%m-%d %H:%M", &tm))
		snprintf(buffer, BUFFER_SIZE, "@%jd", (intmax_t)t);
	return buffer;
}

/* A word that is longer than a line is not broken. */
void print_wrapped(FILE *out, const char *first, const char *next,
		   const char *text)
{
	size_t indent = text_width(next);
	size_t column = indent;

	fputs(first, out);
	while (*text) {
		size_t blanks = strspn(text, " ");
		size_t len = blanks + strcspn(text + blanks, " ");
		size_t width = text_width_of(text, len);

		if (blanks && column > indent && column + width > COLUMNS) {
			fprintf(out, "\n%s", next);
			column = indent;
			/* The line break replaces one of the blanks. */
			text++;
			len--;
			width--;
		}
		fprintf(out, "%.*s", (int)len, text);
		column += width;
		text += len;
	}
	fputc('\n', out);
}

static void verror(const char *fmt, va_list args)
{
	char *text;

	/* Keeps the order of the output and the messages. */
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

bool use_colour(FILE *out)
{
	const char *no = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	return isatty(fileno(out)) && !(no && *no) &&
	       !(term && strcmp(term, "dumb") == 0);
}
