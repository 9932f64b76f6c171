/* SPDX-License-Identifier: MIT */
/*
 * VMShm character device contract: what the driver and its users agree on.
 *
 * Only #defines, no types and no includes. /dev/vmshmN (N = 0, 1, ... in the
 * order in which the devices were found) is used as in 2010:
 *
 *	fd = open("/dev/vmshm0", O_RDWR);
 *	ioctl(fd, VMSHM_IOC_ATTACH, "/name");
 *	p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
 *
 * Any number of processes may have a device open. Their files share the one
 * object that the device shows. It stays until the last file that attached it
 * is closed and the last mapping of such a file is unmapped.
 *
 * mmap of MAP_SHARED type, page-granular, of any part of the 1 MiB:
 *	EINVAL	not within the 1 MiB, or MAP_PRIVATE
 *	ENXIO	nothing is attached through this file
 *	EACCES	not open for what is asked, as for every file
 *	ENODEV	the device was unplugged or taken from the driver
 * A mapping does not grow with mremap (EFAULT). After an unplug its memory is
 * gone: an access is SIGBUS.
 */
#ifndef VMSHM_IOCTL_H
#define VMSHM_IOCTL_H

/*
 * Attach the host's object of this name; the argument is a string. The number
 * is that of 2010, literally 0. A file that has an object keeps it: the same
 * name again changes nothing. A file whose request fails is as before.
 *	EBUSY	another object is attached
 *	EFAULT	the string is not readable
 *	ENAMETOOLONG	no NUL in the first 1024 bytes, or the device says so
 *	ENODEV	the device was unplugged or taken from the driver
 *	EIO	the device answered with something that is no errno
 *	others	the device's answer: EINVAL, ENOENT, EACCES, ENODATA, ...
 */
#define VMSHM_IOC_ATTACH	0

#endif /* VMSHM_IOCTL_H */
