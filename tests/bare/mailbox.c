// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The command memory: RAM of the machine, also where KVM maps it; and two CPUs
 * that use it at the same time, each its own mailbox or both the same.
 */
#include "guest.h"

/*
 * Looks at RES_TAG before a command is lost: seconds, because the thread of the
 * device that executes the command may wait for a processor of the host.
 */
#define TURNS 400000000u

static u32 box_at(u32 n)
{
	return dev_regs + VMSHM_MEM_MAILBOX + n * VMSHM_MAILBOX_SIZE;
}

static void put_name(u32 box, const char *name)
{
	u32 at = box + VMSHM_MB_NAMES;

	do {
		write8(at++, *name);
	} while (*name++);
}

static void put_stat(u32 box, u32 tag, const char *name)
{
	put_name(box, name);
	write32(box + VMSHM_MB_COMMAND, VMSHM_CMD_STAT);
	write32(box + VMSHM_MB_FLAGS, 0);
	write32(box + VMSHM_MB_TAG, tag);
}

/* The status of the command, or ~0 if it does not complete. */
static u32 execute(u32 n, u32 tag)
{
	u32 turns = TURNS;

	write32(dev_regs + VMSHM_REG_DOORBELL, n);
	while (read32(box_at(n) + VMSHM_MB_RES_TAG) != tag && --turns)
		;
	return turns ? read32(box_at(n) + VMSHM_MB_RES_STATUS) : ~0u;
}

static u32 size_of(u32 n)
{
	return read32(box_at(n) + VMSHM_MB_RES_ATTR + VMSHM_ATTR_BYTES);
}

void test_mailbox(void)
{
	u32 count = read32(dev_regs + VMSHM_REG_MAILBOXES);

	check(count, VMSHM_MAILBOXES_MAX, "mailboxes");
	check(read32(dev_regs + VMSHM_MEM_EPOCH) != 0, 1, "epoch");
	for (u32 n = 0; n < count; n++) {
		put_stat(box_at(n), 1, opt.b);
		check(execute(n, 1), 0, "status");
		check(size_of(n), B_SIZE, "size");
		put_stat(box_at(n), 2, opt.missing);
		check(execute(n, 2), ENOENT, "missing");
	}
	/* The command memory keeps the values that the guest writes. */
	for (u32 at = VMSHM_MB_DATA; at < VMSHM_MAILBOX_SIZE; at += 4)
		write32(box_at(3) + at, at * 3);
	for (u32 at = VMSHM_MB_DATA; at < VMSHM_MAILBOX_SIZE; at += 4)
		check(read32(box_at(3) + at), at * 3, "memory");
}

/* Each CPU has a mailbox, and gets the answers to its own commands. */
static volatile u32 wrong[2], done[2];

static void stat_again_and_again(u32 cpu)
{
	const char *name = cpu ? opt.b : opt.a;
	u32 size = cpu ? B_SIZE : A_SIZE;
	u32 tag = read32(box_at(cpu) + VMSHM_MB_RES_TAG);

	for (u32 i = 0; i < opt.rounds / 10; i++) {
		put_stat(box_at(cpu), ++tag, name);
		if (execute(cpu, tag) || size_of(cpu) != size)
			wrong[cpu]++;
		done[cpu]++;
	}
}

static void second_stats(void)
{
	stat_again_and_again(1);
}

void test_smp_mailboxes(void)
{
	wrong[0] = wrong[1] = done[0] = done[1] = 0;
	smp_run(second_stats);
	stat_again_and_again(0);
	smp_wait();
	check(wrong[0] + wrong[1], 0, "wrong answers");
	check(done[0], done[1], "commands");
}

/*
 * The second CPU writes names, flags and tags into the mailbox all the time.
 * An answer belongs to one of the two objects, or is an error.
 */
static volatile u32 stop;

static void scribble(void)
{
	static const u32 fields[] = { VMSHM_MB_COMMAND,	   VMSHM_MB_FLAGS,
				      VMSHM_MB_HANDLE,	   VMSHM_MB_ZERO,
				      VMSHM_MB_RES_STATUS, VMSHM_MB_LENGTH };
	u32 state = 7, last = 0;

	while (opt.a[last + 1])
		last++;
	while (!stop) {
		state = state * 1664525 + 1013904223;
		write8(box_at(0) + VMSHM_MB_NAMES + last,
		       (state & 0x10000 ? opt.a : opt.b)[last]);
		write32(box_at(0) + fields[state >> 20 & 3],
			state & 0x20000 ? VMSHM_CMD_STAT : 0);
		if (!(state >> 18 & 0xff))
			write32(dev_regs + VMSHM_REG_DOORBELL, 0);
	}
}

void test_smp_one_mailbox(void)
{
	u32 good = 0, other = 0;

	stop = 0;
	put_stat(box_at(0), 0x100, opt.a);
	smp_run(scribble);
	for (u32 i = 0; i < opt.rounds / 10; i++) {
		write32(box_at(0) + VMSHM_MB_TAG, 0x1000 + i);
		write32(dev_regs + VMSHM_REG_DOORBELL, 0);
		/* The other mailboxes are not affected. */
		if (i % 16 == 0) {
			put_stat(box_at(5), 0x1000 + i, opt.b);
			check(execute(5, 0x1000 + i), 0, "another mailbox");
			check(size_of(5), B_SIZE, "its answer");
		}
		if (size_of(0) == A_SIZE || size_of(0) == B_SIZE)
			good++;
		else if (size_of(0))
			other++;
	}
	stop = 1;
	smp_wait();
	check(other, 0, "answers of neither object");
	check(good != 0, 1, "answers");
	put_stat(box_at(0), 0x77, opt.a);
	write32(box_at(0) + VMSHM_MB_HANDLE, 0);
	write32(box_at(0) + VMSHM_MB_ZERO, 0);
	check(execute(0, 0x77), 0, "afterwards");
	check(size_of(0), A_SIZE, "the size afterwards");
}
