// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The devices of this machine as a guest, and the mounts of the file system.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vmshm/regs.h>

#include "files.h"
#include "guest.h"
#include "options.h"
#include "print.h"

#define PCI "/sys/bus/pci/devices"

/* A list that grows; the new element is zero. */
static void *append(void *list, size_t *count, size_t size)
{
	char *more = realloc(list, (*count + 1) * size);

	if (!more) {
		error("out of memory");
		exit(EXIT_FAILED);
	}
	memset(more + *count * size, 0, size);
	(*count)++;
	return more;
}

static unsigned long pci_number(const char *pci, const char *file)
{
	char line[32];

	if (!read_line(line, sizeof(line), PCI "/%s/%s", pci, file))
		return 0;
	return strtoul(line, NULL, 0);
}

/* The name that the driver has given to the device, or "". */
static void find_name(struct device *device)
{
	char path[PATH_MAX];
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), PCI "/%s/vmshm", device->pci);
	dir = opendir(path);
	while (dir && (e = readdir(dir)))
		if (e->d_name[0] != '.')
			strcpy(device->name, e->d_name);
	if (dir)
		closedir(dir);
}

/* The line of BAR4 in "resource": its first and last byte, and flags. */
static void find_arena(struct device *device)
{
	uint64_t start = 0, end = 0, flags = 0;
	char path[PATH_MAX], line[128];
	int bar;
	FILE *f;

	snprintf(path, sizeof(path), PCI "/%s/resource", device->pci);
	f = fopen(path, "re");
	if (!f)
		return;
	for (bar = 0; fgets(line, sizeof(line), f); bar++)
		if (bar == VMSHM_BAR_ARENA)
			sscanf(line, "%" SCNi64 " %" SCNi64 " %" SCNi64, &start,
			       &end, &flags);
	fclose(f);
	if (!flags)
		return;
	device->arena_start = start;
	device->arena_bytes = end - start + 1;
}

static int by_pci(const void *a, const void *b)
{
	const struct device *x = a, *y = b;

	return strcmp(x->pci, y->pci);
}

size_t find_devices(struct device **devices)
{
	DIR *dir = opendir(PCI);
	struct dirent *e;
	size_t count = 0;

	*devices = NULL;
	while (dir && (e = readdir(dir))) {
		struct device *device;

		if (pci_number(e->d_name, "vendor") != VMSHM_PCI_VENDOR_ID ||
		    pci_number(e->d_name, "device") != VMSHM_PCI_DEVICE_ID)
			continue;
		*devices = append(*devices, &count, sizeof(**devices));
		device = &(*devices)[count - 1];
		strcpy(device->pci, e->d_name);
		find_name(device);
		find_arena(device);
	}
	if (dir)
		closedir(dir);
	if (count)
		qsort(*devices, count, sizeof(**devices), by_pci);
	return count;
}

/* QEMU gives its own devices this subsystem, on every machine type. */
bool in_qemu(void)
{
	DIR *dir = opendir(PCI);
	struct dirent *e;
	bool found = false;

	while (dir && !found && (e = readdir(dir)))
		found = pci_number(e->d_name, "subsystem_vendor") == 0x1af4 &&
			pci_number(e->d_name, "subsystem_device") == 0x1100;
	if (dir)
		closedir(dir);
	return found;
}

size_t find_mounts(struct mount **mounts)
{
	ssize_t count = mounts_find(mounts);

	if (count < 0) {
		error("out of memory");
		exit(EXIT_FAILED);
	}
	return count;
}

bool device_attribute(const char *device, const char *attribute, char *line,
		      size_t size)
{
	return read_line(line, size, "/sys/class/vmshm/%s/%s", device,
			 attribute);
}

bool device_number(const char *device, const char *attribute, uint64_t *value)
{
	char line[32];

	if (!device_attribute(device, attribute, line, sizeof(line)))
		return false;
	*value = strtoull(line, NULL, 0);
	return true;
}

bool driver_futex(bool *on)
{
	char line[8];

	if (!read_line(line, sizeof(line),
		       "/sys/module/vmshm/parameters/futex"))
		return false;
	*on = *line == 'Y' || *line == '1';
	return true;
}
