// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The objects of a place.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "list.h"
#include "print.h"

static int by_name(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* In a guest, the size comes from the host and can be any number. */
uint64_t object_size(const struct stat *st)
{
	return st->st_size;
}

uint64_t object_memory(const struct stat *st)
{
	return (uint64_t)st->st_blocks * 512;
}

void mode_text(const struct stat *st, char text[10])
{
	int i;

	strcpy(text, "rwxrwxrwx");
	for (i = 0; i < 9; i++)
		if (!(st->st_mode & (0400 >> i)))
			text[i] = '-';
}

/* The next object; false at the end, or with errno after a failure */
static bool next_object(const struct place *place, DIR *dir, struct entry *e)
{
	struct dirent *d;

	for (;;) {
		errno = 0;
		d = readdir(dir);
		if (!d)
			return false;
		/* It may have been removed since. */
		if (fstatat(place->fd, d->d_name, &e->st,
			    AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISREG(e->st.st_mode))
			continue;
		snprintf(e->name, sizeof(e->name), "/%s", d->d_name);
		return true;
	}
}

/* Doubles the list: a directory may have 100,000 objects. */
static bool reserve(struct entry **entries, size_t count, size_t *room)
{
	struct entry *more;

	if (count < *room)
		return true;
	*room = *room ? *room * 2 : 64;
	more = realloc(*entries, *room * sizeof(**entries));
	if (more)
		*entries = more;
	return more;
}

bool list_objects(const struct place *place, struct entry **entries,
		  size_t *count)
{
	int fd = openat(place->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	size_t room = 0;
	bool good;

	*entries = NULL;
	*count = 0;
	while (dir && reserve(entries, *count, &room) &&
	       next_object(place, dir, *entries + *count))
		++*count;
	good = dir && errno == 0;
	if (!good)
		error("%s: %s", escaped(place->path), strerror(errno));
	if (dir)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
	if (*count)
		qsort(*entries, *count, sizeof(**entries), by_name);
	return good;
}
