// SPDX-License-Identifier: MIT
/*
 * Waiting and waking: futex(2) on the host, the driver's ioctls in a guest.
 */
#include <errno.h>
#include <limits.h>
#include <sys/ioctl.h>
#include <vmshm/ioctl.h>

#include "api.h"
#include "futex.h"
#include "object.h"
#include "wait.h"

static int ioctl_result(struct vmshm *shm, int ret)
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
		return ioctl_result(shm, ioctl(shm->fd, VMSHM_IOC_WAIT, &wait));
	err = object_word(shm, offset, &word);
	if (err)
		return err;
	return futex_call(word, FUTEX_WAIT_BITSET, expected, deadline) ? -errno
								       : 0;
}

static int wake_on_host(struct vmshm *shm, uint64_t offset, uint32_t count)
{
	void *word;
	int err;

	err = object_word(shm, offset, &word);
	if (err)
		return err;
	if (count > INT_MAX)
		count = INT_MAX;
	return futex_call(word, FUTEX_WAKE, count, VMSHM_FOREVER) < 0 ? -errno
								      : 0;
}

API int vmshm_wake(struct vmshm *shm, uint64_t offset, uint32_t count)
{
	struct vmshm_ioc_wake wake = { .offset = offset, .count = count };
	/* A signal handler may call this. */
	int before = errno, err = 0;

	if (count && shm->guest)
		err = ioctl_result(shm, ioctl(shm->fd, VMSHM_IOC_WAKE, &wake));
	else if (count)
		err = wake_on_host(shm, offset, count);
	errno = before;
	return err;
}

int wait_after_wake(struct vmshm *shm, uint64_t wake, uint64_t offset,
		    uint32_t expected, int64_t deadline)
{
	struct vmshm_ioc_wake_wait both = {
		.offset = offset,
		.deadline = deadline,
		.expected = expected,
		.count = UINT32_MAX,
		.wake = wake,
	};
	int err;

	if (shm->guest && !atomic_load(&shm->only_single)) {
		err = ioctl_result(shm,
				   ioctl(shm->fd, VMSHM_IOC_WAKE_WAIT, &both));
		if (err != -ENOTTY)
			return err;
		/* A driver of version 0.1 */
		atomic_store(&shm->only_single, true);
	}
	vmshm_wake(shm, wake, UINT32_MAX);
	return vmshm_wait(shm, offset, expected, deadline);
}

bool wait_has_bytes(struct vmshm *shm, uint64_t size)
{
	if (size > object_mapped(shm))
		return false;
	/*
	 * A node always shows 1 MiB, but a word beyond the object gives EFAULT.
	 */
	return !shm->node || vmshm_wake(shm, (size - 1) / 4 * 4, 1) != -EFAULT;
}

int wait_is_possible(struct vmshm *shm)
{
	/* The driver checks the alignment after all else. */
	struct vmshm_ioc_wake wake = { .offset = 2 };
	int err;

	if (!shm->guest)
		return 0;
	err = ioctl_result(shm, ioctl(shm->fd, VMSHM_IOC_WAKE, &wake));
	return err == -EINVAL ? 0 : err;
}
