/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The user of the guest that creates an object owns it in that guest, and
 * other users are kept out; named semaphores, whose library functions rely on
 * that, also under a policy.
 *
 * qemu: files
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <grp.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/wait.h>

#include "t.h"

#include "fs.h"

enum { ALICE = 1000, BOB = 1001 };

static void become(uid_t uid)
{
	T_EQ(setgroups(0, NULL), 0);
	T_EQ(setgid(uid), 0);
	T_EQ(setuid(uid), 0);
}

static const char *in_shm(const char *name)
{
	return fs_path("/dev/shm", name);
}

/* The function is called as that user, with the name of an object. */
static void as_user(uid_t uid, void (*function)(const char *name),
		    const char *name)
{
	pid_t pid = t_fork();

	if (pid == 0) {
		become(uid);
		function(name);
		_exit(0);
	}
	t_wait(pid);
}

static void creates(const char *name)
{
	struct stat st;
	int fd;

	umask(0);
	fd = shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600);
	T_ASSERT(fd >= 0);
	T_EQ(ftruncate(fd, PAGE), 0);
	T_EQ(fstat(fd, &st), 0);
	T_EQ(st.st_uid, getuid());
	T_EQ(st.st_gid, getgid());
	T_EQ(st.st_mode & 07777, 0600);
}

static void uses(const char *name)
{
	struct stat st;
	char *p;

	T_EQ(stat(in_shm(name), &st), 0);
	T_EQ(st.st_uid, getuid());
	T_EQ(st.st_gid, getgid());
	p = fs_map(name, PAGE);
	p[0]++;
	munmap(p, PAGE);
	T_EQ(truncate(in_shm(name), PAGE), 0);
	/* O_CREAT of another user's file fails in a sticky directory. */
	T_ASSERT(open(in_shm(name), O_CREAT | O_RDWR, 0600) >= 0);
}

static void renames_and_unlinks(const char *name)
{
	const char *second = fs_path(name, "-second");

	T_EQ(link(in_shm(name), in_shm(second)), 0);
	T_EQ(shm_unlink(name), 0);
	uses(second);
	T_EQ(rename(in_shm(second), in_shm(name)), 0);
	uses(name);
	T_EQ(shm_unlink(name), 0);
	T_ERRNO(shm_open(name, O_RDWR, 0), ENOENT);
}

static void is_kept_out(const char *name)
{
	const char *mine = fs_path(name, "-mine");
	struct stat st;

	T_ERRNO(shm_open(name, O_RDONLY, 0), EACCES);
	T_ERRNO(shm_open(name, O_RDWR, 0), EACCES);
	T_ERRNO(open(in_shm(name), O_CREAT | O_RDWR, 0666), EACCES);
	T_ERRNO(truncate(in_shm(name), 0), EACCES);
	T_ERRNO(chmod(in_shm(name), 0666), EPERM);
	T_ERRNO(chown(in_shm(name), getuid(), getgid()), EPERM);
	T_ERRNO(unlink(in_shm(name)), EPERM);
	T_ERRNO(rename(in_shm(name), in_shm(mine)), EPERM);
	T_ERRNO(link(in_shm(name), in_shm(mine)), EPERM);
	creates(mine);
	T_ERRNO(rename(in_shm(mine), in_shm(name)), EPERM);
	T_EQ(shm_unlink(mine), 0);
	T_EQ(stat(in_shm(name), &st), 0);
	T_EQ(st.st_size, PAGE);
}

static void protect_hard_links(void)
{
	T_EQ(t_system("echo 1 >/proc/sys/fs/protected_hardlinks &&"
		      "echo 2 >/proc/sys/fs/protected_regular"),
	     0);
}

static const char *new_name(const char *tail)
{
	char *name = strdup(t_name(tail));

	t_host("unlink %s", name);
	return name;
}

T_TEST(the_creator_owns_the_object)
{
	const char *name = new_name("owned");

	fs_mount(CREATE);
	protect_hard_links();
	as_user(ALICE, creates, name);
	as_user(ALICE, uses, name);
	as_user(BOB, is_kept_out, name);
	/* The owner is known even if the inode is not in memory any more. */
	T_EQ(t_system("echo 3 >/proc/sys/vm/drop_caches"), 0);
	as_user(BOB, is_kept_out, name);
	as_user(ALICE, uses, name);
	as_user(ALICE, renames_and_unlinks, name);
}

T_TEST(on_all_mounts)
{
	const char *name = new_name("owned");
	struct stat st;

	fs_mount(CREATE);
	fs_mount_at(CREATE, "/tmp/other", NULL);
	fs_mount_at(CREATE, "/tmp/mine", "uid=7,gid=8");
	as_user(ALICE, creates, name);
	T_EQ(stat(fs_path("/tmp/other", name), &st), 0);
	T_EQ(st.st_uid, ALICE);
	T_EQ(stat(fs_path("/tmp/mine", name), &st), 0);
	T_EQ(st.st_uid, 7);
	T_EQ(st.st_gid, 8);
	T_EQ(shm_unlink(name), 0);
}

static void cannot_open(const char *name)
{
	struct stat st;

	T_EQ(stat(in_shm(name), &st), 0);
	T_ASSERT(st.st_uid != getuid());
	T_ERRNO(shm_open(name, O_RDONLY, 0), EACCES);
	T_ERRNO(unlink(in_shm(name)), EPERM);
}

/*
 * An object that the host creates under the same name, and with the same inode
 * number, belongs to the host.
 */
T_TEST(a_new_object_of_the_host_is_not_the_former_owners)
{
	const char *name = new_name("owned");
	int i;

	fs_mount(CREATE);
	for (i = 0; i < 20; i++) {
		as_user(ALICE, creates, name);
		t_host("unlink %s", name);
		t_host("create %s %ld", name, PAGE);
		as_user(ALICE, cannot_open, name);
		t_host("unlink %s", name);
	}
}

static void creates_again_and_again(const char *path)
{
	umask(0);
	become(ALICE);
	for (;;) {
		int fd = open(path, O_CREAT | O_EXCL | O_RDWR, 0660);

		if (fd >= 0)
			close(fd);
		unlink(path);
	}
}

/*
 * On the host the group of the object is that of QEMU. A member of that group
 * may find the object on another mount before the driver has recorded the
 * owner.
 */
T_TEST(nobody_is_faster_than_the_owner_is_known)
{
	const char *name = new_name("race");
	pid_t creator, user;
	struct stat st;
	int i;

	fs_mount(CREATE);
	fs_mount_at(CREATE, "/tmp/other", NULL);
	creator = t_fork();
	if (creator == 0)
		creates_again_and_again(fs_path("/tmp/other", name));
	user = t_fork();
	if (user == 0) {
		T_EQ(setgroups(0, NULL), 0);
		T_EQ(setgid(0), 0);
		T_EQ(setuid(BOB), 0);
		for (i = 0; i < 3000; i++) {
			T_EQ(open(in_shm(name), O_RDWR), -1);
			T_ASSERT(errno == EACCES || errno == ENOENT ||
				 errno == ESTALE);
			if (!stat(in_shm(name), &st))
				T_EQ(st.st_uid, ALICE);
		}
		_exit(0);
	}
	t_wait(user);
	kill(creator, SIGKILL);
	waitpid(creator, NULL, 0);
	t_host("unlink %s", name);
}

/* Creates more objects than the driver keeps records of. */
static void creates_many(const char *name)
{
	int i;

	for (i = 0; i < 17000; i++) {
		T_EQ(mknod(in_shm(name), S_IFREG | 0600, 0), 0);
		T_EQ(unlink(in_shm(name)), 0);
	}
}

T_TEST(many_objects_displace_no_owner)
{
	const char *name = new_name("owned");
	const char *second = new_name("second");

	if (!getenv("T_ROUNDS"))
		t_skip("15 s; make check-lifecycle runs it");
	fs_mount(CREATE);
	as_user(ALICE, creates, name);
	as_user(BOB, creates, second);
	as_user(BOB, creates_many, new_name("many"));
	as_user(ALICE, uses, name);
	as_user(BOB, uses, second);
	T_EQ(shm_unlink(name), 0);
	T_EQ(shm_unlink(second), 0);
}

/* Named semaphores: the name is without the "sem." of the C library. */

static void opens_semaphore(const char *name)
{
	sem_t *sem;
	int value;

	umask(0);
	sem = sem_open(name, O_CREAT | O_EXCL, 0600, 3);
	if (sem == SEM_FAILED)
		t_fail("sem_open(%s): %s", name, strerror(errno));
	T_EQ(sem_close(sem), 0);
	sem = sem_open(name, O_CREAT, 0600, 7);
	T_ASSERT(sem != SEM_FAILED);
	T_EQ(sem_getvalue(sem, &value), 0);
	T_EQ(value, 3);
	T_EQ(sem_post(sem), 0);
}

static void cannot_open_semaphore(const char *name)
{
	T_ASSERT(sem_open(name, 0) == SEM_FAILED);
	T_EQ(errno, EACCES);
	T_ASSERT(sem_open(name, O_CREAT, 0600, 1) == SEM_FAILED);
	T_EQ(errno, EACCES);
	T_ERRNO(sem_unlink(name), EACCES);
}

static void unlinks_semaphore(const char *name)
{
	T_EQ(sem_unlink(name), 0);
	T_ASSERT(sem_open(name, 0) == SEM_FAILED);
	T_EQ(errno, ENOENT);
}

/* How many files there are that begin with "sem." */
static int semaphores(void)
{
	struct dirent *entry;
	DIR *dir = opendir("/dev/shm");
	int count = 0;

	T_ASSERT(dir);
	while ((entry = readdir(dir)))
		count += !strncmp(entry->d_name, "sem.", 4);
	closedir(dir);
	return count;
}

T_TEST(named_semaphores)
{
	const char *name = new_name("door");
	int before;

	fs_mount(CREATE);
	before = semaphores();
	as_user(ALICE, opens_semaphore, name);
	T_EQ(semaphores(), before + 1);
	as_user(BOB, cannot_open_semaphore, name);
	as_user(ALICE, unlinks_semaphore, name);
	T_EQ(semaphores(), before);
}

/* The host opens the guest's /x as /PREFIXx; see fs.h and program.py. */
T_TEST(named_semaphores_with_a_prefix)
{
	const char *name = "/door", *on_host = t_name("in-door");

	fs_mount(PREFIX);
	as_user(ALICE, opens_semaphore, name);
	T_EQ(semaphores(), 1);
	T_EQ(atoi(t_host("semaphore_post %s", on_host)), 4);
	as_user(ALICE, unlinks_semaphore, name);
	T_EQ(semaphores(), 0);
	T_ASSERT(!t_host_try("semaphore_post %s", on_host));
}

static void is_killed_before_link(void)
{
	pid_t pid = t_fork();
	int fd;

	if (pid == 0) {
		fd = open("/dev/shm/sem.Ab3xYz", O_CREAT | O_EXCL | O_RDWR,
			  0600);
		T_ASSERT(fd >= 0);
		T_EQ(write(fd, "x", 1), 1);
		kill(getpid(), SIGKILL);
	}
	T_EQ(waitpid(pid, NULL, 0), pid);
}

/* A process that ends before it has linked the file leaves no file. */
T_TEST(a_killed_sem_open_leaves_nothing)
{
	int i;

	fs_mount(PREFIX);
	for (i = 0; i < 2; i++) {
		is_killed_before_link();
		T_EQ(semaphores(), 0);
		T_EQ(unlink("/dev/shm/sem.Ab3xYz"), 0);
	}
}
