/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What resets the device: a sleep of the system, hibernation, and a reset of
 * the function. Nothing that is attached is replaced by private memory without
 * notice. Afterwards it is attached again.
 *
 * driver: futex=1
 * qemu: sleep
 * expect-log: vmshm: futex: this (kernel is built without|needs x86-64)
 * expect-log: vmshm .*an object is attached
 * expect-log: vmshm .*a word was held in a reset
 * expect-log: vmshm .*a pipe or a transfer has a page
 * expect-log: vmshm .*an object was not found
 * expect-log: vmshm .*the device was reset, but not by the kernel
 * expect-log: vmshm .*a word is held
 * expect-log: vmshm .*PM: (failed to|pci_pm|dpm_)
 * expect-log: PM: (Some devices failed|Device .* failed|failed to)
 * expect-log: ACPI Error: *(Could not disable RealTimeClock|$)
 */
/*
 * After one of several hundred sleeps, the second processor does not start in
 * the emulated machine. The kernel says so, and goes on with one.
 *
 * expect-log: smpboot: do_boot_cpu failed
 * expect-log: CPU1 failed to report alive state
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <poll.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "t.h"
#include "dev.h"
#include "meet.h"
#include "rounds.h"
#include "words.h"
#include "futex.h"

/* Set when the users of the object have to end */
static volatile int *stop;

/* The function is alone on its bus, which makes it possible to reset it. */
static void reset_function(void)
{
	T_EQ(t_system("echo 1 >$(ls -d /sys/bus/pci/drivers/vmshm/0*)/reset"),
	     0);
}

/* Data is written and read through a new mount, in both directions. */
static void works_again(void)
{
	const char *name = t_name("again");
	volatile unsigned int *words = words_map(name);

	t_host("write %s 0 01020304", name);
	T_EQ(words[0], 0x04030201);
	words[1] = 0x08070605;
	T_EQ(strcmp(t_host("read %s 4 4", name), "05060708"), 0);
	t_host("unlink %s", name);
}

/* The registers PMBASE and ACPI_CTRL of q35's LPC bridge */
#define LPC "/sys/bus/pci/devices/0000:00:1f.0/config"
#define LPC_PMBASE 0x40
#define LPC_SIZE 5

/*
 * Sleeps as QEMU's q35 does. The wake-up resets the LPC bridge, and its
 * registers for power management then have no address. The kernel would read
 * the bit for the end of a sleep as set, and take the next sleep for ended
 * before it has begun.
 */
static void sleep_on_q35(void)
{
	int lpc = open(LPC, O_RDWR | O_CLOEXEC);
	char registers[LPC_SIZE];

	T_EQ(pread(lpc, registers, LPC_SIZE, LPC_PMBASE), LPC_SIZE);
	T_EQ(t_system("echo mem >/sys/power/state"), 0);
	T_EQ(strcmp(t_host("awake"), "slept"), 0);
	T_EQ(pwrite(lpc, registers, LPC_SIZE, LPC_PMBASE), LPC_SIZE);
	close(lpc);
}

/* The clock wakes the system up, or the host if the alarm came too early. */
static void sleep_in_memory(void)
{
	T_EQ(t_system("echo 0 >/sys/class/rtc/rtc0/wakealarm && "
		      "echo +%d >/sys/class/rtc/rtc0/wakealarm",
		      2 * t_slower()), 0);
	t_host("asleep");
#ifdef __aarch64__
	/* Its virtual machine has no S3. */
	T_EQ(t_system("echo mem >/sys/power/state"), 0);
	t_host("awake");
#else
	sleep_on_q35();
#endif
}

/*
 * Writes the image of the system to the disk, and starts the machine again. The
 * test that runs then goes back to the image, where this function returns.
 */
static void hibernate(void)
{
	T_EQ(t_system("mkswap /dev/vda >/dev/null && swapon /dev/vda"), 0);
	T_EQ(t_system("echo reboot >/sys/power/disk"), 0);
	t_host("keep image yes");
	t_host("restart");
	T_EQ(t_system("echo disk >/sys/power/state"), 0);
	T_EQ(t_system("swapoff /dev/vda"), 0);
}

static void go_back_to_image(void)
{
	if (!*t_host("kept image"))
		return;
	t_host("keep image");
	t_system("cat /sys/block/vda/dev >/sys/power/resume");
	t_fail("there is no image of the system");
}

/* The number of lines in the kernel log that have this text */
static int logged(const char *text)
{
	int lines;
	FILE *file;

	T_EQ(t_system("dmesg | grep -c '%s' >/tmp/lines || true", text), 0);
	file = fopen("/tmp/lines", "r");
	T_ASSERT(file && fscanf(file, "%d", &lines) == 1);
	fclose(file);
	return lines;
}

/* The kernel refuses each kind of sleep, and the driver logs the reason. */
static void stays_awake(const char *why)
{
	const char *const states[] = {
		"mem", "freeze",
#ifdef __x86_64__
		"disk", /* hibernation */
#endif
	};
	unsigned int i;
	int file = open("/sys/power/state", O_WRONLY | O_CLOEXEC);

	T_ASSERT(file >= 0);
	for (i = 0; i < sizeof(states) / sizeof(*states); i++) {
		int before = logged(why);

		T_ERRNO(write(file, states[i], strlen(states[i])), EBUSY);
		T_EQ(logged(why), before + 1);
	}
	close(file);
}

static unsigned char *map_large(const char *name, size_t size)
{
	int file = words_open(name, O_RDWR);
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);

	T_ASSERT(p != MAP_FAILED);
	close(file);
	return p;
}

/* Processes that sleep in futex(2), on a word and on a semaphore */
enum { FUTEX_SLEEPERS = 3, FUTEX_WORD = 128, FUTEX_SEM = 192 };

static const struct timespec late = { .tv_sec = 1000000 };

/* A process that sleeps in futex(2) until the word is not 0 */
static pid_t futex_sleeper(volatile unsigned int *word,
			   const struct timespec *time)
{
	pid_t pid = t_fork();

	if (!pid) {
		while (!*word)
			futex(word, FUTEX_WAIT, 0, time, NULL, 0);
		_exit(0);
	}
	futex_asleep(pid);
	return pid;
}

static pid_t semaphore_sleeper(sem_t *sem)
{
	pid_t pid = t_fork();

	if (!pid) {
		T_EQ(sem_wait(sem), 0);
		_exit(0);
	}
	futex_asleep(pid);
	return pid;
}

static void futex_sleepers(volatile unsigned int *words, pid_t *pid)
{
	sem_t *sem = (sem_t *)(words + FUTEX_SEM);

	T_EQ(sem_init(sem, 1, 0), 0);
	pid[0] = futex_sleeper(words + FUTEX_WORD, NULL);
	pid[1] = futex_sleeper(words + FUTEX_WORD, &late);
	pid[2] = semaphore_sleeper(sem);
}

/* The host reaches those on the word; the semaphore is posted here. */
static void futex_sleepers_end(volatile unsigned int *words, pid_t *pid)
{
	int i;

	T_EQ(sem_post((sem_t *)(words + FUTEX_SEM)), 0);
	t_host("write %s %d 01000000", words_name(), FUTEX_WORD * 4);
	t_host("wake %s %d 2", words_name(), FUTEX_WORD * 4);
	for (i = 0; i < FUTEX_SLEEPERS; i++)
		t_wait(pid[i]);
}

/* A process whose calls of futex(2) end, because the object is gone */
static pid_t futex_loser(volatile unsigned int *words)
{
	pid_t pid = t_fork();

	if (!pid) {
		T_ERRNO(futex(words, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT);
		T_ERRNO(futex(words, FUTEX_WAIT, 0, &late, NULL, 0), EFAULT);
		_exit(0);
	}
	futex_asleep(pid);
	return pid;
}

/* Mappings, files and waits go on as if nothing had happened. */
static void goes_on_after(void (*sleeps)(void))
{
	const size_t size = 160 << 20;
	const char *name = words_name(), *large = strdup(t_name("large"));
	volatile unsigned int *words = words_map(name);
	bool futexes = !t_system(IS_ON);
	pid_t pid, sleeper[FUTEX_SLEEPERS];
	unsigned int value;
	unsigned char *p;
	size_t at;
	int file;

	t_host("create %s %zu", large, size);
	p = map_large(large, size);
	for (at = 0; at < size; at += 8 << 20)
		p[at] = at >> 20;
	words[1] = 7;
	pid = t_fork();
	if (!pid) {
		while (!words[0])
			T_ASSERT(!wait_word(0, 0, -1) || errno == EAGAIN ||
				 errno == EINTR);
		_exit(0);
	}
	words_asleep(pid);
	if (futexes)
		futex_sleepers(words, sleeper);
	sleeps();
	if (futexes)
		futex_sleepers_end(words, sleeper);
	T_EQ(words[1], 7);
	words[2] = 8;
	T_EQ(strcmp(t_host("read %s 4 8", name), "0700000008000000"), 0);
	t_host("write %s 12 09000000", name);
	T_EQ(words[3], 9);
	T_EQ(pread(fd, &value, sizeof(value), 12), sizeof(value));
	T_EQ(value, 9);
	T_EQ(pwrite(fd, &value, sizeof(value), 4096), sizeof(value));
	T_EQ(words[1024], 9);
	file = words_open(name, O_RDWR);
	T_EQ(pread(file, &value, sizeof(value), 8), sizeof(value));
	T_EQ(value, 8);
	close(file);
	for (at = 0; at < size; at += 8 << 20) {
		T_EQ(p[at], at >> 20);
		p[at]++;
	}
	T_EQ(t_sum(p, size), atoll(t_host("sum %s 0 %zu", large, size)));
	t_host("write %s 0 01000000", name);
	t_host("wake %s 0 1", name);
	t_wait(pid);
	T_EQ(munmap(p, size), 0);
	T_EQ(atoi(t_host("mapped %s", large)), 0);
	t_host("unlink %s", large);
	works_again();
}

/*
 * One object is removed before the image is restored: calls of futex(2) on it
 * end.
 */
static void hibernate_without_an_object(void)
{
	const char *name = strdup(t_name("gone"));
	bool futexes = !t_system(IS_ON);
	unsigned char *p;
	pid_t pid = 0;

	t_host("create %s 4096", name);
	p = map_large(name, 4096);
	p[4] = 1;
	if (futexes)
		pid = futex_loser((volatile unsigned int *)p);
	t_host("unlink %s", name);
	hibernate();
	if (futexes)
		t_wait(pid);
	T_ASSERT(t_read_faults((volatile unsigned int *)p));
	T_EQ(munmap(p, 4096), 0);
}

/*
 * This test is the first one: tests before it would run again before the image
 * is restored.
 */
T_TEST(hibernation_with_objects)
{
#ifdef __aarch64__
	t_skip("the kernel dies when it restores an image, without vmshm, too");
#endif
	go_back_to_image();
	goes_on_after(hibernate_without_an_object);
}

/* The users of an object's words while the system sleeps again and again */
enum {
	WORD_WAIT,	/* the host changes it */
	WORD_WAITED,	/* the last value that the waiter has seen */
	WORD_TOUCHED,	/* counts stores through the mapping */
	WORD_WRITTEN,	/* counts calls of write(2) */
};

static void waits_for_changes(volatile unsigned int *words)
{
	unsigned int seen = 0;

	for (;;) {
		while (words[WORD_WAIT] == seen)
			T_ASSERT(!wait_word(WORD_WAIT, seen, -1) ||
				 errno == EAGAIN || errno == EINTR);
		seen = words[WORD_WAIT];
		words[WORD_WAITED] = seen;
	}
}

static void touches(volatile unsigned int *words)
{
	for (;;)
		words[WORD_TOUCHED]++;
}

static void reads_and_writes(volatile unsigned int *words)
{
	unsigned int n = words[WORD_WRITTEN], value;

	for (;; n++) {
		T_EQ(pwrite(fd, &n, 4, WORD_WRITTEN * 4), 4);
		T_EQ(pread(fd, &value, 4, WORD_WRITTEN * 4), 4);
		T_EQ(value, n);
	}
}

/* The last one makes calls all the time, each with its own descriptors. */
static void (*const uses[])(volatile unsigned int *words) = {
	waits_for_changes,
	touches,
	reads_and_writes,
};

/* KiB that QEMU's heap may be larger after all rounds */
#define HEAP_GROWTH (64 << 10)

enum { USES = sizeof(uses) / sizeof(*uses) };

static pid_t user[USES];

static volatile unsigned int *used;
static void (*sleeps)(void);
/* The sleeps up to now */
static unsigned int slept;

/* Each of the users goes on, and the host reaches the waiter. */
static void use_goes_on(void)
{
	unsigned int touched = used[WORD_TOUCHED];
	unsigned int written = used[WORD_WRITTEN];
	const char *name = words_name();

	t_host("write %s 0 %08x", name, htonl(slept + 1));
	t_host("wake %s 0 1", name);
	while (used[WORD_WAITED] != slept + 1 ||
	       used[WORD_TOUCHED] == touched || used[WORD_WRITTEN] == written)
		sched_yield();
}

static void sleep_in_use(void)
{
	sleeps();
	slept++;
	use_goes_on();
}

/* Between two calls of the guest */
static struct counts count(void)
{
	struct counts counts;
	int status;

	kill(user[USES - 1], SIGSTOP);
	T_EQ(waitpid(user[USES - 1], &status, WUNTRACED), user[USES - 1]);
	T_ASSERT(WIFSTOPPED(status));
	counts = counts_take();
	kill(user[USES - 1], SIGCONT);
	return counts;
}

static void again_and_again(void (*the_sleeps)(void))
{
	int i;

	sleeps = the_sleeps;
	used = words_map(words_name());
	for (i = 0; i < USES; i++) {
		user[i] = t_fork();
		if (!user[i])
			uses[i](used);
	}
	use_goes_on();
	rounds_many(sleep_in_use, count, HEAP_GROWTH);
}

/* The next test after the first one, for the same reason */
T_TEST(many_hibernations)
{
	if (!getenv("T_ROUNDS"))
		t_skip("10 s each; make check-lifecycle runs it");
#ifdef __aarch64__
	t_skip("the kernel dies when it restores an image, without vmshm, too");
#endif
	go_back_to_image();
	again_and_again(hibernate);
}

T_TEST(many_sleeps)
{
	again_and_again(sleep_in_memory);
}

/* The secondary bus reset of the port above the function */
static void reset_bus(void)
{
	T_EQ(t_system("cd $(ls -d /sys/bus/pci/drivers/vmshm/0*) && "
		      "echo bus >reset_method && echo 1 >reset"), 0);
}

/*
 * If the name of an object is gone, or is that of another object, the mapping
 * is dead.
 */
static void another_object_after(void (*resets)(void))
{
	const char *name = words_name();
	volatile unsigned int *words = words_map(name);
	unsigned int value = 5;

	words[0] = 1;
	t_host("unlink %s", name);
	t_host("create %s %d", name, WORDS_SIZE);
	resets();
	T_ASSERT(t_read_faults(words));
	T_ASSERT(t_write_faults((volatile char *)words + 4096));
	T_ERRNO(pread(fd, &value, sizeof(value), 0), ENODEV);
	T_ERRNO(pwrite(fd, &value, sizeof(value), 0), ENODEV);
	T_ERRNO(wait_word(0, 0, -1), ENODEV);
	T_EQ(atoi(t_host("mapped %s", name)), 0);
	/* An open finds the new object. */
	fd = words_open(name, O_RDWR);
	T_EQ(pwrite(fd, &value, sizeof(value), 0), sizeof(value));
	T_EQ(strcmp(t_host("read %s 0 8", name), "0500000000000000"), 0);
}

/* The host has truncated the object before. */
static void shorter_object_after(void (*resets)(void))
{
	const char *name = words_name();
	volatile unsigned int *words = words_map(name);

	words[0] = 1;
	words[1024] = 2;
	t_host("truncate %s 4096", name);
	resets();
	T_EQ(words[0], 1);
	T_ASSERT(t_read_faults(words + 1024));
	t_host("truncate %s %d", name, WORDS_SIZE);
	t_host("write %s 4096 03000000", name);
	T_EQ(words[1024], 3);
}

/*
 * The host has renamed an object, and has removed that name of another one by
 * which this guest knows it. Their identities are found under other names.
 */
static void renamed_objects_after(void (*resets)(void))
{
	const char *name = strdup(words_name()), *last = strdup(t_name("last"));
	const char *second = strdup(t_name("second"));
	volatile unsigned int *words = words_map(name);
	unsigned int value;
	unsigned char *p;

	words[0] = 1;
	words[1024] = 2;
	t_host("create %s 4096", second);
	t_host("link %s %s", second, last);
	p = map_large(last, 4096);
	p[0] = 3;
	t_host("link %s %s2", name, name);
	t_host("unlink %s", name);
	t_host("create %s %d", name, WORDS_SIZE);
	t_host("unlink %s", last);
	resets();
	T_EQ(words[0], 1);
	T_EQ(words[1024], 2);
	words[0] = 4;
	T_EQ(strcmp(t_host("read %s2 0 4", name), "04000000"), 0);
	T_EQ(pread(fd, &value, sizeof(value), 4096), sizeof(value));
	T_EQ(value, 2);
	T_EQ(p[0], 3);
	p[0] = 5;
	T_EQ(strcmp(t_host("read %s 0 1", second), "05"), 0);
	t_host("unlink %s2", name);
	t_host("unlink %s", second);
}

T_TEST(renamed_objects_after_a_reset)
{
	renamed_objects_after(reset_function);
}

T_TEST(renamed_objects_after_a_sleep)
{
	renamed_objects_after(sleep_in_memory);
}

/* The interface of 2010 maps zero memory behind the end of an object. */
T_TEST(memory_behind_a_lost_object)
{
	const char *name = dev_object("short", 4096, 1);
	int file;
	char *p = dev_attach(0, name, &file);

	p[0] = 1;
	p[8192] = 2;
	t_host("unlink %s", name);
	reset_function();
	T_ASSERT(t_read_faults(p));
	T_ASSERT(t_read_faults(p + 8192));
	T_ASSERT(t_read_faults(p + 65536));
	T_EQ(munmap(p, MIB), 0);
	close(file);
}

/* A listing after the reset finds the identity of a lost object again. */
T_TEST(the_name_of_a_lost_object_after_a_listing)
{
	const char *name = words_name();
	struct dirent *entry;
	bool listed = false;
	DIR *dir;

	words_map(name);
	T_EQ(do_word(fd, VMSHM_IOC_HOLD, 0, 0), 0);
	reset_function();
	dir = opendir("/dev/shm");
	T_ASSERT(dir);
	while ((entry = readdir(dir)))
		listed |= !strcmp(entry->d_name, name + 1);
	closedir(dir);
	T_ASSERT(listed);
	T_EQ(utimensat(AT_FDCWD, words_path(name), NULL, 0), 0);
}

/*
 * The buffers of read(2) and write(2) are in another object: a reset does not
 * wait for a copy that waits for the reset.
 */
T_TEST(copies_between_objects_during_resets)
{
	const size_t size = 4 << 20;
	const char *name = strdup(t_name("from")), *to = strdup(t_name("to"));
	const char *busy = "a pipe or a transfer has a page";
	int before = logged(busy), i, file;
	unsigned char *p;
	pid_t pid;

	words_map(words_name());
	stop = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	T_ASSERT(stop != MAP_FAILED);
	t_host("create %s %zu", name, size);
	t_host("create %s %zu", to, size);
	p = map_large(name, size);
	t_fill(p, size, 1);
	file = words_open(to, O_RDWR);
	pid = t_fork();
	if (!pid) {
		while (!*stop) {
			T_EQ(pwrite(file, p, size, 0), size);
			T_EQ(pread(file, p, size, 0), size);
		}
		_exit(0);
	}
	for (i = 0; i < 10; i++)
		reset_function();
	*stop = 1;
	t_wait(pid);
	T_EQ(logged(busy), before);
	T_EQ(t_sum(p, size), atoll(t_host("sum %s 0 %zu", to, size)));
	t_host("unlink %s", name);
	t_host("unlink %s", to);
}

T_TEST(a_reset_with_objects)
{
	goes_on_after(reset_function);
}

T_TEST(a_bus_reset_with_objects)
{
	goes_on_after(reset_bus);
}

/* As reset_bus(), but through the port; newer kernels can do so. */
static void reset_bridge(void)
{
	T_EQ(t_system("cd $(dirname $(readlink -f "
		      "/sys/bus/pci/drivers/vmshm/0*)) && "
		      "echo 1 >reset_subordinate"), 0);
}

T_TEST(a_bridge_reset_with_objects)
{
	if (t_system("ls /sys/bus/pci/devices/*/reset_subordinate"))
		t_skip("this kernel has no reset_subordinate");
	goes_on_after(reset_bridge);
}

T_TEST(another_object_after_a_reset)
{
	another_object_after(reset_function);
}

T_TEST(a_shorter_object_after_a_reset)
{
	shorter_object_after(reset_function);
}

T_TEST(many_resets)
{
	int i;

	for (i = 0; i < 10; i++)
		reset_function();
	T_EQ(atoi(t_host("mapped_all")), 0);
	works_again();
}

/* The register BRIDGE_CONTROL of a bridge, and its bit for a bus reset */
#define BRIDGE_CONTROL 62
#define BRIDGE_CONTROL_RESET 0x40

/* As by setpci(8): the kernel does not know that the bus was reset. */
static void reset_bus_behind_the_kernel(void)
{
	unsigned char control;
	int config;

	T_EQ(t_system("ln -sfn $(dirname $(readlink -f "
		      "/sys/bus/pci/drivers/vmshm/0*)) /tmp/bridge"), 0);
	config = open("/tmp/bridge/config", O_RDWR | O_CLOEXEC);
	T_EQ(pread(config, &control, 1, BRIDGE_CONTROL), 1);
	control |= BRIDGE_CONTROL_RESET;
	T_EQ(pwrite(config, &control, 1, BRIDGE_CONTROL), 1);
	control &= ~BRIDGE_CONTROL_RESET;
	T_EQ(pwrite(config, &control, 1, BRIDGE_CONTROL), 1);
	close(config);
}

/*
 * Stores after such a reset are lost, so that all objects are gone for their
 * users, and no call hangs. The mount and the device can be used again.
 */
T_TEST(a_reset_behind_the_kernel)
{
	const char *name = words_name();
	volatile unsigned int *words = words_map(name);
	pid_t waiter, writer;

	words[0] = 1;
	waiter = t_fork();
	if (!waiter) {
		while (!wait_word(0, 1, -1))
			;
		T_EQ(errno, ENODEV);
		_exit(0);
	}
	words_asleep(waiter);
	writer = t_fork();
	if (!writer) {
		while (pwrite(fd, name, 4, 8) == 4)
			;
		T_ASSERT(errno == EIO || errno == ENODEV);
		_exit(0);
	}
	reset_bus_behind_the_kernel();
	t_wait(waiter);
	t_wait(writer);
	T_ASSERT(t_read_faults(words));
	T_ERRNO(pwrite(fd, name, 4, 8), ENODEV);
	T_EQ(atoi(t_host("mapped_all")), 0);
	close(fd);
	fd = words_open(name, O_RDWR);
	T_EQ(pwrite(fd, name, 4, 8), 4);
	T_EQ(strcmp(t_host("read %s 0 4", name), "01000000"), 0);
	/* The interrupts of the device work, too. */
	waiter = t_fork();
	if (!waiter) {
		T_EQ(wait_word(0, 1, -1), 0);
		_exit(0);
	}
	words_asleep(waiter);
	t_host("write %s 0 02000000", name);
	t_host("wake %s 0 1", name);
	t_wait(waiter);
	reset_function();
	works_again();
}

/* Nothing is attached, and so nothing is lost. */
T_TEST(a_reset_behind_the_kernel_without_objects)
{
	int file;

	fd = -1;
	reset_bus_behind_the_kernel();
	T_EQ(unshare(CLONE_NEWNS), 0);
	T_EQ(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	T_EQ(mount("vmshm0", "/dev/shm", "vmshm", 0, NULL), 0);
	t_host("create %s 4096", words_name());
	while ((file = open(words_path(words_name()), O_RDWR)) < 0)
		T_EQ(errno, EIO);
	T_EQ(pwrite(file, "abcd", 4, 0), 4);
	T_EQ(strcmp(t_host("read %s 0 4", words_name()), "61626364"), 0);
	close(file);
	t_host("unlink %s", words_name());
}

#define USERS 5
#define RESETS 20

/* Set while a test occupies a processor */
static volatile int *occupied;

static void user_stores(volatile unsigned int *words)
{
	unsigned int i;

	for (i = 0; !*stop; i++) {
		words[16 + i % 64] = i;
		T_EQ(words[16 + i % 64], i);
	}
}

static void user_writes(const char *name)
{
	unsigned int data[512], seen[512], i;
	int file = words_open(name, O_RDWR);

	for (i = 0; !*stop; i++) {
		memset(data, i, sizeof(data));
		T_EQ(pwrite(file, data, sizeof(data), 4096), sizeof(data));
		T_EQ(pread(file, seen, sizeof(seen), 4096), sizeof(seen));
		T_EQ(memcmp(data, seen, sizeof(data)), 0);
	}
}

static void user_waits(volatile unsigned int *words)
{
	unsigned int value;

	for (;;) {
		value = words[8];
		/* In this order, so that the last value is not waited for */
		if (*stop)
			break;
		T_ASSERT(!wait_word(8, value, -1) || errno == EAGAIN);
	}
}

static void user_wakes(volatile unsigned int *words)
{
	while (!*stop) {
		words[8]++;
		T_EQ(wake_word(8, 1), 0);
	}
	/* The waiter ends. */
	words[8]++;
	T_EQ(wake_word(8, 0xffff), 0);
}

static void user_opens(const char *name)
{
	struct stat st;
	int file;

	while (!*stop) {
		file = words_open(name, O_RDWR);
		T_EQ(fstat(file, &st), 0);
		T_EQ(st.st_size, WORDS_SIZE);
		close(file);
	}
}

static pid_t begin_user(int i, const char *name, volatile unsigned int *words)
{
	pid_t pid = t_fork();

	if (pid)
		return pid;
	if (i == 0)
		user_stores(words);
	else if (i == 1)
		user_writes(name);
	else if (i == 2)
		user_waits(words);
	else if (i == 3)
		user_wakes(words);
	else
		user_opens(name);
	_exit(0);
}

/*
 * Resets while the object is in use: no user sees an error, or other memory.
 * QEMU has no more descriptors and mappings afterwards.
 */
T_TEST(many_resets_in_use)
{
	const char *name = words_name();
	volatile unsigned int *words = words_map(name);
	int mappings, descriptors, i;
	pid_t pid[USERS];

	stop = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	T_ASSERT(stop != MAP_FAILED);
	words[1000] = 1;
	reset_function();
	mappings = atoi(t_host("mapped_all"));
	descriptors = atoi(t_host("descriptors"));
	for (i = 0; i < USERS; i++)
		pid[i] = begin_user(i, name, words);
	for (i = 0; i < rounds_asked(); i++) {
		reset_function();
		T_EQ(words[1000], i + 1);
		words[1000]++;
	}
	*stop = 1;
	for (i = 0; i < USERS; i++)
		t_wait(pid[i]);
	T_EQ(atoi(t_host("mapped_all")), mappings);
	T_EQ(atoi(t_host("descriptors")), descriptors);
}

/*
 * A task that waits for the end of a reset has no page, for which the reset
 * would wait two seconds. The words are in two pages.
 */
T_TEST(resets_between_two_words)
{
	volatile unsigned int *words = words_map(words_name());
	const char *busy = "a pipe or a transfer has a page";
	int before = logged(busy), i;
	pid_t pid[4];

	stop = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	T_ASSERT(stop != MAP_FAILED);
	words[0] = 1;
	for (i = 0; i < 4; i++) {
		pid[i] = t_fork();
		if (pid[i])
			continue;
		while (!*stop)
			T_ERRNO(wake_and_wait(1024, 1, 0, 0, -1), EAGAIN);
		_exit(0);
	}
	for (i = 0; i < RESETS; i++)
		reset_function();
	*stop = 1;
	for (i = 0; i < 4; i++)
		t_wait(pid[i]);
	T_EQ(logged(busy), before);
}

/*
 * A reset ends a hold, which the host tells the peer. The object is lost for
 * this guest, so that the holder notices it, too. Other objects are not lost.
 */
T_TEST(a_reset_ends_a_hold)
{
	const char *name = words_name(), *other = strdup(t_name("other"));
	volatile unsigned int *words = words_map(name);
	unsigned int value;
	unsigned char *p;

	t_host("create %s %d", other, WORDS_SIZE);
	p = map_large(other, WORDS_SIZE);
	p[0] = 3;
	T_EQ(do_word(fd, VMSHM_IOC_HOLD, 1, 0), 0);
	reset_function();
	while (strcmp(t_host("read %s 4 4", name), "000000c0"))
		;
	T_ASSERT(t_read_faults(words));
	T_ERRNO(pread(fd, &value, sizeof(value), 0), ENODEV);
	T_ERRNO(wait_word(0, 0, -1), ENODEV);
	T_ERRNO(wake_word(0, 1), ENODEV);
	T_EQ(atoi(t_host("mapped %s", name)), 0);
	T_EQ(p[0], 3);
	p[1] = 4;
	T_EQ(strcmp(t_host("read %s 0 2", other), "0304"), 0);
	/* The name can be opened again, and its word held. */
	close(fd);
	fd = words_open(name, O_RDWR);
	T_EQ(do_word(fd, VMSHM_IOC_HOLD, 0, 0), 0);
	works_again();
	t_host("unlink %s", other);
}

/* Waits for a line of the kernel log that has this text. */
static void wait_for_line(int log, const char *text)
{
	char line[1024];
	ssize_t size;

	do {
		size = read(log, line, sizeof(line) - 1);
		if (size < 0)
			T_EQ(errno, EAGAIN);
		line[size < 0 ? 0 : size] = '\0';
	} while (!strstr(line, text));
}

/*
 * A channel with a process of the host, both asleep: the call of the guest
 * fails with ENODEV, and that of the host with ECONNRESET. The object can be
 * opened again.
 */
static void channel_ends_after(void (*resets)(void))
{
	const char *name = new_name("channel", 12288);
	struct vmshm_channel *ch;
	char text[16];
	pid_t pid;

	mount_first();
	t_host("spawn party %s end recv %d", name, ECONNRESET);
	ch = join(NULL, name);
	T_EQ(vmshm_channel_recv(ch, text, sizeof(text), VMSHM_FOREVER), 6);
	pid = t_fork();
	if (!pid) {
		words_asleep(getppid());
		resets();
		_exit(0);
	}
	T_EQ(vmshm_channel_recv(ch, text, sizeof(text), VMSHM_FOREVER),
	     -ENODEV);
	t_wait(pid);
	vmshm_channel_close(ch);
	t_host("reap");
	t_host("spawn party %s echo", name);
	ch = join(NULL, name);
	T_EQ(vmshm_channel_send(ch, "again", 6, VMSHM_FOREVER), 0);
	T_EQ(vmshm_channel_recv(ch, text, sizeof(text), VMSHM_FOREVER), 6);
	vmshm_channel_close(ch);
	t_host("reap");
}

T_TEST(a_reset_ends_a_channel)
{
	channel_ends_after(reset_function);
}

T_TEST(a_bus_reset_ends_a_channel)
{
	channel_ends_after(reset_bus);
}

static void use_processor(int n)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(n, &set);
	T_EQ(sched_setaffinity(0, sizeof(set), &set), 0);
}

/* Keeps tasks of a lower priority from the processor. */
static void use_processor_first(int n, int priority)
{
	const struct sched_param param = { .sched_priority = priority };

	use_processor(n);
	T_EQ(sched_setscheduler(0, SCHED_FIFO, &param), 0);
}

static void occupies_processor(void)
{
	use_processor_first(1, 2);
	*occupied = 1;
	while (*occupied)
		;
	_exit(0);
}

/* A register of the function */
#define PCI_COMMAND 4

/*
 * The function does not decode memory after the reset, so the driver gives it
 * up. A waiter is kept from running until it leaves its queue while the slots
 * pause. It then has the lock of its queue.
 */
T_TEST(a_reset_after_which_the_device_does_not_answer)
{
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	pid_t waiter, occupier, resetter;
	int config, reset;

	T_EQ(t_system("ln -sfn $(readlink -f /sys/bus/pci/drivers/vmshm/0*) "
		      "/tmp/function && echo bus >/tmp/function/reset_method"),
	     0);
	config = open("/tmp/function/config", O_WRONLY | O_CLOEXEC);
	reset = open("/tmp/function/reset", O_WRONLY | O_CLOEXEC);
	T_ASSERT(config >= 0 && reset >= 0);

	words_map(words_name());
	occupied = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	T_ASSERT(occupied != MAP_FAILED);
	use_processor(0);
	waiter = t_fork();
	if (!waiter) {
		use_processor_first(1, 1);
		while (!wait_word(0, 0, -1))
			;
		T_EQ(errno, ENODEV);
		_exit(0);
	}
	words_asleep(waiter);
	T_EQ(t_system("echo -1 >/proc/sys/kernel/sched_rt_runtime_us"), 0);
	occupier = t_fork();
	if (!occupier)
		occupies_processor();
	while (!*occupied)
		sched_yield();
	T_EQ(lseek(log, 0, SEEK_END), 0);
	resetter = t_fork();
	if (!resetter) {
		/* The driver's worker does not run between the two calls. */
		use_processor_first(0, 1);
		T_EQ(pwrite(config, "\4", 1, PCI_COMMAND), 1);
		T_EQ(write(reset, "1", 1), 1);
		_exit(0);
	}
	/* After this line, the slots pause and the bus is reset. */
	wait_for_line(log, "a pipe or a transfer has a page");
	*occupied = 0;
	t_wait(occupier);
	t_wait(resetter);
	t_wait(waiter);
	close(log);
	close(config);
	close(reset);
	T_EQ(t_system("echo 950000 >/proc/sys/kernel/sched_rt_runtime_us"), 0);
	works_again();
}

/* A page in a pipe shows the object again after a reset. */
T_TEST(a_reset_while_a_pipe_has_a_page)
{
	volatile unsigned int *words = words_map(words_name());
	struct iovec iov = { (void *)words, 4 };
	unsigned int value;
	int end[2];

	words[0] = 6;
	T_EQ(pipe(end), 0);
	T_EQ(vmsplice(end[1], &iov, 1, 0), 4);
	reset_function();
	words[0] = 7;
	T_EQ(read(end[0], &value, 4), 4);
	T_EQ(value, 7);
}

T_TEST(a_sleep_and_what_works_after_it)
{
	sleep_in_memory();
	works_again();
}

T_TEST(a_sleep_with_objects)
{
	goes_on_after(sleep_in_memory);
}

T_TEST(another_object_after_a_sleep)
{
	another_object_after(sleep_in_memory);
}

T_TEST(a_shorter_object_after_a_sleep)
{
	shorter_object_after(sleep_in_memory);
}

/* Calls of futex(2) go on afterwards, and the host reaches them. */
static void futexes_go_on_after(void (*resets)(void))
{
	volatile unsigned int *words = futex_map(words_name());
	pid_t pid[FUTEX_SLEEPERS];

	futex_sleepers(words, pid);
	resets();
	futex_sleepers_end(words, pid);
}

T_TEST(futexes_after_a_sleep)
{
	futexes_go_on_after(sleep_in_memory);
}

T_TEST(futexes_after_a_reset)
{
	futexes_go_on_after(reset_function);
}

/* Calls of futex(2) end if the object is not found after a sleep. */
T_TEST(futexes_of_no_object_after_a_sleep)
{
	const char *name = words_name();
	pid_t pid = futex_loser(futex_map(name));

	t_host("unlink %s", name);
	sleep_in_memory();
	t_wait(pid);
}

/* A polled word is reported, because it may have been woken meanwhile. */
static void polled_word_after(void (*resets)(void))
{
	struct pollfd p = { .events = POLLIN };

	words_map(words_name());
	T_EQ(do_word(fd, VMSHM_IOC_POLL, 0, 0), 0);
	p.fd = fd;
	T_EQ(poll(&p, 1, 0), 0);
	resets();
	T_EQ(poll(&p, 1, 0), 1);
	T_EQ(p.revents, POLLIN);
	T_EQ(do_word(fd, VMSHM_IOC_POLL, 0, 0), 0);
	T_EQ(poll(&p, 1, 0), 0);
	t_host("write %s 0 01000000", words_name());
	t_host("wake %s 0 1", words_name());
	T_EQ(poll(&p, 1, -1), 1);
}

T_TEST(a_polled_word_after_a_sleep)
{
	polled_word_after(sleep_in_memory);
}

T_TEST(a_polled_word_after_a_reset)
{
	polled_word_after(reset_function);
}

/*
 * A hold cannot be restored: the host marks the word as one whose owner died.
 */
T_TEST(no_sleep_while_a_word_is_held)
{
	volatile unsigned int *words = words_map(words_name());
	unsigned int value;

	T_EQ(do_word(fd, VMSHM_IOC_HOLD, 0, 0), 0);
	value = words[0];
	stays_awake("a word is held, such as by a channel");
	T_EQ(words[0], value);
	close(fd);
	T_EQ(words[0] & 0x40000000, 0x40000000);
	sleep_in_memory();
}

/* An object of which only a pipe has a page cannot be restored either. */
T_TEST(no_sleep_while_a_pipe_has_a_page)
{
	volatile unsigned int *words = words_map(words_name());
	struct iovec iov = { (void *)words, 4 };
	unsigned int value;
	int end[2];

	words[0] = 6;
	T_EQ(pipe(end), 0);
	T_EQ(vmsplice(end[1], &iov, 1, 0), 4);
	T_EQ(munmap((void *)words, WORDS_SIZE), 0);
	close(fd);
	stays_awake("an object is attached that a sleep would detach");
	T_EQ(read(end[0], &value, 4), 4);
	T_EQ(value, 6);
	while (atoi(t_host("mapped %s", words_name())))
		;
	sleep_in_memory();
}
