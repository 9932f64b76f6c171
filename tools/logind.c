// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * systemd-logind, which removes the objects of a user at logout.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vmshm/regs.h>

#include "files.h"
#include "guest.h"
#include "logind.h"
#include "macros.h"

/* System users have lower numbers; systemd's "nobody" is also excluded. */
#define FIRST_LOGIN_USER 1000
#define NOBODY 65534

/* The last assignment counts. */
static void read_setting(const char *path, void *arg)
{
	static const char key[] = "RemoveIPC=";
	bool *removes = arg;
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;

	while (f && getline(&line, &size, f) > 0) {
		const char *text = line + strspn(line, " \t");

		if (strncmp(text, key, strlen(key)) != 0)
			continue;
		text += strlen(key);
		*removes = !strchr("nf0", tolower((unsigned char)*text)) &&
			   strncasecmp(text, "off", 3) != 0;
	}
	free(line);
	if (f)
		fclose(f);
}

static bool read_settings(void)
{
	static const char *const patterns[] = {
		"/etc/systemd/logind.conf",
		"/usr/lib/systemd/logind.conf.d/*.conf",
		"/run/systemd/logind.conf.d/*.conf",
		"/etc/systemd/logind.conf.d/*.conf",
	};
	bool removes = true;

	use_files(patterns, ARRAY_SIZE(patterns), read_setting, &removes);
	return removes;
}

bool logind_removes_ipc(void)
{
	return exists("/run/systemd/seats") && read_settings();
}

bool logind_removes_ipc_through(const char *device)
{
	uint64_t features;

	return device_number(device, "features", &features) &&
	       (features & VMSHM_F_CREATE) && logind_removes_ipc();
}

bool logind_removes_ipc_of(uid_t uid)
{
	return uid >= FIRST_LOGIN_USER && uid != NOBODY &&
	       logind_removes_ipc() &&
	       !exists("/var/lib/systemd/linger/%s", user_name(uid));
}
