// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Commands that a message suggests. They can be pasted into a shell whatever
 * the names in them are.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hint.h"
#include "print.h"

#define QUOTED 16

static struct {
	int argc;
	char **argv;
	int command;
} typed;

/* Not wrapped, because it is to be copied */
void hint(const char *fmt, ...)
{
	va_list args;

	fputs("vmshm: type: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

/* Whether no byte of the word is special to a shell */
static bool is_plain(const char *word)
{
	const char *s = word;

	/* Some shells expand "~" and "=" at the beginning of a word. */
	if (!isalnum((unsigned char)*s) && !strchr("/-_.", *s))
		return false;
	while (isalnum((unsigned char)*s) || (*s && strchr("/-_.,:+@%=", *s)))
		s++;
	return s > word && !*s;
}

/* Whether a terminal shows every byte as it is */
static bool is_text(const char *word)
{
	for (; *word; word += utf8_length(word))
		if (!utf8_length(word) || !printable(word))
			return false;
	return true;
}

/* 'it'\''s' */
static void quote_text(FILE *out, const char *word)
{
	fputc('\'', out);
	for (; *word; word++)
		if (*word == '\'')
			fputs("'\\''", out);
		else
			fputc(*word, out);
	fputc('\'', out);
}

/* $'...', which POSIX.1-2024 has from ksh, with octal digits */
static void quote_bytes(FILE *out, const char *word)
{
	fputs("$'", out);
	for (; *word; word++)
		if (isalnum((unsigned char)*word) || strchr("/-_. ", *word))
			fputc(*word, out);
		else
			fprintf(out, "\\%03o", (unsigned char)*word);
	fputc('\'', out);
}

static void quote(FILE *out, const char *word)
{
	if (is_plain(word))
		fputs(word, out);
	else if (is_text(word))
		quote_text(out, word);
	else
		quote_bytes(out, word);
}

const char *quoted(const char *word)
{
	static char *texts[QUOTED];
	static unsigned int next;
	char **text = &texts[next++ % QUOTED];
	size_t size;
	FILE *out;

	free(*text);
	*text = NULL;
	out = open_memstream(text, &size);
	if (!out)
		return "";
	quote(out, word);
	fclose(out);
	return *text ? *text : "";
}

const char *quoted_acl(const char *user, bool readonly)
{
	char text[128];

	snprintf(text, sizeof(text), "u:%s:%s", user, readonly ? "r" : "rw");
	return quoted(text);
}

const char *sudo(void)
{
	return geteuid() ? "sudo " : "";
}

void hint_command_line(int argc, char **argv, int command)
{
	typed.argv = malloc((argc + 1) * sizeof(*argv));
	if (!typed.argv)
		return;
	memcpy(typed.argv, argv, (argc + 1) * sizeof(*argv));
	typed.argc = argc;
	typed.command = command;
}

void hint_again(const char *before, const char *option)
{
	int i;

	if (!typed.argv)
		return;
	fprintf(stderr, "vmshm: type: %s", before);
	for (i = 0; i < typed.argc; i++) {
		if (i)
			fputc(' ', stderr);
		quote(stderr, typed.argv[i]);
		if (i == typed.command && *option)
			fprintf(stderr, " %s", option);
	}
	fputc('\n', stderr);
}
