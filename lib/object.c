// SPDX-License-Identifier: MIT
/*
 * An object: opening, size, mapping.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vmshm/ioctl.h>

#include "api.h"
#include "object.h"
#include "place.h"
#include "poller.h"
#include "process.h"

/* The part of an object that /dev/vmshmN shows, bytes */
#define NODE_SIZE (1 << 20)

/* Attaches the object if the file is the node, or else checks the file. */
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

	/* Without O_NONBLOCK a FIFO would wait for its other end. */
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
	struct vmshm *new;
	int err;

	*shm = NULL;
	if (flags & ~known || (access != O_RDONLY && access != O_RDWR))
		return -EINVAL;
	err = place_find(where, name, &place);
	if (err)
		return err;
	if (place.node && flags & O_CREAT)
		return -EOPNOTSUPP;
	new = calloc(1, sizeof(*new));
	if (!new)
		return -ENOMEM;
	new->fd = open_place(&place, flags, mode);
	if (new->fd < 0) {
		err = new->fd;
		free(new);
		return err;
	}
	new->node = place.node;
	new->guest = has_driver(new->fd);
	new->writable = access == O_RDWR;
	new->generation = process_this();
	*shm = new;
	return 0;
}

API void vmshm_close(struct vmshm *shm)
{
	if (!shm)
		return;
	poller_free(shm->poller, process_is(shm->generation));
	if (shm->data)
		munmap(shm->data, shm->size);
	close(shm->fd);
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

	*size = 0;
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
	/* fallocate(2) refuses 0. */
	if (!size)
		return 0;
	while (fallocate(shm->fd, 0, 0, size))
		if (errno != EINTR)
			return -errno;
	return 0;
}

/* All threads map the same number of bytes: the first one sets it. */
static int decide_size(struct vmshm *shm, size_t *size)
{
	uint64_t all;
	int err;

	*size = atomic_load(&shm->size);
	if (*size)
		return 0;
	err = vmshm_size(shm, &all);
	if (err)
		return err;
	if (!all)
		return -ENODATA;
	if (all > SIZE_MAX / 2)
		return -ENOMEM;
	if (atomic_compare_exchange_strong(&shm->size, size, all))
		*size = all;
	return 0;
}

API int vmshm_map(struct vmshm *shm, void **data, size_t *size)
{
	int prot = shm->writable ? PROT_READ | PROT_WRITE : PROT_READ;
	void *mapping, *there = NULL;
	size_t bytes;
	int err;

	*data = NULL;
	*size = 0;
	err = decide_size(shm, &bytes);
	if (err)
		return err;
	mapping = atomic_load(&shm->data);
	if (!mapping) {
		mapping = mmap(NULL, bytes, prot, MAP_SHARED, shm->fd, 0);
		if (mapping == MAP_FAILED)
			return -errno;
		/* Another thread, or a signal handler, can have been first. */
		if (!atomic_compare_exchange_strong(&shm->data, &there,
						    mapping)) {
			munmap(mapping, bytes);
			mapping = there;
		}
	}
	*data = mapping;
	*size = bytes;
	return 0;
}

int object_word(struct vmshm *shm, uint64_t offset, void **word)
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
