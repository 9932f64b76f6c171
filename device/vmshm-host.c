/*
 * VMShm: names of host objects, and the host's calls on them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include "qapi/error.h"
#include "vmshm-host.h"
#include "vmshm/regs.h"

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

int vmshm_host_dir_open(const char *path, Error **errp)
{
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir < 0) {
        error_setg_errno(errp, errno, "dir=%s cannot be opened", path);
    } else if (faccessat(dir, ".", R_OK | X_OK, AT_EACCESS) < 0) {
        error_setg_errno(errp, errno, "dir=%s: QEMU's user has to be able to "
                         "read and search it", path);
        close(dir);
        return -1;
    }
    return dir;
}

uint64_t vmshm_host_page(int fd)
{
    struct statfs fs;

    if (fstatfs(fd, &fs) == 0 && fs.f_type == HUGETLBFS_MAGIC) {
        return fs.f_bsize;
    }
    return VMSHM_PAGE_SIZE;
}

/* 0 if @mode is an object's; or -errno. A name has one component only. */
static int check_type(mode_t mode)
{
    return S_ISREG(mode) ? 0 : S_ISLNK(mode) ? -ELOOP : -EINVAL;
}

/* The descriptor that open() has given, if it is of an object; or -errno */
static int checked(int fd, struct stat *st)
{
    int err;

    if (fd < 0) {
        /* ENXIO: a socket, or a device without a driver */
        return errno == ENXIO || errno == EISDIR ? -EINVAL : -errno;
    }
    err = fstat(fd, st) < 0 ? -errno : check_type(st->st_mode);
    if (err) {
        close(fd);
        return err;
    }
    return fd;
}

/* O_NONBLOCK: a FIFO or a lease must not stop the VM. */
static int open_flags(bool readonly)
{
    return (readonly ? O_RDONLY : O_RDWR) | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC;
}

int vmshm_host_open(int dir, const char *name, bool readonly, struct stat *st)
{
    return checked(openat(dir, name + 1, open_flags(readonly)), st);
}

int vmshm_host_open_cached(int dir, const char *name, bool readonly,
                           struct stat *st)
{
    struct open_how how = {
        .flags = open_flags(readonly),
        .resolve = RESOLVE_CACHED,
    };

    return checked(syscall(SYS_openat2, dir, name + 1, &how, sizeof(how)), st);
}

int vmshm_host_open_path(int dir, const char *name, struct stat *st)
{
    return checked(openat(dir, name + 1, O_PATH | O_NOFOLLOW | O_CLOEXEC), st);
}

int vmshm_host_create(int dir, const char *name, uint32_t mode,
                      struct stat *st)
{
    int fd = openat(dir, name + 1, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW |
                    O_CLOEXEC, mode & 0777);
    int err;

    if (fd < 0) {
        return -errno;
    }
    /* The guest has applied its own umask; QEMU's must not come on top. */
    if (fchmod(fd, mode & 0777) < 0 || fstat(fd, st) < 0) {
        err = -errno;
        unlinkat(dir, name + 1, 0);
        close(fd);
        return err;
    }
    return fd;
}

int vmshm_host_create_nameless(int dir, const char *name, uint32_t mode,
                               struct stat *st)
{
    int fd, err;

    if (name && fstatat(dir, name + 1, st, AT_SYMLINK_NOFOLLOW) == 0) {
        return -EEXIST;
    }
    fd = openat(dir, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, mode & 0777);
    if (fd < 0) {
        return -errno;
    }
    if (fchmod(fd, mode & 0777) < 0 || fstat(fd, st) < 0) {
        err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

/*
 * 0 if @name is an object; a link or a directory is not an object. The names
 * belong to the directory, so the object's permissions do not matter.
 */
static int object_check(int dir, const char *name)
{
    struct stat st;
    int fd = vmshm_host_open_path(dir, name, &st);

    if (fd < 0) {
        return fd;
    }
    close(fd);
    return 0;
}

int vmshm_host_unlink(int dir, const char *name)
{
    int ret = object_check(dir, name);

    if (ret < 0) {
        return ret;
    }
    return unlinkat(dir, name + 1, 0) < 0 ? -errno : 0;
}

void vmshm_host_unlink_own(int dir, const char *name, const struct stat *own)
{
    struct stat st;

    if (vmshm_host_entry(dir, name + 1, &st) == 0 &&
        vmshm_host_same(&st, own)) {
        unlinkat(dir, name + 1, 0);
    }
}

int vmshm_host_rename(int dir, const char *from, const char *to,
                      bool noreplace)
{
    int ret = object_check(dir, from);

    if (ret < 0) {
        return ret;
    }
    ret = object_check(dir, to);
    if (ret < 0 && ret != -ENOENT) {
        return ret;
    }
    if (renameat2(dir, from + 1, dir, to + 1,
                  noreplace ? RENAME_NOREPLACE : 0) < 0) {
        return -errno;
    }
    return 0;
}

int vmshm_host_link(int dir, const char *from, const char *to)
{
    int ret = object_check(dir, from);

    if (ret < 0) {
        return ret;
    }
    return linkat(dir, from + 1, dir, to + 1, 0) < 0 ? -errno : 0;
}

int vmshm_host_link_fd(int dir, int fd, const char *to)
{
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);

    return linkat(AT_FDCWD, path, dir, to + 1, AT_SYMLINK_FOLLOW) < 0 ? -errno
                                                                      : 0;
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
     * Some file systems reuse an inode number at once, but not within the same
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

int vmshm_host_space(int dir, uint64_t *total, uint64_t *available)
{
    struct statvfs st;

    if (fstatvfs(dir, &st) < 0) {
        return -errno;
    }
    *total = (uint64_t)st.f_blocks * st.f_frsize;
    *available = (uint64_t)st.f_bavail * st.f_frsize;
    return 0;
}

int vmshm_host_set_attr(int fd, int mode, const struct timespec times[2])
{
    /* The calls that take a descriptor do not accept one of O_PATH. */
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);

    if (mode >= 0 && chmod(path, mode) < 0) {
        return -errno;
    }
    return utimensat(AT_FDCWD, path, times, 0) < 0 ? -errno : 0;
}

int vmshm_host_each(int dir, bool (*fn)(void *opaque, const char *entry),
                    void *opaque)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    if (!entries) {
        int err = errno;

        if (fd >= 0) {
            close(fd);
        }
        return -err;
    }
    while ((entry = readdir(entries)) && fn(opaque, entry->d_name)) {
        /* The next one */
    }
    closedir(entries);
    return 0;
}

int vmshm_host_entry(int dir, const char *entry, struct stat *st)
{
    if (fstatat(dir, entry, st, AT_SYMLINK_NOFOLLOW) < 0) {
        return -errno;
    }
    return check_type(st->st_mode);
}

bool vmshm_host_may_read(int dir, const char *entry)
{
    return faccessat(dir, entry, R_OK, AT_EACCESS) == 0;
}
