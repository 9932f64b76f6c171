/*
 * VMShm: the request and the result of a command
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_REQUEST_H
#define VMSHM_REQUEST_H

#include "vmshm/regs.h"

/* A private copy of a request; nothing in it has been checked. */
typedef struct VMShmRequest {
    uint32_t command;
    uint32_t flags;
    uint32_t handle;
    uint32_t mode;
    uint64_t offset;
    uint64_t length;
    uint64_t place;
    struct timespec atime;
    struct timespec mtime;
    uint8_t names[VMSHM_NAME_SIZE];     /* as in BAR2 */
} VMShmRequest;

/* Attributes of an object */
typedef struct VMShmAttr {
    uint64_t ident;
    struct stat st;
} VMShmAttr;

/* The results that a successful command sets */
typedef struct VMShmResult {
    uint32_t handle;        /* or 0 */
    bool has_attr;
    VMShmAttr attr;
    uint32_t count;
    uint64_t next;
    uint64_t total;
    uint64_t free;
    GByteArray *data;       /* or NULL */
} VMShmResult;

#endif /* VMSHM_REQUEST_H */
