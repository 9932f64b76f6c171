// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Processes of this machine. Each can end at any time, and each can have any
 * name and any arguments.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "files.h"
#include "process.h"

pid_t process_next(DIR *proc)
{
	struct dirent *e;

	while ((e = readdir(proc)))
		if (isdigit((unsigned char)e->d_name[0]))
			return atoi(e->d_name);
	return 0;
}

static FILE *open_file(pid_t pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return fopen(path, "re");
}

/* "Uid:	real	effective	saved	file system" */
static unsigned int last_id(const char *line)
{
	unsigned int id = 0;

	sscanf(line, "%*s %*u %*u %*u %u", &id);
	return id;
}

bool process_option(pid_t pid, const char *option, unsigned int nth,
		    char *value, size_t size)
{
	FILE *f = open_file(pid, "cmdline");
	bool wanted = false, found = false;
	char *word = NULL;
	size_t room = 0;

	while (f && !found && getdelim(&word, &room, '\0', f) > 0) {
		if (wanted && !nth--) {
			snprintf(value, size, "%s", word);
			found = true;
		}
		/* QEMU takes "--name" for "-name". */
		wanted = strcmp(word, option) == 0 ||
			 (*word == '-' && strcmp(word + 1, option) == 0);
	}
	free(word);
	if (f)
		fclose(f);
	return found;
}

/* "vm1,debug-threads=on" or "guest=vm1,..." */
static void read_vm_name(struct process *p)
{
	static const char guest[] = "guest=";
	char value[256];
	const char *name;

	if (!process_option(p->pid, "-name", 0, value, sizeof(value)))
		return;
	name = strstr(value, guest);
	if (name && (name == value || name[-1] == ','))
		name += strlen(guest);
	else
		name = value;
	snprintf(p->vm, sizeof(p->vm), "%.*s", (int)strcspn(name, ","), name);
}

/* The names of Debian, of Red Hat, and of QEMU itself */
static bool is_qemu(const char *command)
{
	return strncmp(command, "qemu-system-", 12) == 0 ||
	       strcmp(command, "qemu-kvm") == 0 || strcmp(command, "kvm") == 0;
}

bool process_read(pid_t pid, struct process *p)
{
	FILE *f = open_file(pid, "status");
	char line[256];

	if (!f)
		return false;
	memset(p, 0, sizeof(*p));
	p->pid = pid;
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, "Uid:", 4) == 0)
			p->uid = last_id(line);
		else if (strncmp(line, "Gid:", 4) == 0)
			p->gid = last_id(line);
	}
	fclose(f);
	if (!read_line(p->command, sizeof(p->command), "/proc/%d/comm", pid))
		return false;
	/* QEMU can rename its main thread with -name process=. */
	if (process_option(pid, "-name", 0, line, sizeof(line)) &&
	    strstr(line, "process="))
		p->qemu = true;
	if (is_qemu(p->command))
		p->qemu = true;
	if (p->qemu)
		read_vm_name(p);
	return true;
}

/* "7f00-7f10 rw-s 00000000 00:19 5                    /dev/shm/x" */
static bool parse_mapping(char *line, struct mapping *m)
{
	uint64_t start, end, ino;
	unsigned int major, minor;
	char access[5];
	int path = 0;

	if (sscanf(line,
		   "%" SCNx64 "-%" SCNx64 " %4s %*x %x:%x %" SCNu64 " %n",
		   &start, &end, access, &major, &minor, &ino, &path) < 6)
		return false;
	line[strcspn(line, "\n")] = '\0';
	m->bytes = end - start;
	m->writable = access[1] == 'w';
	m->dev = makedev(major, minor);
	m->ino = ino;
	m->path = path ? line + path : "";
	return ino;
}

int process_mappings(pid_t pid,
		     void (*each)(const struct mapping *mapping, void *arg),
		     void *arg)
{
	FILE *f = open_file(pid, "maps");
	struct mapping m;
	char *line = NULL;
	size_t size = 0;

	if (!f)
		return -errno;
	while (getline(&line, &size, f) > 0)
		if (parse_mapping(line, &m))
			each(&m, arg);
	free(line);
	fclose(f);
	return 0;
}

/* A link in /proc/PID/fd; its mode says how the file was opened. */
static bool read_file(int dir, const char *name, char *path, size_t size,
		      struct mapping *m)
{
	struct stat file, link;
	ssize_t length;

	if (fstatat(dir, name, &file, 0) < 0 || !S_ISREG(file.st_mode) ||
	    fstatat(dir, name, &link, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	length = readlinkat(dir, name, path, size - 1);
	if (length < 0)
		return false;
	path[length] = '\0';
	m->dev = file.st_dev;
	m->ino = file.st_ino;
	m->writable = link.st_mode & 0200;
	return true;
}

int process_files(pid_t pid,
		  void (*each)(const struct mapping *file, void *arg),
		  void *arg)
{
	char directory[64], path[PATH_MAX + 16];
	struct dirent *e;
	DIR *dir;

	snprintf(directory, sizeof(directory), "/proc/%d/fd", pid);
	dir = opendir(directory);
	if (!dir)
		return -errno;
	while ((e = readdir(dir))) {
		struct mapping file = { .path = path };

		if (read_file(dirfd(dir), e->d_name, path, sizeof(path), &file))
			each(&file, arg);
	}
	closedir(dir);
	return 0;
}
