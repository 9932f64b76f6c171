// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The files that QEMU loads.
 */
#include <glob.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "hint.h"
#include "loader.h"
#include "macros.h"

/* "" is the directory of this program. */
static const char *const directories[] = {
	"", "/../lib", "build", "/usr/local/lib", "/usr/lib",
};

/* Where a package installs QEMU's own modules */
static bool module_directory(size_t nth, char path[PATH_MAX])
{
	bool found = false;
	glob_t list;

	if (glob("/usr/lib/*/qemu/" LOADER, 0, NULL, &list) != 0)
		return false;
	if (nth < list.gl_pathc) {
		snprintf(path, PATH_MAX, "%s", list.gl_pathv[nth]);
		found = true;
	}
	globfree(&list);
	return found;
}

bool loader_candidate(size_t nth, char path[PATH_MAX])
{
	const char *named = getenv("VMSHM_SO");
	char own[PATH_MAX] = "";
	int length;

	if (named && *named) {
		snprintf(path, PATH_MAX, "%s", named);
		return nth == 0;
	}
	if (nth >= ARRAY_SIZE(directories))
		return module_directory(nth - ARRAY_SIZE(directories), path);
	/* The first two are relative to this program. */
	if (nth < 2)
		own_directory(own);
	length = snprintf(path, PATH_MAX, "%s%s/" LOADER, own,
			  directories[nth]);
	if (length >= PATH_MAX)
		*path = '\0';
	return true;
}

bool loader_find(char path[PATH_MAX])
{
	size_t i;

	for (i = 0; loader_candidate(i, path); i++)
		if (access(path, F_OK) == 0)
			return true;
	return false;
}

void loader_devices(const char *loader, char path[PATH_MAX])
{
	char real[PATH_MAX];

	/* The loader resolves its own path in the same way. */
	if (!realpath(loader, real) ||
	    snprintf(path, PATH_MAX, "%s/" DEVICE_DIRECTORY, dirname(real)) >=
		    PATH_MAX)
		*path = '\0';
}

bool device_info(const char *device, const char *name, char *value,
		 size_t size)
{
	size_t length = strlen(name);
	char path[PATH_MAX];
	bool found = false;
	char *line = NULL;
	size_t room = 0;
	FILE *f;

	/* ID.so has ID.info beside it. */
	if (strlen(device) < 3 || strlen(device) + 3 > sizeof(path))
		return false;
	snprintf(path, sizeof(path), "%.*sinfo", (int)strlen(device) - 2,
		 device);
	f = fopen(path, "re");
	while (f && !found && getline(&line, &room, f) > 0) {
		if (strncmp(line, name, length) != 0 || line[length] != '=')
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(value, size, "%s", line + length + 1);
		found = true;
	}
	free(line);
	if (f)
		fclose(f);
	return found;
}

static bool has_vmshm_device(void)
{
	return access("/usr/sbin/vmshm-device", X_OK) == 0 ||
	       access("/usr/local/sbin/vmshm-device", X_OK) == 0;
}

const char *build_command(const char *qemu)
{
	static char command[4 * PATH_MAX];
	char source[PATH_MAX];

	if (source_path("", source))
		snprintf(command, sizeof(command), "make -C %s device QEMU=%s",
			 quoted(source), quoted(qemu));
	else if (has_vmshm_device())
		snprintf(command, sizeof(command), "%svmshm-device build %s",
			 sudo(), quoted(qemu));
	else
		*command = '\0';
	return command;
}
