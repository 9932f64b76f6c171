/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device is removed while its files are used and mounts are in place.
 *
 * qemu: files
 * expect-log: vmshm: no device of that name
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "t.h"

#include "dev.h"
#include "fs.h"

static void is_not_listed(const char *path)
{
	DIR *dir = opendir(path);

	T_ASSERT(dir);
	do {
		errno = 0;
	} while (readdir(dir));
	T_EQ(errno, ENODEV);
	closedir(dir);
}

static void is_dead(int fd, const char *dir, const char *name, char *touched,
		    char *fresh)
{
	const char *path = fs_path(dir, name);
	struct statfs s;
	struct stat st;
	char byte = 0;

	T_EQ(t_read_faults(touched), 1);
	T_EQ(t_write_faults(touched + MIB), 1);
	T_EQ(t_read_faults(fresh), 1);
	T_EQ(t_write_faults(fresh + MIB), 1);
	T_ERRNO(pread(fd, &byte, 1, 0), ENODEV);
	T_ERRNO(pwrite(fd, &byte, 1, 0), ENODEV);
	T_ERRNO(ftruncate(fd, 0), ENODEV);
	T_ERRNO(fallocate(fd, 0, 0, PAGE), ENODEV);
	T_ERRNO(open(path, O_RDWR), ENODEV);
	T_ERRNO(open(path, O_RDWR | O_CREAT, 0600), ENODEV);
	T_ERRNO(stat(path, &st), ENODEV);
	T_ERRNO(unlink(path), ENODEV);
	T_ERRNO(statfs(dir, &s), ENODEV);
	is_not_listed(dir);
	T_EQ(fstat(fd, &st), 0);
}

T_TEST(unbind_with_files_and_mounts)
{
	const char *name = fs_object("a", 4 * MIB, 1);
	char *address, *touched, *fresh, *p;
	int fd, fd2;

	fs_private();
	fs_mount_at(CREATE, "/dev/shm", NULL);
	fs_mount_at(CREATE, "/mnt", NULL);
	fs_mount_at(CREATE, "/other", NULL);
	address = dev_address(CREATE);
	fd = fs_open(name, O_RDWR);
	touched = fs_map_at(fd, 0, 4 * MIB);
	memset(touched, 1, 4 * MIB);
	fresh = fs_map_at(fd, 0, 4 * MIB);
	dev_driver("unbind", address);
	T_EQ(fs_mapped(name), 0);
	is_dead(fd, "/dev/shm", name, touched, fresh);
	is_dead(fd, "/mnt", name, touched, fresh);
	T_ERRNO(mount("vmshm0", "/third", "vmshm", 0, NULL), ENOENT);
	mkdir("/third", 0755);
	T_ERRNO(mount("vmshm0", "/third", "vmshm", 0, NULL), EINVAL);
	T_EQ(umount("/other"), 0);
	T_ERRNO(umount("/dev/shm"), EBUSY);

	/*
	 * The device is bound again. Old files stay dead, whatever happens to
	 * new ones.
	 */
	dev_driver("bind", address);
	dev_wait(CREATE, 1);
	is_dead(fd, "/dev/shm", name, touched, fresh);
	fs_mount_at(CREATE, "/third", NULL);
	fd2 = open(fs_path("/third", name), O_RDWR);
	T_ASSERT(fd2 >= 0);
	p = fs_map_at(fd2, 0, 4 * MIB);
	fs_same(name, p, 4 * MIB);
	memset(p, 2, 4 * MIB);
	is_dead(fd, "/mnt", name, touched, fresh);
	T_EQ(munmap(touched, 4 * MIB), 0);
	T_EQ(munmap(fresh, 4 * MIB), 0);
	close(fd);
	T_EQ(umount("/mnt"), 0);
	T_EQ(umount("/dev/shm"), 0);
	T_EQ(fs_mapped(name), 1);
	p[0] = 3;
	fs_same(name, p, 4 * MIB);
	fs_mount_at(CREATE, "/dev/shm", NULL);
	T_EQ(fs_map(name, PAGE)[0], 3);
}

/* A mount holds the module, and a file holds the mount. */
T_TEST(rmmod)
{
	const char *name = fs_object("a", PAGE, 2);
	int fd;
	char *p;

	fs_private();
	fs_mount_at(CREATE, "/mnt", NULL);
	T_ASSERT(t_system("rmmod vmshm 2>/dev/null"));
	fd = open(fs_path("/mnt", name), O_RDWR);
	p = fs_map_at(fd, 0, PAGE);
	T_ERRNO(umount("/mnt"), EBUSY);
	T_EQ(umount2("/mnt", MNT_DETACH), 0);
	T_ASSERT(t_system("rmmod vmshm 2>/dev/null"));
	fs_same(name, p, PAGE);
	close(fd);
	fs_same(name, p, PAGE);
	T_ASSERT(t_system("rmmod vmshm 2>/dev/null"));
	munmap(p, PAGE);
	while (t_system("rmmod vmshm 2>/dev/null"))
		sched_yield();
	T_EQ(atol(t_host("mapped_all")), 0);
	T_EQ(t_system("insmod /vmshm.ko"), 0);
	dev_wait(LARGE, 1);
	fs_mount_at(CREATE, "/mnt", NULL);
	T_EQ(umount("/mnt"), 0);
}

static sigjmp_buf gone;

static void on_sigbus(int sig)
{
	(void)sig;
	siglongjmp(gone, 1);
}

/* Repeats all calls, with any result, until *stop is set */
static void hammer(int i, const char *name, volatile int *stop,
		   volatile int *rounds)
{
	static char buf[64 * 1024];

	fs_private();
	signal(SIGBUS, on_sigbus);
	while (!*stop) {
		volatile int fd = -1;
		char *volatile p = MAP_FAILED;

		if (mount("vmshm0", "/mnt", "vmshm", 0, NULL))
			continue;
		fd = open(fs_path("/mnt", name), O_RDWR);
		if (fd >= 0 && i % 2)
			p = mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE,
				 MAP_SHARED, fd, 0);
		if (p != MAP_FAILED && !sigsetjmp(gone, 1))
			while (!*stop)
				p[(*rounds)++ * PAGE % (4 * MIB)]++;
		if (p != MAP_FAILED)
			munmap(p, 4 * MIB);
		while (fd >= 0 && !(i % 2) && !*stop &&
		       pread(fd, buf, sizeof(buf), 0) > 0 &&
		       pwrite(fd, buf, sizeof(buf), MIB) > 0)
			(*rounds)++;
		close(fd);
		umount("/mnt");
	}
	_exit(0);
}

T_TEST(unbind_under_load)
{
	const char *name = fs_object("a", 4 * MIB, 3);
	volatile int *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *address = dev_address(CREATE);
	pid_t pids[4];
	int i;

	for (i = 0; i < 4; i++) {
		pids[i] = t_fork();
		if (pids[i] == 0)
			hammer(i, name, &shared[0], &shared[i + 1]);
	}
	for (i = 0; i < 8; i++) {
		int before = shared[1] + shared[2] + shared[3] + shared[4];

		while (shared[1] + shared[2] + shared[3] + shared[4] == before)
			sched_yield();
		dev_driver("unbind", address);
		T_EQ(fs_mapped(name), 0);
		dev_driver("bind", address);
	}
	shared[0] = 1;
	for (i = 0; i < 4; i++)
		t_wait(pids[i]);
	T_EQ(fs_mapped(name), 0);
}

static void set_policy(int policy, int priority)
{
	struct sched_param param = { .sched_priority = priority };

	T_EQ(sched_setscheduler(0, policy, &param), 0);
}

/* Opens the name until there is no device */
static void open_until_gone(const char *name, volatile int *rounds)
{
	const char *path = fs_path("/mnt", name);
	int fd;

	set_policy(SCHED_IDLE, 0);
	while ((fd = open(path, O_RDWR)) >= 0) {
		close(fd);
		(*rounds)++;
	}
	T_EQ(errno, ENODEV);
	_exit(0);
}

/*
 * An open that the removal overtakes: it has a place in the arena, and gives
 * the place back when the arena has ended. The busy processes keep the
 * processors from those that open.
 */
T_TEST(unbind_overtakes_open)
{
	enum { OPENERS = 64, BUSY = 2, ROUNDS = 3 };
	volatile int *rounds = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *name = strdup(t_name("overtaken"));
	char *second = strdup(t_name("overtaken-2"));
	char *address = dev_address(CREATE);
	pid_t busy[BUSY], openers[OPENERS];
	int i, round, fd;

	fs_private();
	mkdir("/mnt", 0755);
	for (round = 0; round < ROUNDS; round++) {
		char path[PATH_MAX];

		fs_mount_at(CREATE, "/mnt", NULL);
		/* A name of an object with two names is not cached. */
		fd = open(fs_path("/mnt", name), O_RDWR | O_CREAT, 0600);
		T_EQ(ftruncate(fd, PAGE), 0);
		close(fd);
		strcpy(path, fs_path("/mnt", second));
		unlink(path);
		T_EQ(link(fs_path("/mnt", name), path), 0);
		for (i = 0; i < OPENERS; i++) {
			rounds[i] = 0;
			openers[i] = t_fork();
			if (!openers[i])
				open_until_gone(name, &rounds[i]);
		}
		for (i = 0; i < OPENERS; i++)
			while (!rounds[i])
				sched_yield();
		for (i = 0; i < BUSY; i++) {
			busy[i] = t_fork();
			while (!busy[i])
				;
		}
		set_policy(SCHED_FIFO, 1);
		dev_driver("unbind", address);
		set_policy(SCHED_OTHER, 0);
		for (i = 0; i < BUSY; i++) {
			kill(busy[i], SIGKILL);
			T_EQ(waitpid(busy[i], NULL, 0), busy[i]);
		}
		for (i = 0; i < OPENERS; i++)
			t_wait(openers[i]);
		T_EQ(umount("/mnt"), 0);
		dev_driver("bind", address);
		dev_wait(CREATE, 1);
	}
	t_host("unlink %s", name);
	t_host("unlink %s", second);
}

/* The node appears a little before the device can be found by its name. */
static void mount_new(int n, const char *dir)
{
	char source[16];

	snprintf(source, sizeof(source), "vmshm%d", n);
	while (mount(source, dir, "vmshm", 0, NULL)) {
		T_EQ(errno, EINVAL);
		sched_yield();
	}
}

T_TEST(hot_unplug)
{
	const char *name = fs_object("a", 4 * MIB, 4);
	char *touched, *fresh;
	int fd, n = DEVICES;

	fs_private();
	mkdir("/mnt", 0755);
	t_host("device_add vmshm,id=hot,bus=rp0,create=on");
	dev_wait(n, 1);
	mount_new(n, "/mnt");
	fd = open(fs_path("/mnt", name), O_RDWR);
	touched = fs_map_at(fd, 0, 4 * MIB);
	memset(touched, 1, 4 * MIB);
	fresh = fs_map_at(fd, 0, 4 * MIB);
	t_host("device_del hot");
	dev_wait(n, 0);
	T_EQ(fs_mapped(name), 0);
	is_dead(fd, "/mnt", name, touched, fresh);
	/* Another device is plugged into the same slot. */
	t_host("device_add vmshm,id=hot,bus=rp0");
	dev_wait(n, 1);
	is_dead(fd, "/mnt", name, touched, fresh);
	munmap(touched, 4 * MIB);
	munmap(fresh, 4 * MIB);
	close(fd);
	T_EQ(umount("/mnt"), 0);
	mount_new(n, "/mnt");
	T_EQ(umount("/mnt"), 0);
	t_host("device_del hot");
	dev_wait(n, 0);
}
