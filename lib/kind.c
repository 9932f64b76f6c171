// SPDX-License-Identifier: MIT
/*
 * The kind of an object; see kind.h.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "kind.h"
#include "object.h"

#define PAGE 4096

static bool is_zero(const char *data, size_t size)
{
	return !size || (!*data && !memcmp(data, data + 1, size - 1));
}

/* Reads do not allocate the memory of holes, as accesses to a mapping do. */
static int range_is_zero(int fd, off_t from, off_t to)
{
	char buffer[16 * PAGE];

	while (from < to) {
		size_t most = sizeof(buffer);
		ssize_t n;

		if (to - from < (off_t)most)
			most = to - from;
		n = pread(fd, buffer, most, from);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (!n)
			break;
		if (n > 0 && !is_zero(buffer, n))
			return 0;
		if (n > 0)
			from += n;
	}
	return 1;
}

/* From @offset on: where data begins and ends; false: there is none. */
static bool next_data(int fd, off_t *offset, off_t *end, off_t size)
{
	off_t data = lseek(fd, *offset, SEEK_DATA);

	*end = size;
	/* Other errors: the file system does not know its holes. */
	if (data < 0)
		return errno != ENXIO && *offset < size;
	*offset = data;
	data = lseek(fd, data, SEEK_HOLE);
	if (data >= 0)
		*end = data;
	return *offset < *end;
}

/* 1, 0 or -errno */
static int file_is_zero(struct vmshm *shm)
{
	off_t offset = 0, end;
	uint64_t size;
	int zero = 1, err;

	err = vmshm_size(shm, &size);
	if (err)
		return err;
	while (zero > 0 && next_data(shm->fd, &offset, &end, size)) {
		zero = range_is_zero(shm->fd, offset, end);
		offset = end;
	}
	return zero;
}

/* A node can only be mapped. */
static int object_is_zero(struct vmshm *shm, const void *data)
{
	if (shm->node)
		return is_zero(data, object_mapped(shm));
	return file_is_zero(shm);
}

static int compare(uint64_t found, uint64_t kind)
{
	return found == kind ? 0 : -EINVAL;
}

int kind_claim(struct vmshm *shm, _Atomic uint64_t *word, uint64_t kind)
{
	uint64_t found = atomic_load(word);
	int zero;

	if (found)
		return compare(found, kind);
	zero = object_is_zero(shm, word);
	if (zero < 0)
		return zero;
	/*
	 * If the object has data, another party may have claimed it just now.
	 */
	if (!zero)
		return compare(atomic_load(word), kind);
	if (atomic_compare_exchange_strong(word, &found, kind))
		return 0;
	return compare(found, kind);
}

int kind_check(_Atomic uint64_t *word, uint64_t kind)
{
	uint64_t found = atomic_load(word);

	if (!found && is_zero((const char *)word, PAGE))
		return -ENODATA;
	return compare(found ? found : atomic_load(word), kind);
}
