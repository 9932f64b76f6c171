/*
 * VMShm: names of host objects, and the host's calls on them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "vmshm-host.h"

int vmshm_host_name_check(const uint8_t *name, size_t size)
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

int vmshm_host_open(const char *name, bool readonly, struct stat *st)
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

int vmshm_host_create(const char *name, uint32_t mode, struct stat *st)
{
    int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                      mode & 0777);
    int err;

    if (fd < 0) {
        return -errno;
    }
    /* The guest has applied its own umask; QEMU's must not come on top. */
    if (fchmod(fd, mode & 0777) < 0 || fstat(fd, st) < 0) {
        err = -errno;
        shm_unlink(name);
        close(fd);
        return err;
    }
    return fd;
}

/* 0 if @name is an object; a link or a directory is none of ours. */
static int object_check(const char *name)
{
    struct stat st;
    int fd = vmshm_host_open(name, true, &st);

    if (fd < 0) {
        return fd;
    }
    close(fd);
    return 0;
}

int vmshm_host_unlink(const char *name)
{
    int ret = object_check(name);

    if (ret < 0) {
        return ret;
    }
    return shm_unlink(name) < 0 ? -errno : 0;
}

int vmshm_host_rename(const char *from, const char *to, bool noreplace)
{
    g_autofree char *from_path = g_strconcat(VMSHM_HOST_DIR, from, NULL);
    g_autofree char *to_path = g_strconcat(VMSHM_HOST_DIR, to, NULL);
    int ret = object_check(from);

    if (ret < 0) {
        return ret;
    }
    ret = object_check(to);
    if (ret < 0 && ret != -ENOENT) {
        return ret;
    }
    if (renameat2(AT_FDCWD, from_path, AT_FDCWD, to_path,
                  noreplace ? RENAME_NOREPLACE : 0) < 0) {
        return -errno;
    }
    return 0;
}

int vmshm_host_link(const char *from, const char *to)
{
    g_autofree char *from_path = g_strconcat(VMSHM_HOST_DIR, from, NULL);
    g_autofree char *to_path = g_strconcat(VMSHM_HOST_DIR, to, NULL);
    int ret = object_check(from);

    if (ret < 0) {
        return ret;
    }
    return linkat(AT_FDCWD, from_path, AT_FDCWD, to_path, 0) < 0 ? -errno : 0;
}

/* The finalizer of splitmix64: a bijection that spreads every bit. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

uint64_t vmshm_host_identity(int fd, const struct stat *st)
{
    struct statx stx;
    uint64_t id = mix(st->st_ino) ^ mix(~(uint64_t)st->st_dev);

    /*
     * Some file systems use an inode number again at once; not in the same
     * nanosecond.
     */
    if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &stx) == 0 &&
        stx.stx_mask & STATX_BTIME) {
        id = mix(id + stx.stx_btime.tv_sec) + stx.stx_btime.tv_nsec;
    }
    return id;
}

int vmshm_host_each(bool readable, void (*fn)(void *opaque,
                                              const char *entry,
                                              const struct stat *st),
                    void *opaque)
{
    DIR *dir = opendir(VMSHM_HOST_DIR);
    struct dirent *entry;

    if (!dir) {
        return -errno;
    }
    while ((entry = readdir(dir))) {
        struct stat st;

        if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode) &&
            (!readable ||
             faccessat(dirfd(dir), entry->d_name, R_OK, AT_EACCESS) == 0)) {
            fn(opaque, entry->d_name, &st);
        }
    }
    closedir(dir);
    return 0;
}
