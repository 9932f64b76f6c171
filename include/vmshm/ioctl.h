/* SPDX-License-Identifier: MIT */
/*
 * VMShm character device contract between the driver and its users.
 *
 * /dev/vmshmN (N = 0, 1, ... in the order in which the devices were found) is
 * used as in 2010:
 *
 *	fd = open("/dev/vmshm0", O_RDWR);
 *	ioctl(fd, VMSHM_IOC_ATTACH, "/name");
 *	p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
 *
 * Any number of processes may have a device open. An object stays attached
 * until the last file that attached it is closed and the last mapping of such a
 * file is unmapped. A device without an arena (BAR4) has room for one object at
 * a time.
 *
 * mmap of MAP_SHARED type, page-granular, of any part of the 1 MiB:
 *	EINVAL	not within the 1 MiB, or MAP_PRIVATE
 *	ENXIO	nothing is attached through this file
 *	EACCES	the file is not open for the requested access
 *	ENODEV	the device was unplugged or taken from the driver
 * A mapping does not grow with mremap (EFAULT). After an unplug an access to it
 * raises SIGBUS.
 */
#ifndef VMSHM_IOCTL_H
#define VMSHM_IOCTL_H

#include <linux/ioctl.h>
#include <linux/types.h>

/*
 * Attach the host's object of this name; the argument is a string. The number
 * is that of 2010, literally 0. A file that has an object keeps this object: a
 * second request with the same name changes nothing. A request that fails does
 * not change the file.
 *	EBUSY	another object is attached
 *	EFAULT	the string is not readable
 *	ENAMETOOLONG	no NUL in the first 1024 bytes, or the device says so
 *	ENODEV	the device was unplugged or taken from the driver
 *	EIO	the device answered with an invalid errno
 *	others	the device's answer: EINVAL, ENOENT, EACCES, ENODATA, ...
 */
#define VMSHM_IOC_ATTACH	0

/*
 * futex(2) across the border: a process that maps the object, on the host or in
 * any guest, waits on an aligned 32-bit word of it, and another process wakes
 * it. A process of the host calls futex(2) itself (not the private kind). A
 * process of a guest calls these ioctls, on a file of the mounted file system
 * or on /dev/vmshmN after ATTACH. The guest's own futex(2) uses another queue
 * and does not reach these waiters, unless the driver has the parameter
 * futex=1.
 */
struct vmshm_ioc_wait {
	__u64 offset;	/* of the word; bytes into the object */
	__s64 deadline;	/* CLOCK_MONOTONIC, nanoseconds; negative: none */
	__u32 expected;	/* wait only if this is the value */
	__u32 reserved;	/* 0 */
};

struct vmshm_ioc_wake {
	__u64 offset;	/* of the word; bytes into the object */
	__u32 count;	/* how many to wake; 0: none; 0xffff and more: all */
	__u32 reserved;	/* 0 */
};

/*
 * Sleep until the word is woken. The result is 0 after a wake-up, or
 * spuriously, as with futex(2): read the word again. The waker changes the word
 * before it wakes: a waiter may enter the queue a moment after its call sleeps,
 * and then sees the change (EAGAIN) in place of the wake-up. A wake-up without
 * a change is lost for such a waiter.
 *	EAGAIN		the word has another value
 *	ETIMEDOUT	the deadline has passed
 *	EINTR		a signal (SA_RESTART: the call continues)
 *	EINVAL		the offset is no multiple of 4, or reserved is not 0
 *	EFAULT		the word is not in a page of the object, or the
 *			argument is not readable
 *	EOPNOTSUPP	the device or the host kernel does not support it
 *	ENXIO		nothing is attached through this file
 *	ENODEV		the device was unplugged or taken from the driver
 *	ENOMEM		the guest has no memory
 *	EBADF		WAIT: the file is not open for reading, which is needed
 *			because the result shows the value. WAKE needs no mode.
 * Any number of waiters can sleep. A device has 2016 slots for words that are
 * waited for or polled (64 without command memory), of which a user other than
 * root gets half. If 48 of them are in use, waiters of one word that expect the
 * same value share a slot. If no slot is free, a wake-up from outside the guest
 * takes up to 10 ms, and has an effect only if the word was changed. If
 * busy-polling has helped lately, a waiter busy-polls for a short time before
 * it sleeps (parameter look_us of the driver), and returns EAGAIN if the word
 * changes.
 */
#define VMSHM_IOC_WAIT	_IOW(0xe6, 1, struct vmshm_ioc_wait)
/*
 * Wake waiters of the word, those of this guest first. The result is 0, however
 * many were woken. Errors as above.
 */
#define VMSHM_IOC_WAKE	_IOW(0xe6, 2, struct vmshm_ioc_wake)

/*
 * Wake waiters of one word, and wait on another one of the same object, as WAKE
 * and then WAIT do. On a device with command memory the call usually makes one
 * access to the device, and so saves one exit from the virtual machine.
 */
struct vmshm_ioc_wake_wait {
	__u64 offset;	/* of the word to wait on; bytes into the object */
	__s64 deadline;	/* CLOCK_MONOTONIC, nanoseconds; negative: none */
	__u32 expected;	/* wait only if this is the value */
	__u32 count;	/* how many to wake; 0: none; 0xffff and more: all */
	__u64 wake;	/* of the word to wake; bytes into the object */
};

/*
 * The results are those of WAIT. If one of the words does not exist (EINVAL,
 * EFAULT), nothing is woken. In all other cases the waiters were woken, also if
 * the call does not wait (EAGAIN). If a signal restarts the call, it wakes
 * again.
 */
#define VMSHM_IOC_WAKE_WAIT	_IOW(0xe6, 5, struct vmshm_ioc_wake_wait)

/*
 * A word for an event loop, through poll(2), select(2) and epoll(7).
 */
struct vmshm_ioc_word {
	__u64 offset;	/* of the word; bytes into the object */
	__u32 expected;	/* the expected value of the word */
	__u32 reserved;	/* 0 */
};

/*
 * From now on poll() reports POLLIN for this file once the word has been woken
 * or has another value than expected, and not before. It does so until the next
 * VMSHM_IOC_POLL, which selects this word or another one anew. A file polls one
 * word; open the object again for each further word. A file without this call
 * is always ready. After an unplug, poll() reports POLLERR and POLLHUP, and
 * POLLIN if it would have reported it before. The call does not wait. Errors as
 * for WAIT, except EAGAIN, ETIMEDOUT and EINTR, and
 *	ENOSPC	1512 words (48 without command memory) are polled through this
 *		device, or half as many by a user other than root; or waiters
 *		use the slots
 */
#define VMSHM_IOC_POLL	_IOW(0xe6, 3, struct vmshm_ioc_word)

/*
 * Mark the word as owned by this process, until the file is closed, or the
 * process or the virtual machine ends in any way, as a robust futex does on the
 * host (see set_robust_list(2)). The word must have the expected value. It
 * becomes the owner's number (not 0, at most FUTEX_TID_MASK) | FUTEX_WAITERS.
 * When this process closes the file or ends, or the virtual machine ends, the
 * word becomes FUTEX_OWNER_DIED | FUTEX_WAITERS, and one waiter is woken,
 * unless the word was changed. This also happens while a mapping of the file
 * remains, or while a child still has the file open. A file holds one word.
 * Errors as for POLL, and
 *	EAGAIN	the word has another value
 *	EBUSY	this file holds a word already
 *	EBADF	the file is not open for reading and writing
 *	ENOSPC	32 words are held through this device, or 16 by a user other
 *		than root; or the host has no thread left
 */
#define VMSHM_IOC_HOLD	_IOW(0xe6, 4, struct vmshm_ioc_word)

#endif /* VMSHM_IOCTL_H */
