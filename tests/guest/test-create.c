/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * create=on: the guest creates, changes and removes objects of the host.
 *
 * qemu: files
 * expect-log: vmshm: (uid|mode) cannot change
 */
#define _GNU_SOURCE
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "t.h"

#include "fs.h"

static const char *in_shm(const char *name)
{
	return fs_path("/dev/shm", name);
}

/* The name of an object that does not exist; the host removes it at the end */
static const char *fs_none(const char *tail)
{
	const char *name = fs_new(tail, 0);

	t_host("unlink %s", name);
	return name;
}

T_TEST(open_creates)
{
	const char *name = fs_none("a"), *other = fs_none("b");
	struct stat st;
	int fd;

	fs_mount(CREATE);
	umask(027);
	T_ERRNO(shm_open(name, O_RDWR, 0600), ENOENT);
	fd = shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0666);
	T_ASSERT(fd >= 0);
	T_EQ(fstat(fd, &st), 0);
	T_EQ(st.st_size, 0);
	T_EQ(st.st_mode & 07777, 0640);
	T_EQ(fs_number("size", name), 0);
	T_ERRNO(shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0666), EEXIST);
	fd = shm_open(name, O_CREAT | O_RDWR, 0666);
	T_ASSERT(fd >= 0);
	T_EQ(ftruncate(fd, 5000), 0);
	T_EQ(fs_number("size", name), 5000);
	fd = shm_open(name, O_RDWR | O_TRUNC, 0666);
	T_ASSERT(fd >= 0);
	T_EQ(fs_number("size", name), 0);
	fd = open(in_shm(other), O_CREAT | O_WRONLY, 0600);
	T_ASSERT(fd >= 0);
	T_EQ(write(fd, "text", 4), 4);
	T_ASSERT(!strcmp(t_host("text %s", other), "text"));
}

T_TEST(writing_lets_it_grow)
{
	const char *name = fs_none("a");
	static char buf[3 * PAGE];
	int fd, end;
	char *p;

	fs_mount(CREATE);
	fd = fs_open(name, O_CREAT | O_RDWR);
	t_fill(buf, sizeof(buf), 1);
	T_EQ(write(fd, buf, sizeof(buf)), sizeof(buf));
	T_EQ(fs_number("size", name), sizeof(buf));
	fs_same(name, buf, sizeof(buf));
	T_EQ(pwrite(fd, "x", 1, 10 * PAGE), 1);
	T_EQ(fs_number("size", name), 10 * PAGE + 1);
	end = fs_open(name, O_RDWR | O_APPEND);
	T_EQ(write(end, "yz", 2), 2);
	T_EQ(pread(fd, buf, 10, 10 * PAGE), 3);
	T_ASSERT(!memcmp(buf, "xyz", 3));
	/* A mapping sees all writes. */
	p = fs_map_at(fd, 0, 20 * PAGE);
	T_EQ(p[10 * PAGE + 2], 'z');
	T_EQ(t_read_faults(p + 11 * PAGE), 1);
	T_EQ(pwrite(fd, "more", 4, 15 * PAGE - 2), 4);
	T_EQ(memcmp(p + 15 * PAGE - 2, "more", 4), 0);
	T_EQ(p[12 * PAGE], 0);
	T_EQ(t_read_faults(p + 16 * PAGE), 1);
}

static void append_lines(const char *path, char letter)
{
	int i, fd = open(path, O_WRONLY | O_APPEND);
	char line[64];

	T_ASSERT(fd >= 0);
	memset(line, letter, sizeof(line));
	line[63] = '\n';
	for (i = 0; i < 300; i++)
		T_EQ(write(fd, line, sizeof(line)), (long)sizeof(line));
	_exit(0);
}

/* Two mounts whose cached sizes may differ for a moment */
T_TEST(two_append)
{
	const char *name = fs_new("a", 0);
	pid_t pid[2];
	long size, last = 0;
	struct stat st;
	int fd;

	fs_mount(CREATE);
	fs_mount_at(CREATE, "/tmp/other", NULL);
	fd = fs_open(name, O_RDONLY);
	pid[0] = t_fork();
	if (pid[0] == 0)
		append_lines(fs_path("/dev/shm", name), 'a');
	pid[1] = t_fork();
	if (pid[1] == 0)
		append_lines(fs_path("/tmp/other", name), 'b');
	do {
		T_EQ(fstat(fd, &st), 0);
		size = st.st_size;
		T_ASSERT(size >= last);
		last = size;
	} while (waitpid(pid[0], NULL, WNOHANG) == 0);
	t_wait(pid[1]);
	T_EQ(fstat(fd, &st), 0);
	T_EQ(st.st_size, 2 * 300 * 64);
}

/* Asks for the attributes, until the parent ends it. The size never shrinks. */
static void look(const char *path, int fd)
{
	struct stat st;
	long last = 0;
	int i;

	for (i = 0;; i++) {
		T_EQ(i % 2 ? stat(path, &st) : fstat(fd, &st), 0);
		T_ASSERT(st.st_size >= last);
		last = st.st_size;
	}
}

/*
 * A task can be interrupted between the answer of the device and its use. It
 * must not set an old size then: the next append would be at that place.
 */
T_TEST(appends_beside_calls_that_look)
{
	const char *name = fs_new("a", 0);
	int fd, i, status, lines = 6000 / t_slower();
	const char *path = in_shm(name);
	pid_t pid[6];
	long line[8];

	fs_mount(CREATE);
	fd = fs_open(name, O_RDWR | O_APPEND);
	for (i = 0; i < 6; i++) {
		pid[i] = t_fork();
		if (pid[i] == 0)
			look(path, fd);
	}
	for (i = 0; i < lines; i++) {
		memset(line, 0, sizeof(line));
		line[0] = i;
		T_EQ(write(fd, line, sizeof(line)), (int)sizeof(line));
	}
	for (i = 0; i < 6; i++) {
		T_EQ(waitpid(pid[i], &status, WNOHANG), 0);
		kill(pid[i], SIGKILL);
		waitpid(pid[i], &status, 0);
	}
	for (i = 0; i < lines; i++) {
		T_EQ(pread(fd, line, sizeof(line), i * sizeof(line)),
		     (int)sizeof(line));
		T_EQ(line[0], i);
	}
	T_EQ(fs_number("size", name), (long)(lines * sizeof(line)));
}

/* A failed write behaves as on tmpfs. */
T_TEST(a_write_that_fails_changes_nothing)
{
	const struct rlimit limit = { 3 * PAGE, 3 * PAGE };
	const char *name = fs_new("a", PAGE);
	char *bad;
	int fd;

	fs_mount(CREATE);
	fd = fs_open(name, O_RDWR);
	bad = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	T_ERRNO(pwrite(fd, bad, PAGE, PAGE), EFAULT);
	T_EQ(fs_number("size", name), PAGE);
	signal(SIGXFSZ, SIG_IGN);
	T_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
	T_ERRNO(fallocate(fd, 0, 0, 4 * PAGE), EFBIG);
	T_ERRNO(ftruncate(fd, 4 * PAGE), EFBIG);
	T_EQ(fs_number("size", name), PAGE);
	T_EQ(fallocate(fd, 0, 0, 3 * PAGE), 0);
	T_EQ(fs_number("size", name), 3 * PAGE);
}

static char *pages(long count)
{
	char *p = mmap(NULL, count * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	T_ASSERT(p != MAP_FAILED);
	return p;
}

/* As on tmpfs, the file grows by the bytes that could be read. */
T_TEST(a_write_of_a_buffer_that_is_partly_bad)
{
	const char *name = fs_new("a", 10);
	char *buf = pages(3);
	struct iovec parts[] = { { buf, 300 }, { buf + 2 * PAGE, 1 } };
	int fd;

	fs_mount(CREATE);
	fd = fs_open(name, O_RDWR | O_APPEND);
	t_fill(buf, 2 * PAGE, 3);
	T_EQ(mprotect(buf + 2 * PAGE, PAGE, PROT_NONE), 0);
	T_EQ(write(fd, buf, 3 * PAGE), 2 * PAGE);
	T_EQ(fs_number("size", name), 2 * PAGE + 10);
	T_EQ(write(fd, buf + 2 * PAGE - 20, 30), 20);
	T_EQ(fs_number("size", name), 2 * PAGE + 30);
	T_EQ(writev(fd, parts, 2), 300);
	T_EQ(fs_number("size", name), 2 * PAGE + 330);
	T_EQ(munmap(buf + 2 * PAGE, PAGE), 0);
	T_ERRNO(write(fd, buf + 2 * PAGE, 1), EFAULT);
	/* From below the end to behind it */
	T_EQ(pwrite(open(in_shm(name), O_RDWR), buf, 3 * PAGE, 400), 2 * PAGE);
	T_EQ(fs_number("size", name), 2 * PAGE + 400);
	fs_same(name, fs_map_at(fd, 0, 3 * PAGE), 2 * PAGE + 400);
}

struct supplier {
	int uffd;
	char *buf;
};

/* Supplies two pages. The first one is gone before the second one is there. */
static void *supply(void *arg)
{
	static char page[PAGE];
	const struct supplier *s = arg;
	struct uffdio_copy copy = { .src = (uintptr_t)page, .len = PAGE };
	struct uffd_msg msg;
	int i;

	memset(page, 's', PAGE);
	for (i = 0; i < 2; i++) {
		T_EQ(read(s->uffd, &msg, sizeof(msg)), sizeof(msg));
		copy.dst = msg.arg.pagefault.address & -PAGE;
		if (copy.dst != (uintptr_t)s->buf)
			T_EQ(munmap(s->buf, PAGE), 0);
		T_EQ(ioctl(s->uffd, UFFDIO_COPY, &copy), 0);
	}
	return NULL;
}

/* A page that was readable when the write looked at it is unmapped then. */
T_TEST(a_write_of_a_buffer_that_is_unmapped)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range.len = 2 * PAGE,
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	const char *name = fs_new("a", PAGE);
	struct supplier s = { .buf = pages(2) };
	pthread_t thread;
	ssize_t done;

	fs_mount(CREATE);
	s.uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	T_ASSERT(s.uffd >= 0);
	T_EQ(ioctl(s.uffd, UFFDIO_API, &api), 0);
	reg.range.start = (uintptr_t)s.buf;
	T_EQ(ioctl(s.uffd, UFFDIO_REGISTER, &reg), 0);
	T_EQ(pthread_create(&thread, NULL, supply, &s), 0);
	done = pwrite(fs_open(name, O_RDWR), s.buf, 2 * PAGE, PAGE);
	T_EQ(pthread_join(thread, NULL), 0);
	t_note("%zd bytes were written", done);
	T_EQ(fs_number("size", name), PAGE + (done > 0 ? done : 0));
}

static char *volatile come_and_go;

static void *unmap_and_map(void *arg)
{
	char *buf = come_and_go;

	(void)arg;
	while (come_and_go) {
		munmap(buf + PAGE, PAGE);
		mmap(buf + PAGE, PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	}
	return NULL;
}

T_TEST(writes_of_a_buffer_that_comes_and_goes)
{
	const char *name = fs_new("a", 0);
	char *buf = pages(4);
	long size = 0, partly = 0;
	pthread_t thread;
	ssize_t done;
	int i, fd;

	fs_mount(CREATE);
	fd = fs_open(name, O_WRONLY | O_APPEND);
	come_and_go = buf;
	T_EQ(pthread_create(&thread, NULL, unmap_and_map, NULL), 0);
	for (i = 0; i < 300; i++) {
		done = write(fd, buf + i % 2 * PAGE, 2 * PAGE);
		T_ASSERT(done >= 0 || errno == EFAULT);
		size += done > 0 ? done : 0;
		partly += done < 2 * PAGE;
		T_EQ(lseek(fd, 0, SEEK_END), size);
	}
	come_and_go = NULL;
	T_EQ(pthread_join(thread, NULL), 0);
	T_EQ(fs_number("size", name), size);
	t_note("%ld of 300 writes were short", partly);
}

/*
 * A hole is allocated before it is written, so that a full host fails the
 * write.
 */
T_TEST(write_allocates)
{
	const char *name = fs_new("a", 8 * PAGE);
	char page[PAGE];
	int fd;

	fs_mount(CREATE);
	fd = fs_open(name, O_RDWR);
	T_EQ(fs_number("blocks", name), 0);
	memset(page, 1, PAGE);
	T_EQ(pwrite(fd, page, PAGE, 2 * PAGE), PAGE);
	T_EQ(fs_number("blocks", name), PAGE / 512);
	T_EQ(pwrite(fd, page, 10, 8 * PAGE + 5), 10);
	T_EQ(fs_number("size", name), 8 * PAGE + 15);
	T_EQ(fs_number("blocks", name), 2 * PAGE / 512);
}

/* The size that stat() has cached is out of date when the page is accessed. */
T_TEST(host_grows_and_cuts)
{
	const char *name = fs_object("a", PAGE, 9);
	struct stat st;
	char *p;
	int fd;

	fs_mount(CREATE);
	fd = fs_open(name, O_RDWR);
	p = fs_map_at(fd, 0, 8 * PAGE);
	T_EQ(t_read_faults(p), 0);
	t_host("truncate %s %ld", name, 8 * PAGE);
	T_EQ(fstat(fd, &st), 0);
	T_EQ(st.st_size, 8 * PAGE);
	t_host("truncate %s %ld", name, 4 * PAGE);
	T_EQ(t_read_faults(p + 2 * PAGE), 0);
	T_EQ(t_read_faults(p + 5 * PAGE), 1);
}

/*
 * The driver has seen the smaller size. The page is in a part that is attached,
 * and in no page table yet.
 */
T_TEST(host_cuts_and_grows)
{
	const char *name = fs_object("a", 256 * PAGE, 9);
	struct stat st;
	char *p;
	int fd;

	fs_mount(CREATE);
	fd = fs_open(name, O_RDWR);
	p = fs_map_at(fd, 0, 256 * PAGE);
	T_EQ(t_read_faults(p), 0);
	t_host("truncate %s %ld", name, 64 * PAGE);
	T_EQ(fstat(fd, &st), 0);
	T_EQ(st.st_size, 64 * PAGE);
	T_EQ(t_read_faults(p + 128 * PAGE), 1);
	t_host("truncate %s %ld", name, 256 * PAGE);
	T_EQ(t_write_faults(p + 192 * PAGE), 0);
	p[200 * PAGE] = 1;
	T_ASSERT(!strcmp(t_host("read %s %ld 1", name, 200 * PAGE), "01"));
}

T_TEST(remount)
{
	fs_private();
	fs_mount_at(CREATE, "/dev/shm", "uid=1000");
	T_EQ(mount(NULL, "/dev/shm", NULL, MS_REMOUNT, "uid=1000"), 0);
	T_ERRNO(mount(NULL, "/dev/shm", NULL, MS_REMOUNT, "uid=1001"), EINVAL);
	T_ERRNO(mount(NULL, "/dev/shm", NULL, MS_REMOUNT, "mode=600"), EINVAL);
	T_EQ(t_system("grep -q '/dev/shm vmshm .*uid=1000' /proc/mounts"), 0);
}

T_TEST(ftruncate_up_and_down)
{
	const char *name = fs_none("a");
	long i;
	char *p;
	int fd;

	fs_mount(CREATE);
	fd = fs_open(name, O_CREAT | O_RDWR);
	T_EQ(ftruncate(fd, 6 * MIB), 0);
	p = fs_map_at(fd, 0, 8 * MIB);
	memset(p, 7, 6 * MIB);
	T_EQ(t_write_faults(p + 6 * MIB), 1);
	for (i = 5 * MIB; i > 0; i -= 700001) {
		long end = (i + PAGE - 1) / PAGE * PAGE;

		T_EQ(ftruncate(fd, i), 0);
		T_EQ(fs_number("size", name), i);
		T_EQ(p[0], 7);
		T_EQ(p[i - 1], 7);
		if (i % PAGE)
			T_EQ(p[i], 0);
		T_EQ(t_read_faults(p + end), 1);
		T_EQ(t_write_faults(p + end), 1);
		T_EQ(t_read_faults(p + 8 * MIB - 1), 1);
	}
	T_EQ(ftruncate(fd, 0), 0);
	T_EQ(t_read_faults(p), 1);
	/* After the object has grown again its pages are zeros. */
	T_EQ(ftruncate(fd, 6 * MIB), 0);
	for (i = 0; i < 6 * MIB; i += PAGE)
		T_EQ(p[i], 0);
	p[5 * MIB] = 1;
	T_ASSERT(!strcmp(t_host("read %s %ld 1", name, 5 * MIB), "01"));
	T_ERRNO(ftruncate(fd, -1), EINVAL);
	T_ERRNO(ftruncate(fs_open(name, O_RDONLY), 0), EINVAL);
	T_EQ(fs_number("size", name), 6 * MIB);
}

/* A truncation leaves the private copies below the new end. */
T_TEST(private_copies_of_what_is_cut)
{
	const char *name = fs_object("a", 16 * PAGE, 1);
	char *p, *q, was;
	int fd;

	fs_mount(CREATE);
	fd = fs_open(name, O_RDWR);
	p = fs_map_at(fd, 0, 16 * PAGE);
	q = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	T_ASSERT(q != MAP_FAILED);
	was = p[5];
	q[5] = ~was;
	q[12 * PAGE] = 1;
	T_EQ(ftruncate(fd, 8 * PAGE), 0);
	T_EQ(p[5], was);
	T_EQ(q[5], (char)~was);
	T_EQ(q[6], p[6]);
	T_EQ(t_read_faults(q + 12 * PAGE), 1);
}

static volatile char *faulted;
static volatile int faults_end;

static void *fault_on_and_on(void *arg)
{
	while (!faults_end)
		t_read_faults(faulted);
	return NULL;
}

/* A fault during a truncation maps a page of the object. */
T_TEST(faults_while_it_is_cut)
{
	const char *name = fs_new("a", 16 * PAGE);
	pthread_t thread;
	char byte;
	int fd, i;

	fs_mount(CREATE);
	fd = fs_open(name, O_RDWR);
	faulted = fs_map_at(fd, 0, 16 * PAGE) + 15 * PAGE;
	T_EQ(pthread_create(&thread, NULL, fault_on_and_on, NULL), 0);
	for (i = 1; i < 2000; i++) {
		T_EQ(ftruncate(fd, 8 * PAGE), 0);
		T_EQ(ftruncate(fd, 16 * PAGE), 0);
		byte = i;
		T_EQ(pwrite(fd, &byte, 1, 15 * PAGE), 1);
		T_EQ(*faulted, byte);
	}
	faults_end = 1;
	pthread_join(thread, NULL);
}

/* An object that is far larger than any arena */
T_TEST(largest)
{
	const char *name = fs_none("a");
	const long end = 1L << 62;
	char *p, buf[10];
	int fd;

	fs_mount(CREATE);
	fd = fs_open(name, O_CREAT | O_RDWR);
	T_EQ(pwrite(fd, "begin", 5, 0), 5);
	T_EQ(ftruncate(fd, end), 0);
	T_EQ(lseek(fd, 0, SEEK_END), end);
	T_EQ(pread(fd, buf, 10, end - 3), 3);
	T_EQ(pwrite(fd, "middle", 6, 1L << 50), 6);
	p = fs_map_at(fd, 1L << 50, PAGE);
	T_ASSERT(!strcmp(p, "middle"));
	T_EQ(ftruncate(fd, (1L << 50) + 10), 0);
	T_ASSERT(!strcmp(t_host("text %s %ld", name, 1L << 50), "middle"));
	T_EQ(ftruncate(fd, 10), 0);
	T_EQ(t_read_faults(p), 1);
	T_EQ(pread(fd, buf, 10, 0), 10);
	T_ASSERT(!strcmp(buf, "begin"));
}

/* The creator of a file can write to it, also with mode 444. */
T_TEST(read_only_for_all_others)
{
	const char *name = fs_none("a");

	fs_mount(CREATE);
	if (shm_open(name, O_CREAT | O_RDWR, 0444) < 0)
		t_skip("not yet: the device opens it a second time (%s)",
		       strerror(errno));
}

/* The device has no descriptor and no mapping of a file that is not open. */
T_TEST(nothing_is_kept_for_what_is_not_open)
{
	enum { FILES = 20 };
	const char *path[FILES];
	long before;
	char tail[16];
	int i, fd;

	fs_mount(CREATE);
	before = atol(t_host("descriptors"));
	for (i = 0; i < FILES; i++) {
		snprintf(tail, sizeof(tail), "node-%d", i);
		path[i] = in_shm(fs_none(tail));
	}
	for (i = 0; i < FILES; i++)
		T_EQ(mknod(path[i], S_IFREG | 0600, 0), 0);
	T_EQ(atol(t_host("descriptors")), before);
	/* Calls that look the file up but do not open it */
	for (i = 0; i < FILES; i++) {
		T_EQ(truncate(path[i], PAGE), 0);
		T_ERRNO(open(path[i], O_RDWR | O_DIRECT), EINVAL);
		T_ERRNO(open(path[i], O_RDWR | O_DIRECTORY), ENOTDIR);
	}
	T_EQ(atol(t_host("descriptors")), before);
	for (i = 0; i < FILES; i++)
		T_EQ(unlink(path[i]), 0);
	/* The file is created, and then the open fails. */
	for (i = 0; i < FILES; i++)
		T_ERRNO(open(path[i], O_CREAT | O_RDWR | O_DIRECT, 0600),
			EINVAL);
	T_EQ(atol(t_host("descriptors")), before);
	/* A rename replaces the name of an open file. */
	for (i = 1; i < FILES; i++) {
		fd = open(path[i], O_RDWR);
		T_ASSERT(fd >= 0);
		T_EQ(rename(path[i - 1], path[i]), 0);
		close(fd);
	}
	T_EQ(unlink(path[FILES - 1]), 0);
	T_EQ(atol(t_host("descriptors")), before);
}

T_TEST(fallocate)
{
	const char *name = fs_none("a");
	int fd;

	fs_mount(CREATE);
	fd = fs_open(name, O_CREAT | O_RDWR);
	T_EQ(posix_fallocate(fd, 0, 4 * MIB + 1), 0);
	T_EQ(fs_number("size", name), 4 * MIB + 1);
	T_ASSERT(fs_number("blocks", name) * 512 > 4 * MIB);
	T_EQ(fallocate(fd, 0, MIB, MIB), 0);
	T_EQ(fs_number("size", name), 4 * MIB + 1);
	/* More than the 64 MiB of one command */
	T_EQ(fallocate(fd, 0, 10 * MIB, 70 * MIB), 0);
	T_EQ(fs_number("size", name), 80 * MIB);
	T_ASSERT(fs_number("blocks", name) * 512 >= 74 * MIB);
	T_ERRNO(fallocate(fd, 0, -1, 10), EINVAL);
	T_ERRNO(fallocate(fd, 0, 0, 0), EINVAL);
	T_ERRNO(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 100 * MIB), EOPNOTSUPP);
	T_EQ(ftruncate(fd, 0), 0);
}

T_TEST(unlink_keeps_what_is_in_use)
{
	const char *name = fs_none("a");
	struct stat st, st2;
	char *p, *q;
	int fd, fd2;

	fs_mount(CREATE);
	fd = fs_open(name, O_CREAT | O_RDWR);
	T_EQ(ftruncate(fd, MIB), 0);
	p = fs_map_at(fd, 0, MIB);
	p[5] = 5;
	T_EQ(shm_unlink(name), 0);
	T_ERRNO(shm_unlink(name), ENOENT);
	T_ASSERT(!t_host_try("size %s", name));
	T_EQ(p[5], 5);
	T_EQ(fstat(fd, &st), 0);
	T_EQ(st.st_nlink, 0);
	T_EQ(ftruncate(fd, 2 * MIB), 0);
	T_EQ(pwrite(fd, "end", 3, 2 * MIB - 3), 3);
	T_EQ(fstat(fd, &st), 0);
	T_EQ(st.st_size, 2 * MIB);
	/* Another object with the same name */
	fd2 = fs_open(name, O_CREAT | O_EXCL | O_RDWR);
	T_EQ(fstat(fd2, &st2), 0);
	T_ASSERT(st.st_ino != st2.st_ino);
	T_EQ(ftruncate(fd2, PAGE), 0);
	q = fs_map_at(fd2, 0, PAGE);
	T_EQ(q[5], 0);
	q[6] = 6;
	T_EQ(p[6], 0);
	T_EQ(fstat(fd, &st), 0);
	T_EQ(st.st_size, 2 * MIB);
	munmap(p, MIB);
	close(fd);
	T_EQ(q[6], 6);
	T_EQ(fs_mapped(name), 1);
}

/* The order of calls of programs that use shm_open() for an unnamed object */
T_TEST(unlinked_before_sized)
{
	const char *name = fs_none("a");
	char *p;
	int fd;

	fs_mount(CREATE);
	fd = fs_open(name, O_RDWR | O_CREAT | O_EXCL);
	T_EQ(shm_unlink(name), 0);
	T_EQ(ftruncate(fd, MIB), 0);
	p = fs_map_at(fd, 0, MIB);
	memset(p, 7, MIB);
	T_EQ(ftruncate(fd, 5000), 0);
	T_EQ(p[4999], 7);
	T_EQ(ftruncate(fd, MIB), 0);
	T_EQ(p[4999], 7);
	T_EQ(p[5000], 0);
	p[100000] = 1;
	T_EQ(pread(fd, p, 1, 100000), 1);
	T_EQ(p[0], 1);
}

T_TEST(rename_and_replace)
{
	const char *one = fs_none("one"), *two = fs_none("two");
	char *p, *q;
	int fd, fd2;

	fs_mount(CREATE);
	fd = fs_open(one, O_CREAT | O_RDWR);
	T_EQ(write(fd, "one", 4), 4);
	p = fs_map_at(fd, 0, PAGE);
	fd2 = fs_open(two, O_CREAT | O_RDWR);
	T_EQ(write(fd2, "two", 4), 4);
	q = fs_map_at(fd2, 0, PAGE);
	T_ERRNO(syscall(SYS_renameat2, AT_FDCWD, in_shm(one), AT_FDCWD,
			in_shm(two), 1 /* RENAME_NOREPLACE */),
		EEXIST);
	T_ERRNO(syscall(SYS_renameat2, AT_FDCWD, in_shm(one), AT_FDCWD,
			in_shm(two), 2 /* RENAME_EXCHANGE */),
		EINVAL);
	T_EQ(rename(in_shm(one), in_shm(two)), 0);
	T_ASSERT(!strcmp(t_host("text %s", two), "one"));
	T_ASSERT(!t_host_try("size %s", one));
	T_ERRNO(shm_open(one, O_RDWR, 0), ENOENT);
	/* Open files and mappings still refer to the same objects. */
	T_ASSERT(!strcmp(p, "one"));
	T_ASSERT(!strcmp(q, "two"));
	p[0] = 'O';
	T_ASSERT(!strcmp(t_host("text %s", two), "One"));
	T_EQ(ftruncate(fd, 2 * PAGE), 0);
	T_EQ(ftruncate(fd2, 3 * PAGE), 0);
	T_EQ(fs_number("size", two), 2 * PAGE);
	T_EQ(rename(in_shm(two), in_shm(one)), 0);
	T_ASSERT(!strcmp(fs_map(one, PAGE), "One"));
	/* A rename to another file system is refused. */
	T_ERRNO(rename(in_shm(one), "/tmp/x"), EXDEV);
	T_ERRNO(rename(in_shm(two), in_shm(one)), ENOENT);
}

T_TEST(links)
{
	const char *one = fs_none("one"), *two = fs_none("two");
	struct stat st, st2;
	int fd, i;
	char *p;

	fs_mount(CREATE);
	fd = fs_open(one, O_CREAT | O_RDWR);
	T_EQ(write(fd, "one", 4), 4);
	T_EQ(link(in_shm(one), in_shm(two)), 0);
	T_ERRNO(link(in_shm(one), in_shm(two)), EEXIST);
	T_EQ(stat(in_shm(one), &st), 0);
	T_EQ(stat(in_shm(two), &st2), 0);
	T_EQ(st.st_ino, st2.st_ino);
	p = fs_map(two, PAGE);
	p[0] = 'O';
	T_ASSERT(!strcmp(t_host("text %s", one), "One"));
	for (i = 0; i < 3; i++) {
		T_EQ(shm_unlink(one), 0);
		T_ERRNO(stat(in_shm(one), &st), ENOENT);
		T_ASSERT(!strcmp(fs_map(two, PAGE), "One"));
		T_EQ(ftruncate(fd, (i + 1) * PAGE), 0);
		T_EQ(fs_number("size", two), (i + 1) * PAGE);
		T_EQ(link(in_shm(two), in_shm(one)), 0);
	}
	T_ERRNO(link(in_shm(two), "/tmp/x"), EXDEV);
}

/* glibc makes a named semaphore in a temporary file and then links it. */
T_TEST(named_semaphores)
{
	const char *name = t_name("s");
	sem_t *sem, *again;
	pid_t pid;

	fs_mount(CREATE);
	T_ERRNO(sem_open(name, 0) == SEM_FAILED ? -1 : 0, ENOENT);
	sem = sem_open(name, O_CREAT | O_EXCL, 0600, 0);
	T_ASSERT(sem != SEM_FAILED);
	T_ERRNO(sem_open(name, O_CREAT | O_EXCL, 0600, 0) == SEM_FAILED ? -1 :
									  0,
		EEXIST);
	pid = t_fork();
	if (pid == 0) {
		again = sem_open(name, O_CREAT, 0600, 7);
		T_ASSERT(again != SEM_FAILED);
		T_EQ(sem_post(again), 0);
		_exit(0);
	}
	T_EQ(sem_wait(sem), 0);
	t_wait(pid);
	T_EQ(sem_trywait(sem), -1);
	T_EQ(sem_unlink(name), 0);
	T_ERRNO(sem_unlink(name), ENOENT);
	T_EQ(sem_post(sem), 0);
	T_EQ(sem_close(sem), 0);
}

/* The guest's "/x" is the host's "/<prefix>x". */
T_TEST(prefix)
{
	const char *host = fs_none("in-x");
	int fd;

	fs_mount(PREFIX);
	fd = fs_open("/x", O_CREAT | O_EXCL | O_RDWR);
	T_EQ(write(fd, "inside", 7), 7);
	T_ASSERT(!strcmp(t_host("text %s", host), "inside"));
	T_EQ(rename("/dev/shm/x", "/dev/shm/y"), 0);
	T_ASSERT(!strcmp(t_host("text %s", t_name("in-y")), "inside"));
	T_EQ(link("/dev/shm/y", "/dev/shm/x"), 0);
	T_EQ(shm_unlink("/y"), 0);
	T_ASSERT(!t_host_try("size %s", t_name("in-y")));
	T_EQ(shm_unlink("/x"), 0);
	T_ASSERT(!t_host_try("size %s", host));
}

/*
 * Changes are visible at once in another mount of the device and on another
 * device.
 */
T_TEST(other_mounts)
{
	const char *name = fs_none("a");
	struct stat st;
	int fd;

	fs_mount(CREATE);
	fs_mount_at(CREATE, "/mnt", NULL);
	fs_mount_at(PLAIN, "/other", NULL);
	T_ERRNO(stat(fs_path("/mnt", name), &st), ENOENT);
	T_ERRNO(stat(fs_path("/other", name), &st), ENOENT);
	fd = fs_open(name, O_CREAT | O_RDWR);
	T_EQ(ftruncate(fd, 1234), 0);
	T_EQ(stat(fs_path("/mnt", name), &st), 0);
	T_EQ(st.st_size, 1234);
	T_EQ(stat(fs_path("/other", name), &st), 0);
	T_EQ(st.st_size, 1234);
	T_EQ(unlink(fs_path("/mnt", name)), 0);
	T_ERRNO(stat(in_shm(name), &st), ENOENT);
	T_ERRNO(stat(fs_path("/other", name), &st), ENOENT);
}
