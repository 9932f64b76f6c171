// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The channel of a name, with a peer at its other end. The two programs may
 * start in any order. The first program that has permission to create the
 * object creates it. That program removes the object's name when both are
 * connected: a third program then creates another object, and no object is left
 * behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <vmshm/channel.h>

#include "hint.h"
#include "macros.h"
#include "meet.h"
#include "parse.h"
#include "place.h"
#include "print.h"
#include "progress.h"

/* Bytes of a ring; both rings fit into the 1 MiB of the device node. */
#define RING (256 << 10)
/* With the first page of a channel */
#define SIZE (4096 + 2 * RING)

/* Milliseconds between two tries, and until a state counts as permanent */
enum { PAUSE_FIRST = 5, PAUSE_MOST = 500, PASSES_SOON = 1000 };

/* The object that a signal handler has to remove; "": none */
static char made_path[PATH_MAX + NAME_BYTES];
static struct stat made_is;

static const int ending[] = { SIGHUP, SIGINT, SIGTERM };
static struct sigaction before[ARRAY_SIZE(ending)];

/* Keeps an object that another program has created under the name since. */
static void unlink_made(void)
{
	struct stat st;

	if (lstat(made_path, &st) == 0 && st.st_dev == made_is.st_dev &&
	    st.st_ino == made_is.st_ino)
		unlink(made_path);
}

static void on_signal(int number)
{
	if (*made_path)
		unlink_made();
	signal(number, SIG_DFL);
	raise(number);
}

/* An ignored signal stays ignored, as after nohup(1). */
static void catch_signals(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ending); i++) {
		sigaction(ending[i], NULL, &before[i]);
		if (before[i].sa_handler != SIG_IGN)
			signal(ending[i], on_signal);
	}
}

static bool made(void)
{
	return *made_path;
}

static void block_signals(sigset_t *old)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, old);
}

/* Also restores the previous signal handlers. */
static void remove_made(void)
{
	sigset_t old;
	size_t i;

	if (!made())
		return;
	block_signals(&old);
	unlink_made();
	for (i = 0; i < ARRAY_SIZE(ending); i++)
		sigaction(ending[i], &before[i], NULL);
	*made_path = '\0';
	sigprocmask(SIG_SETMASK, &old, NULL);
}

/* No signal is handled before made_path is set. */
static int make(const char *where, const char *name, mode_t mode)
{
	struct vmshm *shm;
	sigset_t old;
	int err;

	block_signals(&old);
	err = vmshm_open(&shm, where, name, O_RDWR | O_CREAT | O_EXCL, mode);
	if (!err) {
		fstat(vmshm_fd(shm), &made_is);
		if (!made())
			catch_signals();
		snprintf(made_path, sizeof(made_path), "%s%s", where, name);
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (err)
		return err;
	err = vmshm_grow(shm, SIZE);
	vmshm_close(shm);
	return err;
}

/* Sets the size if the creator was killed before it did so. */
static int give_size(const char *where, const char *name)
{
	struct vmshm *shm;
	uint64_t size;
	int err;

	err = vmshm_open(&shm, where, name, O_RDWR, 0);
	if (err)
		return err;
	err = vmshm_size(shm, &size);
	if (!err && !size)
		err = vmshm_grow(shm, SIZE);
	vmshm_close(shm);
	return err;
}

static void open_error(const struct options *o, const char *name, int err)
{
	const char *why = strerror(-err);

	switch (-err) {
	case EACCES:
		why = "no permission to write: by the mode of the object (see "
		      "--mode), or because the device is read-only";
		break;
	case EBUSY:
		why = "two other programs use the channel";
		break;
	case EINVAL:
		why = "the object contains other data than a channel; remove "
		      "it if no program needs it";
		break;
	case ENODATA:
		why = "the object is too small for a channel; remove it if no "
		      "program needs it";
		break;
	case EOPNOTSUPP:
		why = "the device cannot wait for the other side";
		break;
	case ENOSPC:
		why = made() ? "the host has no memory for the object"
			     : "this guest has too many open channels";
		break;
	}
	error("%s: %s", escaped(name), why);
	if (-err == EINVAL || -err == ENODATA)
		hint("%s rm %s", command_here(o), quoted(name));
	if (-err == EOPNOTSUPP || -err == ENOENT)
		hint("vmshm doctor");
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Back-off: twice as long each time */
static void pause_ms(int *ms)
{
	struct timespec t = { .tv_nsec = *ms * 1000000L };

	nanosleep(&t, NULL);
	*ms = *ms * 2 < PAUSE_MOST ? *ms * 2 : PAUSE_MOST;
}

/*
 * A guest that cannot create objects waits until its host does. The object may
 * not have its size yet, and earlier users may not have closed it yet.
 */
static struct vmshm_channel *take_seat(const struct options *o,
				       const char *where, const char *name)
{
	int64_t until = now_ms() + PASSES_SOON;
	struct vmshm_channel *ch;
	int ms = PAUSE_FIRST;
	bool told = false, tried = false;
	int err, cannot;

	for (;;) {
		/* With the mode 0, this call does not create the object. */
		err = vmshm_channel_open(&ch, where, name, RING, 0);
		if (!err)
			return ch;
		if (err == -ENOENT) {
			cannot = make(where, name, o->mode);
			if (!cannot || cannot == -EEXIST)
				continue;
			if (cannot != -EROFS && cannot != -EOPNOTSUPP) {
				err = cannot;
				break;
			}
			if (!told)
				status("waiting for %s on the host",
				       escaped(name));
			told = true;
		} else if (err == -EINTR) {
			continue;
		} else if (err == -ENODATA && !tried && now_ms() > until) {
			tried = true;
			err = give_size(where, name);
			if (!err || err == -ENOENT)
				continue;
			break;
		} else if ((err != -EBUSY && err != -ENODATA) ||
			   now_ms() > until) {
			break;
		}
		pause_ms(&ms);
	}
	open_error(o, name, err);
	return NULL;
}

static bool wait_for_peer(struct vmshm_channel *ch, const char *name)
{
	int err = vmshm_channel_peer(ch, VMSHM_NOW);

	if (err == -EAGAIN)
		status("waiting for the other end of %s", escaped(name));
	while (err == -EAGAIN || err == -EINTR)
		err = vmshm_channel_peer(ch, VMSHM_FOREVER);
	if (err)
		error("%s: %s", escaped(name), strerror(-err));
	return !err;
}

struct vmshm_channel *meet(const struct options *o, const char *name)
{
	struct vmshm_channel *ch;
	char where[PATH_MAX];

	if (!place_or_device(o, where))
		return NULL;
	umask(0);
	ch = take_seat(o, where, name);
	if (ch && !wait_for_peer(ch, name)) {
		vmshm_channel_close(ch);
		ch = NULL;
	}
	remove_made();
	return ch;
}
