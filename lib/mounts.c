// SPDX-License-Identifier: MIT
/*
 * Mounts of the file system vmshm: /proc/self/mountinfo. A line is
 *
 *	36 35 0:23 / /mnt rw,noatime shared:1 - vmshm vmshm0 rw,uid=5
 *
 * with any number of optional fields before the "-".
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "mounts.h"

#define SHM "/dev/shm"

/* The fields of a line that are used here */
struct line {
	char *device, *root, *path, *options;
	char *type, *source, *super_options;
};

static char *next_field(char **line)
{
	char *field = strsep(line, "\n ");

	return field ? field : "";
}

static bool split(char *text, struct line *line)
{
	next_field(&text);
	next_field(&text);
	line->device = next_field(&text);
	line->root = next_field(&text);
	line->path = next_field(&text);
	line->options = next_field(&text);
	while (text && strcmp(next_field(&text), "-") != 0)
		;
	line->type = next_field(&text);
	line->source = next_field(&text);
	line->super_options = next_field(&text);
	return *line->super_options;
}

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

/* The kernel writes blanks, newlines and backslashes as \ooo. */
static void unescape(char *text)
{
	char *to = text;

	for (; *text; text++) {
		if (*text == '\\' && is_octal(text[1]) && is_octal(text[2]) &&
		    is_octal(text[3])) {
			*to++ = (text[1] - '0') * 64 + (text[2] - '0') * 8 +
				text[3] - '0';
			text += 3;
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
}

/* Whether the path leads to this mount: another one may be on top of it. */
static bool is_visible(const char *path, const char *device)
{
	unsigned int major, minor;
	struct stat st;

	return sscanf(device, "%u:%u", &major, &minor) == 2 &&
	       stat(path, &st) == 0 && st.st_dev == makedev(major, minor);
}

/* The driver also ignores the directories of the source. */
static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool parse(char *text, struct mount *mount)
{
	const char *name, *more;
	struct line line;

	/* A root other than "/" is that of a single file. */
	if (!split(text, &line) || strcmp(line.type, "vmshm") != 0 ||
	    strcmp(line.root, "/") != 0)
		return false;
	unescape(line.path);
	unescape(line.source);
	name = base_name(line.source);
	if (strlen(name) >= sizeof(mount->device) ||
	    strlen(line.path) >= sizeof(mount->path))
		return false;
	strcpy(mount->device, name);
	strcpy(mount->path, line.path);
	/* "rw" or "ro" of the file system repeats that of the mount point. */
	more = strchr(line.super_options, ',');
	snprintf(mount->options, sizeof(mount->options), "%.120s%.120s",
		 line.options, more ? more : "");
	return is_visible(mount->path, line.device);
}

ssize_t mounts_find(struct mount **mounts)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	struct mount *list = NULL, *longer;
	ssize_t count = 0;
	char *line = NULL;
	size_t size = 0;

	*mounts = NULL;
	while (f && getline(&line, &size, f) > 0) {
		if (!strstr(line, " vmshm "))
			continue;
		longer = realloc(list, (count + 1) * sizeof(*list));
		if (!longer) {
			free(list);
			list = NULL;
			count = -ENOMEM;
			break;
		}
		list = longer;
		count += parse(line, &list[count]);
	}
	free(line);
	if (f)
		fclose(f);
	*mounts = list;
	return count;
}

const struct mount *mounts_choose(const struct mount *mounts, size_t count,
				  const char *device,
				  const struct mount **other)
{
	const struct mount *chosen = NULL;
	size_t i;

	*other = NULL;
	for (i = 0; i < count; i++) {
		const struct mount *m = &mounts[i];

		if (device && strcmp(m->device, device) != 0)
			continue;
		if (strcmp(m->path, SHM) == 0) {
			*other = NULL;
			return m;
		}
		if (!chosen)
			chosen = m;
		else if (strcmp(chosen->device, m->device) != 0)
			*other = m;
	}
	return chosen;
}
