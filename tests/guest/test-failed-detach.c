/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device cannot detach an object, because QEMU gets no memory and no
 * descriptor. The object stays in the arena, so its place is not for others.
 *
 * qemu: -device vmshm,id=vmshm0,bus=rp0
 * expect-log: vmshm .*cannot detach handle [0-9]+: error -
 */
#define _GNU_SOURCE
#include "t.h"

#include "dev.h"
#include "fs.h"
#include "kernfile.h"

/* What the device maps to detach the object, and what QEMU gets at most */
#define SIZE (64 * MIB)
#define SCARCE (SIZE / 2)
/* So many objects of this size do not fit into the arena at the same time. */
#define OTHERS 17

static long arena_free(void)
{
	return kernfile_number("/sys/class/vmshm/vmshm0/arena_free", "%ld");
}

/* Maps an object whose first and last byte are the same on both sides. */
static char *map_marked(const char *name, int mark)
{
	char *p, text[8];

	t_host("write %s 0 %02x", name, mark);
	p = fs_map(name, SIZE);
	T_EQ(p[0], mark);
	p[SIZE - 1] = mark;
	snprintf(text, sizeof(text), "%02x", mark);
	T_ASSERT(!strcmp(t_host("read %s %ld 1", name, SIZE - 1), text));
	return p;
}

/* The others use the rest of the arena. */
T_TEST(the_place_is_kept)
{
	const char *name = fs_new("a", SIZE);
	char tail[16], *p;
	long before;
	int i;

	fs_mount(0);
	before = arena_free();
	p = map_marked(name, 100);
	T_EQ(arena_free(), before - SIZE);
	t_host("scarce %ld", SCARCE);
	T_EQ(munmap(p, SIZE), 0);
	t_host("ample");
	T_EQ(fs_mapped(name), 1);
	T_EQ(arena_free(), before - SIZE);

	for (i = 0; i < OTHERS; i++) {
		snprintf(tail, sizeof(tail), "other%d", i);
		map_marked(fs_new(tail, SIZE), i);
	}
	T_ASSERT(!strcmp(t_host("read %s %ld 1", name, SIZE - 1), "64"));
	/* The object can be used at another place. */
	map_marked(name, 101);
	T_EQ(fs_mapped(name), 2);
}

/* The driver tells the device to detach everything when it is bound. */
T_TEST(the_place_is_free_after_a_bind)
{
	char *address = dev_address(0);

	dev_driver("unbind", address);
	dev_driver("bind", address);
	dev_wait(0, 1);
	T_EQ(fs_mapped(t_name("a")), 0);
	T_EQ(arena_free(), kernfile_number(
			"/sys/class/vmshm/vmshm0/arena_size", "%ld"));
}
