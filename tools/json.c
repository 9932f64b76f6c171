// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * JSON values to stdout, each on one line.
 *
 * Names are bytes and JSON is Unicode: a byte that is not part of a UTF-8
 * character becomes the lone surrogate U+DCxx, as in Python, whose
 * os.fsencode() returns the byte.
 */
#include <inttypes.h>
#include <stdio.h>

#include "json.h"
#include "print.h"

static unsigned int depth;
static bool first = true;

static void put_string(const char *s)
{
	putchar('"');
	while (*s) {
		unsigned char c = *s;
		size_t len = utf8_length(s);

		if (!len) {
			printf("\\udc%02x", c);
			s++;
		} else if (c < 0x20 || c == 0x7f) {
			printf("\\u%04x", c);
			s++;
		} else {
			if (c == '"' || c == '\\')
				putchar('\\');
			printf("%.*s", (int)len, s);
			s += len;
		}
	}
	putchar('"');
}

static void put_key(const char *key)
{
	if (!first)
		fputs(", ", stdout);
	first = false;
	if (key) {
		put_string(key);
		fputs(": ", stdout);
	}
}

void json_begin(const char *key, char bracket)
{
	put_key(key);
	putchar(bracket);
	depth++;
	first = true;
}

void json_end(char bracket)
{
	putchar(bracket);
	first = --depth == 0;
	if (!depth)
		putchar('\n');
}

void json_string(const char *key, const char *value)
{
	put_key(key);
	put_string(value);
}

void json_number(const char *key, uint64_t value)
{
	put_key(key);
	printf("%" PRIu64, value);
}

void json_signed(const char *key, int64_t value)
{
	put_key(key);
	printf("%" PRId64, value);
}

void json_bool(const char *key, bool value)
{
	put_key(key);
	fputs(value ? "true" : "false", stdout);
}

void json_null(const char *key)
{
	put_key(key);
	fputs("null", stdout);
}
