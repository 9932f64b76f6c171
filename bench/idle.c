// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An idle guest, while the host measures the work of QEMU; and the time to wake
 * all waiters from the host.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>
#include <vmshm/ioctl.h>

#include "t.h"

#include "b.h"
#include "dev.h"

#define MOST 1000

static int object;
static volatile uint32_t *words;	/* 0 until the host wakes the waiters */

static void *waiter(void *opaque)
{
	struct vmshm_ioc_wait wait = {
		.offset = 4 * (uintptr_t)opaque, .expected = 0, .deadline = -1,
	};

	while (!words[(uintptr_t)opaque])
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

static const char *new_object(void)
{
	const char *name = t_name("idle");
	char path[300];

	t_host("unlink %s", name);
	t_host("create %s 4096", name);
	snprintf(path, sizeof(path), B_VMSHM "%s", name);
	words = (uint32_t *)b_map(path, 4096, &object);
	return name;
}

static void put_to_sleep(int count, bool own)
{
	static pthread_t threads[MOST];
	const char *name = new_object(), *how = own ? "own" : "one";
	pthread_attr_t small;
	double start;
	int i;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 64 << 10);
	for (i = 0; i < count; i++)
		T_EQ(pthread_create(&threads[i], &small, waiter,
				    (void *)(uintptr_t)(own ? i : 0)), 0);
	/* All threads except the one that counts */
	while (sleeping() < count)
		usleep(50000);
	t_host("idle waiters 0.3 words=%s count=%d", how, count);
	start = b_now();
	t_host("wake_all %s %d", name, own ? count : 1);
	for (i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	b_result("name=wake-all words=%s count=%d us=%.1f", how, count,
		 b_now() - start);
	munmap((void *)words, 4096);
	close(object);
}

/* In one boot, because two boots differ by more than this effect. */
T_TEST(rest)
{
	t_host("idle nothing 1");
	t_host("device_add vmshm,id=idle,bus=rp0");
	dev_wait(0, 1);
	b_mount();
	t_host("idle device 2");
	put_to_sleep(64, true);
	put_to_sleep(200, false);
	put_to_sleep(200, true);
	put_to_sleep(1000, false);
	put_to_sleep(1000, true);
	t_host("device_del idle");
	umount2(B_VMSHM, MNT_DETACH);
}
