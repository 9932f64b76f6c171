// SPDX-License-Identifier: MIT
/*
 * An object: opening, size, mapping.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vmshm/ioctl.h>

#include "lib.h"

/* What /dev/vmshmN shows of an object, bytes */
#define NODE_SIZE (1 << 20)

/* The object behind the file: attached, if it is the node; 0 or -errno */
static int check_file(const struct place *place, int fd)
{
	struct stat st;

	if (place->node)
		return ioctl(fd, VMSHM_IOC_ATTACH, place->name) ? -errno : 0;
	if (fstat(fd, &st))
		return -errno;
	return S_ISREG(st.st_mode) ? 0 : -EINVAL;
}

static int open_place(const struct place *place, int flags, mode_t mode)
{
	int fd, err;

	/* A FIFO would wait for its other end before it can be refused. */
	fd = open(place->path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
		  mode);
	if (fd < 0)
		return -errno;
	err = check_file(place, fd);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

/* Only VMShm's driver knows the call; it refuses the offset. */
static bool has_driver(int fd)
{
	struct vmshm_ioc_wake wake = { .offset = 2 };

	return ioctl(fd, VMSHM_IOC_WAKE, &wake) == 0 || errno != ENOTTY;
}

API int vmshm_open(struct vmshm **shm, const char *where, const char *name,
		   int flags, mode_t mode)
{
	const int known = O_ACCMODE | O_CREAT | O_EXCL;
	int access = flags & O_ACCMODE;
	struct place place;
	int err;

	*shm = NULL;
	if (flags & ~known || (access != O_RDONLY && access != O_RDWR))
		return -EINVAL;
	err = place_find(where, name, &place);
	if (err)
		return err;
	if (place.node && flags & O_CREAT)
		return -EOPNOTSUPP;
	*shm = calloc(1, sizeof(**shm));
	if (!*shm)
		return -ENOMEM;
	err = open_place(&place, flags, mode);
	if (err < 0) {
		free(*shm);
		*shm = NULL;
		return err;
	}
	(*shm)->fd = err;
	(*shm)->node = place.node;
	(*shm)->guest = has_driver(err);
	(*shm)->writable = access == O_RDWR;
	pthread_mutex_init(&(*shm)->lock, NULL);
	return 0;
}

API void vmshm_close(struct vmshm *shm)
{
	if (!shm)
		return;
	poller_free(shm->poller);
	if (shm->data)
		munmap(shm->data, shm->size);
	close(shm->fd);
	pthread_mutex_destroy(&shm->lock);
	free(shm);
}

API int vmshm_unlink(const char *where, const char *name)
{
	struct place place;
	int err;

	err = place_find(where, name, &place);
	if (err)
		return err;
	if (place.node)
		return -EOPNOTSUPP;
	return unlink(place.path) ? -errno : 0;
}

API int vmshm_fd(const struct vmshm *shm)
{
	return shm->fd;
}

API int vmshm_size(struct vmshm *shm, uint64_t *size)
{
	struct stat st;

	if (shm->node) {
		*size = NODE_SIZE;
		return 0;
	}
	if (fstat(shm->fd, &st))
		return -errno;
	*size = st.st_size;
	return 0;
}

API int vmshm_grow(struct vmshm *shm, uint64_t size)
{
	if (shm->node)
		return -EOPNOTSUPP;
	if (size > INT64_MAX)
		return -EFBIG;
	/* Which fallocate(2) refuses */
	if (!size)
		return 0;
	while (fallocate(shm->fd, 0, 0, size))
		if (errno != EINTR)
			return -errno;
	return 0;
}

static int map(struct vmshm *shm)
{
	int prot = shm->writable ? PROT_READ | PROT_WRITE : PROT_READ;
	uint64_t size;
	void *data;
	int err;

	err = vmshm_size(shm, &size);
	if (err)
		return err;
	if (!size)
		return -ENODATA;
	if (size > SIZE_MAX / 2)
		return -ENOMEM;
	data = mmap(NULL, size, prot, MAP_SHARED, shm->fd, 0);
	if (data == MAP_FAILED)
		return -errno;
	shm->size = size;
	shm->data = data;
	return 0;
}

API int vmshm_map(struct vmshm *shm, void **data, size_t *size)
{
	int err = 0;

	pthread_mutex_lock(&shm->lock);
	if (!shm->data)
		err = map(shm);
	if (!err) {
		*data = shm->data;
		*size = shm->size;
	}
	pthread_mutex_unlock(&shm->lock);
	return err;
}

/*
 * Nothing is in it but what the beginning of a channel or a broadcast can leave
 * before its magic number: an object that begins with zeros may be somebody
 * else's.
 */
static bool is_blank(const void *page)
{
	const uint32_t *word = page;
	size_t offset;

	for (offset = 0; offset < 4096; offset += 4) {
		/* Version, sizes, and the like; seats */
		bool known = (offset >= 4 && offset < 24) ||
			     (offset >= 64 && offset < 72);

		if (!known && word[offset / 4])
			return false;
	}
	return true;
}

int page_kind(void *page, uint32_t magic, uint32_t version)
{
	_Atomic uint32_t *word = page;
	uint32_t found = atomic_load(&word[0]);

	/* If it is not blank, somebody may just have begun. */
	if (!found && is_blank(page))
		return -ENODATA;
	if (!found)
		found = atomic_load(&word[0]);
	if (found != magic || atomic_load(&word[1]) != version)
		return -EINVAL;
	return 0;
}

int start_thread(pthread_t *thread, void *(*run)(void *), void *arg)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(thread, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -err;
}
