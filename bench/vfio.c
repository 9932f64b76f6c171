// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The guest's end of an ivshmem-doorbell. Linux has no driver for it, but
 * vfio-pci gives a program its memory, its registers, and its interrupt as an
 * eventfd. That needs an IOMMU in the guest.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "t.h"

#include "b.h"
#include "peers.h"

/* See bench/machine.py. */
#define ADDRESS "0000:00:11.0"
#define DEVICE "/sys/bus/pci/devices/" ADDRESS "/"

#define UNSAFE "/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts"

/* PCI: the command register, and its bits for memory and bus mastering */
#define COMMAND 4
#define MEMORY_AND_MASTER 6

/* The doorbell, in 32-bit registers; the host is peer 1, its vector 0. */
#define DOORBELL 3
#define HOST (1 << 16)

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	T_ASSERT(fd >= 0);
	T_EQ(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* The device through its group, which contains only this device */
static int open_device(void)
{
	char target[256] = "", node[64];
	int container, group, device;

	/* This IOMMU does not remap interrupts; this guest is trusted. */
	write_file(UNSAFE, "1");
	if (access(DEVICE "driver", F_OK)) {
		write_file(DEVICE "driver_override", "vfio-pci");
		write_file("/sys/bus/pci/drivers_probe", ADDRESS);
	}
	T_ASSERT(readlink(DEVICE "iommu_group", target,
			  sizeof(target) - 1) > 0);
	snprintf(node, sizeof(node), "/dev/vfio%s", strrchr(target, '/'));
	container = open("/dev/vfio/vfio", O_RDWR);
	group = open(node, O_RDWR);
	T_ASSERT(container >= 0 && group >= 0);
	T_EQ(ioctl(group, VFIO_GROUP_SET_CONTAINER, &container), 0);
	T_EQ(ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU), 0);
	device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, ADDRESS);
	T_ASSERT(device >= 0);
	return device;
}

static struct vfio_region_info region(int device, int index)
{
	struct vfio_region_info info = {
		.argsz = sizeof(info), .index = index,
	};

	T_EQ(ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info), 0);
	return info;
}

static void *map(int device, int index, size_t size)
{
	struct vfio_region_info info = region(device, index);
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, device,
		       info.offset);

	T_ASSERT(p != MAP_FAILED);
	return p;
}

static int interrupt(int device)
{
	struct {
		struct vfio_irq_set set;
		int fd;
	} request = {
		.set = {
			.argsz = sizeof(request),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD |
				 VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = VFIO_PCI_MSIX_IRQ_INDEX,
			.count = 1,
		},
		.fd = eventfd(0, EFD_CLOEXEC),
	};

	T_EQ(ioctl(device, VFIO_DEVICE_SET_IRQS, &request), 0);
	return request.fd;
}

/* Opened once, and closed at the end of the test, which is a process */
struct link *peer_doorbell(void)
{
	static volatile unsigned int *registers;
	static void *memory;
	static int event;

	if (!registers) {
		uint16_t command = MEMORY_AND_MASTER;
		int device = open_device();
		off_t config;

		config = region(device, VFIO_PCI_CONFIG_REGION_INDEX).offset;
		T_EQ(pwrite(device, &command, sizeof(command),
			    config + COMMAND), sizeof(command));
		memory = map(device, VFIO_PCI_BAR2_REGION_INDEX, LINK_MEMORY);
		event = interrupt(device);
		registers = map(device, VFIO_PCI_BAR0_REGION_INDEX, 256);
	}
	return link_register(1, memory, event, registers + DOORBELL, HOST);
}
