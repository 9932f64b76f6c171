/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An arena for which the machine has no addresses: with 40 address bits, 512
 * GiB do not fit between other ranges. Beside it, a device without an arena.
 *
 * qemu: -device vmshm,id=vmshm0,arena=256G,addr=8 -device vmshm,arena=0,addr=9
 * needs: tool
 * expect-log: vmshm 0000:.*BAR ?4.* can't reserve
 * expect-log: vmshm 0000:.*BAR4 (has no address|overlaps another resource), so
 * expect-log: vmshm: the device has no arena
 */
#define _GNU_SOURCE
#include <sys/mount.h>

#include "t.h"

#include "dev.h"

static void need_no_room(void)
{
	if (t_system("grep -qx 0 /sys/class/vmshm/vmshm0/arena_size"))
		t_skip("this machine has room for the arena");
}

/* As on a device of 2010, one object at a time */
T_TEST(the_buffer_works)
{
	int n, fd;

	need_no_room();
	for (n = 0; n < 2; n++) {
		const char *name = dev_object(n ? "b" : "a", MIB, n);
		char *p = dev_attach(n, name, &fd);

		T_EQ(t_sum(p, MIB), atoll(t_host("sum %s 0 %ld", name, MIB)));
		p[0] ^= 1;
		T_EQ(t_sum(p, MIB), atoll(t_host("sum %s 0 %ld", name, MIB)));
		T_EQ(munmap(p, MIB), 0);
		close(fd);
	}
	T_ERRNO(mount("vmshm0", "/tmp", "vmshm", 0, NULL), EOPNOTSUPP);
}

/* For each device the reason is given, and advice that fits. */
T_TEST(doctor_tells_the_reasons_apart)
{
	need_no_room();
	T_EQ(t_system("vmshm doctor >/tmp/doctor"), 1);
	T_EQ(t_system("tr -s '\\n ' ' ' </tmp/doctor >/tmp/line"), 0);
	T_EQ(t_system("grep -q 'BAR4 of vmshm0 has no address' /tmp/line || "
		      "grep -q 'does not use BAR4 of vmshm0' /tmp/line"), 0);
	T_EQ(t_system("grep -q 'vmshm1 has no arena' /tmp/line"), 0);
	T_EQ(t_system("grep -q 'without arena=0' /tmp/line"), 0);
}

T_TEST(bound_again)
{
	char *address = dev_address(0);

	need_no_room();
	dev_driver("unbind", address);
	dev_driver("bind", address);
	dev_wait(0, 1);
	T_EQ(t_system("grep -qx 0 /sys/class/vmshm/vmshm0/arena_size"), 0);
}
