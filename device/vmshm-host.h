/*
 * VMShm: names of host objects, and the host's calls on them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_HOST_H
#define VMSHM_HOST_H

#include "vmshm-request.h"

/* Where the C library keeps POSIX shared memory objects on Linux. */
#define VMSHM_HOST_DIR "/dev/shm"

/*
 * The most names in a directory that the device keeps, for a listing and for a
 * count; of 255 bytes each they take 18 MiB.
 */
#define VMSHM_HOST_NAMES_MAX 65536

/*
 * Checks a name as the guest left it in @size bytes: "/" and one file name,
 * NUL-terminated. 0, -EINVAL or -ENAMETOOLONG. Looks at nothing but the bytes.
 */
int vmshm_host_name_check(const uint8_t *name, size_t size);

/*
 * The directory of the objects; the caller closes it. Or -1 and *errp. All
 * calls below get it as @dir. They resolve names of one component in it and
 * follow no link, so they never leave it.
 */
int vmshm_host_dir_open(const char *path, Error **errp);

/*
 * Bytes of the pages by which the object of @fd can be mapped: the host's, or
 * the huge pages of a hugetlbfs.
 */
uint64_t vmshm_host_page(int fd);

/*
 * Opens the POSIX shared memory object @name, which vmshm_host_name_check() has
 * passed. Never creates, truncates, blocks or follows a link. Returns a file
 * descriptor that the caller closes, with *@st filled in, or -errno: what
 * open(2) says, or -EINVAL for what is not a regular file.
 */
int vmshm_host_open(int dir, const char *name, bool readonly, struct stat *st);

/*
 * As vmshm_host_open(), for an object that the host finds without waiting.
 * After any error, the caller has to call vmshm_host_open(), which can block.
 */
int vmshm_host_open_cached(int dir, const char *name, bool readonly,
                           struct stat *st);

/*
 * The same for the object's attributes alone, which needs no permission to
 * read or write it.
 */
int vmshm_host_open_path(int dir, const char *name, struct stat *st);

/*
 * Sets the permission bits, unless @mode is negative, and the times of last
 * access and modification, as utimensat(2) has them. @fd can be of any kind.
 * 0 or -errno.
 */
int vmshm_host_set_attr(int fd, int mode, const struct timespec times[2]);

/* Size of the file system and what of it is free; bytes. 0 or -errno. */
int vmshm_host_space(int dir, uint64_t *total, uint64_t *available);

/* Attributes of the object @name, without opening it; 0 or -errno. */
int vmshm_host_attr(int dir, const char *name, VMShmAttr *attr);

/*
 * Creates the empty object @name with exactly the permission bits @mode
 * (0777 at most). -EEXIST if the name exists, also if it is no object.
 * Returns a file descriptor that the caller closes, or -errno.
 */
int vmshm_host_create(int dir, const char *name, uint32_t mode,
                      struct stat *st);

/*
 * The same for an object without a name, which vmshm_host_link_fd() can give
 * it; -EEXIST if @name is taken (it can be NULL), -EOPNOTSUPP if the file
 * system does not support O_TMPFILE.
 */
int vmshm_host_create_nameless(int dir, const char *name, uint32_t mode,
                               struct stat *st);

/* Removes the name; the object exists as long as it is in use. 0 or -errno. */
int vmshm_host_unlink(int dir, const char *name);

/*
 * The same, but only if @name is a name of the object @own. (This check races
 * with a process of the host that gives the name to another object.)
 */
void vmshm_host_unlink_own(int dir, const char *name, const struct stat *own);

/* With @noreplace, -EEXIST when @to is taken; 0 or -errno. */
int vmshm_host_rename(int dir, const char *from, const char *to,
                      bool noreplace);

/* A second name; -EEXIST when @to is taken; 0 or -errno. */
int vmshm_host_link(int dir, const char *from, const char *to);

/* The same for an open object; -ENOENT if it has lost its last name. */
int vmshm_host_link_fd(int dir, int fd, const char *to);

/* Whether both are attributes of the same object, which must exist */
static inline bool vmshm_host_same(const struct stat *one,
                                   const struct stat *other)
{
    return one->st_dev == other->st_dev && one->st_ino == other->st_ino;
}

/*
 * A number that does not change as long as the object exists. Another object
 * that takes over its name has another number.
 */
uint64_t vmshm_host_identity(int fd, const struct stat *st);

/*
 * Calls @fn with the name of each entry of the directory, of any file type,
 * without '/', in any order, until @fn returns false; 0 or -errno.
 */
int vmshm_host_each(int dir, bool (*fn)(void *opaque, const char *entry),
                    void *opaque);

/* 0 and *@st if the entry is an object; or -errno. */
int vmshm_host_entry(int dir, const char *entry, struct stat *st);

/* Whether QEMU may read that object */
bool vmshm_host_may_read(int dir, const char *entry);

#endif /* VMSHM_HOST_H */
