// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ioctl 0 on /dev/vmshmN: attaching an object by its name.
 *
 * qemu: -device vmshm,id=vmshm0
 * qemu 2010: -device vmshm,id=vmshm0,arena=0
 */
#include <pthread.h>

#include "t.h"

#include "dev.h"

T_TEST(both_sides_see_the_same)
{
	const char *name = dev_object("o", MIB, 1);
	int fd;
	char *p = dev_attach(0, name, &fd);

	T_EQ(t_sum(p, MIB), atoll(t_host("sum %s 0 %ld", name, MIB)));
	strcpy(p + 5 * PAGE - 3, "hello");
	T_ASSERT(!strcmp(t_host("read %s %ld 5", name, 5 * PAGE - 3),
			 "68656c6c6f"));
	t_host("write %s %ld 77", name, MIB - 1);
	T_EQ(p[MIB - 1], 0x77);
}

/*
 * One thread attaches while another one maps. A file whose mapping changed in
 * between would leave the object's count of shared mappings below 0.
 */
static void *maps_in_a_loop(void *arg)
{
	struct {
		int fd;
		int end;
	} *job = arg;

	while (!__atomic_load_n(&job->end, __ATOMIC_ACQUIRE)) {
		int fd = __atomic_load_n(&job->fd, __ATOMIC_ACQUIRE);
		char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
			       fd, 0);

		if (p != MAP_FAILED)
			munmap(p, PAGE);
		else
			T_ASSERT(errno == ENXIO || errno == EBADF);
	}
	return NULL;
}

T_TEST(attach_while_another_thread_maps)
{
	const char *name = dev_object("o", PAGE, 4);
	struct {
		int fd;
		int end;
	} job = { .fd = dev_open(0) };
	/* This file keeps the driver's record of the object, and its count. */
	int i, fd, keeper = dev_open(0);
	pthread_t thread;

	T_EQ(ioctl(keeper, 0, name), 0);
	T_EQ(pthread_create(&thread, NULL, maps_in_a_loop, &job), 0);
	for (i = 0; i < 1000; i++) {
		fd = job.fd;
		T_EQ(ioctl(fd, 0, name), 0);
		__atomic_store_n(&job.fd, dev_open(0), __ATOMIC_RELEASE);
		close(fd);
	}
	__atomic_store_n(&job.end, 1, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	close(job.fd);
	munmap(dev_map(keeper, 0, MIB), MIB);
	munmap(dev_attach(0, name, &fd), MIB);
	close(fd);
	close(keeper);
}

T_TEST(first_mib_of_a_larger_object)
{
	const char *name = dev_object("o", 3 * MIB, 2);
	int fd;
	char *p = dev_attach(0, name, &fd);

	T_EQ(t_sum(p, MIB), atoll(t_host("sum %s 0 %ld", name, MIB)));
}

T_TEST(rest_of_the_buffer_is_not_the_host_s)
{
	const char *name = dev_object("o", PAGE + 1, 3);
	int fd;
	char *p = dev_attach(0, name, &fd);
	long i;

	T_EQ(t_sum(p, PAGE + 1), atoll(t_host("sum %s 0 %ld", name, PAGE + 1)));
	for (i = 2 * PAGE; i < MIB; i++)
		T_EQ(p[i], 0);
	memset(p + 2 * PAGE, 0x55, MIB - 2 * PAGE);
	T_EQ(atol(t_host("size %s", name)), PAGE + 1);
}

static void refuses(int fd, const char *name, int err)
{
	errno = 0;
	if (ioctl(fd, 0, name) != -1 || errno != err)
		t_fail("\"%.20s\": errno %d, not %d", name, errno, err);
}

T_TEST(names_that_are_none)
{
	/* clang-format off */
	static const char *const names[] = {
		"", "x", "/", "//", "/a/b", "/a/", "/.", "/..", "../x", "o",
		"\xff", " /x", "/../x", "/./x"
	};
	/* clang-format on */
	int fd = dev_open(0);
	unsigned int i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		refuses(fd, names[i], EINVAL);
}

T_TEST(long_names)
{
	char name[1100] = "/";
	int fd = dev_open(0);

	memset(name + 1, 'x', sizeof(name) - 1);
	name[256] = '\0';
	refuses(fd, name, ENOENT);
	name[256] = 'x';
	name[257] = '\0';
	refuses(fd, name, ENAMETOOLONG);
	name[257] = 'x';
	name[1023] = '\0';
	refuses(fd, name, ENAMETOOLONG);
	/*
	 * From here on the driver refuses the name: it does not fit into a
	 * request.
	 */
	name[1023] = 'x';
	name[1024] = '\0';
	refuses(fd, name, ENAMETOOLONG);
	name[1024] = 'x';
	name[1099] = '\0';
	refuses(fd, name, ENAMETOOLONG);
}

T_TEST(longest_name)
{
	char name[257];

	memset(name, 'n', 256);
	name[256] = '\0';
	memcpy(name, t_name(""), strlen(t_name("")));
	t_host("create %s 4096", name);
	T_EQ(ioctl(dev_open(0), 0, name), 0);
}

T_TEST(what_cannot_be_attached)
{
	const char *dir = t_name("dir"), *fifo = t_name("fifo");
	const char *link = t_name("link"), *empty = t_name("empty");
	const char *name = dev_object("o", PAGE, 5);
	int fd = dev_open(0);

	t_host("mkdir %s", dir);
	t_host("mkfifo %s", fifo);
	t_host("symlink %s %s", link, name);
	t_host("create %s 0", empty);
	refuses(fd, t_name("missing"), ENOENT);
	refuses(fd, dir, EINVAL);
	refuses(fd, fifo, EINVAL);
	refuses(fd, link, ELOOP);
	refuses(fd, empty, ENODATA);
	/* A failure leaves the file as it was. */
	T_EQ(ioctl(fd, 0, name), 0);
}

T_TEST(bad_pointers)
{
	char *two = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const char *name = dev_object("o", PAGE, 6);
	size_t len = strlen(name);
	int fd = dev_open(0);

	T_ASSERT(two != MAP_FAILED);
	T_EQ(munmap(two + PAGE, PAGE), 0);
	T_ERRNO(ioctl(fd, 0, NULL), EFAULT);
	T_ERRNO(ioctl(fd, 0, 1L), EFAULT);
	T_ERRNO(ioctl(fd, 0, two + PAGE), EFAULT);
	T_ERRNO(ioctl(fd, 0, -1L), EFAULT);
	T_ERRNO(ioctl(fd, 0, 0xffff888000000000), EFAULT);
	/* The readable memory ends before the name's NUL. */
	memcpy(two + PAGE - len, name, len);
	T_ERRNO(ioctl(fd, 0, two + PAGE - len), EFAULT);
	/* The name and its NUL just fit. */
	memcpy(two + PAGE - len - 1, name, len + 1);
	T_EQ(ioctl(fd, 0, two + PAGE - len - 1), 0);
}

/* The driver must not hold its lock while it reads the name. */
T_TEST(name_in_the_buffer_itself)
{
	const char *name = dev_object("o", PAGE, 7);
	int fd, fd2 = dev_open(0);
	char *p = dev_attach(0, name, &fd), *q;

	strcpy(p, name);
	q = dev_map(fd, 0, PAGE);
	T_EQ(ioctl(fd2, 0, q), 0);
}

T_TEST(same_name_is_shared)
{
	const char *name = dev_object("o", PAGE, 8);
	int i, fd[3];
	char *p[3];

	for (i = 0; i < 3; i++)
		p[i] = dev_attach(0, name, &fd[i]);
	p[0][7] = 'a';
	T_EQ(p[1][7], 'a');
	T_EQ(p[2][7], 'a');
	T_EQ(dev_mapped(name), 1);
	for (i = 0; i < 3; i++) {
		T_EQ(dev_mapped(name), 1);
		munmap(p[i], MIB);
		close(fd[i]);
	}
	T_EQ(dev_mapped(name), 0);
}

T_TEST(another_name)
{
	const char *one = dev_object("one", PAGE, 9);
	const char *two = dev_object("two", PAGE, 10);
	int fd = dev_open(0), fd2 = dev_open(0);
	int arena = dev_has_arena(0);

	T_EQ(ioctl(fd, 0, one), 0);
	refuses(fd2, t_name("missing"), arena ? ENOENT : EBUSY);
	if (arena) {
		T_EQ(ioctl(fd2, 0, two), 0);
		T_EQ(dev_mapped(one), 1);
	} else {
		refuses(fd2, two, EBUSY);
		T_EQ(dev_mapped(two), 0);
	}
	close(fd);
	T_EQ(ioctl(fd2, 0, two), 0);
	T_EQ(dev_mapped(one), 0);
	T_EQ(dev_mapped(two), 1);
}

/* On a device of 2010 the second name would fail with EBUSY. */
T_TEST(many_names)
{
	enum { N = 200 };
	int fd[N], i;
	char *p[N];

	if (!dev_has_arena(0))
		return;
	t_host("many %s %d %ld", t_name("n"), N, PAGE);
	for (i = 0; i < N; i++) {
		char tail[16];

		snprintf(tail, sizeof(tail), "n%d", i);
		p[i] = dev_attach(0, t_name(tail), &fd[i]);
	}
	for (i = 0; i < N; i++) {
		T_EQ((unsigned char)p[i][0], i);
		T_EQ(p[i][PAGE * 3], 0);
		p[i][PAGE * 3] = i;
	}
	for (i = 0; i < N; i++) {
		T_EQ((unsigned char)p[i][0], i);
		T_EQ((unsigned char)p[i][PAGE * 3], i);
	}
}

T_TEST(a_file_keeps_its_object)
{
	const char *one = dev_object("one", PAGE, 11);
	const char *two = dev_object("two", PAGE, 12);
	int fd = dev_open(0);
	int i;

	for (i = 0; i < 3; i++)
		T_EQ(ioctl(fd, 0, one), 0);
	refuses(fd, two, EBUSY);
	T_EQ(dev_mapped(one), 1);
	close(fd);
	T_EQ(dev_mapped(one), 0);
}

/* As GVirtuS passes it */
T_TEST(name_in_a_large_array)
{
	const char *object = dev_object("o", PAGE, 13);
	char name[1024];

	memset(name, 0xaa, sizeof(name));
	strcpy(name, object);
	T_EQ(ioctl(dev_open(0), 0, name), 0);
}

T_TEST(other_requests)
{
	const char *name = dev_object("o", PAGE, 14);
	int fd = dev_open(0);
	char byte = 0;

	T_ERRNO(ioctl(fd, 1, name), ENOTTY);
	T_ERRNO(ioctl(fd, 0xdeadbeef, name), ENOTTY);
	T_ERRNO(read(fd, &byte, 1), EINVAL);
	T_ERRNO(write(fd, &byte, 1), EINVAL);
	T_EQ(dev_mapped(name), 0);
}

T_TEST(link_of_the_2010_example)
{
	const char *name = dev_object("o", PAGE, 15);
	int fd = open("/dev/vshm0", O_RDWR);

	T_ASSERT(fd >= 0);
	T_EQ(ioctl(fd, 0, name), 0);
}
