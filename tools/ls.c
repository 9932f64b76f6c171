// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmshm ls: the objects of the place, or those that match a pattern.
 */
#include <fnmatch.h>
#include <stdlib.h>

#include "commands.h"
#include "files.h"
#include "json.h"
#include "list.h"
#include "print.h"

static void show_json(const struct entry *e)
{
	char mode[8];

	snprintf(mode, sizeof(mode), "%04o",
		 (unsigned int)e->st.st_mode & 07777);
	json_begin(NULL, '{');
	json_string("name", e->name);
	json_number("size", object_size(&e->st));
	json_number("allocated", object_memory(&e->st));
	json_string("mode", mode);
	json_number("uid", e->st.st_uid);
	json_number("gid", e->st.st_gid);
	json_signed("modified", e->st.st_mtime);
	json_end('}');
}

/* Columns are as wide as their widest value; at least as wide as these. */
struct widths {
	int size, owner, modified;
};

static void widen(int *width, const char *text)
{
	int wanted = text_width(text);

	if (wanted > *width)
		*width = wanted;
}

static void print_right(const char *text, int width)
{
	printf("%*s%s  ", width - (int)text_width(text), "", text);
}

static void print_left(const char *text, int width)
{
	printf("%s%*s  ", text, width - (int)text_width(text), "");
}

static void show(const struct entry *e, const struct widths *w)
{
	char mode[10];

	mode_text(&e->st, mode);
	print_right(human_size(object_size(&e->st)), w->size);
	print_left(mode, sizeof(mode) - 1);
	print_left(escaped(user_name(e->st.st_uid)), w->owner);
	print_left(local_time(e->st.st_mtime, false), w->modified);
	printf("%s\n", escaped(e->name));
}

static void show_all(const struct entry *entries, size_t count)
{
	struct widths w = { .size = 10, .owner = 8, .modified = 16 };
	size_t i;

	for (i = 0; i < count; i++) {
		const struct stat *st = &entries[i].st;

		widen(&w.size, human_size(object_size(st)));
		widen(&w.owner, escaped(user_name(st->st_uid)));
		widen(&w.modified, local_time(st->st_mtime, false));
	}
	print_right("SIZE", w.size);
	print_left("MODE", 9);
	print_left("OWNER", w.owner);
	print_left("MODIFIED", w.modified);
	puts("NAME");
	for (i = 0; i < count; i++)
		show(&entries[i], &w);
}

static void show_all_json(const struct entry *entries, size_t count)
{
	size_t i;

	json_begin(NULL, '[');
	for (i = 0; i < count; i++)
		show_json(&entries[i]);
	json_end(']');
}

/* "frames*" is "/frames*", as everywhere. */
static bool matches(const struct entry *e, const char *pattern)
{
	return fnmatch(pattern + (*pattern == '/'), e->name + 1, 0) == 0;
}

/*
 * Keeps the entries that match; false after a message about an unused pattern.
 */
static bool filter(struct entry *entries, size_t *count, int argc, char **argv)
{
	bool *used = calloc(argc, sizeof(*used));
	size_t i, kept = 0;
	bool good = true;
	int p;

	if (!used) {
		error("out of memory");
		return false;
	}
	for (i = 0; i < *count; i++) {
		bool keep = false;

		for (p = 0; p < argc; p++)
			if (matches(&entries[i], argv[p]))
				keep = used[p] = true;
		if (keep)
			entries[kept++] = entries[i];
	}
	*count = kept;
	for (p = 0; p < argc; p++) {
		if (used[p])
			continue;
		error("%s: no object matches", escaped(argv[p]));
		good = false;
	}
	free(used);
	return good;
}

int cmd_ls(const struct options *o, int argc, char **argv)
{
	struct entry *entries;
	struct place place;
	size_t count;
	bool good;

	if (!place_open(o, &place))
		return EXIT_FAILED;
	good = list_objects(&place, &entries, &count);
	place_close(&place);
	if (good) {
		if (argc)
			good = filter(entries, &count, argc, argv);
		if (o->json)
			show_all_json(entries, count);
		else if (count || !argc)
			show_all(entries, count);
	}
	free(entries);
	return good ? EXIT_OK : EXIT_FAILED;
}
