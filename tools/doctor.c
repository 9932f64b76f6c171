// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmshm doctor: what is missing, and what to type.
 */
#include <stdarg.h>
#include <stdlib.h>

#include "vmshm.h"

static const struct {
	const char *word;
	const char *colour;
} verdicts[] = {
	[GOOD] = { "ok", "32" },
	[DOUBT] = { "note", "33" },
	[BAD] = { "FAIL", "31" },
};

static bool json;
static const char *side;
/* A finding was begun, to which advice can still come. */
static bool begun;
static unsigned int bad;

static void end_finding(void)
{
	if (begun && json) {
		json_end(']');
		json_end('}');
	}
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
	print_wrapped(stdout, first, "        ", text);
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
		return;
	if (json) {
		json_begin(NULL, '{');
		json_string("side", side);
		json_string("check", check);
		json_string("verdict", verdict == GOOD	? "ok" :
				       verdict == DOUBT ? "note" :
							  "fail");
		json_string("text", text);
		json_begin("advice", '[');
	} else {
		print_finding(verdict, text);
	}
	free(text);
}

void advice(const char *fmt, ...)
{
	va_list args;
	char *text;
	int len;

	va_start(args, fmt);
	len = vasprintf(&text, fmt, args);
	va_end(args);
	if (len < 0)
		return;
	if (json)
		json_string(NULL, text);
	else
		printf("        type: %s\n", text);
	free(text);
}

static void examine(const char *what, void (*part)(void))
{
	side = what;
	if (!json)
		printf("This machine as a %s:\n", what);
	part();
	end_finding();
}

/* A machine can be both. One that is neither is a host to be. */
static void choose(const struct options *o, bool *host, bool *guest)
{
	*guest = this_side(o) == SIDE_GUEST;
	*host = !*guest;
	if (o->side != SIDE_AUTO)
		return;
	if (*guest)
		*host = has_qemu();
	else if (!has_qemu() && in_qemu())
		*guest = true, *host = false;
}

int cmd_doctor(const struct options *o, int argc, char **argv)
{
	bool host, guest;

	(void)argv;
	if (argc)
		return usage_error("doctor takes no names");
	json = o->json;
	choose(o, &host, &guest);
	if (json) {
		json_begin(NULL, '{');
		json_begin("findings", '[');
	}
	if (host)
		examine("host", examine_host);
	if (guest)
		examine("guest", examine_guest);
	if (json) {
		json_end(']');
		json_bool("healthy", !bad);
		json_end('}');
	} else if (bad) {
		printf("%u thing%s to mend.\n", bad, bad == 1 ? "" : "s");
	} else {
		printf("All that is needed is there.\n");
	}
	return bad ? EXIT_FAILED : EXIT_OK;
}
