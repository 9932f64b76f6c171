// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Small files of /proc and /sys, and the names of users and groups.
 *
 * Not getpwuid(): a program for a guest is often linked statically, and that
 * needs shared libraries nevertheless.
 */
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "vmshm.h"

/* The first line of the file, without its end; false if there is none. */
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
	if (p)
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
	if (g)
		snprintf(name, sizeof(name), "%s", g->gr_name);
	else
		snprintf(name, sizeof(name), "%u", (unsigned int)gid);
	if (f)
		fclose(f);
	return name;
}
