// SPDX-License-Identifier: MIT
/*
 * Words for event loops: by the driver in a guest, by a poller on the host.
 */
#include <errno.h>
#include <sys/ioctl.h>
#include <vmshm/ioctl.h>

#include "api.h"
#include "futex.h"
#include "object.h"
#include "poller.h"
#include "process.h"

/* The object's poller, which the first call makes; 0 or -errno */
static int get_poller(struct vmshm *shm, struct poller **p)
{
	struct poller *there = NULL;
	int err;

	*p = atomic_load(&shm->poller);
	if (*p)
		return 0;
	err = poller_new(p);
	if (err)
		return err;
	if (!atomic_compare_exchange_strong(&shm->poller, &there, *p)) {
		poller_free(*p, true);
		*p = there;
	}
	return 0;
}

API int vmshm_poll_fd(struct vmshm *shm)
{
	struct poller *p;
	int err;

	if (!process_is(shm->generation))
		return -EPERM;
	if (shm->guest)
		return shm->fd;
	err = get_poller(shm, &p);
	return err ? err : poller_fd(p);
}

/* An empty list gives EINVAL; a missing system call gives another error. */
static bool has_waitv(void)
{
	return futex_waitv(NULL, 0) >= 0 || errno == EINVAL;
}

API int vmshm_poll_arm(struct vmshm *shm, uint64_t offset, uint32_t expected)
{
	struct vmshm_ioc_word word = {
		.offset = offset,
		.expected = expected,
	};
	struct poller *p;
	void *address;
	int err;

	if (!process_is(shm->generation))
		return -EPERM;
	if (shm->guest)
		return ioctl(shm->fd, VMSHM_IOC_POLL, &word) ? -errno : 0;
	err = object_word(shm, offset, &address);
	if (err)
		return err;
	if (!has_waitv())
		return -EOPNOTSUPP;
	err = get_poller(shm, &p);
	return err ? err : poller_arm(p, address, expected);
}
