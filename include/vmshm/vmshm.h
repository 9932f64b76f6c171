/* SPDX-License-Identifier: MIT */
/*
 * libvmshm: shared memory objects of the host, with the same calls in a program
 * on the host and in one in a guest.
 *
 * Errors are negative errno values. Sizes and offsets are bytes. Deadlines are
 * CLOCK_MONOTONIC in nanoseconds, see vmshm_deadline(). The library keeps no
 * state of its own besides what it gives out.
 *
 * Threads: any may use one struct vmshm at a time together with others, but
 * vmshm_close() is the last call, and vmshm_poll_arm() is one thread's.
 */
#ifndef VMSHM_VMSHM_H
#define VMSHM_VMSHM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An open object; the caller's until vmshm_close() */
struct vmshm;

/* Deadlines: none at all, and one that has passed: do not wait */
#define VMSHM_FOREVER	((int64_t)-1)
#define VMSHM_NOW	((int64_t)0)

/* The deadline that is so many nanoseconds from now; negative: VMSHM_FOREVER */
int64_t vmshm_deadline(int64_t nanoseconds);

/*
 * Open the object @name ("/frames", or "frames") as open(2) does; @flags are
 * O_RDONLY or O_RDWR, and O_CREAT, O_EXCL with @mode.
 *
 * @where: NULL looks by itself: in a guest the file system vmshm that is
 * mounted on /dev/shm, or else elsewhere; or else /dev/vmshm0, with the first
 * 1 MiB of an object; without any of these the host's own /dev/shm. "vmshm1" is
 * this device of a guest, "/folder" is this folder.
 *
 *	EINVAL	no such name or flags are possible, or what has the name is no
 *		file of memory: a FIFO, a folder, ...
 *	ENAMETOOLONG	more than 255 bytes after the '/'
 *	ENOENT	no object of that name, or no such device or folder
 *	ENOTUNIQ	@where is NULL, several devices are mounted, and none of
 *		them on /dev/shm
 *	EEXIST, EACCES, EROFS, EMFILE, ENOMEM, ... as open(2); on /dev/vmshmN
 *	also what VMSHM_IOC_ATTACH says, and EOPNOTSUPP for O_CREAT
 */
int vmshm_open(struct vmshm **shm, const char *where, const char *name,
	       int flags, mode_t mode);

/* Also unmaps what vmshm_map() gave. NULL is nothing. */
void vmshm_close(struct vmshm *shm);

/*
 * Remove the name; who has the object open keeps it. Errors as unlink(2), and
 * EOPNOTSUPP on /dev/vmshmN.
 */
int vmshm_unlink(const char *where, const char *name);

/* Its file, for fstat(2), fallocate(2), ...; it stays the library's to close */
int vmshm_fd(const struct vmshm *shm);

/* The size now; of /dev/vmshmN always 1 MiB */
int vmshm_size(struct vmshm *shm, uint64_t *size);

/*
 * Make it at least so large, with memory for all of it: ENOSPC is said here
 * rather than by SIGBUS later. It is never made smaller.
 *	EFBIG, EBADF, ENOSPC, EROFS, ... as fallocate(2); EOPNOTSUPP on
 *	/dev/vmshmN
 */
int vmshm_grow(struct vmshm *shm, uint64_t size);

/*
 * The object in memory, all that it has at the first such call; the same
 * answer each time after that, until vmshm_close(). Writable if it was opened
 * so. On the host vmshm_wait(), vmshm_wake() and vmshm_poll_arm() need it, too:
 * the first call of all these decides, so grow the object before.
 *	ENODATA	it has no bytes yet
 *	ENOMEM, EACCES, ... as mmap(2)
 */
int vmshm_map(struct vmshm *shm, void **data, size_t *size);

/*
 * Wait until somebody, on the host or in any guest, wakes the 32-bit word at
 * @offset, if its value is @expected. 0: woken, or for no reason: look again.
 *	EAGAIN	the word has another value
 *	ETIMEDOUT	the deadline has passed
 *	EINTR	a signal
 *	EINVAL	the offset is no multiple of 4
 *	EFAULT	no such word in the object, or in what vmshm_map() gave of it
 *	EOPNOTSUPP	the device or the host's kernel cannot do it
 *	ENODEV	the device was unplugged
 */
int vmshm_wait(struct vmshm *shm, uint64_t offset, uint32_t expected,
	       int64_t deadline);

/*
 * Wake up to @count of those who wait for the word; UINT32_MAX: all. Change the
 * word before: a process that sleeps in vmshm_wait() may enter the queue later,
 * and then sees the change. A wake-up without a change is lost for it.
 */
int vmshm_wake(struct vmshm *shm, uint64_t offset, uint32_t count);

/*
 * A word for an event loop: the file descriptor (never to be read) is readable
 * as soon as the word has been woken or is not @expected, until armed again. It
 * tells nothing before vmshm_poll_arm() was called. One word for one struct
 * vmshm.
 *	errors as vmshm_wait(), EAGAIN and ETIMEDOUT excepted; ENOSPC if the
 *	device has no slot left, EAGAIN if no thread could be made; on the
 *	host EMFILE, ENFILE, ENOMEM as eventfd(2)
 */
int vmshm_poll_fd(struct vmshm *shm);
int vmshm_poll_arm(struct vmshm *shm, uint64_t offset, uint32_t expected);

#ifdef __cplusplus
}
#endif

#endif /* VMSHM_VMSHM_H */
