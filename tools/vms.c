// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The virtual machines of this host that have loaded the device: each QEMU that
 * has a device file or the loader mapped.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader.h"
#include "vms.h"

/* Whether the path ends in " (deleted)"; this suffix is cut off */
static bool is_deleted(char *path)
{
	static const char end[] = " (deleted)";
	size_t length = strlen(path);

	if (length < strlen(end) ||
	    strcmp(path + length - strlen(end), end) != 0)
		return false;
	path[length - strlen(end)] = '\0';
	return true;
}

static void look_at(const struct mapping *m, void *arg)
{
	const char *slash = strrchr(m->path, '/');
	char path[PATH_MAX];
	struct vm *vm = arg;
	bool deleted;

	if (!slash || strlen(m->path) >= sizeof(path))
		return;
	strcpy(path, m->path);
	deleted = is_deleted(path);
	if (strstr(path, "/" DEVICE_DIRECTORY "/")) {
		strcpy(vm->device, path);
		vm->replaced = deleted;
	} else if (strcmp(path + (slash - m->path), "/" LOADER) == 0) {
		strcpy(vm->loader, path);
	}
}

size_t vms_find(struct vm **list, size_t *hidden)
{
	DIR *proc = opendir("/proc");
	size_t count = 0;
	pid_t pid;

	*list = NULL;
	*hidden = 0;
	while (proc && (pid = process_next(proc))) {
		struct vm vm = {}, *more;
		int err;

		if (!process_read(pid, &vm.process) || !vm.process.qemu)
			continue;
		err = process_mappings(pid, look_at, &vm);
		*hidden += err == -EACCES;
		if (err || (!*vm.loader && !*vm.device))
			continue;
		more = realloc(*list, (count + 1) * sizeof(**list));
		if (!more)
			break;
		*list = more;
		more[count++] = vm;
	}
	if (proc)
		closedir(proc);
	return count;
}

bool vm_device_argument(const struct vm *vm, unsigned int nth, char *text,
			size_t size)
{
	unsigned int i;

	for (i = 0; process_option(vm->process.pid, "-device", i, text, size);
	     i++) {
		if (strcmp(text, "vmshm") != 0 &&
		    strncmp(text, "vmshm,", 6) != 0)
			continue;
		if (!nth--)
			return true;
	}
	return false;
}
