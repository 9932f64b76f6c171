/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device is removed and added again while calls of each kind are in
 * progress.
 *
 * Processes with the policy SCHED_IDLE make the calls. Busy processes preempt
 * them, and a process with SCHED_FIFO removes the device. Therefore, a call can
 * be preempted at any of its instructions, and continues after the removal of
 * the device, or after a new device was added.
 *
 * "make check-lifecycle" runs this test, with a tenth of its rounds.
 *
 * qemu: files
 * needs: rounds
 * expect-log: vmshm .*a word was held in a reset
 * expect-log: vmshm .*an object was not found
 * expect-log: vmshm: no device of that name
 * expect-log: vmshm: the device has no arena
 * expect-log: vmshm .*a pipe or a transfer has a page
 * expect-log: vmshm .*a page of BAR4 is in use
 */
#define _GNU_SOURCE
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <time.h>

#include <vmshm/ioctl.h>

#include "t.h"

#include "dev.h"
#include "fs.h"

/* Processes that make calls of one kind */
#define EACH 1
#define BUSY 2
/* Larger than the part of the arena that has pages before it grows */
#define LARGE_SIZE (150 * MIB)

struct shared {
	int stop;
	/* Completed calls of each process */
	unsigned int calls[64];
};

static struct shared *shared;
static const char *first, *large;
/* The name of the device, and the path of its node */
static char device[16], node[32];
static char mine[300];
static int file = -1;
static sigjmp_buf gone;

static void on_sigbus(int sig)
{
	(void)sig;
	siglongjmp(gone, 1);
}

static void open_and_close(void)
{
	close(open(fs_path("/mnt", first), O_RDWR));
}

static void create_and_unlink(void)
{
	close(open(mine, O_CREAT | O_RDWR, 0600));
	unlink(mine);
}

static void list_and_stat(void)
{
	DIR *dir = opendir("/mnt");
	struct dirent *d;
	struct stat st;

	while (dir && (d = readdir(dir)))
		fstatat(dirfd(dir), d->d_name, &st, 0);
	if (dir)
		closedir(dir);
}

static void rename_and_link(void)
{
	char other[310];

	snprintf(other, sizeof(other), "%s-2", mine);
	close(open(mine, O_CREAT | O_RDWR, 0600));
	rename(mine, other);
	link(other, mine);
	unlink(mine);
	unlink(other);
}

static void wait_and_wake(void)
{
	struct timespec t;
	struct vmshm_ioc_wait wait = { .offset = 4 };
	struct vmshm_ioc_wake_wait both = { .offset = 8,
					    .wake = 4,
					    .count = 1 };

	clock_gettime(CLOCK_MONOTONIC, &t);
	wait.deadline = t.tv_sec * 1000000000LL + t.tv_nsec + 1000000;
	both.deadline = wait.deadline + 1000000;
	ioctl(file, VMSHM_IOC_WAIT, &wait);
	ioctl(file, VMSHM_IOC_WAKE_WAIT, &both);
}

static void poll_word(void)
{
	struct vmshm_ioc_word word = { .offset = 12 };
	struct pollfd p = { .fd = file, .events = POLLIN };

	ioctl(file, VMSHM_IOC_POLL, &word);
	poll(&p, 1, 1);
}

static void hold_word(void)
{
	int fd = open(fs_path("/mnt", first), O_RDWR);
	struct vmshm_ioc_word word = { .offset = 256 + 4 * (getpid() % 512) };

	ioctl(fd, VMSHM_IOC_HOLD, &word);
	close(fd);
}

static void change_attributes(void)
{
	int fd = open(mine, O_CREAT | O_RDWR, 0600);

	fchmod(fd, 0640);
	futimens(fd, NULL);
	ftruncate(fd, 3 * PAGE);
	posix_fallocate(fd, 0, 4 * PAGE);
	chmod(mine, 0600);
	close(fd);
	unlink(mine);
}

static void mount_and_umount(void)
{
	struct statfs s;

	if (access(node, F_OK) || mount(device, "/tmp", "vmshm", 0, NULL))
		return;
	statfs("/tmp", &s);
	umount("/tmp");
}

static void read_sysfs(void)
{
	static const char *const names[] = { "arena_size", "arena_free",
					     "features", "memory_type" };
	char path[64], text[64];
	int i, fd;

	for (i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "/sys/class/vmshm/%s/%s", device,
			 names[i]);
		fd = open(path, O_RDONLY);
		if (fd < 0)
			continue;
		read(fd, text, sizeof(text));
		close(fd);
	}
}

static void touch_pages(int fd, long size, long step)
{
	char *volatile p =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	volatile long at;

	if (p == MAP_FAILED)
		return;
	if (!sigsetjmp(gone, 1))
		for (at = size - PAGE; at > 0 && !shared->stop; at -= step)
			p[at]++;
	munmap(p, size);
}

static void touch_file(void)
{
	int fd = open(mine, O_CREAT | O_RDWR, 0600);

	ftruncate(fd, 4 * MIB);
	touch_pages(fd, 4 * MIB, 64 * PAGE);
	close(fd);
	unlink(mine);
}

/* The arena grows for this object. */
static void touch_large(void)
{
	int fd = open(fs_path("/mnt", large), O_RDWR);

	touch_pages(fd, LARGE_SIZE, 8 * MIB);
	close(fd);
}

static void use_node(void)
{
	int fd = open(node, O_RDWR);

	ioctl(fd, VMSHM_IOC_ATTACH, first);
	touch_pages(fd, MIB, 16 * PAGE);
	close(fd);
}

static void read_and_write(void)
{
	static char buf[16 * PAGE];

	pread(file, buf, sizeof(buf), 0);
	pwrite(file, buf, PAGE, PAGE);
}

static void (*const calls[])(void) = {
	open_and_close,	  create_and_unlink, list_and_stat, rename_and_link,
	wait_and_wake,	  poll_word,	     hold_word,	    change_attributes,
	mount_and_umount, read_sysfs,	     touch_file,    touch_large,
	use_node,	  read_and_write,
};

enum { KINDS = sizeof(calls) / sizeof(*calls), PROCESSES = KINDS * EACH };

static void set_policy(int policy, int priority)
{
	struct sched_param param = { .sched_priority = priority };

	T_EQ(sched_setscheduler(0, policy, &param), 0);
}

/* Calls with any result, until the end */
static void call_again_and_again(int n)
{
	struct statfs s;

	fs_private();
	snprintf(mine, sizeof(mine), "/mnt%s-%d", first, n);
	signal(SIGBUS, on_sigbus);
	set_policy(SCHED_IDLE, 0);
	while (!shared->stop) {
		/* A failed mount is logged, so there are few of them. */
		if (access(node, F_OK) ||
		    mount(device, "/mnt", "vmshm", 0, NULL)) {
			shared->calls[n]++;
			sched_yield();
			continue;
		}
		file = open(fs_path("/mnt", first), O_RDWR);
		do {
			calls[n % KINDS]();
			shared->calls[n]++;
		} while (!shared->stop && !statfs("/mnt", &s));
		close(file);
		T_EQ(umount("/mnt"), 0);
	}
	_exit(0);
}

/* Each process has completed a call after this one was called. */
static void wait_for_calls(void)
{
	unsigned int before[PROCESSES];
	int i;

	memcpy(before, shared->calls, sizeof(before));
	for (i = 0; i < PROCESSES; i++)
		while (shared->calls[i] == before[i])
			sched_yield();
}

static void busily(void (*remove)(const char *address), const char *address)
{
	pid_t busy[BUSY];
	int i;

	for (i = 0; i < BUSY; i++) {
		busy[i] = t_fork();
		while (!busy[i])
			;
	}
	set_policy(SCHED_FIFO, 1);
	remove(address);
	set_policy(SCHED_OTHER, 0);
	for (i = 0; i < BUSY; i++) {
		kill(busy[i], SIGKILL);
		T_EQ(waitpid(busy[i], NULL, 0), busy[i]);
	}
}

static void unbind(const char *address)
{
	dev_driver("unbind", address);
}

static void unbind_and_bind(const char *address)
{
	dev_driver("unbind", address);
	dev_driver("bind", address);
}

static void reset(const char *address)
{
	T_EQ(t_system("echo 1 >/sys/bus/pci/devices/%s/reset", address), 0);
}

/* A page that was in use for a second has let the device come back without */
static void bind_with_arena(const char *address)
{
	while (t_system("grep -q '^[1-9]' /sys/class/vmshm/%s/arena_size",
			device))
		unbind_and_bind(address);
}

static int rounds(void)
{
	const char *text = getenv("T_ROUNDS");

	return text && atoi(text) > 20 ? atoi(text) / 10 : 2;
}

static void with_all_calls(int n, void (*remove)(const char *address), int back)
{
	char *address = dev_address(n);
	pid_t pid[PROCESSES];
	int i, round;

	snprintf(device, sizeof(device), "vmshm%d", n);
	snprintf(node, sizeof(node), "/dev/%s", device);

	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	T_ASSERT(shared != MAP_FAILED);
	first = fs_new("first", 4 * PAGE);
	large = fs_new("large", LARGE_SIZE);
	mkdir("/mnt", 0755);
	for (i = 0; i < PROCESSES; i++) {
		pid[i] = t_fork();
		if (!pid[i])
			call_again_and_again(i);
	}
	for (round = 0; round < rounds(); round++) {
		wait_for_calls();
		busily(remove, address);
		if (back)
			dev_driver("bind", address);
		bind_with_arena(address);
	}
	shared->stop = 1;
	for (i = 0; i < PROCESSES; i++)
		t_wait(pid[i]);
	T_EQ(fs_mapped(first), 0);
	T_EQ(fs_mapped(large), 0);
}

T_TEST(unbind)
{
	with_all_calls(CREATE, unbind, 1);
}

T_TEST(unbind_and_bind_at_once)
{
	with_all_calls(CREATE, unbind_and_bind, 0);
}

T_TEST(reset)
{
	t_host("device_add vmshm,id=hot,bus=rp0,create=on");
	dev_wait(DEVICES, 1);
	with_all_calls(DEVICES, reset, 0);
	t_host("device_del hot");
	dev_wait(DEVICES, 0);
}
