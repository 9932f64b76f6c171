// SPDX-License-Identifier: GPL-2.0-or-later
/* An idle guest, while the host measures the work of QEMU */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>
#include <vmshm/ioctl.h>

#include "t.h"

#include "b.h"
#include "dev.h"

#define WAITERS 64

static int object;

static void *waiter(void *opaque)
{
	struct vmshm_ioc_wait wait = {
		.offset = 4 * (uintptr_t)opaque, .expected = 0, .deadline = -1,
	};

	ioctl(object, VMSHM_IOC_WAIT, &wait);
	return NULL;
}

/* The number of sleeping threads of this process */
static int sleeping(void)
{
	FILE *f = popen("cat /proc/$PPID/task/*/stat | grep -c ') S '", "r");
	int count;

	T_ASSERT(f && fscanf(f, "%d", &count) == 1);
	pclose(f);
	return count;
}

static void sleep_all(void)
{
	const char *name = t_name("idle");
	char path[300];
	uintptr_t i;

	t_host("unlink %s", name);
	t_host("create %s 4096", name);
	snprintf(path, sizeof(path), B_VMSHM "%s", name);
	object = open(path, O_RDWR);
	T_ASSERT(object >= 0);
	for (i = 0; i < WAITERS; i++) {
		pthread_t thread;

		T_EQ(pthread_create(&thread, NULL, waiter, (void *)i), 0);
	}
	/* All threads except the one that counts */
	while (sleeping() < WAITERS)
		usleep(10000);
}

/* In one boot, because two boots differ by more than this effect. */
T_TEST(rest)
{
	t_host("idle nothing 1");
	t_host("device_add vmshm,id=idle,bus=rp0");
	dev_wait(0, 1);
	b_mount();
	t_host("idle device 2");
	sleep_all();
	t_host("idle waiters 1");
	t_host("idle_exits");
	/* They wake up. */
	t_host("device_del idle");
	umount2(B_VMSHM, MNT_DETACH);
}
