// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmshm create and vmshm rm
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "commands.h"
#include "hint.h"
#include "macros.h"
#include "parse.h"
#include "place.h"
#include "print.h"

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	interrupted = number;
}

/*
 * So that no object without its memory is left behind. An ignored signal stays
 * ignored, as after nohup(1).
 */
static void catch_signals(void)
{
	static const int numbers[] = { SIGHUP, SIGINT, SIGTERM };
	struct sigaction action = { .sa_handler = on_signal }, old;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		sigaction(numbers[i], NULL, &old);
		if (old.sa_handler != SIG_IGN)
			sigaction(numbers[i], &action, NULL);
	}
}

/* Goes on after a signal that only stops the process, as Ctrl-Z does. */
static int allocate(int fd, uint64_t size)
{
	int ret;

	do
		ret = fallocate(fd, 0, 0, size);
	while (ret < 0 && errno == EINTR && !interrupted);
	return ret;
}

/* Keeps an object that another program has created under the name since. */
static void unlink_own(const struct place *place, const char *name, int fd)
{
	struct stat own, now;

	if (fstat(fd, &own) == 0 &&
	    fstatat(place->fd, name + 1, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
	    own.st_dev == now.st_dev && own.st_ino == now.st_ino)
		unlinkat(place->fd, name + 1, 0);
}

/*
 * Allocates the memory now, unless the object is to be sparse: in a full
 * /dev/shm, the first access to a page without memory kills the process, which
 * may be QEMU.
 */
static bool give_size(int fd, uint64_t size, bool sparse)
{
	if (ftruncate(fd, size) < 0)
		return false;
	if (!sparse && allocate(fd, size) < 0 && errno != EOPNOTSUPP)
		return false;
	if (interrupted)
		errno = EINTR;
	return !interrupted;
}

static void size_error(const struct place *place, const char *name,
		       uint64_t size)
{
	struct statvfs st;

	switch (errno) {
	case ENOSPC:
		if (place->side == SIDE_GUEST || fstatvfs(place->fd, &st) < 0)
			error("%s: the host has no memory for %s",
			      escaped(name), human_size(size));
		else
			error("%s: %s has %s free, and the object needs %s",
			      escaped(name), escaped(place->path),
			      human_size((uint64_t)st.f_bavail * st.f_frsize),
			      human_size(size));
		error("a sparse object gets its memory when it is used");
		hint_again("", "--sparse");
		break;
	case EDQUOT:
	case EFBIG:
		error("%s: %s exceeds a limit (%s)", escaped(name),
		      human_size(size), strerror(errno));
		break;
	default:
		object_error(place, name);
	}
}

static int create(const struct place *place, const char *name, uint64_t size,
		  const struct options *o)
{
	int fd, code = EXIT_OK;

	umask(0);
	catch_signals();
	fd = openat(place->fd, name + 1,
		    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    o->mode);
	if (fd < 0 && errno == EEXIST) {
		error("%s: the object exists already; remove it if no program "
		      "needs it", escaped(name));
		hint("%s rm %s", command_here(o), quoted(name));
		return EXIT_FAILED;
	}
	if (fd < 0) {
		object_error(place, name);
		return EXIT_FAILED;
	}
	if (!give_size(fd, size, o->sparse)) {
		size_error(place, name, size);
		unlink_own(place, name, fd);
		code = EXIT_FAILED;
	}
	close(fd);
	return code;
}

int cmd_create(const struct options *o, int argc, char **argv)
{
	char name[NAME_BYTES];
	struct place place;
	uint64_t size;
	int code;

	if (argc != 2)
		return usage_error("create takes a name and a size");
	if (!parse_name(argv[0], name) || !parse_size(argv[1], "size", &size))
		return EXIT_USAGE;
	if (!size)
		return usage_error("the size is at least 1");
	if (!place_open(o, &place))
		return EXIT_FAILED;
	code = create(&place, name, size, o);
	place_close(&place);
	return code;
}

int cmd_rm(const struct options *o, int argc, char **argv)
{
	char name[NAME_BYTES];
	struct place place;
	int i, code = EXIT_OK;

	if (argc < 1)
		return usage_error("rm takes one or more names");
	/* Nothing is removed if one of the names is wrong. */
	for (i = 0; i < argc; i++)
		if (!parse_name(argv[i], name))
			return EXIT_USAGE;
	if (!place_open(o, &place))
		return EXIT_FAILED;
	for (i = 0; i < argc; i++) {
		parse_name(argv[i], name);
		if (unlinkat(place.fd, name + 1, 0) == 0)
			continue;
		object_error(&place, name);
		code = EXIT_FAILED;
	}
	place_close(&place);
	return code;
}
