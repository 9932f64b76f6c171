// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmshm doctor in a guest: the mounts, and futex(2) on the objects.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doctor-parts.h"
#include "files.h"
#include "finding.h"
#include "guest.h"
#include "hint.h"
#include "logind.h"
#include "place.h"
#include "print.h"

#define SHM "/dev/shm"

/* The guest's thread IDs stay below; the host's can begin above. */
#define PID_MAX 32768

/* systemd-logind looks at /dev/shm only. */
static void check_logout(const struct mount *mount)
{
	if (strcmp(mount->path, SHM) != 0 ||
	    strncmp(mount->options, "ro", 2) == 0 ||
	    !logind_removes_ipc_through(mount->device))
		return;
	finding(DOUBT, "logout", "At the last logout of a user, "
		"systemd-logind of this guest removes all objects of this user "
		"in " SHM ", which are objects of the host (RemoveIPC=yes).");
	explain("These commands turn it off. Or mount %s elsewhere, or use "
		"\"vmshm run\".", mount->device);
	advice("%smkdir -p /etc/systemd/logind.conf.d", sudo());
	advice("printf '[Login]\\nRemoveIPC=no\\n' | %stee "
	       "/etc/systemd/logind.conf.d/vmshm.conf", sudo());
	advice("%ssystemctl restart systemd-logind", sudo());
}

void examine_mounts(const char *device)
{
	struct mount *mounts;
	size_t count = find_mounts(&mounts);
	bool mounted = false;
	size_t i;

	for (i = 0; i < count; i++) {
		if (strcmp(mounts[i].device, device) != 0)
			continue;
		finding(GOOD, "mount", "%s is mounted on %s.", device,
			escaped(mounts[i].path));
		check_logout(&mounts[i]);
		mounted = true;
	}
	free(mounts);
	if (mounted)
		return;
	finding(DOUBT, "mount", "%s is not mounted.", device);
	explain("The command mounts it for all programs; \"vmshm run "
		"PROGRAM\" does for one program.");
	if (logind_removes_ipc_through(device))
		explain("On " SHM ", systemd-logind of this guest would remove "
			"the host's objects at logout (RemoveIPC=yes).");
	advice("%smount -t vmshm %s %s", sudo(), quoted(device),
	       mount_directory(device));
}

/* Mutexes of programs on both sides contain thread IDs. */
static void check_thread_ids(void)
{
	char line[32];

	if (!read_line(line, sizeof(line), "/proc/sys/kernel/pid_max") ||
	    strtoul(line, NULL, 10) <= PID_MAX)
		return;
	finding(DOUBT, "thread-ids", "Threads of this guest and of the host "
		"can have the same ID, by which recursive and error-checking "
		"mutexes know their owner.");
	explain("The command limits the IDs of the guest until the next boot. "
		"On the host, \"sysctl kernel.ns_last_pid=1000000\" lets new "
		"IDs begin above them.");
	advice("%ssysctl kernel.pid_max=%u", sudo(), PID_MAX);
}

void examine_futex(void)
{
	bool on;

	if (!driver_futex(&on))
		return;
	if (on) {
		finding(GOOD, "futex", "futex(2) on objects acts on the host's "
			"futex.");
		check_thread_ids();
		return;
	}
	finding(DOUBT, "futex", "futex(2) on objects acts within this guest "
		"only: a program whose semaphore or mutex is shared with the "
		"host sleeps forever.");
	explain("The parameter futex of the driver changes that, when the "
		"module is loaded again; see vmshm(4).");
	advice("echo 'options vmshm futex=on' | %stee "
	       "/etc/modprobe.d/vmshm.conf", sudo());
}
