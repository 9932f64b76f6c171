/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest with UEFI. OVMF may make all addresses above 4 GiB uncacheable with
 * an MTRR. All mappings of the arena have one memory type nevertheless.
 *
 * qemu: -device vmshm,id=vmshm0 -bios /usr/share/qemu/OVMF.fd
 * needs: tool
 * needs: x86
 */
#define _GNU_SOURCE
#include "pagetable.h"

#include "dev.h"
#include "fs.h"

#define SIZE (4 * MIB)

static int is_uncached(void)
{
	char type[32] = "";
	FILE *f = fopen("/sys/class/vmshm/vmshm0/memory_type", "re");

	T_ASSERT(f && fgets(type, sizeof(type), f));
	fclose(f);
	if (!strcmp(type, "uncached\n"))
		return 1;
	T_EQ(strcmp(type, "write-back\n"), 0);
	return 0;
}

static void is_write_back(const char *p)
{
	struct pt_entry e = pt_entry_of(p);

	T_EQ(e.bits & (PT_USER | PT_PWT | PT_PCD), PT_USER);
	/* The bit of the PAT is elsewhere in a huge entry. */
	T_EQ(e.bits >> (e.shift == 12 ? 7 : 12) & 1, 0);
}

/* Pages are first touched by a read, by a write, and by read(2). */
T_TEST(one_memory_type)
{
	const char *name;
	char *p, *q, data[16];
	long at;
	int fd;

	fs_mount(0);
	name = fs_object("a", SIZE, 1);
	pt_run_on_first_cpu();
	fd = fs_open(name, O_RDWR);
	T_EQ(pread(fd, data, sizeof(data), 3 * MIB), sizeof(data));
	p = fs_map_at(fd, 0, SIZE);
	q = fs_map_at(fd, PAGE, SIZE - PAGE);
	for (at = 0; at < SIZE; at += MIB) {
		T_EQ(t_read_faults(p + at), 0);
		is_write_back(p + at);
		T_EQ(t_write_faults(p + at + MIB / 2), 0);
		is_write_back(p + at + MIB / 2);
		T_EQ(t_write_faults(q + at), 0);
		is_write_back(q + at);
	}
	fs_same(name, p, SIZE);
	t_note("the platform says %s",
	       is_uncached() ? "uncached" : "write-back");
}

/* The kernel has no reservation of another type for a write-back mapping. */
T_TEST(no_other_type_is_reserved)
{
	const char *list = "/sys/kernel/debug/x86/pat_memtype_list";
	unsigned long long bar, from, to, end;
	char line[256], path[128];
	FILE *f;
	int i;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource",
		 dev_address(0));
	f = fopen(path, "re");
	T_ASSERT(f);
	for (i = 0; i <= 4; i++)
		T_EQ(fscanf(f, "%llx %llx %*x", &bar, &end), 2);
	fclose(f);
	T_ASSERT(bar >> 32);
	f = fopen(list, "re");
	T_ASSERT(f);
	for (i = 0; fgets(line, sizeof(line), f); i++) {
		char *at = strstr(line, "0x");

		if (!at || sscanf(at, "%llx-%llx", &from, &to) != 2 ||
		    to <= bar || from > end)
			continue;
		T_ASSERT(strstr(line, "write-back"));
	}
	T_ASSERT(i > 1);
	fclose(f);
}

T_TEST(gone_and_back)
{
	char *address = dev_address(0);
	const char *name;
	char *p;
	int i;

	for (i = 0; i < 3; i++) {
		fs_mount(0);
		name = fs_object("b", SIZE, 2);
		p = fs_map(name, SIZE);
		fs_same(name, p, SIZE);
		dev_driver("unbind", address);
		T_EQ(t_read_faults(p), 1);
		dev_driver("bind", address);
		dev_wait(0, 1);
	}
	T_EQ(t_system("vmshm doctor >/tmp/doctor"), 0);
}

T_TEST(doctor_says_why)
{
	T_EQ(t_system("vmshm doctor >/tmp/doctor"), 0);
	if (is_uncached())
		T_EQ(t_system("grep -q OVMF /tmp/doctor"), 0);
	else
		T_EQ(t_system("grep -q 'Mappings are write-back' "
			      "/tmp/doctor"), 0);
	T_EQ(t_system("grep -q arena=1G /tmp/doctor"), 1);
}
