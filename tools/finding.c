// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Findings of the doctor, as text or JSON.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "finding.h"
#include "json.h"
#include "print.h"

#define INDENT "        "

static const struct {
	const char *word;
	const char *json;
	const char *colour;
} verdicts[] = {
	[GOOD] = { "ok", "ok", "32" },
	[DOUBT] = { "note", "note", "33" },
	[BAD] = { "FAIL", "fail", "31" },
};

/* More lines than any finding has; further lines are dropped. */
#define LINES 64

struct lines {
	char *text[LINES];
	unsigned int count;
};

static bool json;
static const char *side;
static bool begun;
static unsigned int bad;
/* The lines of the current finding; printed when the finding ends */
static struct lines explanations, commands;

static void json_lines(const char *key, const struct lines *lines)
{
	unsigned int i;

	json_begin(key, '[');
	for (i = 0; i < lines->count; i++)
		json_string(NULL, lines->text[i]);
	json_end(']');
}

static void print_lines(void)
{
	unsigned int i;

	for (i = 0; i < explanations.count; i++)
		print_wrapped(stdout, INDENT, INDENT, explanations.text[i]);
	/* Not wrapped, because they are to be copied */
	for (i = 0; i < commands.count; i++)
		printf(INDENT "type: %s\n", commands.text[i]);
}

static void clear(struct lines *lines)
{
	while (lines->count)
		free(lines->text[--lines->count]);
}

static void end_finding(void)
{
	if (!begun)
		return;
	if (json) {
		json_lines("explanation", &explanations);
		json_lines("advice", &commands);
		json_end('}');
	} else {
		print_lines();
	}
	clear(&explanations);
	clear(&commands);
	begun = false;
}

static void print_finding(enum verdict verdict, const char *text)
{
	const char *word = verdicts[verdict].word;
	char first[32];

	if (use_colour(stdout))
		snprintf(first, sizeof(first), "  \033[%sm%-4s\033[0m  ",
			 verdicts[verdict].colour, word);
	else
		snprintf(first, sizeof(first), "  %-4s  ", word);
	print_wrapped(stdout, first, INDENT, text);
}

void finding(enum verdict verdict, const char *check, const char *fmt, ...)
{
	va_list args;
	char *text;
	int len;

	end_finding();
	begun = true;
	bad += verdict == BAD;
	va_start(args, fmt);
	len = vasprintf(&text, fmt, args);
	va_end(args);
	if (len < 0)
		text = NULL;
	if (json) {
		json_begin(NULL, '{');
		json_string("side", side);
		json_string("check", check);
		json_string("verdict", verdicts[verdict].json);
		json_string("text", text ? text : "");
	} else {
		print_finding(verdict, text ? text : check);
	}
	free(text);
}

static void add_line(struct lines *lines, const char *fmt, va_list args)
{
	if (lines->count < LINES &&
	    vasprintf(&lines->text[lines->count], fmt, args) >= 0)
		lines->count++;
}

void explain(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add_line(&explanations, fmt, args);
	va_end(args);
}

void advice(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add_line(&commands, fmt, args);
	va_end(args);
}

void findings_begin(bool as_json)
{
	json = as_json;
	if (!json)
		return;
	json_begin(NULL, '{');
	json_begin("findings", '[');
}

void findings_side(const char *name)
{
	end_finding();
	side = name;
	if (!json)
		printf("This machine as a %s:\n", name);
}

unsigned int findings_end(void)
{
	end_finding();
	if (json) {
		json_end(']');
		json_bool("healthy", !bad);
		json_end('}');
	} else if (bad) {
		printf("%u problem%s found.\n", bad, bad == 1 ? "" : "s");
	} else {
		printf("No problem found.\n");
	}
	return bad;
}
