// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Several devices in one guest.
 *
 * qemu: two
 */
#include "t.h"

#include "dev.h"

T_TEST(one_object_each)
{
	const char *one = dev_object("one", MIB, 1);
	const char *two = dev_object("two", MIB, 2);
	int fd0, fd1;
	char *p = dev_attach(0, one, &fd0), *q = dev_attach(1, two, &fd1);

	T_EQ(t_sum(p, MIB), atoll(t_host("sum %s 0 %ld", one, MIB)));
	T_EQ(t_sum(q, MIB), atoll(t_host("sum %s 0 %ld", two, MIB)));
}

T_TEST(one_object_on_both)
{
	const char *name = dev_object("o", MIB, 3);
	int fd0, fd1;
	char *p = dev_attach(0, name, &fd0), *q = dev_attach(1, name, &fd1);

	T_EQ(dev_mapped(name), 2);
	p[5] ^= 1;
	T_ASSERT(!memcmp(p, q, MIB));
}

T_TEST(the_other_one_stays)
{
	const char *one = dev_object("one", MIB, 4);
	const char *two = dev_object("two", MIB, 5);
	char *p, *q, *address;
	int fd0, fd1;

	address = dev_address(0);
	p = dev_attach(0, one, &fd0);
	q = dev_attach(1, two, &fd1);
	dev_driver("unbind", address);
	T_EQ(t_read_faults(p), 1);
	T_EQ(t_sum(q, MIB), atoll(t_host("sum %s 0 %ld", two, MIB)));
	dev_driver("bind", address);
	dev_wait(0, 1);
	T_EQ(t_read_faults(p), 1);
	T_EQ(ioctl(dev_open(0), 0, one), 0);
}
