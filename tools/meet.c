// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The channel of a name, with somebody at its other end. Either of the two may
 * come first. Who can makes the object, and removes its name again when both
 * are there: a third one then makes another, and nothing is left over.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vmshm.h"
#include <vmshm/channel.h>

/* In each direction; two of them fit into what /dev/vmshmN shows, 1 MiB. */
#define RING (256 << 10)
/* With what a channel has besides its rings */
#define SIZE (4096 + 2 * RING)

/* Milliseconds: how often to look again, and how long for what passes soon */
enum { PAUSE_FIRST = 5, PAUSE_MOST = 500, PASSES_SOON = 1000 };

/* What a signal has to remove, and which object it was; empty: nothing */
static char made_path[PATH_MAX + NAME_BYTES];
static struct stat made_is;

static const int ending[] = { SIGHUP, SIGINT, SIGTERM };
static struct sigaction before[ARRAY_SIZE(ending)];

/* Not what others have made by that name after somebody removed it. */
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

/* Not what is ignored, as by nohup(1) */
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

/* No handler of ours is called once it is removed. */
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

/* No signal comes between the object and the note of it. */
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

/* For who made it and was killed before it had a size */
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

static void open_error(const char *name, int err)
{
	const char *why = strerror(-err);

	switch (-err) {
	case EACCES:
		why = "you may not write to it: by its mode (see --mode), or "
		      "because the device is for reading only";
		break;
	case EBUSY:
		why = "two others use it";
		break;
	case EINVAL:
		why = "it has something else in it than a channel";
		break;
	case ENODATA:
		why = "it is too small for a channel";
		break;
	case EOPNOTSUPP:
		why = "nothing here can wait for the other side";
		break;
	case ENOSPC:
		why = made() ? "there is no memory left for it on the host"
			     : "this guest has too many channels open";
		break;
	}
	error("%s: %s", escaped(name), why);
	if (-err == EINVAL || -err == ENODATA)
		hint("vmshm rm %s    if nobody needs it", escaped(name));
	if (-err == EOPNOTSUPP || -err == ENOENT)
		hint("vmshm doctor");
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A little longer each time */
static void pause_ms(int *ms)
{
	struct timespec t = { .tv_nsec = *ms * 1000000L };

	nanosleep(&t, NULL);
	*ms = *ms * 2 < PAUSE_MOST ? *ms * 2 : PAUSE_MOST;
}

/*
 * A guest that may not make objects waits for its host to do so. The maker may
 * not be done yet, and those who were here before not gone.
 */
static struct vmshm_channel *take_seat(const char *where, const char *name,
				       mode_t mode)
{
	int64_t until = now_ms() + PASSES_SOON;
	struct vmshm_channel *ch;
	int ms = PAUSE_FIRST;
	bool told = false, tried = false;
	int err, cannot;

	for (;;) {
		/* With a mode it would make what is not noted here. */
		err = vmshm_channel_open(&ch, where, name, RING, 0);
		if (!err)
			return ch;
		if (err == -ENOENT) {
			cannot = make(where, name, mode);
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
	open_error(name, err);
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
	ch = take_seat(where, name, o->mode);
	if (ch && !wait_for_peer(ch, name)) {
		vmshm_channel_close(ch);
		ch = NULL;
	}
	remove_made();
	return ch;
}
