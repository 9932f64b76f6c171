// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Small files of /proc and /sys, and the names of users and groups.
 *
 * Not getpwuid(): the program is often linked statically for a guest, and
 * getpwuid() loads shared libraries even then.
 */
#include <glob.h>
#include <grp.h>
#include <libgen.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"

bool read_line(char *line, size_t size, const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list args;
	FILE *f;
	char *got;

	va_start(args, fmt);
	vsnprintf(path, sizeof(path), fmt, args);
	va_end(args);
	f = fopen(path, "re");
	if (!f)
		return false;
	got = fgets(line, size, f);
	fclose(f);
	if (!got)
		return false;
	line[strcspn(line, "\n")] = '\0';
	return true;
}

bool exists(const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(path, sizeof(path), fmt, args);
	va_end(args);
	return access(path, F_OK) == 0;
}

bool file_has_line(const char *path, const char *text)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	bool found = false;
	size_t size = 0;

	while (f && !found && getline(&line, &size, f) > 0)
		found = strstr(line, text);
	free(line);
	if (f)
		fclose(f);
	return found;
}

void use_files(const char *const *patterns, size_t count,
	       void (*use)(const char *path, void *arg), void *arg)
{
	size_t i, j;

	for (i = 0; i < count; i++) {
		glob_t list;

		if (glob(patterns[i], 0, NULL, &list) != 0)
			continue;
		for (j = 0; j < list.gl_pathc; j++)
			use(list.gl_pathv[j], arg);
		globfree(&list);
	}
}

void own_directory(char path[PATH_MAX])
{
	ssize_t len = readlink("/proc/self/exe", path, PATH_MAX - 1);

	path[len < 0 ? 0 : len] = '\0';
	if (len > 0)
		dirname(path);
}

bool source_path(const char *name, char path[PATH_MAX])
{
	char own[PATH_MAX], source[PATH_MAX];

	own_directory(own);
	if (snprintf(source, sizeof(source), "%s/..", own) < PATH_MAX &&
	    realpath(source, own) && exists("%s/driver/Kbuild", own) &&
	    snprintf(path, PATH_MAX, "%s/%s", own, name) < PATH_MAX)
		return true;
	snprintf(path, PATH_MAX, "%s", name);
	return false;
}

const char *user_name(uid_t uid)
{
	static char name[64];
	static uid_t known;
	struct passwd *p = NULL;
	FILE *f;

	if (*name && uid == known)
		return name;
	known = uid;
	f = fopen("/etc/passwd", "re");
	while (f && (p = fgetpwent(f)) && p->pw_uid != uid)
		;
	if (p && *p->pw_name)
		snprintf(name, sizeof(name), "%s", p->pw_name);
	else
		snprintf(name, sizeof(name), "%u", (unsigned int)uid);
	if (f)
		fclose(f);
	return name;
}

const char *group_name(gid_t gid)
{
	static char name[64];
	FILE *f = fopen("/etc/group", "re");
	struct group *g = NULL;

	while (f && (g = fgetgrent(f)) && g->gr_gid != gid)
		;
	if (g && *g->gr_name)
		snprintf(name, sizeof(name), "%s", g->gr_name);
	else
		snprintf(name, sizeof(name), "%u", (unsigned int)gid);
	if (f)
		fclose(f);
	return name;
}
