/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest starts again, in each way, while files are open, memory is mapped
 * and touched, and processes wait and hold words. Descriptors, mappings and
 * memory are counted on both sides: after the first round there are no more of
 * them.
 *
 * qemu: restart
 * needs: rounds
 */
#define _GNU_SOURCE
#include <linux/reboot.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>

#include "t.h"

#include "dev.h"
#include "rounds.h"
#include "words.h"

/* KiB that QEMU's heap may be larger, or the guest's free memory less */
#define HEAP_GROWTH (32 << 10)
#define GUEST_GROWTH (16 << 10)

static void touches(const char *name)
{
	char *p = mmap(NULL, WORDS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		       words_open(name, O_RDWR), 0);
	long at;

	T_ASSERT(p != MAP_FAILED);
	for (at = 64;; at = at + 64 < 4096 ? at + 64 : 64)
		p[at]++;
}

static void reads_and_writes(const char *name)
{
	int file = words_open(name, O_RDWR);
	char data[4096];

	memset(data, 'x', sizeof(data));
	while (pwrite(file, data, sizeof(data), 4096) > 0 &&
	       pread(file, data, sizeof(data), 4096) > 0)
		;
	pause();
}

static void waits(const char *name)
{
	fd = words_open(name, O_RDWR);
	while (!wait_word(0, 0, -1))
		;
	pause();
}

static void holds(const char *name)
{
	T_EQ(do_word(words_open(name, O_RDWR), VMSHM_IOC_HOLD, 1, 0), 0);
	pause();
}

/* Begins all kinds of use; they are under way on return. */
static void use(const char *name)
{
	void (*const uses[])(const char *name) = { touches, reads_and_writes,
						   waits, holds };
	size_t i;

	t_host("unlink %s", name);
	t_host("create %s %d", name, WORDS_SIZE);
	T_EQ(mount("vmshm0", "/dev/shm", "vmshm", 0, NULL), 0);
	for (i = 0; i < sizeof(uses) / sizeof(*uses); i++)
		if (!t_fork())
			uses[i](name);
	t_host("waiting %s 0 1", name);
	while (!strcmp(t_host("read %s 4 4", name), "00000000") ||
	       !strcmp(t_host("read %s 64 1", name), "00") ||
	       !strcmp(t_host("read %s 4096 1", name), "00"))
		;
}

/* Compares the counts with those after the first round. */
static void check_counts(const char *way, int round)
{
	/* Of a guest that has nothing attached */
	struct counts now = counts_take();
	int free = memory_free() / 1024, heap, first;

	if (round == 1) {
		t_host("keep %s-counts %s", way, counts_text(&now));
		t_host("keep %s-heap %d", way, now.heap);
		t_host("keep %s-free %d", way, free);
	}
	if (strcmp(counts_text(&now), t_host("kept %s-counts", way)))
		t_fail("before: %s; now: %s", t_host("kept %s-counts", way),
		       counts_text(&now));
	heap = atoi(t_host("kept %s-heap", way));
	first = atoi(t_host("kept %s-free", way));
	if (round % ROUNDS_BATCH == 1)
		t_note("%s: %d rounds, heap %d to %d KiB, free %d to %d KiB",
		       way, round - 1, heap, now.heap, first, free);
	T_ASSERT(now.heap - heap < HEAP_GROWTH);
	T_ASSERT(first - free < GUEST_GROWTH);
}

/*
 * The rounds of one way to restart. Each begins with this function, in a guest
 * that has just started. Returns after the last one.
 */
static void again_and_again(const char *way, void (*restart)(void))
{
	char *name = strdup(t_name(way));
	int round = atoi(t_host("kept %s", way));

	if (*t_host("kept %s-end", way))
		return;
	if (round)
		check_counts(way, round);
	else
		t_host("keep %s-began %ld", way, (long)time(NULL));
	if (round > rounds_asked() ||
	    (round > 1 && time(NULL) > atol(t_host("kept %s-began", way)) +
					       ROUNDS_LIMIT)) {
		t_note("%s: %d rounds; %s", way, round - 1,
		       t_host("kept %s-counts", way));
		t_host("unlink %s", name);
		t_host("keep %s-end .", way);
		return;
	}
	/* The holder is gone for all others: the word says that it died. */
	if (round)
		T_EQ(strcmp(t_host("read %s 4 4", name), "000000c0"), 0);
	use(name);
	t_host("keep %s %d", way, round + 1);
	restart();
	pause();
}

static void reboots(void)
{
	t_host("restart");
	reboot(RB_AUTOBOOT);
}

T_TEST(reboot)
{
	again_and_again("reboot", reboots);
}

/* A reset of the machine in which the guest's kernel has no part */
static void resets(void)
{
	t_host("restart system_reset");
}

T_TEST(system_reset)
{
	again_and_again("system-reset", resets);
}

/* From a disk, because the kernel reads regular files only */
static int copy(const char *disk, const char *path)
{
	int file;

	T_EQ(t_system("cat %s >%s", disk, path), 0);
	file = open(path, O_RDONLY | O_CLOEXEC);
	T_ASSERT(file >= 0);
	return file;
}

/* kexec: another kernel without a reset of the machine */
static void executes(void)
{
	int kernel = copy("/dev/vda", "/tmp/kernel");
	int initramfs = copy("/dev/vdb", "/tmp/initramfs");
	char line[1024] = "";
	FILE *file = fopen("/proc/cmdline", "re");

	T_ASSERT(file && fgets(line, sizeof(line), file));
	line[strcspn(line, "\n")] = '\0';
	T_EQ(syscall(SYS_kexec_file_load, kernel, initramfs, strlen(line) + 1,
		     line, 0), 0);
	t_host("restart");
	syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
		LINUX_REBOOT_CMD_KEXEC, NULL);
}

T_TEST(kexec)
{
	again_and_again("kexec", executes);
}
