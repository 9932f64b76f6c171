// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmshm doctor on a host: the user that libvirt starts QEMU as, and the
 * AppArmor rules for it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "access.h"
#include "doctor-parts.h"
#include "files.h"
#include "finding.h"
#include "hint.h"
#include "loader.h"
#include "macros.h"
#include "print.h"

#define APPARMOR "/etc/apparmor.d/"
#define ABSTRACTION "abstractions/libvirt-qemu"

/* The user of libvirt's QEMU on Debian, or on Fedora */
static const char *libvirt_user(struct credentials *c)
{
	static const char *const users[] = { "libvirt-qemu", "qemu" };
	size_t i;

	if (!exists("/etc/libvirt/qemu.conf"))
		return NULL;
	for (i = 0; i < ARRAY_SIZE(users); i++)
		if (credentials_of_user(users[i], c))
			return users[i];
	return NULL;
}

static void check_user(const char *user, const struct credentials *c,
		       const char *loader, const char *devices)
{
	const char *paths[] = { loader, devices };
	bool allowed[2] = {};

	if (!access_check(c, paths, 2, R_OK, allowed)) {
		finding(DOUBT, "qemu-user", "The permissions of the user %s, "
			"as which libvirt starts QEMU, cannot be examined.",
			user);
		advice("sudo vmshm doctor");
	} else if (!allowed[0] || !allowed[1]) {
		finding(BAD, "qemu-user", "The user %s, as which libvirt "
			"starts QEMU, cannot read %s.", user,
			escaped(paths[allowed[0]]));
		explain("Install it into a directory that all users can read: "
			"in the source directory of VMShm, \"sudo make "
			"install-device\".");
	} else {
		finding(GOOD, "qemu-user", "The user %s, as which libvirt "
			"starts QEMU, can read the loader.", user);
	}
}

struct search {
	const char *text;
	bool found;
};

static void search_file(const char *path, void *arg)
{
	struct search *s = arg;

	s->found |= file_has_line(path, s->text);
}

/* Whether a rule of the profile of libvirt's QEMU contains the text */
static bool has_rule(const char *text)
{
	static const char *const patterns[] = {
		APPARMOR ABSTRACTION,
		APPARMOR "local/" ABSTRACTION,
		APPARMOR ABSTRACTION ".d/*",
	};
	struct search s = { .text = text };

	use_files(patterns, ARRAY_SIZE(patterns), search_file, &s);
	return s.found;
}

static void advise_rule(const char *rule)
{
	advice("echo %s | %stee -a " APPARMOR "local/" ABSTRACTION,
	       quoted(rule), sudo());
}

/* libvirt's own rules allow files in these directories. */
static bool is_module_directory(const char *loader)
{
	return strncmp(loader, "/usr/lib/", 9) == 0 &&
	       strstr(loader, "/qemu/" LOADER);
}

static void check_apparmor(const char *loader, const char *devices)
{
	char rules[2][PATH_MAX + 16];
	bool missing[2] = {};
	bool listing;

	if (!file_has_line("/sys/module/apparmor/parameters/enabled", "Y") ||
	    !exists(APPARMOR ABSTRACTION))
		return;
	snprintf(rules[0], sizeof(rules[0]), "%s mr,", loader);
	snprintf(rules[1], sizeof(rules[1]), "%s/*.so mr,", devices);
	if (!is_module_directory(loader)) {
		missing[0] = !has_rule(rules[0]);
		missing[1] = !has_rule(rules[1]);
	}
	listing = has_rule("/dev/shm/ r,");
	if (!missing[0] && !missing[1] && listing) {
		finding(GOOD, "apparmor", "AppArmor allows libvirt's QEMU to "
			"use the device.");
		return;
	}
	finding(DOUBT, "apparmor", "AppArmor denies libvirt's QEMU to %s.",
		missing[0] || missing[1] ? "load the device" : "list objects");
	explain("A rule is in effect from the next start of the VM on. Each "
		"VM also needs a rule for its objects, such as \"/dev/shm/"
		"vm1-* rw,\"; with create=on it is \"rwl\".");
	if (missing[0])
		advise_rule(rules[0]);
	if (missing[1])
		advise_rule(rules[1]);
	if (!listing)
		advise_rule("/dev/shm/ r,");
}

void examine_libvirt(void)
{
	char loader[PATH_MAX], real[PATH_MAX], devices[PATH_MAX];
	struct credentials c;
	const char *user = libvirt_user(&c);

	if (!user || !loader_find(loader) || !realpath(loader, real))
		return;
	loader_devices(loader, devices);
	check_user(user, &c, real, devices);
	check_apparmor(real, devices);
}
