// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which process has which object: the mappings and open files of all processes,
 * compared with the objects by device and inode number.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attached.h"
#include "list.h"
#include "print.h"

struct scan {
	const struct place *place;
	dev_t dev;
	struct entry *entries;
	size_t entry_count;

	struct attached *list;
	size_t count, room;
	/* Where the current process begins in the list */
	size_t first;
	struct process process;
	bool failed;
};

static int by_inode(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return (x->st.st_ino > y->st.st_ino) - (x->st.st_ino < y->st.st_ino);
}

static const struct entry *find_entry(const struct scan *s, ino_t ino)
{
	struct entry key = { .st.st_ino = ino };

	return bsearch(&key, s->entries, s->entry_count, sizeof(key),
		       by_inode);
}

/* "/dev/shm/x (deleted)": the name, if the path is one of this place */
static bool removed_name(const struct scan *s, const char *path,
			 char name[NAME_BYTES])
{
	static const char end[] = " (deleted)";
	const char *directory = s->place->path;
	const char *slash = strrchr(path, '/');
	size_t length = strlen(path);

	/* In another mount namespace, the path may begin at a mount's root. */
	if (!slash || (slash != path &&
		       (strlen(directory) != (size_t)(slash - path) ||
			strncmp(path, directory, slash - path) != 0)))
		return false;
	if (length < strlen(end) ||
	    strcmp(path + length - strlen(end), end) != 0)
		return false;
	length -= strlen(end) + (slash - path);
	if (length >= NAME_BYTES)
		return false;
	memcpy(name, slash, length);
	name[length] = '\0';
	return true;
}

static struct attached *add(struct scan *s)
{
	struct attached *more;

	if (s->count == s->room) {
		s->room = s->room ? s->room * 2 : 64;
		more = realloc(s->list, s->room * sizeof(*more));
		if (!more) {
			s->failed = true;
			return NULL;
		}
		s->list = more;
	}
	more = &s->list[s->count++];
	memset(more, 0, sizeof(*more));
	more->process = s->process;
	return more;
}

/* The entry of the current process for this inode */
static struct attached *find(struct scan *s, ino_t ino, const char *path)
{
	const struct entry *entry;
	char name[NAME_BYTES];
	struct attached *a;
	size_t i;

	for (i = s->first; i < s->count; i++)
		if (s->list[i].ino == ino)
			return &s->list[i];
	entry = find_entry(s, ino);
	/* A file in a subdirectory is no object. */
	if (!entry && !removed_name(s, path, name))
		return NULL;
	a = add(s);
	if (!a)
		return NULL;
	a->ino = ino;
	a->removed = !entry;
	strcpy(a->name, entry ? entry->name : name);
	a->size = entry ? object_size(&entry->st) : 0;
	return a;
}

static void add_mapping(const struct mapping *m, void *arg)
{
	struct scan *s = arg;
	struct attached *a = NULL;

	if (m->dev == s->dev)
		a = find(s, m->ino, m->path);
	if (!a)
		return;
	a->mapped += m->bytes;
	a->writable |= m->writable;
}

static void add_file(const struct mapping *file, void *arg)
{
	struct scan *s = arg;
	struct attached *a = NULL;

	if (file->dev == s->dev)
		a = find(s, file->ino, file->path);
	if (!a)
		return;
	a->descriptors++;
	a->writable |= file->writable;
}

static int by_name(const void *a, const void *b)
{
	const struct attached *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	if (!order)
		order = (x->ino > y->ino) - (x->ino < y->ino);
	return order ? order : x->process.pid - y->process.pid;
}

static void scan_process(struct scan *s, pid_t pid, size_t *hidden)
{
	if (!process_read(pid, &s->process))
		return;
	s->first = s->count;
	if (process_mappings(pid, add_mapping, s) == -EACCES)
		++*hidden;
	else
		process_files(pid, add_file, s);
}

bool attached_find(const struct place *place, struct attached **list,
		   size_t *count, size_t *hidden)
{
	struct scan s = { .place = place };
	struct stat st;
	DIR *proc;
	pid_t pid;

	*list = NULL;
	*count = *hidden = 0;
	if (!list_objects(place, &s.entries, &s.entry_count)) {
		free(s.entries);
		return false;
	}
	if (s.entry_count)
		qsort(s.entries, s.entry_count, sizeof(*s.entries), by_inode);
	proc = opendir("/proc");
	if (!proc || fstat(place->fd, &st) < 0) {
		error("/proc: %s", strerror(errno));
		free(s.entries);
		return false;
	}
	s.dev = st.st_dev;
	while (!s.failed && (pid = process_next(proc)))
		scan_process(&s, pid, hidden);
	closedir(proc);
	free(s.entries);
	if (s.failed) {
		error("out of memory");
		free(s.list);
		return false;
	}
	if (s.count)
		qsort(s.list, s.count, sizeof(*s.list), by_name);
	*list = s.list;
	*count = s.count;
	return true;
}
