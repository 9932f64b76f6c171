// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * As GVirtuS does, on a device with the three BARs of 2010: several processes,
 * spin locks inside the object, and mappings that are never removed.
 *
 * qemu: -device vmshm,id=vmshm0,arena=0
 */
#include <pthread.h>

#include "t.h"

#include "dev.h"

#define PROCESSES	4
#define ROUNDS		20000

struct shared {
	pthread_spinlock_t lock;
	long sum;
	long copies[64];
};

static struct shared *attach(const char *object)
{
	char name[1024];
	int fd = open("/dev/vmshm0", O_RDWR);

	strcpy(name, object);
	T_ASSERT(fd >= 0);
	T_EQ(ioctl(fd, 0, name), 0);
	return (void *)dev_map(fd, 0, MIB);
}

static void work(const char *object)
{
	struct shared *s = attach(object);
	int i, j;

	for (i = 0; i < ROUNDS; i++) {
		pthread_spin_lock(&s->lock);
		s->sum++;
		for (j = 0; j < 64; j++)
			s->copies[j]++;
		for (j = 0; j < 64; j++)
			T_EQ(s->copies[j], s->sum);
		pthread_spin_unlock(&s->lock);
	}
	_exit(0);
}

T_TEST(several_processes)
{
	const char *name = t_name("o");
	pid_t pids[PROCESSES];
	struct shared *s;
	int i;

	t_host("unlink %s", name);
	t_host("create %s %ld", name, MIB);
	s = attach(name);
	T_EQ(pthread_spin_init(&s->lock, PTHREAD_PROCESS_SHARED), 0);
	for (i = 0; i < PROCESSES; i++) {
		pids[i] = t_fork();
		if (pids[i] == 0)
			work(name);
	}
	for (i = 0; i < PROCESSES; i++)
		t_wait(pids[i]);
	T_EQ(s->sum, PROCESSES * ROUNDS);
	T_EQ(dev_mapped(name), 1);
}

/* The processes of the test before did not unmap. */
T_TEST(exit_cleaned_up)
{
	T_EQ(ioctl(dev_open(0), 0, dev_object("next", PAGE, 1)), 0);
}
