/*
 * VMShm: the number of objects that a guest may see
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_STORE_H
#define VMSHM_STORE_H

#include "vmshm-policy.h"

/*
 * The names of a directory's objects that a policy admits. The directory is
 * read once. Later changes come from inotify(7): the kernel queues an event
 * before the system call that makes the change returns. So the numbers are
 * exact, and other objects in the directory cost nothing. Without inotify the
 * directory is read for each count. Not thread safe.
 */
typedef struct VMShmStore VMShmStore;

/* Of the directory @dir, which is the caller's, like @policy */
VMShmStore *vmshm_store_new(int dir, const VMShmPolicy *policy);

/* NULL is fine. */
void vmshm_store_free(VMShmStore *s);

/*
 * The number of names, and the sum of sizes unless @bytes is NULL; or -errno.
 * Both exceed every limit if there are more than VMSHM_HOST_NAMES_MAX names.
 */
int vmshm_store_count(VMShmStore *s, uint64_t *objects, uint64_t *bytes);

#endif /* VMSHM_STORE_H */
