/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Preparations of the tests of channels and broadcasts. Include t.h first.
 */
#ifndef MEET_H
#define MEET_H

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>
#include <vmshm/channel.h>

/* vmshm0 on /dev/shm, for this test alone */
static inline void mount_first(void)
{
	T_EQ(unshare(CLONE_NEWNS), 0);
	T_EQ(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	T_EQ(mount("vmshm0", "/dev/shm", "vmshm", 0, NULL), 0);
}

/* The name of a new object of this test; valid until exit */
static inline const char *new_name(const char *tail, size_t size)
{
	char full[64];
	char *name;

	snprintf(full, sizeof(full), "c%d-%s", getpid(), tail);
	name = strdup(t_name(full));
	t_host("unlink %s", name);
	t_host("create %s %zu", name, size);
	return name;
}

static inline struct vmshm_channel *join(const char *where, const char *name)
{
	struct vmshm_channel *ch;

	T_EQ(vmshm_channel_open(&ch, where, name, 0, 0), 0);
	return ch;
}

#endif
