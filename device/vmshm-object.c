/*
 * VMShm: names of host objects, and opening them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "vmshm-object.h"

int vmshm_name_check(const uint8_t *name, size_t size)
{
    const char *file = (const char *)name + 1;

    if (!memchr(name, '\0', size) || name[0] != '/') {
        return -EINVAL;
    }
    if (!*file || strchr(file, '/') || !strcmp(file, ".") ||
        !strcmp(file, "..")) {
        return -EINVAL;
    }
    if (strlen(file) > NAME_MAX) {
        return -ENAMETOOLONG;
    }
    return 0;
}

int vmshm_object_open(const char *name, bool readonly, struct stat *st)
{
    /* O_NONBLOCK: a FIFO or a lease must not stop the VM. */
    int fd = shm_open(name, (readonly ? O_RDONLY : O_RDWR) | O_NONBLOCK |
                      O_NOFOLLOW | O_CLOEXEC, 0);
    int err = 0;

    if (fd < 0) {
        return -errno;
    }
    if (fstat(fd, st) < 0) {
        err = -errno;
    } else if (!S_ISREG(st->st_mode)) {
        err = -EINVAL;
    }
    if (err) {
        close(fd);
        return err;
    }
    return fd;
}
