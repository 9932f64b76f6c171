// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The device is removed while it is used: later accesses get SIGBUS, the file
 * gives ENODEV, and old mappings never show the memory of a later device.
 *
 * qemu: -device vmshm,id=vmshm0
 * qemu 2010: -device vmshm,id=vmshm0,arena=0
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <sys/wait.h>

#include "t.h"

#include "dev.h"

static void is_dead(int fd, char *touched, char *fresh, const char *name)
{
	T_EQ(t_read_faults(touched), 1);
	T_EQ(t_write_faults(touched + MIB - 1), 1);
	T_EQ(t_read_faults(fresh), 1);
	T_EQ(t_write_faults(fresh + MIB - 1), 1);
	T_ERRNO(ioctl(fd, 0, name), ENODEV);
	T_ERRNO(mmap(NULL, MIB, PROT_READ, MAP_SHARED, fd, 0), ENODEV);
}

T_TEST(unbind)
{
	const char *name = dev_object("o", MIB, 1);
	const char *other = dev_object("other", MIB, 2);
	char *address, *touched, *fresh, *p;
	int fd, fd2, early = dev_open(0);

	address = dev_address(0);
	touched = dev_attach(0, name, &fd);
	touched[0] = 1;
	fresh = dev_map(fd, 0, MIB);
	dev_driver("unbind", address);
	T_EQ(dev_mapped(name), 0);
	is_dead(fd, touched, fresh, name);
	T_ERRNO(ioctl(early, 0, name), ENODEV);
	dev_wait(0, 0);
	T_ERRNO(open("/dev/vmshm0", O_RDWR), ENOENT);

	/* It comes back under its name, and the old files stay dead. */
	dev_driver("bind", address);
	dev_wait(0, 1);
	p = dev_attach(0, other, &fd2);
	T_EQ(t_sum(p, MIB), atoll(t_host("sum %s 0 %ld", other, MIB)));
	is_dead(fd, touched, fresh, other);
	T_ERRNO(ioctl(early, 0, name), ENODEV);
	munmap(touched, MIB);
	munmap(fresh, MIB);
	close(fd);
	close(early);
	/* The close of old files does not affect the new ones. */
	T_EQ(dev_mapped(other), 1);
	T_EQ(t_sum(p, MIB), atoll(t_host("sum %s 0 %ld", other, MIB)));
}

/* A device node may be older than the device. */
T_TEST(unbind_and_a_node_of_one_s_own)
{
	const char *name = dev_object("o", MIB, 3);
	char *address, *p;
	int fd, fd2;

	address = dev_address(0);
	T_EQ(t_system("mknod /tmp/node c %s",
		      "$(tr : ' ' </sys/class/vmshm/vmshm0/dev)"),
	     0);
	fd = open("/tmp/node", O_RDWR);
	T_EQ(ioctl(fd, 0, name), 0);
	p = dev_map(fd, 0, MIB);
	p[0] = 1;
	dev_driver("unbind", address);
	is_dead(fd, p, p, name);
	dev_driver("bind", address);
	dev_wait(0, 1);
	T_ERRNO(open("/tmp/node", O_RDWR), ENODEV);
	munmap(p, MIB);
	close(fd);
	fd2 = open("/tmp/node", O_RDWR);
	T_ASSERT(fd2 >= 0);
	T_EQ(ioctl(fd2, 0, name), 0);
	unlink("/tmp/node");
}

static sigjmp_buf gone;

static void on_sigbus(int sig)
{
	(void)sig;
	siglongjmp(gone, 1);
}

/* Opens, attaches, maps and writes, also while the device comes and goes. */
static void hammer(const char *name, volatile int *stop, volatile int *rounds)
{
	signal(SIGBUS, on_sigbus);
	while (!*stop) {
		volatile int fd = open("/dev/vmshm0", O_RDWR);
		char *volatile p = MAP_FAILED;

		if (fd < 0)
			continue;
		if (ioctl(fd, 0, name) == 0)
			p = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_SHARED,
				 fd, 0);
		else
			T_EQ(errno, ENODEV);
		if (p != MAP_FAILED) {
			if (!sigsetjmp(gone, 1)) {
				while (!*stop)
					p[(*rounds * PAGE) % MIB]++;
			}
			(*rounds)++;
			munmap(p, MIB);
		}
		close(fd);
	}
	_exit(0);
}

T_TEST(unbind_under_load)
{
	const char *name = dev_object("o", MIB, 4);
	volatile int *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *address;
	pid_t pids[3];
	int i;

	address = dev_address(0);
	for (i = 0; i < 3; i++) {
		pids[i] = t_fork();
		if (pids[i] == 0)
			hammer(name, &shared[0], &shared[i + 1]);
	}
	for (i = 0; i < 20; i++) {
		int before = shared[1] + shared[2] + shared[3];

		dev_driver("unbind", address);
		T_EQ(dev_mapped(name), 0);
		dev_driver("bind", address);
		/* A process that got an error had used the device. */
		while (shared[1] + shared[2] + shared[3] == before)
			if (dev_mapped(name))
				break;
	}
	shared[0] = 1;
	for (i = 0; i < 3; i++)
		t_wait(pids[i]);
	T_ASSERT(shared[1] + shared[2] + shared[3] > 0);
	T_EQ(dev_mapped(name), 0);
}

static void plug(void)
{
	t_host("device_add vmshm,id=hot,bus=rp0");
	dev_wait(1, 1);
}

T_TEST(hot_unplug_unused)
{
	const char *name = dev_object("o", MIB, 5);
	int i, fd;

	for (i = 0; i < 3; i++) {
		plug();
		T_EQ(t_sum(dev_attach(1, name, &fd), MIB),
		     atoll(t_host("sum %s 0 %ld", name, MIB)));
		T_EQ(dev_mapped(name), 1);
		close(fd);
		t_host("device_del hot");
		dev_wait(1, 0);
		T_EQ(dev_mapped(name), 0);
	}
}

T_TEST(hot_unplug)
{
	const char *name = dev_object("o", MIB, 6);
	const char *other = dev_object("other", MIB, 7);
	char *touched, *fresh, *p;
	int fd, fd2;

	plug();
	touched = dev_attach(1, name, &fd);
	touched[0] = 1;
	fresh = dev_map(fd, 0, MIB);
	t_host("device_del hot");
	dev_wait(1, 0);
	T_EQ(dev_mapped(name), 0);
	is_dead(fd, touched, fresh, name);

	/* The old mapping does not show the next device in this slot. */
	plug();
	p = dev_attach(1, other, &fd2);
	p[0] = 2;
	is_dead(fd, touched, fresh, other);
	munmap(p, MIB);
	close(fd2);
	t_host("device_del hot");
	dev_wait(1, 0);
}

/* An attachment that the unplug has detached is not detached again at exit. */
T_TEST(exit_after_hot_unplug)
{
	const char *name = dev_object("o", MIB, 8);
	pid_t pid;
	int fd, go[2];
	char byte;

	plug();
	T_EQ(pipe(go), 0);
	pid = t_fork();
	if (pid == 0) {
		dev_attach(1, name, &fd)[0] = 1;
		T_EQ(write(go[1], "", 1), 1);
		pause();
	}
	T_EQ(read(go[0], &byte, 1), 1);
	t_host("device_del hot");
	dev_wait(1, 0);
	T_EQ(kill(pid, SIGTERM), 0);
	T_EQ(waitpid(pid, NULL, 0), pid);
	plug();
	dev_attach(1, name, &fd)[0] = 1;
	close(fd);
	t_host("device_del hot");
	dev_wait(1, 0);
}

static volatile uint8_t *bar(const char *address, int n, size_t size)
{
	char path[64];
	void *p;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource%d",
		 address, n);
	fd = open(path, O_RDWR);
	T_ASSERT(fd >= 0);
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	T_ASSERT(p != MAP_FAILED);
	close(fd);
	return p;
}

/*
 * Objects that a crashed kernel left attached are detached when the driver
 * starts.
 */
T_TEST(stale_object)
{
	const char *stale = dev_object("stale", MIB, 9);
	const char *name = dev_object("o", MIB, 10);
	char *address = dev_address(0);
	volatile uint8_t *regs, *buffer;
	size_t i;
	int fd;

	dev_driver("unbind", address);
	regs = bar(address, 0, PAGE);
	buffer = bar(address, 2, PAGE);
	for (i = 0; i <= strlen(stale); i++)
		buffer[i] = stale[i];
	T_EQ(*(volatile uint32_t *)regs, 0);
	T_EQ(dev_mapped(stale), 1);
	munmap((void *)regs, PAGE);
	munmap((void *)buffer, PAGE);

	dev_driver("bind", address);
	dev_wait(0, 1);
	T_EQ(dev_mapped(stale), 0);
	dev_attach(0, name, &fd)[0] = 1;
}
