/*
 * VMShm: the state of a device, for its own source files
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_STATE_H
#define VMSHM_STATE_H

#include "vmshm-attach.h"
#include "vmshm-compat.h"
#include "vmshm-irq.h"
#include "vmshm-policy.h"
#include "vmshm-futex.h"
#include "vmshm-window.h"
#include "vmshm-request.h"
#include "vmshm-scope.h"
#include "vmshm-store.h"
#include "vmshm/regs.h"

/* The request and the result registers are two runs of 32-bit words. */
#define VMSHM_REQUEST_FIRST VMSHM_REG_FLAGS
#define VMSHM_REQUEST_LAST  VMSHM_REG_MODE
#define VMSHM_RESULT_FIRST  VMSHM_REG_RES_HANDLE
#define VMSHM_RESULT_LAST   VMSHM_REG_RES_BLOCKS_HI
#define VMSHM_REQUEST_WORDS ((VMSHM_REQUEST_LAST - VMSHM_REQUEST_FIRST) / 4 + 1)
#define VMSHM_RESULT_WORDS  ((VMSHM_RESULT_LAST - VMSHM_RESULT_FIRST) / 4 + 1)

#define TYPE_VMSHM "vmshm"
OBJECT_DECLARE_SIMPLE_TYPE(VMShmState, VMSHM)

/* Commands that are being executed; under the big lock */
typedef struct VMShmJobs {
    QLIST_HEAD(, VMShmJob) all;
    unsigned count;                 /* of all, abandoned ones included */
    QemuCond ended;
} VMShmJobs;

/* A mailbox of the command memory; under the big lock */
typedef struct VMShmMailbox {
    VMShmJob *job;                  /* NULL: it is not busy */
    uint32_t tag;                   /* of the job */
    uint32_t vector;
    GPtrArray *list;                /* names, while the guest lists; or NULL */
} VMShmMailbox;

struct VMShmState {
    PCIDevice parent_obj;

    VMShmPolicy policy;             /* properties */
    uint64_t arena_size;            /* property: bytes of one span, or 0 */
    char *dir_path;                 /* property: where the objects are */
    bool command_memory;            /* property: contract 1.1 */
    uint64_t sent_arena_size;       /* arena_size of a migration's source */

    MemoryRegion bar0;              /* with a command memory */
    MemoryRegion regs;              /* BAR0, or the first part of it */
    MemoryRegion memory;            /* the part behind it */
    MemoryRegion buffer;            /* BAR1 */
    MemoryRegion name_io;           /* BAR2 */
    MemoryRegion arena;             /* BAR4: the two spans */
    MemoryRegion arena_rw;
    MemoryRegion arena_ro;
    MemoryRegion futex_io;          /* in BAR0, from VMSHM_REG_SLOT on */

    VMShmWindow *buffer_window;
    VMShmWindow *arena_window;      /* both spans; NULL without an arena */
    /* Command memory, or NULL; without the property only for FIRED */
    VMShmWindow *memory_window;
    uint8_t *memory_host;           /* the same for vmstate: where it is, */
    uint32_t memory_size;           /* and how much there is; bytes */
    int dir;                        /* dir_path, or -1 */
    VMShmScope *scope;              /* or NULL before realize */
    VMShmStore *store;              /* only with policy.create */
    uint64_t hidden;                /* by the last listing; see VMShmJob */
    VMShmAttachments attachments;
    VMShmJobs jobs;
    uint32_t open_handle;           /* of the object at BAR1, or 0 */
    VMShmFutex *futex;              /* or NULL */
    VMShmIrq *irq;                  /* of futex, which frees it */
    GPtrArray *list;                /* names, while the guest lists; or NULL */

    uint8_t name[VMSHM_NAME_SIZE];  /* BAR2 */
    uint32_t request[VMSHM_REQUEST_WORDS];
    uint32_t result[VMSHM_RESULT_WORDS];
    uint32_t status;
    VMShmMailbox mailbox[VMSHM_MAILBOXES_MAX];
    uint32_t epoch;                 /* the value in the command memory */
};

#endif /* VMSHM_STATE_H */
