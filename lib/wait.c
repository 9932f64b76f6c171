// SPDX-License-Identifier: MIT
/*
 * Waiting and waking: futex(2) on the host, the driver's ioctls in a guest.
 */
#include <errno.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <vmshm/ioctl.h>

#include "lib.h"

#define SECOND 1000000000

int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * SECOND + t.tv_nsec;
}

API int64_t vmshm_deadline(int64_t nanoseconds)
{
	int64_t deadline;

	if (nanoseconds < 0 ||
	    __builtin_add_overflow(now(), nanoseconds, &deadline))
		return VMSHM_FOREVER;
	return deadline;
}

bool passed(int64_t deadline)
{
	return deadline >= 0 && now() >= deadline;
}

long futex(const void *word, int op, uint32_t value, int64_t deadline)
{
	struct timespec t = { deadline / SECOND, deadline % SECOND };

	/* The _BITSET kind has a deadline, where the others have a duration. */
	return syscall(SYS_futex, word, op, value, deadline < 0 ? NULL : &t,
		       NULL, FUTEX_BITSET_MATCH_ANY);
}

int host_word(struct vmshm *shm, uint64_t offset, void **word)
{
	size_t size;
	int err;

	if (offset % sizeof(uint32_t))
		return -EINVAL;
	err = vmshm_map(shm, word, &size);
	if (err)
		return err == -ENODATA ? -EFAULT : err;
	if (size < sizeof(uint32_t) || offset > size - sizeof(uint32_t))
		return -EFAULT;
	*word = (char *)*word + offset;
	return 0;
}

static int answer(struct vmshm *shm, int ret)
{
	int err = ret ? -errno : 0;

	if (err == -ENODEV)
		atomic_store(&shm->gone, true);
	return err;
}

API int vmshm_wait(struct vmshm *shm, uint64_t offset, uint32_t expected,
		   int64_t deadline)
{
	struct vmshm_ioc_wait wait = {
		.offset = offset,
		.expected = expected,
		.deadline = deadline,
	};
	void *word;
	int err;

	if (shm->guest)
		return answer(shm, ioctl(shm->fd, VMSHM_IOC_WAIT, &wait));
	err = host_word(shm, offset, &word);
	if (err)
		return err;
	return futex(word, FUTEX_WAIT_BITSET, expected, deadline) ? -errno : 0;
}

API int vmshm_wake(struct vmshm *shm, uint64_t offset, uint32_t count)
{
	struct vmshm_ioc_wake wake = { .offset = offset, .count = count };
	void *word;
	int err;

	if (!count)
		return 0;
	if (shm->guest)
		return answer(shm, ioctl(shm->fd, VMSHM_IOC_WAKE, &wake));
	err = host_word(shm, offset, &word);
	if (err)
		return err;
	if (count > INT_MAX)
		count = INT_MAX;
	if (futex(word, FUTEX_WAKE, count, VMSHM_FOREVER) < 0)
		return -errno;
	return 0;
}

bool has_bytes(struct vmshm *shm, uint64_t size)
{
	if (size > shm->size)
		return false;
	/* A node shows 1 MiB of everything; but a word has to be there. */
	return !shm->node || vmshm_wake(shm, (size - 1) / 4 * 4, 1) != -EFAULT;
}

int can_wait(struct vmshm *shm)
{
	/* No multiple of 4: what can wait says that first. */
	struct vmshm_ioc_wake wake = { .offset = 2 };
	int err;

	if (!shm->guest)
		return 0;
	err = answer(shm, ioctl(shm->fd, VMSHM_IOC_WAKE, &wake));
	return err == -EINVAL ? 0 : err;
}
