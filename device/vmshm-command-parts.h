/*
 * VMShm: the single commands, and their common functions
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_COMMAND_PARTS_H
#define VMSHM_COMMAND_PARTS_H

#include "vmshm-job.h"

/* First steps of commands; all steps here are executed with the big lock. */

/* vmshm-command-attach.c */
void vmshm_command_attach(VMShmJob *job);
void vmshm_command_hold(VMShmJob *job);
void vmshm_command_detach(VMShmJob *job);
void vmshm_command_release(VMShmJob *job);

/*
 * Prepares the unmapping of these ranges (VMShmRange) without the big lock, and
 * then begins again with @then; false if there is nothing to prepare. Takes
 * @ranges.
 */
bool vmshm_command_before_unmap(VMShmJob *job, GArray *ranges,
                                void (*then)(VMShmJob *job));

/* vmshm-command-look.c */
void vmshm_command_stat(VMShmJob *job);
void vmshm_command_statfs(VMShmJob *job);
void vmshm_command_list(VMShmJob *job);

/* vmshm-command-change.c */
void vmshm_command_create(VMShmJob *job);
void vmshm_command_unlink(VMShmJob *job);
void vmshm_command_second_name(VMShmJob *job);
void vmshm_command_resize(VMShmJob *job);
void vmshm_command_allocate(VMShmJob *job);
void vmshm_command_setattr(VMShmJob *job);

/* vmshm-command-border.c: every byte of a request is checked there. */

/* Records that the request makes no sense, and fails with @err. */
void vmshm_command_refuse(VMShmJob *job, const char *what, int err);

/* Fails if other flags are set than @allowed. */
bool vmshm_command_flags(VMShmJob *job, uint32_t allowed, const char *what);

/*
 * Checks the request's name and sets job->name, and job->temporary if the name
 * is that of a temporary of the guest (vmshm-temporary.h), else job->host_name;
 * fails with @denied if the policy keeps the name from the guest. CREATE can
 * also be given the name of a temporary that does not exist yet, which sets
 * job->is_temporary. The second name sets job->second and job->host_second, and
 * is no temporary's.
 */
bool vmshm_command_name(VMShmJob *job, int denied);
bool vmshm_command_new_name(VMShmJob *job);
bool vmshm_command_second(VMShmJob *job, int denied);

/* The attachment that HANDLE names, or NULL; BAR1's has no handle. */
VMShmAttachment *vmshm_command_attachment(VMShmJob *job);

/*
 * Opens the object that the request is about, by name or by handle, and goes
 * on with @then: job->fd, job->st and job->name are set. If the host could
 * block, that is a later step.
 */
void vmshm_command_open(VMShmJob *job, bool readonly,
                        void (*then)(VMShmJob *job));
void vmshm_command_open_named(VMShmJob *job, bool readonly,
                              void (*then)(VMShmJob *job));

/* As work: fails with the host's answer @ret. */
void vmshm_command_host_failed(VMShmJob *job, int ret);

/* The results of STAT, of job->fd and job->st */
void vmshm_command_set_attr(VMShmJob *job);

/* ENFILE or EDQUOT if one more attachment of @length is too much; or 0 */
int vmshm_command_check_limits(VMShmJob *job, uint64_t length);

/* A handle for job->fd that shows nothing; the descriptor is the table's. */
void vmshm_command_add_hold(VMShmJob *job, bool readonly);

#endif /* VMSHM_COMMAND_PARTS_H */
