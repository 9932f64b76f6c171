// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmshm doctor on a host: the running virtual machines, and the objects that
 * their QEMU has no permission to open.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access.h"
#include "doctor-parts.h"
#include "files.h"
#include "finding.h"
#include "hint.h"
#include "list.h"
#include "logind.h"
#include "policy.h"
#include "print.h"

#define SHM "/dev/shm"

/* At most this many objects are named for each device; others are counted. */
#define NAMED 16

/* "VM vm1 (process 123, user libvirt-qemu)" */
static const char *vm_name(const struct vm *vm)
{
	static char text[1500];

	snprintf(text, sizeof(text), "%s%s (process %d, user %s)",
		 *vm->process.vm ? "VM " : "the VM",
		 escaped(vm->process.vm), vm->process.pid,
		 escaped(user_name(vm->process.uid)));
	*text = *vm->process.vm ? *text : 'T';
	return text;
}

static void check_loaded(const struct vm *vm)
{
	if (!*vm->device)
		finding(DOUBT, "vm", "%s has loaded %s, and no device beside "
			"it: the file is of version 0.1, or there was no "
			"device for this QEMU.", vm_name(vm),
			escaped(vm->loader));
	else if (vm->replaced)
		finding(DOUBT, "vm", "%s uses a device that was replaced or "
			"removed since, %s; it uses the new one from its next "
			"start on.", vm_name(vm), escaped(vm->device));
	else
		finding(GOOD, "vm", "%s uses %s.", vm_name(vm),
			escaped(vm->device));
}

static void check_logout(const struct vm *vm)
{
	uid_t uid = vm->process.uid;

	if (!logind_removes_ipc_of(uid))
		return;
	finding(DOUBT, "logout", "%s belongs to a login user: systemd-logind "
		"removes all objects of this user at the last logout "
		"(RemoveIPC=yes).", vm_name(vm));
	explain("It keeps the objects of users that linger.");
	advice("%sloginctl enable-linger %s", sudo(), quoted(user_name(uid)));
}

/* The objects that a VM's device can reach, and QEMU's permissions */
struct reach {
	struct policy policy;
	const char *directory;
	struct entry *entries;
	char **paths;
	bool *allowed;
	size_t count;
};

/* Whether the directory is the same one for this process and for QEMU */
static bool is_same_directory(const struct vm *vm, const char *path)
{
	char inside[PATH_MAX + 64];
	struct stat ours, theirs;

	snprintf(inside, sizeof(inside), "/proc/%d/root%s", vm->process.pid,
		 path);
	return stat(path, &ours) == 0 && stat(inside, &theirs) == 0 &&
	       ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

/* The objects that the policy allows, as paths */
static bool find_objects(struct reach *r)
{
	struct place place = { .side = SIDE_HOST };
	size_t all, i;
	bool good;

	snprintf(place.path, sizeof(place.path), "%s", r->directory);
	place.fd = open(r->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (place.fd < 0)
		return false;
	good = list_objects(&place, &r->entries, &all);
	place_close(&place);
	r->paths = calloc(all + 1, sizeof(*r->paths));
	r->allowed = calloc(all + 1, sizeof(*r->allowed));
	for (i = 0; good && r->paths && r->allowed && i < all; i++)
		if (policy_allows(&r->policy, r->entries[i].name) &&
		    asprintf(&r->paths[r->count], "%s%s", r->directory,
			     r->entries[i].name) >= 0)
			r->count++;
	return good && r->paths && r->allowed;
}

static void free_reach(struct reach *r)
{
	size_t i;

	for (i = 0; i < r->count; i++)
		free(r->paths[i]);
	free(r->paths);
	free(r->allowed);
	free(r->entries);
}

static void report_denied(const struct vm *vm, const struct reach *r)
{
	const char *user = user_name(vm->process.uid);
	size_t denied = 0, i, named = 0;

	for (i = 0; i < r->count; i++)
		denied += !r->allowed[i];
	if (!denied)
		return;
	finding(DOUBT, "objects", "%s has no permission to open %zu object%s "
		"of %s for %s, which are not visible in the guest.",
		vm_name(vm), denied, denied == 1 ? "" : "s",
		escaped(r->directory),
		r->policy.readonly ? "reading" : "reading and writing");
	if (denied > NAMED)
		explain("The commands are for the first %d of them.", NAMED);
	explain("The policy of the device (allow=, deny=, prefix=) can exclude "
		"objects that the guest does not need.");
	for (i = 0; i < r->count && named < NAMED; i++) {
		if (r->allowed[i])
			continue;
		advice("%ssetfacl -m %s %s", sudo(),
		       quoted_acl(user, r->policy.readonly),
		       quoted(r->paths[i]));
		named++;
	}
}

static void check_objects(const struct vm *vm, const char *argument)
{
	struct credentials credentials;
	struct reach r = {};

	policy_parse(argument, &r.policy);
	r.directory = *r.policy.directory ? r.policy.directory : SHM;
	if (!is_same_directory(vm, r.directory))
		return;
	if (find_objects(&r) &&
	    credentials_of_process(vm->process.pid, &credentials) &&
	    access_check(&credentials, (const char *const *)r.paths, r.count,
			 r.policy.readonly ? R_OK : R_OK | W_OK, r.allowed))
		report_denied(vm, &r);
	free_reach(&r);
}

static void check_vm(const struct vm *vm)
{
	char argument[4096];
	unsigned int i;

	check_loaded(vm);
	check_logout(vm);
	for (i = 0; vm_device_argument(vm, i, argument, sizeof(argument)); i++)
		check_objects(vm, argument);
}

void examine_vms(const struct vm *vms, size_t count, size_t hidden)
{
	size_t i;

	for (i = 0; i < count; i++)
		check_vm(&vms[i]);
	if (!hidden)
		return;
	finding(DOUBT, "vm", "%zu QEMU process%s of other users cannot be "
		"examined.", hidden, hidden == 1 ? "" : "es");
	if (geteuid())
		advice("sudo vmshm doctor");
}
