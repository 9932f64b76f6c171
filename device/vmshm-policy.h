/*
 * VMShm: the operator's policy for a guest, and the record of refusals
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_POLICY_H
#define VMSHM_POLICY_H

typedef enum VMShmRefusal {
    VMSHM_REFUSED_NAME,         /* not a POSIX shared memory name */
    VMSHM_REFUSED_POLICY,       /* allow= or deny= */
    VMSHM_REFUSED_PERMISSION,   /* the host's file permissions, or no file */
    VMSHM_REFUSED_READONLY,     /* readonly=on, or create=off */
    VMSHM_REFUSED_LIMIT,        /* max-objects= or max-bytes= */
    VMSHM_REFUSED_MIGRATION,    /* -only-migratable, or one is under way */
    VMSHM_REFUSED_REQUEST,      /* a command or argument that makes no sense */
    VMSHM_REFUSED_KINDS
} VMShmRefusal;

typedef struct VMShmPolicy {
    /* properties */
    char *allow;            /* patterns, ':' between them; NULL allows all */
    char *deny;             /* patterns, ':' between them; NULL denies none */
    /* The guest's "/x" is "/<prefix>x" and its "/sem.x" "/sem.<prefix>x". */
    char *prefix;
    bool readonly;
    bool create;
    uint32_t max_objects;   /* attached at one time */
    uint64_t max_bytes;     /* attached at one time; 0: no limit */

    /* record */
    uint64_t refused[VMSHM_REFUSED_KINDS];
    int64_t log_period_start;   /* ms, host clock */
    unsigned log_lines;         /* in this period */
    uint64_t log_dropped;       /* in this period */
} VMShmPolicy;

/* The most that max-objects= can be; each attachment is a mapping of QEMU. */
#define VMSHM_MAX_OBJECTS 16384

/* False and *errp, saying what would be right, for values that are wrong. */
bool vmshm_policy_validate(const VMShmPolicy *p, Error **errp);

/*
 * The host's name of the object that the guest calls @name (a name that
 * vmshm_host_name_check() has passed), or NULL if the guest must not know of
 * it. The caller frees it. It can be longer than a host name may be.
 */
char *vmshm_policy_host_name(const VMShmPolicy *p, const char *name);

/*
 * The opposite, for a directory entry (no '/') of the host: the guest's name
 * if it may know of it, else NULL. The caller frees it.
 */
char *vmshm_policy_guest_name(const VMShmPolicy *p, const char *entry);

/*
 * Whether the object that is created as @name (checked as above) is one that
 * sem_open() of a C library makes before it links it; see vmshm-temporary.h.
 */
bool vmshm_policy_is_temporary(const VMShmPolicy *p, const char *name);

/*
 * Counts a refusal and, within limits that a guest cannot exceed, logs it.
 * @name may be NULL; it may hold any bytes. @err is a negative errno.
 * Returns @err.
 */
int vmshm_policy_refuse(VMShmPolicy *p, VMShmRefusal kind, const char *name,
                        int err);

/*
 * Whether one more line may be logged now. If not, it is counted, and the
 * number is logged later. For each line that a guest or a host process causes.
 */
bool vmshm_policy_may_log(VMShmPolicy *p);

/* The property name of @kind in the record. */
const char *vmshm_policy_refusal_name(VMShmRefusal kind);

#endif /* VMSHM_POLICY_H */
