/* SPDX-License-Identifier: MIT */
/*
 * libvmshm: POSIX shared memory objects of the host, with the same calls for a
 * program on the host and for a program in a guest. vmshm_object(3) is the
 * manual page.
 *
 * Errors are negative errno values. Sizes and offsets are in bytes. A deadline
 * is a time of CLOCK_MONOTONIC in nanoseconds, see vmshm_deadline(). After a
 * failure, each output argument is NULL or 0.
 *
 * "Safety:" lines have the terms of attributes(7) and signal-safety(7):
 *
 *	thread	any number of threads may call the function at the same time,
 *		also with the same object
 *	signal	a signal handler may call the function, whatever it interrupts
 *	fork	a child of fork(2) may call the function with the objects that
 *		its parent has opened, whatever the threads of the parent did at
 *		the time of the fork
 *
 * No function may be called with an object during vmshm_close() or after it.
 */
#ifndef VMSHM_VMSHM_H
#define VMSHM_VMSHM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An open object. It belongs to the caller until vmshm_close(). */
struct vmshm;

/* Deadlines: never, and one that has passed (the call does not wait) */
#define VMSHM_FOREVER	((int64_t)-1)
#define VMSHM_NOW	((int64_t)0)

/*
 * Return the deadline that is @nanoseconds from now. A negative number and a
 * time that a deadline cannot express give VMSHM_FOREVER.
 * Safety: thread, signal, fork.
 */
int64_t vmshm_deadline(int64_t nanoseconds);

/*
 * Open the object @name ("/frames", or "frames") as open(2) does. @flags are
 * O_RDONLY or O_RDWR, and O_CREAT and O_EXCL with @mode. The object is *@shm,
 * which vmshm_close() releases.
 *
 * @where is NULL, or the name of a guest's device ("vmshm1"), or the path of a
 * directory ("/dev/shm"). NULL is the first of these that exists: the directory
 * in the variable VMSHM_DIR, which a set-user-ID program ignores; in a guest
 * the file system vmshm, mounted on /dev/shm or elsewhere; then /dev/vmshm0,
 * which shows the first 1 MiB of an object; then /dev/shm, as on the host. A
 * mount that cannot be reached by its path, and a mount of a single file, are
 * not used.
 *
 *	EINVAL	@name, @where, VMSHM_DIR or @flags are invalid, or the name is
 *		that of a FIFO, a directory or the like
 *	ENAMETOOLONG	the name has more than 255 bytes after the '/'
 *	ENOENT	there is no object of that name, or no such device or directory
 *	ENOTUNIQ	@where is NULL, several devices are mounted, and none of
 *		them on /dev/shm
 *	EOPNOTSUPP	O_CREAT on a node /dev/vmshmN
 *	EEXIST, EACCES, EROFS, EMFILE, ENOMEM, ...	as open(2); on a node
 *		as VMSHM_IOC_ATTACH, see vmshm(4)
 *
 * Safety: thread. A child of fork(2) may call it if it may call malloc(3).
 */
int vmshm_open(struct vmshm **shm, const char *where, const char *name,
	       int flags, mode_t mode);

/*
 * Release the object and its mapping. NULL is allowed. In a child of fork(2)
 * the call releases the child's copy, and the parent's object is not affected.
 * Safety: thread, with different objects; fork, if the child may call free(3).
 */
void vmshm_close(struct vmshm *shm);

/*
 * Remove the name @name. Processes that have the object open keep it. @where
 * and @name are as in vmshm_open().
 *
 *	EOPNOTSUPP	on a node /dev/vmshmN
 *	EINVAL, ENOENT, ENOTUNIQ, ...	as vmshm_open() and unlink(2)
 *
 * Safety: thread. A child of fork(2) may call it if it may call malloc(3).
 */
int vmshm_unlink(const char *where, const char *name);

/*
 * Return the file descriptor of the object, for fstat(2), fallocate(2) and the
 * like. It belongs to the library, which closes it in vmshm_close().
 * Safety: thread, signal, fork.
 */
int vmshm_fd(const struct vmshm *shm);

/*
 * Get the present size of the object; on a node /dev/vmshmN always 1 MiB.
 * Errors as fstat(2).
 * Safety: thread, signal, fork.
 */
int vmshm_size(struct vmshm *shm, uint64_t *size);

/*
 * Make the object at least @size bytes long, and allocate memory for all of it:
 * a lack of memory is ENOSPC here, and not SIGBUS later. The object never
 * becomes smaller.
 *
 *	EOPNOTSUPP	on a node /dev/vmshmN
 *	EFBIG, EBADF, ENOSPC, EROFS, ...	as fallocate(2)
 *
 * Safety: thread, fork.
 */
int vmshm_grow(struct vmshm *shm, uint64_t size);

/*
 * Map the object, writable if it was opened with O_RDWR. The first call maps
 * the size that the object then has. All later calls return the same mapping,
 * which vmshm_close() unmaps. On the host, vmshm_wait(), vmshm_wake() and
 * vmshm_poll_arm() map the object as well, so an object has to be grown before
 * the first of these calls.
 *
 *	ENODATA	the object has no bytes yet
 *	ENOMEM, EACCES, ...	as mmap(2)
 *
 * Safety: thread, signal, fork.
 */
int vmshm_map(struct vmshm *shm, void **data, size_t *size);

/*
 * Wait until a process on the host or in any guest wakes the 32-bit word at
 * @offset, if the value of the word is @expected. The call can return 0 without
 * a wake-up, so the caller has to check its condition again, in a loop.
 *
 *	EAGAIN	the word has another value
 *	ETIMEDOUT	the deadline has passed
 *	EINTR	a signal handler was called; with SA_RESTART the wait
 *		continues; on the host it does so only if it has no deadline
 *	EINVAL	the offset is not a multiple of 4
 *	EFAULT	the word is not in the object, or not in its mapping
 *	EOPNOTSUPP	the device or the host kernel does not support waiting
 *	ENODEV	the device was unplugged
 *
 * Safety: thread, signal, fork.
 */
int vmshm_wait(struct vmshm *shm, uint64_t offset, uint32_t expected,
	       int64_t deadline);

/*
 * Wake up to @count waiters of the word at @offset; UINT32_MAX wakes all. The
 * caller changes the word first: a thread that sleeps in vmshm_wait() may enter
 * the queue later, and then sees the change. A wake-up without a change is lost
 * for such a thread. errno does not change. Errors as vmshm_wait(), except
 * EAGAIN, EINTR and ETIMEDOUT.
 * Safety: thread, signal, fork.
 */
int vmshm_wake(struct vmshm *shm, uint64_t offset, uint32_t count);

/*
 * A word for an event loop: the file descriptor is readable as soon as the word
 * of the last vmshm_poll_arm() has been woken or is not @expected, and stays so
 * until the next vmshm_poll_arm(). It is only for poll(2) and the like; do not
 * read from it. An object has one such word. The file descriptor belongs to the
 * library, which closes it in vmshm_close().
 *
 *	EPERM	the process is a child of the process that opened the object
 *	EINVAL, EFAULT, EOPNOTSUPP, ENODEV	as vmshm_wait()
 *	ENOSPC	the device has no free slot
 *	EAGAIN	no thread could be created, on the host
 *	EMFILE, ENFILE, ENOMEM	as eventfd(2), on the host
 *
 * On the host, the first vmshm_poll_arm() starts a thread, in which all signals
 * are blocked.
 *
 * Safety: vmshm_poll_fd(): thread. vmshm_poll_arm(): one thread at a time.
 */
int vmshm_poll_fd(struct vmshm *shm);
int vmshm_poll_arm(struct vmshm *shm, uint64_t offset, uint32_t expected);

#ifdef __cplusplus
}
#endif

#endif /* VMSHM_VMSHM_H */
