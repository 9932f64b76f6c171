// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The device goes and comes back, again and again, while files are open, memory
 * is mapped and touched, and processes wait. Descriptors, mappings and memory
 * are counted on both sides: after the first rounds there are no more of them.
 *
 * qemu: -device vmshm,id=vmshm0,bus=rp0
 * expect-log: vmshm .*a word was held in a reset
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "t.h"

#include "dev.h"
#include "rounds.h"
#include "words.h"

/* KiB that QEMU's heap may be larger: its size varies by 4 MiB at any time. */
#define HEAP_NOISE 8192

/* Ends at the latest when an access gets SIGBUS. */
static void touches(const char *name, int ready)
{
	int file = words_open(name, O_RDWR);
	char *p = mmap(NULL, WORDS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		       file, 0);
	long at;

	T_ASSERT(p != MAP_FAILED);
	T_EQ(write(ready, "", 1), 1);
	for (at = 64;; at = at + 64 < 4096 ? at + 64 : 64)
		if (t_write_faults(p + at))
			_exit(0);
}

static void reads_and_writes(const char *name, int ready)
{
	int file = words_open(name, O_RDWR);
	char data[4096];

	T_EQ(write(ready, "", 1), 1);
	while (pwrite(file, data, sizeof(data), 4096) > 0 &&
	       pread(file, data, sizeof(data), 4096) > 0)
		;
	T_EQ(errno, ENODEV);
	_exit(0);
}

static void waits(const char *name)
{
	fd = words_open(name, O_RDWR);
	while (!wait_word(0, 0, -1))
		;
	T_EQ(errno, ENODEV);
	_exit(0);
}

static void holds(const char *name, int ready)
{
	int file = words_open(name, O_RDWR);

	T_EQ(do_word(file, VMSHM_IOC_HOLD, 1, 0), 0);
	T_EQ(write(ready, "", 1), 1);
	pause();
}

/* One round: all kinds of use, then the event that takes the device away */
static void use_until(void (*take_away)(void))
{
	const char *name = t_name("x");
	pid_t pid[4];
	int ready[2], i;
	char byte;

	t_host("create %s %d", name, WORDS_SIZE);
	T_EQ(mount("vmshm0", "/dev/shm", "vmshm", 0, NULL), 0);
	T_EQ(pipe(ready), 0);
	for (i = 0; i < 4; i++) {
		pid[i] = t_fork();
		if (pid[i])
			continue;
		if (i == 0)
			touches(name, ready[1]);
		else if (i == 1)
			reads_and_writes(name, ready[1]);
		else if (i == 2)
			waits(name);
		else
			holds(name, ready[1]);
	}
	/* Three of the processes report; the host sees the fourth one wait. */
	for (i = 0; i < 3; i++)
		T_EQ(read(ready[0], &byte, 1), 1);
	t_host("waiting %s 0 1", name);
	take_away();
	for (i = 0; i < 3; i++)
		t_wait(pid[i]);
	kill(pid[3], SIGKILL);
	T_EQ(waitpid(pid[3], NULL, 0), pid[3]);
	/* The word 1 is marked: its holder died. */
	while (strcmp(t_host("read %s 4 4", name), "000000c0"))
		;
	close(ready[0]);
	close(ready[1]);
	T_EQ(umount("/dev/shm"), 0);
	t_host("unlink %s", name);
}

static void (*event)(void), (*back)(void);

static void round_of_use(void)
{
	use_until(event);
	back();
	dev_wait(0, 1);
}

static void again_and_again(void (*the_event)(void), void (*the_back)(void))
{
	event = the_event;
	back = the_back;
	rounds_many(round_of_use, counts_take, HEAP_NOISE);
}

static char *address;

static void unbind(void)
{
	dev_driver("unbind", address);
}

static void bind(void)
{
	dev_driver("bind", address);
}

T_TEST(unbind)
{
	address = dev_address(0);
	again_and_again(unbind, bind);
}

/* The module can be removed when it is not in use: after an unbind */
static void reload_unbound(void)
{
	T_EQ(t_system("rmmod vmshm && insmod /vmshm.ko"), 0);
}

T_TEST(rmmod)
{
	address = dev_address(0);
	again_and_again(unbind, reload_unbound);
}

static void unplug(void)
{
	t_host("device_del vmshm0");
}

static void plug(void)
{
	t_host("device_add vmshm,id=vmshm0,bus=rp0");
}

/* Reset of the function, which is alone on its bus. The driver stays bound. */
static void reset(void)
{
	T_EQ(t_system("echo 1 >/sys/bus/pci/devices/%s/reset", address), 0);
}

/* The secondary bus reset of the port above it */
static void reset_bus(void)
{
	T_EQ(t_system("cd /sys/bus/pci/devices/%s && "
		      "echo bus >reset_method && echo 1 >reset", address), 0);
}

static void nothing(void)
{
}

T_TEST(reset)
{
	address = dev_address(0);
	again_and_again(reset, nothing);
}

T_TEST(bus_reset)
{
	address = dev_address(0);
	again_and_again(reset_bus, nothing);
}

T_TEST(unplug)
{
	again_and_again(unplug, plug);
}
