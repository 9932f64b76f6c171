// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What resets a device without an arena. It shows one object, without an
 * identity by which the driver could find the object again: a reset ends its
 * use, and a sleep is refused.
 *
 * qemu: -device vmshm,id=vmshm0,bus=rp0,arena=0
 * needs: x86
 * expect-log: vmshm .*reset while an object is attached
 * expect-log: vmshm .*an object is attached that a sleep would detach
 * expect-log: vmshm .*PM: (failed to|pci_pm|dpm_)
 * expect-log: PM: (Some devices failed|Device .* failed|failed to)
 */
#define _GNU_SOURCE
#include "t.h"

#include "dev.h"

static void ends_after(const char *method)
{
	const char *name = dev_object("o", MIB, 1);
	char *address = dev_address(0), *p;
	int fd, fd2;

	p = dev_attach(0, name, &fd);
	T_EQ(t_read_faults(p), 0);
	T_EQ(t_system("cd /sys/bus/pci/devices/%s && %s echo 1 >reset", address,
		      method), 0);
	T_EQ(t_read_faults(p), 1);
	T_EQ(t_write_faults(p + MIB - 1), 1);
	T_ERRNO(ioctl(fd, 0, name), ENODEV);
	T_EQ(dev_mapped(name), 0);
	dev_wait(0, 1);
	munmap(p, MIB);
	p = dev_attach(0, name, &fd2);
	T_EQ(t_sum(p, MIB), atoll(t_host("sum %s 0 %ld", name, MIB)));
	munmap(p, MIB);
	close(fd);
	/* The close of the old file does not affect the new one. */
	T_EQ(dev_mapped(name), 1);
	close(fd2);
}

T_TEST(a_reset)
{
	ends_after("");
}

T_TEST(a_bus_reset)
{
	ends_after("echo bus >reset_method &&");
}

T_TEST(no_sleep_while_an_object_is_attached)
{
	const char *const states[] = { "mem", "freeze", "disk" };
	const char *name = dev_object("o", MIB, 2);
	int fd, i, file = open("/sys/power/state", O_WRONLY | O_CLOEXEC);
	char *p = dev_attach(0, name, &fd);

	T_ASSERT(file >= 0);
	for (i = 0; i < 3; i++)
		T_ERRNO(write(file, states[i], strlen(states[i])), EBUSY);
	T_EQ(t_sum(p, MIB), atoll(t_host("sum %s 0 %ld", name, MIB)));
	close(file);
	munmap(p, MIB);
	close(fd);
}
