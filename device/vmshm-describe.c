/*
 * VMShm: the properties of a device that the operator can read
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "vmshm-describe.h"
#include "vmshm-resume.h"

QList *vmshm_describe_attachments(VMShmState *s)
{
    QList *list = qlist_new();
    GHashTableIter iter;
    gpointer value;

    if (!s->attachments.by_handle) {
        return list;
    }
    g_hash_table_iter_init(&iter, s->attachments.by_handle);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        VMShmAttachment *a = value;
        QDict *one = qdict_new();

        qdict_put_str(one, "name", a->name);
        qdict_put_int(one, "offset", a->offset);
        qdict_put_int(one, "bytes", a->length);
        qdict_put_str(one, "mode", a->readonly ? "ro" : "rw");
        qdict_put_int(one, "since-ms", a->since);
        if (a->window) {
            qdict_put_int(one, "bar", a->window == s->arena_window
                                      ? VMSHM_BAR_ARENA : VMSHM_BAR_BUFFER);
            qdict_put_int(one, "place", a->place);
        }
        qlist_append(list, one);
    }
    return list;
}

QDict *vmshm_describe_refusals(VMShmState *s)
{
    QDict *dict = qdict_new();
    VMShmRefusal kind;

    for (kind = 0; kind < VMSHM_REFUSED_KINDS; kind++) {
        qdict_put_int(dict, vmshm_policy_refusal_name(kind),
                      s->policy.refused[kind]);
    }
    return dict;
}

QDict *vmshm_describe_losses(VMShmState *s)
{
    VMShmAttachments *t = &s->attachments;
    QDict *dict = qdict_new();

    vmshm_window_lock();
    qdict_put_int(dict, "truncated", t->lost_ends);
    qdict_put_int(dict, "no-memory", t->lost_pages);
    qdict_put_int(dict, "written-read-only", t->lost_writes);
    vmshm_window_unlock();
    qdict_put_int(dict, "resumed", vmshm_resume_count());
    return dict;
}
