/*
 * VMShm: what a command's request says
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_REQUEST_H
#define VMSHM_REQUEST_H

#include "vmshm-state.h"

/* The request registers; @reg of a 64-bit value is its low half. */
uint32_t vmshm_request_get(VMShmState *s, unsigned reg);
uint64_t vmshm_request_get64(VMShmState *s, unsigned reg);

/* The result registers */
void vmshm_request_set(VMShmState *s, unsigned reg, uint32_t value);
void vmshm_request_set64(VMShmState *s, unsigned reg, uint64_t value);
void vmshm_request_set_stat(VMShmState *s, int fd, const struct stat *st);

/* Records that the request makes no sense; returns @err. */
int vmshm_request_refuse(VMShmState *s, const char *what, int err);

/* Records @ret, the host's answer, if the host has refused; returns it. */
int vmshm_request_host_answer(VMShmState *s, const char *name, int ret);

/*
 * The name at byte @at of BAR2, checked: the guest's in *@name, the host's in
 * *@host_name. The caller frees both, also after a failure. @denied is the
 * errno for a name that the policy keeps from the guest. 0 or -errno.
 */
int vmshm_request_name(VMShmState *s, unsigned at, int denied, char **name,
                       char **host_name);

/*
 * Opens the object named in BAR2, or the one that FLAGS and HANDLE select. A
 * descriptor that the caller closes, with *@st filled in, or -errno. The
 * caller frees *@name, also after a failure.
 */
int vmshm_request_open_named(VMShmState *s, bool readonly, char **name,
                             struct stat *st);
int vmshm_request_open(VMShmState *s, bool readonly, char **name,
                       struct stat *st);

/* The attachment that HANDLE names, or NULL; BAR1's has no handle. */
VMShmAttachment *vmshm_request_attachment(VMShmState *s);

#endif /* VMSHM_REQUEST_H */
