// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which mount of the file system vmshm the library and the program vmshm use,
 * with each arrangement of mounts that a guest can have.
 *
 * qemu: files
 * needs: tool
 * host: address
 */
#define _GNU_SOURCE
#include "../../lib/mounts.c"

#include "library.h"

#define M "/tmp/mounts"
#define NODE_BYTES MIB /* what /dev/vmshmN shows */
#define SIZE (3 * MIB) /* of an object that is seen through a mount */

/* Mounts of this test alone, and an object of the host */
static const char *begin(void)
{
	const char *name;
	char tail[32];

	if (!l_in_guest())
		t_skip("a host has no such mounts");
	T_EQ(unshare(CLONE_NEWNS), 0);
	T_EQ(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	mkdir(M, 0755);
	T_EQ(mount("none", M, "tmpfs", 0, NULL), 0);
	snprintf(tail, sizeof(tail), "mounts%d", getpid());
	name = t_name(tail);
	t_host("create %s %ld", name, SIZE);
	return name;
}

static const char *on(const char *source, const char *folder)
{
	mkdir(folder, 0755);
	T_EQ(mount(source, folder, "vmshm", 0, NULL), 0);
	return folder;
}

static uint64_t size_at(const char *where, const char *name)
{
	struct vmshm *shm;
	uint64_t size;

	L_OK(vmshm_open(&shm, where, name, O_RDWR, 0));
	L_OK(vmshm_size(shm, &size));
	vmshm_close(shm);
	return size;
}

/* The tool uses this directory for the object. */
static void tool_uses(const char *folder, const char *option, const char *name)
{
	T_EQ(t_system("vmshm %s info %s | grep -qF '%s%s'", option, name,
		      folder, name), 0);
}

static void tool_says(const char *words, const char *option)
{
	T_EQ(t_system("vmshm %s ls 2>&1 | grep -qF '%s'", option, words), 0);
}

T_TEST(a_source_with_folders)
{
	const char *name = begin();

	on("/dev/vmshm0", M "/a");
	T_EQ(size_at("vmshm0", name), SIZE);
	T_EQ(size_at(NULL, name), SIZE);
	tool_uses(M "/a", "-d vmshm0", name);
	tool_uses(M "/a", "", name);
	/* With another device the mount is not used. */
	T_EQ(size_at("vmshm1", name), NODE_BYTES);
	tool_says("vmshm1 is not mounted", "-d vmshm1");
}

T_TEST(a_mount_of_a_single_file)
{
	const char *name = begin();
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s%s", on("vmshm0", M "/a"), name);
	close(open(M "/file", O_CREAT | O_WRONLY, 0600));
	T_EQ(mount(path, M "/file", NULL, MS_BIND, NULL), 0);
	T_EQ(size_at(NULL, name), SIZE);
	T_EQ(umount2(M "/a", MNT_DETACH), 0);
	T_EQ(size_at(NULL, name), NODE_BYTES);
	T_EQ(size_at("vmshm0", name), NODE_BYTES);
	tool_says("is not mounted", "");
}

T_TEST(a_mount_that_is_hidden)
{
	const char *name = begin();
	struct vmshm *shm;

	on("vmshm0", "/dev/shm");
	T_EQ(size_at(NULL, name), SIZE);
	T_EQ(mount("none", "/dev/shm", "tmpfs", 0, NULL), 0);
	T_EQ(size_at(NULL, name), NODE_BYTES);
	/* No object is created in the file system on top. */
	L_ERR(vmshm_open(&shm, NULL, "/new", O_RDWR | O_CREAT, 0600),
	      EOPNOTSUPP);
	T_ASSERT(!shm);
	T_EQ(access("/dev/shm/new", F_OK), -1);
	tool_says("is not mounted", "");
	on("vmshm0", M "/a");
	T_EQ(size_at(NULL, name), SIZE);
	tool_uses(M "/a", "", name);
}

/* Hidden by a mount of another device, and by one on a directory above */
T_TEST(hidden_in_other_ways)
{
	const char *name = begin();

	on("vmshm0", M "/a");
	on("vmshm1", M "/a");
	T_EQ(size_at("vmshm1", name), SIZE);
	T_EQ(size_at("vmshm0", name), NODE_BYTES);
	T_EQ(size_at(NULL, name), SIZE);
	tool_uses(M "/a", "-d vmshm1", name);
	tool_says("vmshm0 is not mounted", "-d vmshm0");
	T_EQ(mount("none", M, "tmpfs", 0, NULL), 0);
	T_EQ(size_at("vmshm1", name), NODE_BYTES);
	tool_says("vmshm1 is not mounted", "-d vmshm1");
}

T_TEST(two_devices)
{
	const char *name = begin();
	struct vmshm *shm;

	on("vmshm0", M "/a");
	on("vmshm0", M "/b");
	T_EQ(size_at(NULL, name), SIZE);
	on("vmshm1", M "/c");
	L_ERR(vmshm_open(&shm, NULL, name, O_RDWR, 0), ENOTUNIQ);
	L_ERR(vmshm_unlink(NULL, name), ENOTUNIQ);
	tool_says("vmshm0 and vmshm1 are both mounted", "");
	T_EQ(size_at("vmshm0", name), SIZE);
	T_EQ(size_at("vmshm1", name), SIZE);
	tool_uses(M "/c", "-d vmshm1", name);
	/* The mount on /dev/shm is used, wherever it is in the list. */
	on("vmshm1", "/dev/shm");
	T_EQ(size_at(NULL, name), SIZE);
	tool_uses("/dev/shm", "", name);
	tool_uses(M "/a", "-d vmshm0", name);
}

T_TEST(paths_that_are_escaped)
{
	const char *name = begin();

	on("vmshm0", M "/a b\\040\tc\nd");
	T_EQ(size_at(NULL, name), SIZE);
}

/* The parser, which a host can test: lines of other file systems */
T_TEST(other_lines)
{
	static const char *const lines[] = {
		"", "\n", " vmshm ", "1 2 3 4 5 6 7 8", "- - - - - - - - -",
		"36 35 0:23 / /mnt rw - vmshm vmshm0\n",
		"36 35 0:23 / /mnt rw - tmpfs vmshm rw\n",
		"36 35 0:23 / /vmshm rw vmshm - tmpfs none rw,vmshm\n",
		"36 35 0:23 / / rw - tmpfs none rw - vmshm vmshm0 rw\n",
		"36 35 0:23 /file / rw - vmshm vmshm0 rw\n",
		"36 35 999999:23 / / rw - vmshm vmshm0 rw\n",
		"36 35 x:y / / rw - vmshm vmshm0 rw\n",
		"36 35 0:23 / /nowhere rw - vmshm vmshm0 rw\n",
	};
	struct mount mount;
	char text[128];
	struct stat st;
	size_t i;

	for (i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		strcpy(text, lines[i]);
		T_ASSERT(!parse(text, &mount));
	}
	/* A line that matches, if /dev were such a mount */
	T_EQ(stat("/dev", &st), 0);
	snprintf(text, sizeof(text), "1 2 %u:%u / /\\144ev rw,a shared:1 "
		 "master:2 - vmshm /x/vmshm7 rw,uid=5\n", major(st.st_dev),
		 minor(st.st_dev));
	T_ASSERT(parse(text, &mount));
	T_ASSERT(!strcmp(mount.device, "vmshm7"));
	T_ASSERT(!strcmp(mount.path, "/dev"));
	T_ASSERT(!strcmp(mount.options, "rw,a,uid=5"));
}
