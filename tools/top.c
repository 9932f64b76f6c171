// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmshm top: which virtual machine and which process has which object.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "attached.h"
#include "commands.h"
#include "files.h"
#include "json.h"
#include "print.h"

static void user_json(const struct attached *a)
{
	json_begin(NULL, '{');
	json_number("pid", a->process.pid);
	json_string("command", a->process.command);
	json_number("uid", a->process.uid);
	json_bool("qemu", a->process.qemu);
	if (*a->process.vm)
		json_string("vm", a->process.vm);
	else
		json_null("vm");
	json_number("mapped", a->mapped);
	json_number("descriptors", a->descriptors);
	json_bool("writable", a->writable);
	json_end('}');
}

static void show_json(const struct attached *list, size_t count, size_t hidden)
{
	size_t i;

	json_begin(NULL, '{');
	json_begin("objects", '[');
	for (i = 0; i < count; i++) {
		if (!i || list[i].ino != list[i - 1].ino) {
			json_begin(NULL, '{');
			json_string("name", list[i].name);
			json_bool("removed", list[i].removed);
			json_number("inode", list[i].ino);
			json_number("size", list[i].size);
			json_begin("users", '[');
		}
		user_json(&list[i]);
		if (i + 1 == count || list[i].ino != list[i + 1].ino) {
			json_end(']');
			json_end('}');
		}
	}
	json_end(']');
	json_number("hidden_processes", hidden);
	json_end('}');
}

/* The longest column is the last, so that its length moves no other one. */
enum column { SIZE, PID, USER, WHO, MAPPED, ACCESS, OBJECT, COUNT };

static bool is_right(enum column c)
{
	return c == SIZE || c == PID || c == MAPPED;
}

/* The cells of a row, each valid until the next row */
static void cells_of(const struct attached *a, const char *cells[COUNT])
{
	static char pid[16], name[1200], who[300];

	snprintf(pid, sizeof(pid), "%d", a->process.pid);
	snprintf(name, sizeof(name), "%s%s", escaped(a->name),
		 a->removed ? " (removed)" : "");
	if (*a->process.vm)
		snprintf(who, sizeof(who), "VM %.280s",
			 escaped(a->process.vm));
	else
		snprintf(who, sizeof(who), "%.280s",
			 escaped(a->process.command));
	cells[OBJECT] = name;
	cells[SIZE] = a->removed ? "-" : human_size(a->size);
	cells[PID] = pid;
	cells[USER] = escaped(user_name(a->process.uid));
	cells[WHO] = who;
	cells[MAPPED] = human_size(a->mapped);
	cells[ACCESS] = a->writable ? "rw" : "r";
}

static void print_row(const char *const cells[COUNT], const int widths[COUNT])
{
	enum column c;

	for (c = 0; c < COUNT; c++) {
		int pad = widths[c] - (int)text_width(cells[c]);

		if (is_right(c))
			printf("%*s%s", pad, "", cells[c]);
		else
			printf("%s%*s", cells[c], c == OBJECT ? 0 : pad, "");
		fputs(c == OBJECT ? "\n" : "  ", stdout);
	}
}

static void widen(int widths[COUNT], const char *const cells[COUNT])
{
	enum column c;

	for (c = 0; c < COUNT; c++)
		if ((int)text_width(cells[c]) > widths[c])
			widths[c] = text_width(cells[c]);
}

/* @rows: the number of lines of the terminal; 0: no limit */
static void show(const struct attached *list, size_t count, size_t hidden,
		 size_t rows)
{
	size_t shown = rows && count + 3 > rows ? rows - 3 : count;
	const char *heading[COUNT], *cells[COUNT];
	int widths[COUNT] = {};
	size_t i;

	heading[OBJECT] = "OBJECT";
	heading[SIZE] = "SIZE";
	heading[PID] = "PID";
	heading[USER] = "USER";
	heading[WHO] = "VM OR PROGRAM";
	heading[MAPPED] = "MAPPED";
	heading[ACCESS] = "ACCESS";
	widen(widths, heading);
	for (i = 0; i < shown; i++) {
		cells_of(&list[i], cells);
		widen(widths, cells);
	}
	print_row(heading, widths);
	for (i = 0; i < shown; i++) {
		cells_of(&list[i], cells);
		print_row(cells, widths);
	}
	if (shown < count)
		printf("%zu more\n", count - shown);
	if (hidden)
		printf("%zu process%s cannot be examined%s.\n", hidden,
		       hidden == 1 ? "" : "es",
		       geteuid() ? "; root can examine all" : "");
}

static size_t terminal_rows(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row < 4)
		return 24;
	return size.ws_row;
}

static bool show_once(const struct options *o, const struct place *place,
		      bool refresh)
{
	struct attached *list;
	size_t count, hidden;

	if (!attached_find(place, &list, &count, &hidden))
		return false;
	/* Home, and clear the screen */
	if (refresh)
		fputs("\033[H\033[2J", stdout);
	if (o->json)
		show_json(list, count, hidden);
	else
		show(list, count, hidden, refresh ? terminal_rows() : 0);
	free(list);
	return fflush(stdout) == 0;
}

int cmd_top(const struct options *o, int argc, char **argv)
{
	bool refresh = !o->json && isatty(STDOUT_FILENO);
	double interval = o->interval;
	struct timespec pause;
	struct place place;
	bool good;

	(void)argv;
	if (argc)
		return usage_error("top takes no arguments");
	if (!interval && refresh)
		interval = 2;
	pause.tv_sec = interval;
	pause.tv_nsec = (interval - pause.tv_sec) * 1e9;
	if (!place_open(o, &place))
		return EXIT_FAILED;
	while ((good = show_once(o, &place, refresh)) && interval)
		nanosleep(&pause, NULL);
	place_close(&place);
	return good ? EXIT_OK : EXIT_FAILED;
}
