/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A page that is in a pipe after the last close keeps its place in the arena:
 * no other object is attached there before the page is dropped.
 *
 * qemu: files
 * expect-log: a pipe or a transfer has a page
 * expect-log: a page of BAR4 is in use since
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <vmshm/ioctl.h>

#include "t.h"

#include "dev.h"
#include "fs.h"

/* Puts the page at offset into a pipe, then closes and unmaps the object. */
static void hold(const char *name, size_t size, off_t offset, int *pipefd)
{
	char *p = fs_map(name, size);
	struct iovec iov = { p + offset, PAGE };

	T_EQ(pipe(pipefd), 0);
	T_EQ(vmsplice(pipefd[1], &iov, 1, 0), PAGE);
	T_EQ(munmap(p, size), 0);
}

/* The pipe contains the object's page. */
static void drain(const int *pipefd, uint32_t seed, off_t offset)
{
	char *buf = malloc(PAGE), *mine = malloc(offset + PAGE);

	T_EQ(read(pipefd[0], buf, PAGE), PAGE);
	t_fill(mine, offset + PAGE, seed);
	T_ASSERT(!memcmp(buf, mine + offset, PAGE));
	free(buf);
	free(mine);
}

/* The driver checks for pinned pages ten times a second. */
static void wait_unmapped(const char *name)
{
	while (fs_mapped(name))
		sched_yield();
}

T_TEST(two_objects_do_not_leak)
{
	static const long sizes[] = { PAGE, 5 * PAGE, MIB, 4 * MIB };
	size_t i;

	fs_mount(PLAIN);
	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		const char *name = fs_object("held", sizes[i], 100 + i);
		off_t offset = sizes[i] - PAGE;
		int pipefd[2], j;
		char tail[8];

		hold(name, sizes[i], offset, pipefd);
		T_EQ(fs_mapped(name), 1);
		for (j = 0; j < (i < 2 ? 20 : 4); j++) {
			const char *other;
			char *p;

			snprintf(tail, sizeof(tail), "o%d", j);
			other = fs_object(tail, sizes[i], j);
			p = fs_map(other, sizes[i]);
			fs_same(other, p, sizes[i]);
			memset(p, 0xee, sizes[i]);
			if (j % 2)
				munmap(p, sizes[i]);
		}
		T_EQ(fs_mapped(name), 1);
		drain(pipefd, 100 + i, offset);
		wait_unmapped(name);
	}
}

/* The reader of a pipe sees changes of this object, and of no other object. */
T_TEST(held_page_is_still_the_object_s)
{
	const char *name = fs_object("held", 4 * PAGE, 1);
	int pipefd[2];
	char byte;

	fs_mount(PLAIN);
	hold(name, 4 * PAGE, PAGE, pipefd);
	t_host("write %s %ld 77", name, PAGE);
	t_host("unlink %s", name);
	fs_object("held", 4 * PAGE, 2);
	T_ASSERT(fs_map(name, 4 * PAGE));
	T_EQ(read(pipefd[0], &byte, 1), 1);
	T_EQ(byte, 0x77);
	close(pipefd[0]);
	close(pipefd[1]);
	while (fs_mapped(name) != 1)
		sched_yield();
}

/* Opened again while its page is in a pipe: the same memory. */
T_TEST(the_object_comes_back)
{
	const char *name = fs_object("held", MIB, 3);
	int pipefd[2], i;
	/* char has no sign on arm64. */
	signed char *p, buf[2];

	fs_mount(PLAIN);
	for (i = 0; i < 5; i++) {
		hold(name, MIB, 7 * PAGE, pipefd);
		p = (signed char *)fs_map(name, MIB);
		p[7 * PAGE] = i;
		p[7 * PAGE + 1] = ~i;
		T_EQ(read(pipefd[0], buf, 2), 2);
		T_EQ(buf[0], i);
		T_EQ(buf[1], ~i);
		close(pipefd[0]);
		close(pipefd[1]);
		munmap(p, MIB);
	}
	wait_unmapped(name);
}

/*
 * In a small arena the place is needed. It is free again once the page is
 * dropped.
 */
T_TEST(no_room_until_it_is_dropped)
{
	const char *name = fs_object("held", 4 * MIB, 4);
	const char *other = fs_object("o", 4 * MIB, 5);
	char *p, byte;
	int pipefd[2], second[2];

	fs_mount(SMALL);
	/* The object is attached in two parts. */
	hold(name, 4 * MIB, MIB, pipefd);
	hold(name, 4 * MIB, 3 * MIB, second);
	p = fs_map(other, 4 * MIB);
	T_EQ(t_read_faults(p), 1);
	T_ERRNO(read(fs_open(other, O_RDWR), &byte, 1), ENOSPC);
	drain(pipefd, 4, MIB);
	drain(second, 4, 3 * MIB);
	wait_unmapped(name);
	T_EQ(t_read_faults(p), 0);
	fs_same(other, p, 4 * MIB);
}

/* A word that is polled keeps its part as well. */
T_TEST(no_room_while_words_are_polled)
{
	const char *name = fs_object("held", 4 * MIB, 4);
	const char *other = fs_object("o", 4 * MIB, 5);
	struct vmshm_ioc_word word = {};
	int fd[2], i;
	char *p;

	fs_mount(SMALL);
	for (i = 0; i < 2; i++) {
		fd[i] = fs_open(name, O_RDWR);
		word.offset = (2 * i + 1) * MIB;
		T_EQ(pread(fd[i], &word.expected, 4, word.offset), 4);
		T_EQ(ioctl(fd[i], VMSHM_IOC_POLL, &word), 0);
	}
	p = fs_map(other, 4 * MIB);
	T_EQ(t_read_faults(p), 1);
	close(fd[0]);
	close(fd[1]);
	T_EQ(t_read_faults(p), 0);
	fs_same(other, p, 4 * MIB);
}

/* After an unbind the page belongs to the object until it is dropped. */
T_TEST(unbind_does_not_wait)
{
	const char *name = fs_object("held", 4 * MIB, 6);
	char *address = dev_address(PLAIN), *p;
	int pipefd[2];

	fs_mount(PLAIN);
	p = fs_map(name, 4 * MIB);
	p[0] ^= 1;
	hold(name, 4 * MIB, MIB, pipefd);
	dev_driver("unbind", address);
	dev_wait(PLAIN, 0);
	T_EQ(t_read_faults(p), 1);
	T_EQ(fs_mapped(name), 1);
	drain(pipefd, 6, MIB);
	while (fs_mapped(name))
		sched_yield();
	T_EQ(t_read_faults(p), 1);
	dev_driver("bind", address);
	dev_wait(PLAIN, 1);
	fs_mount_at(PLAIN, "/mnt", NULL);
	T_ASSERT(open(fs_path("/mnt", name), O_RDWR) >= 0);
}

/* While the page is in use there is no arena; afterwards there is one again. */
T_TEST(bind_while_a_page_is_in_use)
{
	const char *name = fs_object("held", 4 * MIB, 7);
	char *address = dev_address(PLAIN);
	int pipefd[2];

	fs_mount(PLAIN);
	hold(name, 4 * MIB, MIB, pipefd);
	dev_driver("unbind", address);
	dev_wait(PLAIN, 0);
	dev_driver("bind", address);
	dev_wait(PLAIN, 1);
	T_EQ(t_system("grep -qx 0 /sys/class/vmshm/vmshm1/arena_size"), 0);
	close(pipefd[0]);
	close(pipefd[1]);
	dev_driver("unbind", address);
	dev_wait(PLAIN, 0);
	dev_driver("bind", address);
	dev_wait(PLAIN, 1);
	T_EQ(t_system("grep -qx 0 /sys/class/vmshm/vmshm1/arena_size"), 1);
}

/*
 * Another hot-plug completes: the lock that every PCI hot-plug needs is free.
 */
static void other_hot_plug(void)
{
	t_host("device_add vmshm,id=other,bus=rp1");
	dev_wait(DEVICES, 1);
	t_host("device_del other");
	dev_wait(DEVICES, 0);
}

/* How often the driver has freed the arena of a device that was gone */
static int arenas_freed(void)
{
	return t_system("exit $(dmesg | grep -c 'no page of BAR4 is in use')");
}

/* Whether the log names the process as a user of the object */
static int is_named(pid_t pid)
{
	return !t_system("dmesg | grep -q 'object that .*\\[%d\\].* used'",
			 pid);
}

/* The process that has the page is not the one that attached the object. */
T_TEST(the_log_names_the_holder)
{
	const char *name = fs_object("held", 4 * MIB, 9);
	char *address = dev_address(PLAIN), byte;
	int fd, pipefd[2], ready[2];
	pid_t pid;

	fs_mount(PLAIN);
	fd = fs_open(name, O_RDONLY);
	T_EQ(pread(fd, &byte, 1, MIB), 1);
	T_EQ(pipe(ready), 0);
	pid = t_fork();
	if (!pid) {
		hold(name, 4 * MIB, MIB, pipefd);
		T_EQ(write(ready[1], "", 1), 1);
		pause();
	}
	T_EQ(read(ready[0], &byte, 1), 1);
	dev_driver("unbind", address);
	dev_wait(PLAIN, 0);
	T_ASSERT(is_named(pid));
	T_EQ(kill(pid, SIGKILL), 0);
	T_EQ(waitpid(pid, NULL, 0), pid);
	while (fs_mapped(name))
		sched_yield();
	dev_driver("bind", address);
	dev_wait(PLAIN, 1);
}

/* The device is unplugged while a page of an object is in a pipe. */
T_TEST(hot_unplug_does_not_wait)
{
	const char *name = fs_object("held", 4 * MIB, 8);
	char *p, byte;
	int pipefd[2], fd, freed = arenas_freed();

	t_host("device_add vmshm,id=hot,bus=rp0");
	dev_wait(DEVICES, 1);
	fd = dev_open(DEVICES);
	T_EQ(ioctl(fd, 0, name), 0);
	p = dev_map(fd, 0, MIB);
	T_EQ(p[0], p[0]);
	T_EQ(pipe(pipefd), 0);
	T_EQ(vmsplice(pipefd[1], &(struct iovec){ p + PAGE, PAGE }, 1, 0),
	     PAGE);
	t_host("device_del hot");
	dev_wait(DEVICES, 0);
	T_EQ(fs_mapped(name), 0);
	T_EQ(t_read_faults(p), 1);
	/* The log names the process that had the object. */
	T_EQ(t_system("dmesg | grep -q 'an object that .*\\[%d\\] used'",
		      getpid()),
	     0);
	other_hot_plug();
	/*
	 * The memory is unplugged; the byte that is read is not from another
	 * object.
	 */
	T_EQ(read(pipefd[0], &byte, 1), 1);
	close(pipefd[0]);
	close(pipefd[1]);
	munmap(p, MIB);
	close(fd);
	/* The addresses are free again, and so is the arena. */
	while (arenas_freed() == freed)
		sched_yield();
	other_hot_plug();
}
