/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The number of accesses to registers of the device in an operation. Under KVM
 * each access is an exit to user space. The numbers are exact: they are from
 * QEMU's own trace.
 *
 * qemu: files
 */
#define _GNU_SOURCE
#include <dirent.h>

#include "t.h"

#include <sys/ioctl.h>
#include <vmshm/ioctl.h>

#include "fs.h"
#include "accesses.h"

#define LOOK_US "/sys/module/vmshm/parameters/look_us"

/*
 * The host's name of the object that the guest calls "/TAIL"; valid until exit
 */
static const char *host_name(const char *tail)
{
	return strdup(t_name(fs_path("in-", tail)));
}

/* An object that the host has made, and a file of it */
static int fd;

static void with_object(void)
{
	const char *name = host_name("a");

	t_host("unlink %s", name);
	t_host("create %s 4096", name);
	fs_mount(PREFIX);
}

static void with_file(void)
{
	with_object();
	fd = fs_open("/a", O_RDWR);
}

static void op_stat(int round)
{
	struct stat st;

	T_EQ(stat("/dev/shm/a", &st), 0);
}

static void op_stat_nothing(int round)
{
	struct stat st;

	T_ERRNO(stat("/dev/shm/nothing", &st), ENOENT);
}

static void op_fstat(int round)
{
	struct stat st;

	T_EQ(fstat(fd, &st), 0);
	T_EQ(st.st_size, 4096);
}

static void op_pread(int round)
{
	char c;

	T_EQ(pread(fd, &c, 1, 0), 1);
}

static void op_pwrite(int round)
{
	T_EQ(pwrite(fd, "x", 1, 0), 1);
}

static void op_seek_end(int round)
{
	T_EQ(lseek(fd, 0, SEEK_END), 4096);
}

static void op_open_close(int round)
{
	close(fs_open("/a", O_RDWR));
}

/* A new mount has no cached names. */
static void op_open_uncached(int round)
{
	int file;

	fs_mount_at(PREFIX, "/mnt", NULL);
	file = open("/mnt/a", round % 2 ? O_RDWR : O_RDONLY);
	T_ASSERT(file >= 0);
	T_EQ(close(file), 0);
	T_EQ(umount("/mnt"), 0);
}

static void op_open_nothing(int round)
{
	T_ERRNO(open("/dev/shm/nothing", O_RDWR), ENOENT);
}

T_TEST(of_a_name)
{
	with_object();
	at_most("stat", op_stat, 1);
	at_most("ENOENT", op_stat_nothing, 1);
	at_most("open and close", op_open_close, 2);
	at_most("open and close, uncached", op_open_uncached, 2);
	at_most("open, ENOENT", op_open_nothing, 1);
	/* An empty object, and one that is longer than an attachment */
	t_host("truncate %s 0", host_name("a"));
	at_most("open and close, empty", op_open_uncached, 2);
	t_host("truncate %s 5000000", host_name("a"));
	at_most("open and close, 5 MB", op_open_uncached, 2);
	shm_unlink("/a");
}

T_TEST(of_a_file)
{
	with_file();
	at_most("fstat", op_fstat, 1);
	at_most("pread", op_pread, 1);
	at_most("pwrite", op_pwrite, 1);
	at_most("SEEK_END", op_seek_end, 1);
	shm_unlink("/a");
}

/* A device without create=on is not asked to allocate memory of the host. */
T_TEST(of_a_write_beside_a_hole)
{
	const char *name = fs_new("hole", 4 * PAGE);

	fs_mount(PLAIN);
	fd = fs_open(name, O_RDWR);
	at_most("pwrite beside a hole", op_pwrite, 1);
	T_EQ(fs_number("blocks", name), PAGE / 512);
	t_host("unlink %s", name);
}

static int made[3 * ACCESSES_ROUNDS];
static int create_flags;

static void name_of(int round, char name[16])
{
	sprintf(name, "/n%d", round);
}

static void op_create(int round)
{
	char name[16];

	name_of(round, name);
	made[round] = shm_open(name, O_RDWR | O_CREAT | create_flags, 0600);
	T_ASSERT(made[round] >= 0);
}

static void op_unlink(int round)
{
	char name[16];

	name_of(round, name);
	T_EQ(shm_unlink(name), 0);
}

static void repeat(void (*operation)(int round), int rounds)
{
	int i;

	for (i = 0; i < rounds; i++)
		operation(i);
}

static void op_close(int round)
{
	close(made[round]);
}

static long count_create(int rounds)
{
	long count = accesses(op_create, rounds);

	repeat(op_close, rounds);
	repeat(op_unlink, rounds);
	return count;
}

static long count_unlink(int rounds)
{
	repeat(op_create, rounds);
	repeat(op_close, rounds);
	return accesses(op_unlink, rounds);
}

T_TEST(of_create_and_unlink)
{
	fs_mount(PREFIX);
	create_flags = O_EXCL;
	counts_at_most("create", count_create, 1);
	create_flags = 0;
	counts_at_most("create without O_EXCL", count_create, 1);
	counts_at_most("unlink", count_unlink, 1);
}

static volatile unsigned int *word;
static long turn;
static int combined;

/* The host takes the next turn, and then the guest. */
static void op_round_trip(int round)
{
	struct vmshm_ioc_wake_wait both = {
		.offset = 16,
		.deadline = -1,
		.count = 1,
		.wake = 20,
	};
	struct vmshm_ioc_wake wake = { .offset = 20, .count = 1 };
	struct vmshm_ioc_wait wait = { .offset = 16, .deadline = -1 };

	word[4] = 0;
	word[3]++;
	word[5] = 1;
	if (combined)
		ioctl(fd, VMSHM_IOC_WAKE_WAIT, &both);
	else
		T_EQ(ioctl(fd, VMSHM_IOC_WAKE, &wake), 0);
	while (!word[4])
		ioctl(fd, VMSHM_IOC_WAIT, &wait);
	turn++;
}

/*
 * Both sides sleep until it is their turn. The host delays its own turn a
 * little: see tokens.c.
 */
T_TEST(of_a_round_trip)
{
	const char *name = host_name("a");

	with_object();
	fd = fs_open("/a", O_RDWR);
	word = (void *)fs_map_at(fd, 0, 4096);
	/* A wait that ends by busy-polling would cost no access. */
	T_EQ(t_system("echo 0 >" LOOK_US), 0);
	t_host("spawn tokens %s late 1 2 %d", name, 8 * ACCESSES_ROUNDS);
	at_most("round trip", op_round_trip, 2);
	combined = 1;
	at_most("round trip, combined", op_round_trip, 1);
	T_EQ(turn, 8 * ACCESSES_ROUNDS);
	t_host("reap");
	T_EQ(t_system("echo 50 >" LOOK_US), 0);
	shm_unlink("/a");
}

static int listed;

static void list(int attributes)
{
	DIR *dir = opendir("/dev/shm");
	struct dirent *entry;
	struct stat st;

	T_ASSERT(dir);
	listed = 0;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		listed++;
		if (attributes)
			T_EQ(fstatat(dirfd(dir), entry->d_name, &st,
				     AT_SYMLINK_NOFOLLOW), 0);
	}
	closedir(dir);
}

static void op_list(int round)
{
	list(0);
}

static void op_list_attributes(int round)
{
	list(1);
}

static void with_objects(int count)
{
	t_host("many %s %d 4096", host_name("m"), count);
	fs_mount(PREFIX);
}

static void without_objects(int count)
{
	int i;

	for (i = 0; i < count; i++) {
		char name[16];

		sprintf(name, "/m%d", i);
		shm_unlink(name);
	}
}

T_TEST(of_a_list)
{
	with_objects(53);
	at_most("53 names", op_list, 2);
	T_EQ(listed, 53);
	at_most("53 names with attributes", op_list_attributes, 3);
	T_EQ(listed, 53);
	without_objects(53);
}

/*
 * The attributes that a listing has read count for three seconds. A kernel that
 * is slower gets fewer names.
 */
T_TEST(of_a_long_list)
{
	int names = 10000 / (t_slower() * t_slower());
	long count;

	with_objects(names);
	count = accesses(op_list_attributes, 1);
	T_EQ(listed, names);
	fprintf(stderr, "accesses: %d names with attributes %ld\n", names,
		count);
	if (count > names / 20)
		t_fail("%d names with attributes cost %ld accesses", names,
		       count);
	T_ASSERT(count);
	without_objects(names);
}
