// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Permissions of another user: the kernel is asked by a child process that
 * becomes this user, so that access control lists and all directories count.
 */
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "access.h"

#define CAP_DAC_OVERRIDE 1

static void read_groups(const char *text, struct credentials *c)
{
	char *end;

	while (c->group_count < GROUPS) {
		unsigned long gid = strtoul(text, &end, 10);

		if (end == text)
			break;
		c->groups[c->group_count++] = gid;
		text = end;
	}
}

bool credentials_of_process(pid_t pid, struct credentials *c)
{
	unsigned long long capabilities;
	char path[64], line[4096];
	FILE *f;

	memset(c, 0, sizeof(*c));
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	/* The last ID is the one that files are accessed with. */
	while (fgets(line, sizeof(line), f)) {
		sscanf(line, "Uid: %*u %*u %*u %u", &c->uid);
		sscanf(line, "Gid: %*u %*u %*u %u", &c->gid);
		if (strncmp(line, "Groups:", 7) == 0)
			read_groups(line + 7, c);
		if (sscanf(line, "CapEff: %llx", &capabilities) == 1)
			c->override = capabilities >> CAP_DAC_OVERRIDE & 1;
	}
	fclose(f);
	return true;
}

static bool is_member(const struct group *g, const char *name)
{
	size_t i;

	for (i = 0; g->gr_mem[i]; i++)
		if (strcmp(g->gr_mem[i], name) == 0)
			return true;
	return false;
}

bool credentials_of_user(const char *name, struct credentials *c)
{
	FILE *f = fopen("/etc/passwd", "re");
	struct passwd *p = NULL;
	struct group *g;

	memset(c, 0, sizeof(*c));
	while (f && (p = fgetpwent(f)) && strcmp(p->pw_name, name) != 0)
		;
	if (p) {
		c->uid = p->pw_uid;
		c->gid = p->pw_gid;
		c->override = !p->pw_uid;
	}
	if (f)
		fclose(f);
	if (!p)
		return false;
	f = fopen("/etc/group", "re");
	while (f && c->group_count < GROUPS && (g = fgetgrent(f)))
		if (is_member(g, name))
			c->groups[c->group_count++] = g->gr_gid;
	if (f)
		fclose(f);
	return true;
}

static void check_all(const char *const *paths, size_t count, int mode,
		      bool *allowed)
{
	size_t i;

	for (i = 0; i < count; i++)
		allowed[i] = access(paths[i], mode) == 0;
}

/* In a child; the result is in memory that both share. */
static bool check_as(const struct credentials *c, const char *const *paths,
		     size_t count, int mode, bool *allowed)
{
	int status = -1;
	bool *shared;
	pid_t pid;

	shared = mmap(NULL, count, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return false;
	pid = fork();
	if (!pid) {
		if (setgroups(c->group_count, c->groups) < 0 ||
		    setresgid(c->gid, c->gid, c->gid) < 0 ||
		    setresuid(c->uid, c->uid, c->uid) < 0)
			_exit(1);
		check_all(paths, count, mode, shared);
		_exit(0);
	}
	if (pid > 0)
		waitpid(pid, &status, 0);
	memcpy(allowed, shared, count);
	munmap(shared, count);
	return status == 0;
}

bool access_check(const struct credentials *c, const char *const *paths,
		  size_t count, int mode, bool *allowed)
{
	if (!count)
		return true;
	if (c->override) {
		memset(allowed, true, count);
		return true;
	}
	if (geteuid() == 0)
		return check_as(c, paths, count, mode, allowed);
	if (geteuid() != c->uid)
		return false;
	check_all(paths, count, mode, allowed);
	return true;
}
