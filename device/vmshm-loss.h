/*
 * VMShm: attached objects whose memory the host takes away
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMSHM_LOSS_H
#define VMSHM_LOSS_H

#include "vmshm-attach.h"

/*
 * A host process can truncate an object that is attached, and a file system can
 * run out of memory for a page that is touched for the first time. The kernel
 * then answers an access with SIGBUS. The functions here put private zero
 * memory there, so that the access continues: from the object's end to the end
 * of the attachment as one mapping, or in place of the page. The memory stays
 * lost until the guest attaches the object again.
 */

/*
 * An access to @host got SIGBUS. True: it can be repeated. False: the address
 * is not ours. Async-signal-safe; for any thread.
 */
bool vmshm_loss_bus_error(const void *host);

/*
 * As vmshm_loss_bus_error(), for a write to read-only memory. Only a debugger
 * writes to it, through QEMU's gdbstub. The write goes to a private copy, which
 * exists until the main loop calls vmshm_loss_report().
 */
bool vmshm_loss_write_fault(const void *host);

/* Repairs all attachments of objects that are shorter now. Thread safe. */
void vmshm_loss_repair(void);

/* The number of losses of all devices. Thread safe. */
uint64_t vmshm_loss_count(void);

/*
 * Calls @report for each attachment of @t that has lost memory since the
 * last call, with VMSHM_LOST_* and without a lock. In the main loop.
 */
void vmshm_loss_report(VMShmAttachments *t,
                       void (*report)(void *opaque, const VMShmAttachment *a,
                                      unsigned lost),
                       void *opaque);

/*
 * Whether an attachment of the object of @a has lost memory since the last
 * call for this object
 */
bool vmshm_loss_tell(VMShmAttachments *t, const VMShmAttachment *a);

/*
 * Before @a is removed: another attachment of the object, if there is one,
 * keeps the report that vmshm_loss_tell() has not made yet.
 */
void vmshm_loss_pass_on(VMShmAttachments *t, const VMShmAttachment *a);

#endif /* VMSHM_LOSS_H */
