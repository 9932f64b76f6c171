/*
 * VMShm: names of host objects, and the host's calls on them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <linux/openat2.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
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

int vmshm_host_open_cached(const char *name, bool readonly, struct stat *st)
{
    g_autofree char *path = g_strconcat(VMSHM_HOST_DIR, name, NULL);
    struct open_how how = {
        .flags = (readonly ? O_RDONLY : O_RDWR) | O_NONBLOCK | O_NOFOLLOW |
                 O_CLOEXEC,
        .resolve = RESOLVE_CACHED,
    };
    int fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

    if (fd >= 0 && (fstat(fd, st) < 0 || !S_ISREG(st->st_mode))) {
        close(fd);
        return -EAGAIN;
    }
    return fd < 0 ? -errno : fd;
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

static uint64_t identity(uint64_t ino, uint64_t dev, const struct statx *stx)
{
    uint64_t id = mix(ino) ^ mix(~dev);

    /*
     * Some file systems use an inode number again at once; not in the same
     * nanosecond.
     */
    if (stx && stx->stx_mask & STATX_BTIME) {
        id = mix(id + stx->stx_btime.tv_sec) + stx->stx_btime.tv_nsec;
    }
    return id;
}

uint64_t vmshm_host_identity(int fd, const struct stat *st)
{
    struct statx stx;
    int ret = statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &stx);

    return identity(st->st_ino, st->st_dev, ret == 0 ? &stx : NULL);
}

int vmshm_host_dir(void)
{
    int fd = open(VMSHM_HOST_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

int vmshm_host_attr(int dir, const char *name, VMShmAttr *attr)
{
    struct statx stx;

    if (statx(dir, name + 1, AT_SYMLINK_NOFOLLOW,
              STATX_BASIC_STATS | STATX_BTIME, &stx) < 0) {
        return -errno;
    }
    if (!S_ISREG(stx.stx_mode)) {
        return -EINVAL;
    }
    attr->st = (struct stat) {
        .st_mode = stx.stx_mode,
        .st_nlink = stx.stx_nlink,
        .st_uid = stx.stx_uid,
        .st_gid = stx.stx_gid,
        .st_size = stx.stx_size,
        .st_blocks = stx.stx_blocks,
        .st_atim = { stx.stx_atime.tv_sec, stx.stx_atime.tv_nsec },
        .st_mtim = { stx.stx_mtime.tv_sec, stx.stx_mtime.tv_nsec },
    };
    attr->ident = identity(stx.stx_ino,
                           makedev(stx.stx_dev_major, stx.stx_dev_minor),
                           &stx);
    return 0;
}

int vmshm_host_space(uint64_t *total, uint64_t *available)
{
    struct statvfs st;

    if (statvfs(VMSHM_HOST_DIR, &st) < 0) {
        return -errno;
    }
    *total = (uint64_t)st.f_blocks * st.f_frsize;
    *available = (uint64_t)st.f_bavail * st.f_frsize;
    return 0;
}

int vmshm_host_open_path(const char *name)
{
    g_autofree char *path = g_strconcat(VMSHM_HOST_DIR, name, NULL);
    int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    int err = 0;

    if (fd < 0) {
        return -errno;
    }
    if (fstat(fd, &st) < 0) {
        err = -errno;
    } else if (S_ISLNK(st.st_mode)) {
        err = -ELOOP;
    } else if (!S_ISREG(st.st_mode)) {
        err = -EINVAL;
    }
    if (err) {
        close(fd);
        return err;
    }
    return fd;
}

int vmshm_host_set_attr(int fd, int mode, const struct timespec times[2])
{
    /* The calls that take a descriptor refuse one of O_PATH. */
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);

    if (mode >= 0 && chmod(path, mode) < 0) {
        return -errno;
    }
    return utimensat(AT_FDCWD, path, times, 0) < 0 ? -errno : 0;
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
