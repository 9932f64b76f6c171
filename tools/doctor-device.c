// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmshm doctor on a host: the loader, and the device files beside it.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "doctor-parts.h"
#include "elf.h"
#include "files.h"
#include "finding.h"
#include "hint.h"
#include "loader.h"
#include "macros.h"
#include "print.h"

static void advise_build(const char *qemu)
{
	const char *command = build_command(qemu);

	if (*command) {
		advice("%s", command);
		return;
	}
	explain("In the source directory of VMShm:");
	advice("make device QEMU=%s", quoted(qemu));
}

/* A device that exists, and that the loader takes */
static void check_fit(const char *device, const char *qemu,
		      const char *version)
{
	char nearest[128], vmshm[64];

	if (access(device, R_OK) < 0) {
		finding(BAD, "device", "%s: %s.", escaped(device),
			strerror(errno));
		return;
	}
	if (!file_has_string(device, version)) {
		finding(BAD, "device", "%s is built for another QEMU: this one "
			"refuses it.", escaped(device));
		advise_build(qemu);
		return;
	}
	if (device_info(device, "nearest", nearest, sizeof(nearest)) &&
	    *nearest) {
		finding(DOUBT, "device", "%s is built from the source of QEMU "
			"%s, because that of this QEMU was not available.",
			escaped(device), escaped(nearest));
		return;
	}
	if (device_info(device, "vmshm", vmshm, sizeof(vmshm)) &&
	    strcmp(vmshm, VMSHM_TOOL_VERSION) != 0) {
		finding(DOUBT, "device", "%s has version %s of VMShm, and this "
			"program has version %s.", escaped(device),
			escaped(vmshm), VMSHM_TOOL_VERSION);
		advise_build(qemu);
		return;
	}
	finding(GOOD, "device", "%s is built for this QEMU.", escaped(device));
}

static void check_device(const char *devices, const char *qemu,
			 const char *version, char id[BUILD_ID_BYTES])
{
	char device[PATH_MAX + BUILD_ID_BYTES + 8];

	if (!elf_build_id(qemu, id)) {
		finding(BAD, "device", "%s has no build ID, by which its "
			"device could be found.", escaped(qemu));
		return;
	}
	snprintf(device, sizeof(device), "%s/%s.so", devices, id);
	if (access(device, F_OK) == 0) {
		check_fit(device, qemu, version);
		return;
	}
	finding(BAD, "device", "The device for this QEMU is not built: there "
		"is no %s.", escaped(device));
	advise_build(qemu);
}

static bool is_used(const char *device, const struct vm *vms, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (!vms[i].replaced && strcmp(vms[i].device, device) == 0)
			return true;
	return false;
}

static bool is_for_installed(const char *device)
{
	char qemu[PATH_MAX], id[BUILD_ID_BYTES];
	const char *name = strrchr(device, '/') + 1;

	return device_info(device, "qemu", qemu, sizeof(qemu)) &&
	       elf_build_id(qemu, id) && strlen(name) == strlen(id) + 3 &&
	       strncmp(name, id, strlen(id)) == 0;
}

static void report_unused(const char *device)
{
	char version[256];

	if (!device_info(device, "version", version, sizeof(version)))
		strcpy(version, "(unknown)");
	finding(DOUBT, "devices", "No QEMU that is installed or running uses "
		"%s, for QEMU %s.", escaped(device), escaped(version));
	advice("%srm %s", sudo(), quoted(device));
}

/*
 * The devices of other QEMU binaries: reports each unused device, and only
 * counts the used ones.
 */
static void check_others(const char *devices, const char *id,
			 const struct vm *vms, size_t count)
{
	char device[PATH_MAX + NAME_MAX + 2];
	DIR *dir = opendir(devices);
	struct dirent *e;
	size_t good = 0;

	while (dir && (e = readdir(dir))) {
		const char *end = strrchr(e->d_name, '.');

		/* New files begin with a dot, until they are renamed. */
		if (e->d_name[0] == '.' || !end || strcmp(end, ".so") != 0 ||
		    (*id && strncmp(e->d_name, id, strlen(id)) == 0))
			continue;
		snprintf(device, sizeof(device), "%s/%s", devices, e->d_name);
		if (is_for_installed(device) || is_used(device, vms, count))
			good++;
		else
			report_unused(device);
	}
	if (dir)
		closedir(dir);
	if (good)
		finding(GOOD, "devices", "%zu more device%s for installed or "
			"running QEMU binaries.", good, good == 1 ? "" : "s");
}

/* Those of vmshm-device(8) */
static const char *const binaries[] = {
	"/usr/bin/qemu-system-*",	  "/usr/local/bin/qemu-system-*",
	"/usr/libexec/qemu-system-*",	  "/usr/libexec/qemu-kvm",
	"/usr/libexec/xen-qemu-system-*",
};

struct checked {
	const char *devices, *qemu;
};

/* Reports a QEMU without a device, if it can load one. */
static void check_binary(const char *path, void *arg)
{
	const struct checked *checked = arg;
	char id[BUILD_ID_BYTES];
	struct stat st;

	/* A link has the same device as its target. */
	if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode) ||
	    strcmp(path, checked->qemu) == 0 || !elf_build_id(path, id) ||
	    exists("%s/%s.so", checked->devices, id) ||
	    !file_has_string(path, "register_module_init"))
		return;
	finding(DOUBT, "binaries", "The device for %s is not built.",
		escaped(path));
	advise_build(path);
}

/* The other QEMU binaries that are installed */
static void check_binaries(const char *devices, const char *qemu)
{
	struct checked checked = { devices, qemu };

	use_files(binaries, ARRAY_SIZE(binaries), check_binary, &checked);
}

/*
 * "7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)": a source package has neither the
 * epoch, in its directory, nor the number of a rebuild.
 */
static bool source_version(const char *version, char *source, size_t size)
{
	const char *from = strstr(version, "(Debian ");
	const char *colon, *end, *rebuild = NULL;

	if (!from)
		return false;
	from += strlen("(Debian ");
	end = from + strcspn(from, ")");
	colon = memchr(from, ':', end - from);
	if (colon)
		from = colon + 1;
	for (colon = from; colon + 1 < end; colon++)
		if (colon[0] == '+' && colon[1] == 'b' &&
		    colon + 2 + strspn(colon + 2, "0123456789") == end)
			rebuild = colon;
	snprintf(source, size, "%.*s",
		 (int)((rebuild ? rebuild : end) - from), from);
	return true;
}

static void check_source(const char *version)
{
	char source[128], cache[PATH_MAX];

	if (!source_version(version, source, sizeof(source)))
		return;
	source_path("build", cache);
	if (exists("%s/qemu/%s/.complete", cache, source) ||
	    exists("/var/cache/vmshm/qemu/%s/.complete", source)) {
		finding(GOOD, "source", "The source of this QEMU is cached.");
		return;
	}
	finding(DOUBT, "source", "The source of QEMU %s is not cached.",
		escaped(source));
	explain("The next build of the device fetches it from the Debian "
		"archive, which keeps only the newest versions.");
}

void examine_device(const char *qemu, const char *version, bool built_in,
		    const struct vm *vms, size_t count)
{
	char loader[PATH_MAX], devices[PATH_MAX], id[BUILD_ID_BYTES] = "";

	if (built_in) {
		finding(GOOD, "device", "The device is part of this QEMU.");
		return;
	}
	if (!loader_find(loader)) {
		finding(BAD, "device", "The device, vmshm.so, is not built.");
		advise_build(qemu);
		return;
	}
	if (access(loader, R_OK) < 0) {
		finding(BAD, "loader", "%s: %s.", escaped(loader),
			strerror(errno));
		return;
	}
	finding(GOOD, "loader", "The loader is %s.", escaped(loader));
	loader_devices(loader, devices);
	check_device(devices, qemu, version, id);
	check_others(devices, id, vms, count);
	check_binaries(devices, qemu);
	check_source(version);
}
