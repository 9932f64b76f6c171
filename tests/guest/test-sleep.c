/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What resets the device: a sleep of the system, and a reset of the function.
 * Nothing that is attached is replaced by private memory without notice.
 *
 * qemu: -device vmshm,bus=rp2
 * expect-log: vmshm .*(objects are attached|reset while objects)
 * expect-log: vmshm .*PM: (failed to|pci_pm|dpm_)
 * expect-log: PM: (Some devices failed|Device .* failed|failed to)
 * expect-log: ACPI Error: Could not disable RealTimeClock
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/wait.h>

#include "t.h"
#include "words.h"

/* The function is alone on its bus, which makes it possible to reset it. */
static void reset_function(void)
{
	T_EQ(t_system("echo 1 >$(ls -d /sys/bus/pci/drivers/vmshm/0*)/reset"),
	     0);
}

/* What is written and read through a new mount, both ways */
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

T_TEST(a_reset_is_seen)
{
	const char *name = words_name();
	volatile unsigned int *words = words_map(name);
	unsigned int value;

	words[0] = 1;
	reset_function();
	T_ASSERT(t_read_faults(words));
	T_ERRNO(pread(fd, &value, sizeof(value), 0), ENODEV);
	T_ERRNO(wait_word(0, 0, -1), ENODEV);
	T_ERRNO(wake_word(0, 1), ENODEV);
	T_ERRNO(open(words_path(name), O_RDWR), ENODEV);
	T_EQ(atoi(t_host("mapped %s", name)), 0);
	works_again();
}

T_TEST(a_reset_wakes_waiters)
{
	pid_t pid;

	words_map(words_name());
	pid = t_fork();
	if (!pid) {
		T_ERRNO(wait_word(0, 0, -1), ENODEV);
		_exit(0);
	}
	words_asleep(pid);
	reset_function();
	t_wait(pid);
}

T_TEST(many_resets)
{
	int i;

	for (i = 0; i < 10; i++)
		reset_function();
	T_EQ(atoi(t_host("mapped_all")), 0);
	works_again();
}

T_TEST(no_sleep_while_an_object_is_attached)
{
	volatile unsigned int *words = words_map(words_name());

	words[0] = 7;
	T_ASSERT(t_system("echo mem >/sys/power/state"));
	T_EQ(words[0], 7);
	T_EQ(strcmp(t_host("read %s 0 4", words_name()), "07000000"), 0);
}

/* Nothing is attached; the clock wakes the system up. */
T_TEST(a_sleep_and_what_works_after_it)
{
	T_EQ(t_system("echo 0 >/sys/class/rtc/rtc0/wakealarm && "
		      "echo +2 >/sys/class/rtc/rtc0/wakealarm"), 0);
	T_EQ(t_system("echo mem >/sys/power/state"), 0);
	works_again();
}
