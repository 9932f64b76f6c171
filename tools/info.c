// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmshm info: properties of this machine, of a device, or of an object.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include <vmshm/regs.h>

#include "commands.h"
#include "files.h"
#include "guest.h"
#include "hint.h"
#include "json.h"
#include "list.h"
#include "place.h"
#include "print.h"

static const struct {
	uint64_t bit;
	const char *name;
} features[] = {
	{ VMSHM_F_ARENA, "arena" },
	{ VMSHM_F_CREATE, "create" },
	{ VMSHM_F_READONLY, "readonly" },
	{ VMSHM_F_FUTEX, "futex" },
};

/* "size        64 KiB" */
static void row(const char *what, const char *fmt, ...) PRINTF(2, 3);

static void row(const char *what, const char *fmt, ...)
{
	char first[16], *text;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		text = NULL;
	va_end(args);
	snprintf(first, sizeof(first), "%-13s", what);
	print_wrapped(stdout, first, "             ", text ? text : "");
	free(text);
}

/* Not wrapped: a name can contain blanks and is meant to be copied. */
static void row_name(const char *what, const char *directory, const char *name)
{
	printf("%-13s%s%s\n", what, escaped(directory), escaped(name));
}

static void row_mode(const struct stat *st)
{
	char mode[10];

	mode_text(st, mode);
	row("mode", "%s, user %s, group %s", mode,
	    escaped(user_name(st->st_uid)), escaped(group_name(st->st_gid)));
}

/* Objects */

static void object_json(const struct place *place, const char *name,
			const struct stat *st)
{
	char mode[8], path[PATH_MAX + NAME_BYTES];

	snprintf(mode, sizeof(mode), "%04o", (unsigned int)st->st_mode & 07777);
	snprintf(path, sizeof(path), "%s%s", place->path, name);
	json_begin(NULL, '{');
	json_string("name", name);
	json_string("path", path);
	json_number("size", object_size(st));
	json_number("allocated", object_memory(st));
	json_string("mode", mode);
	json_number("uid", st->st_uid);
	json_number("gid", st->st_gid);
	json_number("inode", st->st_ino);
	json_signed("modified", st->st_mtime);
	json_end('}');
}

static void object_text(const struct place *place, const char *name,
			const struct stat *st)
{
	uint64_t size = object_size(st);

	row_name("name", "", name);
	row_name("path", place->path, name);
	if (size < 1024)
		row("size", "%s", human_size(size));
	else
		row("size", "%s (%" PRIu64 " bytes)", human_size(size), size);
	row("memory", "%s in use", human_size(object_memory(st)));
	row_mode(st);
	row("modified", "%s", local_time(st->st_mtime, true));
}

static int info_object(const struct options *o, const char *arg)
{
	char name[NAME_BYTES];
	int code = EXIT_FAILED;
	struct place place;
	struct stat st;

	if (!parse_name(arg, name))
		return EXIT_USAGE;
	if (!place_open(o, &place))
		return EXIT_FAILED;
	if (fstatat(place.fd, name + 1, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		object_error(&place, name);
	} else if (!S_ISREG(st.st_mode)) {
		error("%s: not a shared memory object", escaped(name));
	} else {
		(o->json ? object_json : object_text)(&place, name, &st);
		code = EXIT_OK;
	}
	place_close(&place);
	return code;
}

/* Devices */

static void number_json(const char *device, const char *attribute)
{
	uint64_t value;

	if (device_number(device, attribute, &value))
		json_number(attribute, value);
	else
		json_null(attribute);
}

static void features_json(const char *device)
{
	uint64_t value;
	size_t i;

	if (!device_number(device, "features", &value)) {
		json_null("features");
		return;
	}
	json_begin("features", '[');
	for (i = 0; i < ARRAY_SIZE(features); i++)
		if (value & features[i].bit)
			json_string(NULL, features[i].name);
	json_end(']');
}

static void device_json(const struct device *device, const struct mount *mounts,
			size_t count)
{
	char line[64];
	bool futex;
	size_t i;

	json_begin(NULL, '{');
	if (*device->name)
		json_string("device", device->name);
	else
		json_null("device");
	json_string("pci", device->pci);
	number_json(device->name, "arena_size");
	number_json(device->name, "arena_free");
	features_json(device->name);
	if (device_attribute(device->name, "memory_type", line, sizeof(line)))
		json_string("memory_type", line);
	else
		json_null("memory_type");
	if (driver_futex(&futex))
		json_bool("futex", futex);
	else
		json_null("futex");
	json_begin("mounts", '[');
	for (i = 0; i < count; i++) {
		if (strcmp(mounts[i].device, device->name) != 0)
			continue;
		json_begin(NULL, '{');
		json_string("path", mounts[i].path);
		json_string("options", mounts[i].options);
		json_end('}');
	}
	json_end(']');
	json_end('}');
}

static void row_node(const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "/dev/%s", name);
	if (stat(path, &st) < 0) {
		row("node", "%s: %s", path, strerror(errno));
		return;
	}
	row("node", "%s", path);
	row_mode(&st);
}

static void row_arena(const struct device *device)
{
	uint64_t size, free;

	if (!device_number(device->name, "arena_size", &size) ||
	    !device_number(device->name, "arena_free", &free))
		row("arena", "unknown: the driver has another version");
	else if (!size && device->arena_bytes && !device->arena_start)
		row("arena", "none: BAR4, %s, has no address",
		    human_size(device->arena_bytes));
	else if (!size)
		row("arena", "none: one object at a time, 1 MiB of it, "
		    "through ioctl");
	else
		row("arena", "%s, %s of it free", human_size(size),
		    human_size(free));
}

static void row_features(const char *name)
{
	char text[80] = "";
	uint64_t value;
	size_t i;

	if (!device_number(name, "features", &value))
		return;
	for (i = 0; i < ARRAY_SIZE(features); i++) {
		if (!(value & features[i].bit))
			continue;
		strcat(text, *text ? ", " : "");
		strcat(text, features[i].name);
	}
	row("features", "%s", *text ? text : "none, as in 2010");
}

static void row_memory_type(const char *name)
{
	char type[64];

	if (!device_attribute(name, "memory_type", type, sizeof(type)))
		row("memory type", "unknown");
	else if (strcmp(type, "write-back") == 0)
		row("memory type", "write-back, like RAM");
	else
		row("memory type", "%s, which is slower than write-back",
		    escaped(type));
}

static void row_futex(void)
{
	bool on;

	if (driver_futex(&on))
		row("futex(2)", on ? "acts on the host's futex" :
				     "acts within this guest only");
}

static void device_text(const struct device *device, const struct mount *mounts,
			size_t count)
{
	bool mounted = false;
	size_t i;

	row("device", "%s",
	    *device->name ? device->name : "no driver is bound");
	row("PCI", "%s", device->pci);
	if (!*device->name)
		return;
	row_node(device->name);
	row_arena(device);
	row_features(device->name);
	row_memory_type(device->name);
	row_futex();
	for (i = 0; i < count; i++) {
		if (strcmp(mounts[i].device, device->name) != 0)
			continue;
		row("mounted", "%s (%s)", escaped(mounts[i].path),
		    escaped(mounts[i].options));
		mounted = true;
	}
	if (!mounted)
		row("mounted", "nowhere");
}

/* @name: of one device, or NULL for all of them */
static int info_devices(const struct options *o, const char *name)
{
	struct device *devices;
	struct mount *mounts;
	size_t count = find_devices(&devices);
	size_t mounted = find_mounts(&mounts);
	size_t i, shown = 0;

	if (o->json && !name)
		json_begin(NULL, '[');
	for (i = 0; i < count; i++) {
		if (name && strcmp(devices[i].name, name) != 0)
			continue;
		if (!o->json && shown)
			putchar('\n');
		(o->json ? device_json : device_text)(&devices[i], mounts,
						      mounted);
		shown++;
	}
	if (o->json && !name)
		json_end(']');
	free(devices);
	free(mounts);
	if (shown || (o->json && !name))
		return EXIT_OK;
	error("no device%s%s found", name ? " " : "",
	      name ? escaped(name) : "");
	hint("vmshm doctor");
	return EXIT_FAILED;
}

/* A host */

static int info_host(const struct options *o)
{
	struct entry *entries;
	uint64_t size, free_bytes, used = 0;
	struct place place;
	struct statvfs st;
	size_t count, i;

	if (!place_open(o, &place))
		return EXIT_FAILED;
	if (!list_objects(&place, &entries, &count)) {
		place_close(&place);
		return EXIT_FAILED;
	}
	for (i = 0; i < count; i++)
		used += object_memory(&entries[i].st);
	free(entries);
	if (fstatvfs(place.fd, &st) < 0) {
		error("%s: %s", escaped(place.path), strerror(errno));
		place_close(&place);
		return EXIT_FAILED;
	}
	place_close(&place);
	size = (uint64_t)st.f_blocks * st.f_frsize;
	free_bytes = (uint64_t)st.f_bavail * st.f_frsize;
	if (o->json) {
		json_begin(NULL, '{');
		json_string("folder", place.path);
		json_number("size", size);
		json_number("free", free_bytes);
		json_number("objects", count);
		json_number("allocated", used);
		json_end('}');
	} else {
		row_name("directory", place.path, "");
		row("size", "%s", human_size(size));
		row("free", "%s", human_size(free_bytes));
		row("objects", "%zu, with %s of memory", count,
		    human_size(used));
	}
	return EXIT_OK;
}

/*
 * "/dev/vmshm0" is a device, "/vmshm0" an object, "vmshm0" a device if it
 * exists.
 */
static const char *device_named(const char *arg)
{
	if (strncmp(arg, "/dev/", 5) == 0 && !strchr(arg + 5, '/'))
		return arg + 5;
	if (strncmp(arg, "vmshm", 5) == 0 && !strchr(arg, '/') &&
	    exists("/sys/class/vmshm/%s", arg))
		return arg;
	return NULL;
}

int cmd_info(const struct options *o, int argc, char **argv)
{
	bool guest = this_side(o) == SIDE_GUEST;
	const char *device = NULL;

	if (argc > 1)
		return usage_error("info takes at most one name");
	if (guest && argc)
		device = device_named(argv[0]);
	if (argc && !device)
		return info_object(o, argv[0]);
	if (guest)
		return info_devices(o, device ? device : o->device);
	return info_host(o);
}
