/*
 * VMShm: names of host objects, and opening them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_OBJECT_H
#define VMSHM_OBJECT_H

/*
 * Checks a name as the guest left it in @size bytes: "/" and one file name,
 * NUL-terminated. 0, -EINVAL or -ENAMETOOLONG. Looks at nothing but the bytes.
 */
int vmshm_name_check(const uint8_t *name, size_t size);

/*
 * Opens the POSIX shared memory object @name, which vmshm_name_check() has
 * passed. Never creates, truncates, blocks or follows a link. Returns a file
 * descriptor that the caller closes, with *@st filled in, or -errno: what
 * open(2) says, or -EINVAL for what is not a regular file.
 */
int vmshm_object_open(const char *name, bool readonly, struct stat *st);

#endif /* VMSHM_OBJECT_H */
