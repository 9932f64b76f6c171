// SPDX-License-Identifier: MIT
/*
 * A word for event loops. In a guest the driver does it. On the host a thread
 * waits for two words at a time, the one to be polled and one of its own by
 * which the next request reaches it, and writes to an eventfd.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vmshm/ioctl.h>

#include "lib.h"

struct poller {
	int fd;
	pthread_t thread;
	bool started;
	pthread_mutex_t lock;
	/* With the lock held, but the first one's address is waited on */
	_Atomic uint32_t request;
	void *word;
	uint32_t expected;
	bool armed;
	bool quit;
};

static long wait_for_two(struct poller *p, uint32_t request, const void *word,
			 uint32_t expected)
{
	/* The kernel tells of the later one if both were woken. */
	struct futex_waitv waiters[2] = {
		{
			.val = request,
			.uaddr = (uintptr_t)&p->request,
			.flags = FUTEX_32 | FUTEX_PRIVATE_FLAG,
		},
		{
			.val = expected,
			.uaddr = (uintptr_t)word,
			.flags = FUTEX_32,
		},
	};

	return syscall(SYS_futex_waitv, waiters, word ? 2 : 1, 0, NULL, 0);
}

/* The lock is held, but not while it waits. */
static void poll_once(struct poller *p)
{
	uint32_t request = p->request;
	void *word = p->armed ? p->word : NULL;
	uint32_t expected = p->expected;
	uint64_t one = 1;
	long ret;
	int err;

	pthread_mutex_unlock(&p->lock);
	ret = wait_for_two(p, request, word, expected);
	err = ret < 0 ? errno : 0;
	pthread_mutex_lock(&p->lock);
	if (!word || err == EINTR)
		return;
	if (p->request == request) {
		if (!ret)
			return;
		p->armed = false;
		if (write(p->fd, &one, sizeof(one)) < 0)
			return;
	} else if (ret == 1) {
		/* Too late for who waited then: it is the next one's. */
		futex(word, FUTEX_WAKE, 1, VMSHM_FOREVER);
	}
}

static void *poll_thread(void *arg)
{
	struct poller *p = arg;

	pthread_mutex_lock(&p->lock);
	while (!p->quit)
		poll_once(p);
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* The lock is held. */
static void new_request(struct poller *p)
{
	p->request++;
	futex(&p->request, FUTEX_WAKE_PRIVATE, 1, VMSHM_FOREVER);
}

static int poller_new(struct poller **result)
{
	struct poller *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return -ENOMEM;
	p->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->fd < 0) {
		err = -errno;
		free(p);
		return err;
	}
	pthread_mutex_init(&p->lock, NULL);
	*result = p;
	return 0;
}

void poller_free(struct poller *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->quit = true;
	new_request(p);
	pthread_mutex_unlock(&p->lock);
	if (p->started)
		pthread_join(p->thread, NULL);
	pthread_mutex_destroy(&p->lock);
	close(p->fd);
	free(p);
}

API int vmshm_poll_fd(struct vmshm *shm)
{
	int err = 0;

	if (shm->guest)
		return shm->fd;
	pthread_mutex_lock(&shm->lock);
	if (!shm->poller)
		err = poller_new(&shm->poller);
	pthread_mutex_unlock(&shm->lock);
	return err ? err : shm->poller->fd;
}

static int arm(struct poller *p, void *word, uint32_t expected)
{
	uint64_t count;
	int err = 0;

	pthread_mutex_lock(&p->lock);
	if (!p->started)
		err = start_thread(&p->thread, poll_thread, p);
	if (!err) {
		p->started = true;
		/* What was said before, if anything */
		while (read(p->fd, &count, sizeof(count)) > 0)
			;
		p->word = word;
		p->expected = expected;
		p->armed = true;
		new_request(p);
	}
	pthread_mutex_unlock(&p->lock);
	return err;
}

API int vmshm_poll_arm(struct vmshm *shm, uint64_t offset, uint32_t expected)
{
	struct vmshm_ioc_word word = {
		.offset = offset,
		.expected = expected,
	};
	void *address;
	int err;

	if (shm->guest)
		return ioctl(shm->fd, VMSHM_IOC_POLL, &word) ? -errno : 0;
	err = host_word(shm, offset, &address);
	if (err)
		return err;
	/* No words are an error, but another one if there is no such call. */
	if (syscall(SYS_futex_waitv, NULL, 0, 0, NULL, 0) < 0 &&
	    errno != EINVAL)
		return -EOPNOTSUPP;
	err = vmshm_poll_fd(shm);
	if (err < 0)
		return err;
	return arm(shm->poller, address, expected);
}
