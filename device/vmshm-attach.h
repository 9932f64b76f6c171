/*
 * VMShm: the objects that are attached, and where
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_ATTACH_H
#define VMSHM_ATTACH_H

#include "vmshm-compat.h"
#include "qemu/queue.h"
#include "vmshm-policy.h"
#include "vmshm-scope.h"
#include "vmshm-temporary.h"
#include "vmshm-window.h"

/* Bits for what happened to the memory of an attachment; see vmshm-loss.h */
#define VMSHM_LOST_END      (1u << 0)   /* the object was truncated */
#define VMSHM_LOST_PAGE     (1u << 1)   /* the host had no memory for a page */
#define VMSHM_LOST_WRITE    (1u << 2)   /* a debugger wrote, readonly */

/*
 * One object, or a part of one, in a window; or just held, with length 0.
 * What follows fd is the table's; the lock of the windows protects shown,
 * pieces, unreported and untold.
 */
typedef struct VMShmAttachment {
    VMShmWindow *window;    /* NULL if it is just held */
    uint64_t place;         /* bytes into the window, page aligned */
    uint64_t length;        /* bytes, whole pages */
    uint64_t offset;        /* bytes into the object, page aligned */
    uint64_t page;          /* bytes of the object's pages; 0: the host's */
    bool readonly;
    uint32_t handle;        /* not 0 */
    int fd;                 /* of the object, owned; or -1 */
    char *name;             /* as the guest calls it; owned */
    int64_t since;          /* ms since 1970, host clock */
    uint64_t shown;         /* bytes from its start that are the object's */
    unsigned pieces;        /* mappings taken from the budget for it */
    unsigned unreported;    /* VMSHM_LOST_*: for the operator's log */
    bool untold;            /* the guest does not know of a loss yet */
    VMShmScope *scope;      /* the table's */
} VMShmAttachment;

/* A second descriptor of an object, while a command uses it */
typedef struct VMShmBorrowed {
    int fd;
    QLIST_ENTRY(VMShmBorrowed) next;
} VMShmBorrowed;

/* All of a device's attachments. Not thread safe: under the big lock. */
typedef struct VMShmAttachments {
    GHashTable *by_handle;      /* owns the attachments */
    GTree *by_place;            /* the same ones; changed under both locks */
    QLIST_HEAD(, VMShmBorrowed) borrowed;
    VMShmScope *scope;          /* the device's */
    QEMUBH *loss_bh;            /* scheduled when something was lost; or NULL */
    uint64_t lost_ends;         /* how often; under the windows' lock */
    uint64_t lost_pages;
    uint64_t lost_writes;
    bool untold;                /* an attachment may have it; the same lock */
    QLIST_ENTRY(VMShmAttachments) next;
    uint32_t last_handle;
    uint64_t bytes;             /* mapped by all of them */
    Error *migration_blocker;   /* not NULL while there are any */
    VMShmTemporaries temporaries;   /* nameless as well */
} VMShmAttachments;

/*
 * @scope is that of the objects that the guest can use. @loss, with @opaque, is
 * called in the main loop after a loss.
 */
void vmshm_attachments_init(VMShmAttachments *t, VMShmScope *scope,
                            QEMUBHFunc *loss, void *opaque);

/*
 * Frees the table; vmshm_attachments_remove_all() comes first. A second call is
 * harmless.
 */
void vmshm_attachments_destroy(VMShmAttachments *t);

/*
 * Maps the object as *@want says (all but handle and since are filled in) and
 * enters it. On success *@handle is set, and fd and name are the table's; on
 * failure they stay the caller's. -EBUSY: the place is taken, or migration is
 * under way; -EACCES: -only-migratable; -ENOMEM or -EMFILE: the devices of
 * this QEMU have all the mappings or descriptors that they may have; or what
 * mmap(2) says. *@why is set if that is to be recorded as a refusal.
 */
int vmshm_attachments_add(VMShmAttachments *t, const VMShmAttachment *want,
                          uint32_t *handle, VMShmRefusal *why);

/* NULL if there is none. */
VMShmAttachment *vmshm_attachments_find(VMShmAttachments *t, uint32_t handle);

/*
 * 0, or -errno and it is still attached (the host is out of memory). With @fd
 * the caller gets the descriptor and closes it; otherwise it is closed here.
 */
int vmshm_attachments_remove(VMShmAttachments *t, VMShmAttachment *a, int *fd);

/*
 * Appends the memory (VMShmRange) that removing @a replaces; NULL: that
 * removing all replaces.
 */
void vmshm_attachments_ranges(VMShmAttachments *t, const VMShmAttachment *a,
                              GArray *ranges);

/* Detaches everything; the first error, if any, after trying all. */
int vmshm_attachments_remove_all(VMShmAttachments *t);

/* The sum, or the largest number if that is less: sizes can be 2^63 - 1. */
uint64_t vmshm_attachments_sum(uint64_t one, uint64_t other);

/*
 * Bytes of the objects that have no name (any more) and that devices of the
 * same scope have attached, borrowed, or keep as temporaries, each once. If @st
 * is not NULL, *@held tells whether its object is attached by one of them.
 */
uint64_t vmshm_attachments_nameless(VMShmAttachments *t, const struct stat *st,
                                    bool *held);

/*
 * A duplicate of @fd, the descriptor of an attachment or of a temporary, which
 * the caller closes; or -errno. Until vmshm_attachments_return() the object
 * counts as if it were attached, also if it is not any more. To return one
 * twice, or none, is harmless.
 */
int vmshm_attachments_borrow(VMShmAttachments *t, int fd,
                             VMShmBorrowed *borrowed);
void vmshm_attachments_return(VMShmBorrowed *borrowed);

/*
 * Calls @fn for each attachment of every device until it returns true. Under
 * the windows' lock; async-signal-safe if @fn is. *@t is its table.
 */
typedef bool VMShmAttachmentFunc(VMShmAttachments *t, VMShmAttachment *a,
                                 void *opaque);
void vmshm_attachments_each(VMShmAttachmentFunc *fn, void *opaque);

/* The attachment that shows @host, and its table; or NULL. As above. */
VMShmAttachment *vmshm_attachments_at(const void *host, VMShmAttachments **t);

/* Drops the part from @keep bytes on; 0 or -errno. Under the windows' lock. */
int vmshm_attachment_drop(VMShmAttachment *a, uint64_t keep);

/*
 * Puts private zero memory over the parts of attachments that lie beyond @size
 * bytes of the object of @st. To be called before the object is truncated to
 * @size. 0 or -errno; after an error the attachments are as before, and the
 * guest learns of a loss if one of them is not.
 */
int vmshm_attachments_cut(VMShmAttachments *t, const struct stat *st,
                          uint64_t size);

/* Appends the memory (VMShmRange) that the cut replaces. */
void vmshm_attachments_cut_ranges(VMShmAttachments *t, const struct stat *st,
                                  uint64_t size, GArray *ranges);

#endif /* VMSHM_ATTACH_H */
