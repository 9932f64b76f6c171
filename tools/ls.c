// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmshm ls: the objects that there are.
 */
#include <stdlib.h>
#include <time.h>

#include "vmshm.h"

static void show_json(const struct entry *e)
{
	char mode[8];

	snprintf(mode, sizeof(mode), "%04o",
		 (unsigned int)e->st.st_mode & 07777);
	json_begin(NULL, '{');
	json_string("name", e->name);
	json_number("size", e->st.st_size);
	json_number("allocated", e->st.st_blocks * 512);
	json_string("mode", mode);
	json_number("uid", e->st.st_uid);
	json_number("gid", e->st.st_gid);
	json_signed("modified", e->st.st_mtime);
	json_end('}');
}

static void show(const struct entry *e)
{
	char mode[] = "rwxrwxrwx", when[32];
	int i;

	for (i = 0; i < 9; i++)
		if (!(e->st.st_mode & (0400 >> i)))
			mode[i] = '-';
	strftime(when, sizeof(when), "%Y-%m-%d %H:%M",
		 localtime(&e->st.st_mtime));
	printf("%10s  %s  %-8s  %s  %s\n", human_size(e->st.st_size), mode,
	       user_name(e->st.st_uid), when, escaped(e->name));
}

int cmd_ls(const struct options *o, int argc, char **argv)
{
	struct entry *entries;
	struct place place;
	size_t count, i;
	bool good;

	(void)argv;
	if (argc)
		return usage_error("ls takes no names; see vmshm ls --help");
	if (!place_open(o, &place))
		return EXIT_FAILED;
	good = list_objects(&place, &entries, &count);
	if (good && o->json)
		json_begin(NULL, '[');
	else if (good)
		printf("%10s  %-9s  %-8s  %-16s  %s\n", "SIZE", "MODE", "OWNER",
		       "MODIFIED", "NAME");
	for (i = 0; good && i < count; i++)
		(o->json ? show_json : show)(&entries[i]);
	if (good && o->json)
		json_end(']');
	free(entries);
	place_close(&place);
	return good ? EXIT_OK : EXIT_FAILED;
}
