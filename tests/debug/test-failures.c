// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Each allocation of a call fails, one after the other: the first, the second,
 * and so on, until the call makes no more. The call fails or succeeds; the next
 * call, without a failure, succeeds. At the end kmemleak reports leaks.
 *
 * The kernel itself writes a call trace if it has no memory for the bitmap of
 * an allocator (gen_pool_add_owner()) or for struct pages (add_pages()), and
 * when it removes a file of /proc/irq that it could not create.
 *
 * qemu: files
 * expect-log: -12$|No memory|out of memory|has no arena
 * expect-log: vmshm.*error -(12|16|28)|BAR [0-4]: can't reserve|BAR4 overlaps
 * expect-log: driver_sysfs_add|kobject_add_internal|add kobject|set name prop
 * expect-trace: vmalloc error: size|vmemmap alloc failure
 * expect-trace: WARNING: .* at arch/x86/mm/init_64.c:.* add_pages
 * expect-trace: WARNING: .* remove_proc_entry
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vmshm/ioctl.h>

#include "t.h"

#include "dev.h"
#include "fs.h"

/* More than any call makes */
#define MOST 2000

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		t_fail("%s: %s", path, strerror(errno));
	close(fd);
}

/* Also makes allocations fail that may sleep. Disables the messages. */
static void prepare(void)
{
	static const char *const kinds[] = { "failslab", "fail_page_alloc" };
	char path[128];
	int i;

	if (access("/sys/kernel/debug/failslab", F_OK))
		t_skip("the kernel cannot inject failures");
	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s/verbose",
			 kinds[i]);
		put(path, "0");
		snprintf(path, sizeof(path),
			 "/sys/kernel/debug/%s/ignore-gfp-wait", kinds[i]);
		put(path, "N");
	}
	put("/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem", "N");
	put("/sys/kernel/debug/fail_page_alloc/min-order", "0");
}

/* Makes the n-th allocation of this thread fail; 0: no allocation fails. */
static void fail_nth(int fd, int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", n);

	T_EQ(pwrite(fd, text, len, 0), len);
}

/* The number of allocations before the failure; 0: it has happened. */
static int left(int fd)
{
	char text[16] = "";

	T_ASSERT(pread(fd, text, sizeof(text) - 1, 0) > 0);
	return atoi(text);
}

/*
 * call() returns 0 or an errno, and undo() makes the call possible again.
 * Neither the kernel nor a signal may end the test.
 */
static void each_fails(const char *what, int (*call)(void), void (*undo)(void))
{
	int fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	int n, rest, err, failed = 0;

	T_ASSERT(fd >= 0);
	for (n = 1; n < MOST; n++) {
		fail_nth(fd, n);
		err = call();
		rest = left(fd);
		fail_nth(fd, 0);
		failed += err != 0;
		undo();
		if (rest)
			break;
		err = call();
		if (err)
			t_fail("%s: after failure %d: %s", what, n,
			       strerror(err));
		undo();
	}
	T_ASSERT(n > 1);
	T_ASSERT(n < MOST);
	t_note("%s: %d allocations, %d failures are seen", what, n - 1, failed);
	close(fd);
}

static int result(long ret)
{
	return ret < 0 ? errno : 0;
}

static void nothing(void)
{
}

static char name[256], path[512];
static int file = -1;
static char *map = MAP_FAILED;

static int call_mount(void)
{
	return result(mount("vmshm0", "/mnt", "vmshm", 0, NULL));
}

static void undo_mount(void)
{
	umount("/mnt");
}

static char *address;

static int bind_result(const char *verb)
{
	char driver[64];
	int fd, err;

	snprintf(driver, sizeof(driver), "/sys/bus/pci/drivers/vmshm/%s", verb);
	fd = open(driver, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	err = result(write(fd, address, strlen(address)));
	close(fd);
	return err;
}

static int call_bind(void)
{
	return bind_result("bind");
}

static void undo_bind(void)
{
	bind_result("unbind");
}

/* The driver serves a device for whose arena the memory does not suffice. */
T_TEST(probe)
{
	const char *object = t_name("x");

	prepare();
	/*
	 * The kernel does not check whether alloc_low_pages() got a page for
	 * the direct mapping (arch/x86/mm/init_64.c). Single pages are
	 * therefore not refused, only objects and blocks of pages.
	 */
	put("/sys/kernel/debug/fail_page_alloc/min-order", "1");
	address = dev_address(PLAIN);
	put("/proc/sys/kernel/panic_on_warn", "0");
	dev_driver("unbind", address);
	each_fails("probe", call_bind, undo_bind);
	dev_driver("bind", address);
	put("/proc/sys/kernel/panic_on_warn", "1");
	t_host("create %s 65536", object);
	fs_mount(PLAIN);
	*fs_map(object, 65536) = 'x';
	T_EQ(strcmp(t_host("read %s 0 1", object), "78"), 0);
	t_host("unlink %s", object);
}

T_TEST(mount)
{
	prepare();
	mkdir("/mnt", 0755);
	each_fails("mount", call_mount, undo_mount);
}

static void mounted(void)
{
	prepare();
	mkdir("/mnt", 0755);
	T_EQ(mount("vmshm0", "/mnt", "vmshm", 0, NULL), 0);
	snprintf(name, sizeof(name), "%s", t_name("x"));
	snprintf(path, sizeof(path), "/mnt%s", name);
}

static void unmounted(void)
{
	T_EQ(umount("/mnt"), 0);
}

static int call_create(void)
{
	file = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	return result(file);
}

static void undo_create(void)
{
	if (file >= 0)
		close(file);
	file = -1;
	unlink(path);
}

T_TEST(create_and_unlink)
{
	mounted();
	each_fails("create", call_create, undo_create);
	unmounted();
}

static int call_open(void)
{
	file = open(path, O_RDWR);
	return result(file);
}

/*
 * Drops inodes that the kernel caches, so that the next open() looks them up.
 */
static void undo_open(void)
{
	if (file >= 0)
		close(file);
	file = -1;
	put("/proc/sys/vm/drop_caches", "2");
}

T_TEST(open)
{
	mounted();
	t_host("create %s 65536", name);
	each_fails("open", call_open, undo_open);
	t_host("unlink %s", name);
	unmounted();
}

static int call_touch(void)
{
	file = open(path, O_RDWR);
	if (file < 0)
		return errno;
	map = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (map == MAP_FAILED)
		return errno;
	return t_write_faults(map) ? ENOMEM : 0;
}

static void undo_touch(void)
{
	if (map != MAP_FAILED)
		munmap(map, 1 << 20);
	map = MAP_FAILED;
	undo_open();
}

T_TEST(first_touch)
{
	mounted();
	t_host("create %s 1048576", name);
	each_fails("first touch", call_touch, undo_touch);
	t_host("unlink %s", name);
	unmounted();
}

static int call_write(void)
{
	static char data[3 * 4096];

	return result(pwrite(file, data, sizeof(data), 0));
}

static void undo_write(void)
{
	T_EQ(ftruncate(file, 0), 0);
}

T_TEST(write)
{
	mounted();
	T_EQ(call_create(), 0);
	each_fails("write", call_write, undo_write);
	undo_create();
	unmounted();
}

static int call_change(void)
{
	struct stat st;

	if (ftruncate(file, 20000) || fstat(file, &st) ||
	    fallocate(file, 0, 0, 30000) || pread(file, &st, 4, 9000) < 0)
		return errno;
	return 0;
}

T_TEST(truncate_allocate_read)
{
	mounted();
	T_EQ(call_create(), 0);
	each_fails("changes of the size", call_change, undo_write);
	undo_create();
	unmounted();
}

static int call_list(void)
{
	DIR *dir = opendir("/mnt");
	int err;

	if (!dir)
		return errno;
	do
		errno = 0;
	while (readdir(dir));
	err = errno;
	closedir(dir);
	return err;
}

T_TEST(list)
{
	mounted();
	T_EQ(call_create(), 0);
	each_fails("list", call_list, nothing);
	undo_create();
	unmounted();
}

static char second[520];

static int call_rename(void)
{
	return result(rename(path, second));
}

static void undo_rename(void)
{
	rename(second, path);
}

T_TEST(rename)
{
	mounted();
	snprintf(second, sizeof(second), "%s-2", path);
	T_EQ(call_create(), 0);
	each_fails("rename", call_rename, undo_rename);
	undo_create();
	unmounted();
}

static int call_link(void)
{
	return result(link(path, second));
}

static void undo_link(void)
{
	unlink(second);
}

T_TEST(link)
{
	mounted();
	snprintf(second, sizeof(second), "%s-2", path);
	T_EQ(call_create(), 0);
	each_fails("link", call_link, undo_link);
	undo_create();
	unmounted();
}

static int call_hold(void)
{
	struct vmshm_ioc_word word = { .offset = 8 };

	file = open(path, O_RDWR);
	if (file < 0)
		return errno;
	return result(ioctl(file, VMSHM_IOC_HOLD, &word));
}

/* The end of a hold leaves a mark in the word. */
static void undo_hold(void)
{
	undo_open();
	t_host("write %s 8 00000000", name);
}

T_TEST(hold)
{
	mounted();
	t_host("create %s 4096", name);
	each_fails("hold", call_hold, undo_hold);
	t_host("unlink %s", name);
	unmounted();
}

static int call_words(void)
{
	struct vmshm_ioc_wait wait = { .deadline = 0 };
	struct vmshm_ioc_wake wake = { .count = 1 };
	struct vmshm_ioc_word word = { .offset = 4 };
	int ret;

	ret = ioctl(file, VMSHM_IOC_WAIT, &wait);
	if (ret && errno != ETIMEDOUT)
		return errno;
	if (ioctl(file, VMSHM_IOC_WAKE, &wake) ||
	    ioctl(file, VMSHM_IOC_POLL, &word))
		return errno;
	return 0;
}

static int call_wait_anew(void)
{
	file = open(path, O_RDWR);
	if (file < 0)
		return errno;
	return call_words();
}

T_TEST(wait_wake_poll)
{
	mounted();
	t_host("create %s 4096", name);
	each_fails("words", call_wait_anew, undo_open);
	t_host("unlink %s", name);
	unmounted();
}

static int call_attach(void)
{
	file = open("/dev/vmshm0", O_RDWR);
	if (file < 0)
		return errno;
	if (ioctl(file, VMSHM_IOC_ATTACH, name))
		return errno;
	map = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (map == MAP_FAILED)
		return errno;
	return t_write_faults(map) ? ENOMEM : 0;
}

static void undo_attach(void)
{
	if (map != MAP_FAILED)
		munmap(map, 65536);
	map = MAP_FAILED;
	if (file >= 0)
		close(file);
	file = -1;
}

T_TEST(attach)
{
	prepare();
	snprintf(name, sizeof(name), "%s", t_name("x"));
	t_host("create %s 65536", name);
	each_fails("attach", call_attach, undo_attach);
	t_host("unlink %s", name);
}
