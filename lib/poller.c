// SPDX-License-Identifier: MIT
/*
 * A word for event loops, on the host. A thread waits for two words at a time,
 * the one to be polled and one of its own by which the next request reaches it,
 * and writes to an eventfd.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "futex.h"
#include "poller.h"
#include "thread.h"

#define NO_DEADLINE (-1)

struct poller {
	int fd;
	pthread_t thread;
	bool started;
	pthread_mutex_t lock;
	/* Protected by the lock; the thread also waits on @request. */
	_Atomic uint32_t request;
	void *word;
	uint32_t expected;
	bool armed;
	bool quit;
};

static long wait_for_two(struct poller *p, uint32_t request, const void *word,
			 uint32_t expected)
{
	/* If both words were woken, the kernel returns the higher index. */
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

	return futex_waitv(waiters, word ? 2 : 1);
}

/* The lock is held, except during the wait. */
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
		/* The wake-up was not for this request: pass it on. */
		futex_call(word, FUTEX_WAKE, 1, NO_DEADLINE);
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
	futex_call(&p->request, FUTEX_WAKE_PRIVATE, 1, NO_DEADLINE);
}

int poller_new(struct poller **result)
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

static void stop_thread(struct poller *p)
{
	pthread_mutex_lock(&p->lock);
	p->quit = true;
	new_request(p);
	pthread_mutex_unlock(&p->lock);
	if (p->started)
		pthread_join(p->thread, NULL);
	pthread_mutex_destroy(&p->lock);
}

void poller_free(struct poller *p, bool ours)
{
	if (!p)
		return;
	/* A child has no such thread, and may have copied a held lock. */
	if (ours)
		stop_thread(p);
	close(p->fd);
	free(p);
}

int poller_fd(struct poller *p)
{
	return p->fd;
}

int poller_arm(struct poller *p, void *word, uint32_t expected)
{
	uint64_t count;
	int err = 0;

	pthread_mutex_lock(&p->lock);
	if (!p->started)
		err = thread_start(&p->thread, poll_thread, p);
	if (!err) {
		p->started = true;
		/* The eventfd is not readable until the next wake-up. */
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
