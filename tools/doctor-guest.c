// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmshm doctor, in a guest: the device, the driver, the node, the mount.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "vmshm.h"

/* Whether a line of the file has the text in it */
static bool has_line(const char *path, const char *text)
{
	FILE *f = fopen(path, "re");
	char line[512];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = strstr(line, text);
	if (f)
		fclose(f);
	return found;
}

/* As depmod has it; the name may go on with .xz or the like. */
static bool has_module(const char *release)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/lib/modules/%s/modules.dep", release);
	return has_line(path, "/vmshm.ko");
}

/* A kernel that has the module, in @release; false if none has. */
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
		advice("sudo apt install make gcc linux-headers-%s",
		       escaped(release));
	advice("sudo make -C driver install    in VMShm's source folder");
	advice("sudo modprobe vmshm");
}

static bool check_driver(void)
{
	char version[64];
	struct utsname u;

	if (exists("/sys/module/vmshm")) {
		if (!read_line(version, sizeof(version),
			       "/sys/module/vmshm/version"))
			strcpy(version, "of no known version");
		if (strcmp(version, VMSHM_TOOL_VERSION) == 0)
			finding(GOOD, "driver", "The driver is loaded: %s.",
				version);
		else
			finding(DOUBT, "driver", "The driver is %s and this "
				"program is %s.", escaped(version),
				VMSHM_TOOL_VERSION);
		return true;
	}
	uname(&u);
	if (!has_module(u.release)) {
		no_module(u.release);
		return false;
	}
	finding(BAD, "driver", "The driver is not loaded.");
	advice("sudo modprobe vmshm");
	if (has_line("/sys/kernel/security/lockdown", "[integrity]") ||
	    has_line("/sys/kernel/security/lockdown", "[confidentiality]"))
		advice("sudo mokutil --import /var/lib/dkms/mok.pub    %s",
		       "for Secure Boot");
	return false;
}

static void check_node(const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "/dev/%s", name);
	if (stat(path, &st) < 0) {
		finding(BAD, "node", "%s: %s.", path, strerror(errno));
		advice("sudo udevadm trigger --settle /sys/class/vmshm/%s",
		       name);
		return;
	}
	if (access(path, R_OK | W_OK) == 0) {
		finding(GOOD, "node", "%s can be used.", path);
		return;
	}
	finding(BAD, "node", "You may not use %s.", path);
	if (st.st_gid && (st.st_mode & 0060) == 0060) {
		advice("sudo usermod -aG %s %s    and log in anew",
		       group_name(st.st_gid), user_name(getuid()));
		return;
	}
	advice("sudo make -C driver install    for its udev rule");
	advice("sudo udevadm trigger --settle /sys/class/vmshm/%s", name);
}

static bool check_arena(const struct device *device)
{
	uint64_t size;

	if (!device->arena_bytes) {
		finding(DOUBT, "arena", "%s has no BAR4, as in 2010: one "
			"object at a time, 1 MiB of it, and no file system. "
			"On the host, leave out arena=0.", device->name);
		return false;
	}
	if (!device->arena_start) {
		finding(BAD, "arena", "BAR4 of %s has no address, so there is "
			"only the 1 MiB buffer: the bridge above it has no "
			"room. On the host, give it more, or the device a "
			"smaller arena.", device->name);
		advice("qemu-system-x86_64 ... -device "
		       "pcie-root-port,pref64-reserve=1G,...");
		advice("qemu-system-x86_64 ... -device vmshm,arena=64M,...");
		return false;
	}
	if (device_number(device->name, "arena_size", &size) && !size) {
		finding(BAD, "arena", "The driver does not use BAR4 of %s.",
			device->name);
		advice("sudo dmesg | grep vmshm");
		return false;
	}
	finding(GOOD, "arena", "BAR4 of %s has an address and %s.",
		device->name, human_size(device->arena_bytes));
	return true;
}

static void check_cached(const char *name)
{
	char type[64];

	if (!device_attribute(name, "memory_type", type, sizeof(type))) {
		finding(DOUBT, "cached", "The driver does not tell how "
			"mappings are cached.");
	} else if (strcmp(type, "write-back") == 0) {
		finding(GOOD, "cached", "Mappings are cached as RAM is.");
	} else {
		finding(DOUBT, "cached", "BAR4 is where the firmware's MTRRs "
			"say uncached, so it may be slow. (On Intel's KVM it "
			"is not, because there the host's type wins.) A larger "
			"arena is put above 4 GiB, where that is not so. On "
			"the host:");
		advice("qemu-system-x86_64 ... -device vmshm,arena=1G,...");
	}
}

static void check_mount(const char *name)
{
	struct mount *mounts;
	size_t count = find_mounts(&mounts);
	bool mounted = false;
	size_t i;

	for (i = 0; i < count; i++) {
		if (strcmp(mounts[i].device, name) != 0)
			continue;
		finding(GOOD, "mount", "%s is mounted on %s.", name,
			escaped(mounts[i].path));
		mounted = true;
	}
	free(mounts);
	if (mounted)
		return;
	finding(DOUBT, "mount", "%s is not mounted.", name);
	advice("sudo mount -t vmshm %s /dev/shm    for all programs", name);
	advice("sudo vmshm run PROGRAM             for one");
}

static void check_one(const struct device *device)
{
	if (!*device->name) {
		finding(BAD, "bound", "The driver has not taken the device "
			"%s.", device->pci);
		advice("echo %s | sudo tee /sys/bus/pci/drivers/vmshm/bind",
		       device->pci);
		advice("sudo dmesg | grep vmshm");
		return;
	}
	check_node(device->name);
	if (!check_arena(device))
		return;
	check_cached(device->name);
	check_mount(device->name);
}

static bool check_pci(const struct device *devices, size_t count)
{
	size_t i;

	if (!exists("/sys/bus/pci/devices")) {
		finding(BAD, "pci", "There is no /sys/bus/pci, so no device "
			"can be seen.");
		advice("sudo mount -t sysfs none /sys");
		return false;
	}
	for (i = 0; i < count; i++)
		finding(GOOD, "pci", "PCI device %s is a VMShm device.",
			devices[i].pci);
	if (count)
		return true;
	finding(BAD, "pci", "This machine has no VMShm device (PCI 1af4:6661). "
		"On the host, start QEMU with:");
	advice("qemu-system-x86_64 -plugin build/vmshm.so -device vmshm ...");
	return false;
}

void examine_guest(void)
{
	struct device *devices;
	size_t count = find_devices(&devices);
	size_t i;

	if (check_pci(devices, count) && check_driver()) {
		if (has_line("/proc/filesystems", "\tvmshm\n"))
			finding(GOOD, "filesystem", "The kernel knows the file "
				"system vmshm.");
		else
			finding(BAD, "filesystem", "The driver is older than "
				"its file system: install this one.");
		for (i = 0; i < count; i++)
			check_one(&devices[i]);
	}
	free(devices);
}
