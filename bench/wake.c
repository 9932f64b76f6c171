// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The time of a wake-up, alone, and while another program of the guest
 * allocates and frees 64 MiB of the host all the time
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <vmshm/ioctl.h>

#include "t.h"

#include "b.h"

#define TURNS 10
#define WAKES 10000 /* of a turn, which takes longer than an allocation */
#define ALLOCATED (64 * B_MIB)

static double times[2][TURNS * WAKES];
static atomic_bool allocates, quits;
/* Allocations that have begun, and those that have ended and were freed */
static atomic_uint begun, ended;
static int object, words;

static void *allocate(void *unused)
{
	while (!quits) {
		if (!allocates) {
			usleep(100);
			continue;
		}
		begun++;
		T_EQ(fallocate(object, 0, 0, ALLOCATED), 0);
		T_EQ(ftruncate(object, 0), 0);
		ended++;
	}
	return unused;
}

static void wake(double *time, int count)
{
	struct vmshm_ioc_wake wake = { .count = 1 };
	double before = b_now(), after;
	int i;

	for (i = 0; i < count; i++) {
		T_EQ(ioctl(words, VMSHM_IOC_WAKE, &wake), 0);
		after = b_now();
		time[i] = after - before;
		before = after;
	}
}

static void turn(int n, bool beside)
{
	unsigned int before = begun;

	allocates = beside;
	while (beside && begun == before)
		usleep(100);
	wake(times[beside] + n * WAKES, WAKES);
	allocates = false;
	while (ended != begun)
		usleep(1000);
}

static void report(bool beside)
{
	const char *state = beside ? "allocating" : "alone";

	b_result("name=wake state=%s us=%.3f", state,
		 b_median(times[beside], TURNS * WAKES));
	b_result("name=wake-p99 state=%s us=%.3f", state,
		 b_percentile(times[beside], TURNS * WAKES, 99));
}

T_TEST(beside_allocation)
{
	pthread_t thread;
	int n;

	b_mount();
	object = open(b_object("wake-allocated", ALLOCATED), O_RDWR);
	words = open(b_object("wake-words", 4096), O_RDWR);
	T_ASSERT(object >= 0 && words >= 0);
	quits = false;
	T_EQ(pthread_create(&thread, NULL, allocate, NULL), 0);
	for (n = 0; n < TURNS; n++) {
		turn(n, false);
		turn(n, true);
	}
	quits = true;
	pthread_join(thread, NULL);
	close(object);
	close(words);
	report(false);
	report(true);
}
