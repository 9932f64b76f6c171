// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmshm doctor in a guest: the device, the driver, the node, the mount.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "doctor-parts.h"
#include "doctor.h"
#include "files.h"
#include "finding.h"
#include "guest.h"
#include "hint.h"
#include "print.h"

#define LOCKDOWN "/sys/kernel/security/lockdown"

/* As in the list of depmod(8); the name may end in .xz or the like. */
static bool has_module(const char *release)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/lib/modules/%s/modules.dep", release);
	return file_has_line(path, "/vmshm.ko");
}

/* The release of a kernel that has the module; false if there is none. */
static bool other_kernel(char *release, size_t size)
{
	DIR *dir = opendir("/lib/modules");
	struct dirent *e;
	bool found = false;

	while (dir && !found && (e = readdir(dir))) {
		if (e->d_name[0] == '.' || !has_module(e->d_name))
			continue;
		snprintf(release, size, "%s", e->d_name);
		found = true;
	}
	if (dir)
		closedir(dir);
	return found;
}

/* The driver and its udev rule, from the source */
static void advise_install(void)
{
	char driver[PATH_MAX];

	if (!source_path("driver", driver))
		explain("In the source directory of VMShm:");
	advice("%smake -C %s install", sudo(), quoted(driver));
}

static void no_module(const char *release)
{
	char other[NAME_MAX + 1];

	if (other_kernel(other, sizeof(other)))
		finding(BAD, "driver", "The driver is not built for this "
			"kernel, %s, but for %s.", escaped(release),
			escaped(other));
	else
		finding(BAD, "driver", "The driver is not built for this "
			"kernel, %s.", escaped(release));
	if (!exists("/lib/modules/%s/build/Makefile", release))
		advice("%sapt install make gcc linux-headers-%s", sudo(),
		       quoted(release));
	advise_install();
	advice("%smodprobe vmshm", sudo());
}

static bool check_driver(void)
{
	char version[64];
	struct utsname u;

	if (exists("/sys/module/vmshm")) {
		if (!read_line(version, sizeof(version),
			       "/sys/module/vmshm/version"))
			strcpy(version, "(unknown)");
		if (strcmp(version, VMSHM_TOOL_VERSION) == 0)
			finding(GOOD, "driver", "The driver is loaded, version "
				"%s.", escaped(version));
		else
			finding(DOUBT, "driver", "The driver has version %s, "
				"and this program has version %s.",
				escaped(version), VMSHM_TOOL_VERSION);
		return true;
	}
	uname(&u);
	if (!has_module(u.release)) {
		no_module(u.release);
		return false;
	}
	finding(BAD, "driver", "The driver is not loaded.");
	if (exists(LOCKDOWN) && !file_has_line(LOCKDOWN, "[none]")) {
		explain("Secure Boot is on: the kernel loads a module only if "
			"it knows its key. The first command imports the key "
			"of DKMS, for which the next boot asks.");
		advice("%smokutil --import /var/lib/dkms/mok.pub", sudo());
	}
	advice("%smodprobe vmshm", sudo());
	return false;
}

static void advise_udev(const char *name)
{
	advice("%sudevadm trigger --settle /sys/class/vmshm/%s", sudo(),
	       quoted(name));
}

static void check_node(const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "/dev/%s", name);
	if (stat(path, &st) < 0) {
		finding(BAD, "node", "%s: %s.", path, strerror(errno));
		advise_udev(name);
		return;
	}
	if (access(path, R_OK | W_OK) == 0) {
		finding(GOOD, "node", "%s is accessible.", path);
		return;
	}
	finding(BAD, "node", "This user has no permission to use %s.", path);
	if (st.st_gid && (st.st_mode & 0060) == 0060) {
		explain("A new group is in effect after the next login.");
		advice("%susermod -aG %s %s", sudo(),
		       quoted(group_name(st.st_gid)),
		       quoted(user_name(getuid())));
		return;
	}
	explain("The udev rule of the driver sets the permissions.");
	advise_install();
	advise_udev(name);
}

/* The size in MiB, in the syntax of QEMU's options */
static const char *reserve_for(uint64_t bytes)
{
	static char text[32];

	snprintf(text, sizeof(text), "%" PRIu64 "M",
		 (bytes + (1 << 20) - 1) >> 20);
	return text;
}

static bool check_arena(const struct device *device)
{
	uint64_t size;

	if (!device->arena_bytes) {
		finding(DOUBT, "arena", "%s has no arena: it shows one object "
			"at a time, 1 MiB of it, and has no file system.",
			device->name);
		explain("On the host, start QEMU with -device vmshm without "
			"arena=0.");
		return false;
	}
	if (!device->arena_start) {
		finding(BAD, "arena", "BAR4 of %s has no address: the window "
			"of its PCI bridge or of the machine is too small for "
			"an arena of %s. The device shows one object at a "
			"time, 1 MiB of it.", device->name,
			human_size(device->arena_bytes));
		explain("On the host, start QEMU with a larger window (-device "
			"pcie-root-port,pref64-reserve=%s) or with a smaller "
			"arena (-device vmshm,arena=64M).",
			reserve_for(device->arena_bytes));
		return false;
	}
	if (device_number(device->name, "arena_size", &size) && !size) {
		finding(BAD, "arena", "The driver does not use BAR4 of %s; "
			"the log of the kernel has the reason.", device->name);
		advice("%sdmesg | grep vmshm", sudo());
		return false;
	}
	finding(GOOD, "arena", "The arena of %s has %s.",
		device->name, human_size(device->arena_bytes));
	return true;
}

/* In GiB: twice the present arena, of which BAR4 has two spans; or 1 */
static unsigned int larger_arena(uint64_t bar_bytes)
{
	return bar_bytes > 1 << 30 ? bar_bytes >> 30 : 1;
}

static void check_cached(const struct device *device)
{
	char type[64];

	if (!device_attribute(device->name, "memory_type", type,
			      sizeof(type))) {
		finding(DOUBT, "cached", "The driver does not report the "
			"memory type of mappings.");
	} else if (strcmp(type, "write-back") == 0) {
		finding(GOOD, "cached", "Mappings are write-back, like RAM.");
	} else {
		finding(DOUBT, "cached", "Mappings are %s, which is slower "
			"than write-back.", escaped(type));
		explain("The MTRRs of the firmware set the type of the "
			"addresses of BAR4. KVM on Intel processors ignores "
			"it.");
		if (device->arena_start >> 32)
			explain("OVMF makes the whole 64-bit window "
				"uncached; SeaBIOS does not.");
		else
			explain("Addresses above 4 GiB are write-back with "
				"SeaBIOS. On the host, start QEMU with a "
				"larger arena: -device vmshm,arena=%uG.",
				larger_arena(device->arena_bytes));
	}
}

static void check_one(const struct device *device)
{
	if (!*device->name) {
		finding(BAD, "bound", "The driver is not bound to the device "
			"%s; the log of the kernel has the reason.",
			device->pci);
		advice("echo %s | %stee /sys/bus/pci/drivers/vmshm/bind",
		       quoted(device->pci), sudo());
		advice("%sdmesg | grep vmshm", sudo());
		return;
	}
	check_node(device->name);
	if (!check_arena(device))
		return;
	check_cached(device);
	examine_mounts(device->name);
}

static bool check_pci(const struct device *devices, size_t count)
{
	size_t i;

	if (!exists("/sys/bus/pci/devices")) {
		finding(BAD, "pci", "There is no /sys/bus/pci, which lists "
			"the devices.");
		advice("%smount -t sysfs none /sys", sudo());
		return false;
	}
	for (i = 0; i < count; i++)
		finding(GOOD, "pci", "PCI device %s is a VMShm device.",
			devices[i].pci);
	if (count)
		return true;
	finding(BAD, "pci", "This machine has no VMShm device (PCI "
		"1af4:6661).");
	explain("On the host, start QEMU with -plugin vmshm.so -device "
		"vmshm.");
	return false;
}

void examine_guest(void)
{
	struct device *devices;
	size_t count = find_devices(&devices);
	size_t i;

	if (check_pci(devices, count) && check_driver()) {
		if (file_has_line("/proc/filesystems", "\tvmshm\n"))
			finding(GOOD, "filesystem", "The kernel has the file "
				"system vmshm.");
		else
			finding(BAD, "filesystem", "The driver is too old: it "
				"has no file system.");
		for (i = 0; i < count; i++)
			check_one(&devices[i]);
		examine_futex();
	}
	free(devices);
}
