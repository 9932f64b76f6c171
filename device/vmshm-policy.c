/*
 * VMShm: the operator's policy for a guest, and the record of refusals
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <fnmatch.h>
#include "qemu/error-report.h"
#include "qemu/timer.h"
#include "qapi/error.h"
#include "vmshm-host.h"
#include "vmshm-policy.h"
#include "vmshm-trace.h"

/*
 * At most this many lines in this many milliseconds. A guest can cause refusals
 * without end.
 */
#define LOG_LINES 10
#define LOG_PERIOD_MS 10000

static bool patterns_valid(const char *property, const char *patterns,
                           Error **errp)
{
    g_auto(GStrv) list = NULL;
    size_t i;

    if (!patterns) {
        return true;
    }
    list = g_strsplit(patterns, ":", -1);
    if (!list[0]) {
        error_setg(errp, "%s= is empty; give shell patterns such as /cam-* "
                   "with ':' between them, or leave it out", property);
        return false;
    }
    for (i = 0; list[i]; i++) {
        if (list[i][0] != '/' || !list[i][1] || strchr(list[i] + 1, '/')) {
            error_setg(errp, "%s=: '%s' matches no object; a pattern is a "
                       "'/' and one file name, such as /cam-*", property,
                       list[i]);
            return false;
        }
    }
    return true;
}

bool vmshm_policy_validate(const VMShmPolicy *p, Error **errp)
{
    if (!patterns_valid("allow", p->allow, errp) ||
        !patterns_valid("deny", p->deny, errp)) {
        return false;
    }
    if (p->prefix && (!*p->prefix || strchr(p->prefix, '/') ||
                      strlen(p->prefix) >= NAME_MAX)) {
        error_setg(errp, "prefix= takes 1 to %d characters without '/', such "
                   "as vm1- to show the host's /vm1-x as /x", NAME_MAX - 1);
        return false;
    }
    if (p->max_objects < 1 || p->max_objects > VMSHM_MAX_OBJECTS) {
        error_setg(errp, "max-objects= takes 1 to %d", VMSHM_MAX_OBJECTS);
        return false;
    }
    if (p->readonly && p->create) {
        error_setg(errp, "readonly=on and create=on contradict each other; "
                   "leave one of them out");
        return false;
    }
    return true;
}

static bool matches_any(const char *patterns, const char *name)
{
    g_auto(GStrv) list = g_strsplit(patterns, ":", -1);
    size_t i;

    for (i = 0; list[i]; i++) {
        if (fnmatch(list[i], name, FNM_NOESCAPE) == 0) {
            return true;
        }
    }
    return false;
}

/* What glibc puts before the name of a semaphore, behind the '/' */
#define SEM "sem."

/* The name of the semaphore that an object (no '/') has; NULL: it has none */
static const char *semaphore(const char *object)
{
    return g_str_has_prefix(object, SEM) && object[strlen(SEM)]
           ? object + strlen(SEM) : NULL;
}

static bool allows(const char *patterns, const char *name)
{
    g_auto(GStrv) list = g_strsplit(patterns, ":", -1);
    const char *sem = semaphore(name + 1);
    g_autofree char *short_name = sem ? g_strconcat("/", sem, NULL) : NULL;
    size_t i;

    for (i = 0; list[i]; i++) {
        /* A pattern that begins with "/sem." is for semaphores only. */
        bool whole = !sem || g_str_has_prefix(list[i], "/" SEM);

        if (fnmatch(list[i], whole ? name : short_name, FNM_NOESCAPE) == 0) {
            return true;
        }
    }
    return false;
}

/* Tries the name with and without "sem.": a pattern for all names stays so. */
static bool denies(const char *patterns, const char *name)
{
    const char *sem = semaphore(name + 1);
    g_autofree char *short_name = sem ? g_strconcat("/", sem, NULL) : NULL;

    return matches_any(patterns, name) ||
           (sem && matches_any(patterns, short_name));
}

static bool may_know(const VMShmPolicy *p, const char *name)
{
    return (!p->allow || allows(p->allow, name)) &&
           (!p->deny || !denies(p->deny, name));
}

/* What follows the prefix in a name (no '/') of the host, or NULL */
static const char *without_prefix(const VMShmPolicy *p, const char *name)
{
    const char *prefix = p->prefix ?: "";

    return name && g_str_has_prefix(name, prefix) ? name + strlen(prefix)
                                                  : NULL;
}

/*
 * The name of a semaphore of the guest for an entry of the host, or NULL. An
 * entry that can be read as a semaphore is none of another name: with a prefix
 * such as "s", "/sem.x" and "/em.sx" would otherwise be the same object.
 */
static const char *guest_semaphore(const VMShmPolicy *p, const char *entry)
{
    const char *sem = without_prefix(p, semaphore(entry));

    return sem && *sem ? sem : NULL;
}

char *vmshm_policy_host_name(const VMShmPolicy *p, const char *name)
{
    const char *sem = semaphore(name + 1);
    g_autofree char *host = NULL;

    if (!may_know(p, name)) {
        return NULL;
    }
    host = g_strconcat(sem ? "/" SEM : "/", p->prefix ?: "", sem ?: name + 1,
                       NULL);
    if (!sem && guest_semaphore(p, host + 1)) {
        return NULL;
    }
    return g_steal_pointer(&host);
}

char *vmshm_policy_guest_name(const VMShmPolicy *p, const char *entry)
{
    const char *sem = guest_semaphore(p, entry);
    const char *plain = sem ? NULL : without_prefix(p, entry);
    g_autofree char *name = NULL;

    if (!sem && (!plain || semaphore(plain))) {
        return NULL;
    }
    name = g_strconcat(sem ? "/" SEM : "/", sem ?: plain, NULL);
    if (vmshm_host_name_check((uint8_t *)name, strlen(name) + 1) < 0 ||
        !may_know(p, name)) {
        return NULL;
    }
    return g_steal_pointer(&name);
}

/* glibc: "sem." and six letters or digits */
static bool is_glibc_temporary(const char *name)
{
    const char *sem = semaphore(name + 1);

    return sem && strlen(sem) == 6 &&
           strspn(sem, "abcdefghijklmnopqrstuvwxyz"
                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == 6;
}

/* musl: "tmp-" and a number of nanoseconds */
static bool is_musl_temporary(const char *name)
{
    const char *number = name + strlen("/tmp-");
    size_t digits;

    if (!g_str_has_prefix(name, "/tmp-")) {
        return false;
    }
    digits = strspn(number, "0123456789");
    return digits >= 1 && digits <= 9 && !number[digits];
}

bool vmshm_policy_is_temporary(const VMShmPolicy *p, const char *name)
{
    return p->create && (is_glibc_temporary(name) ||
                         (is_musl_temporary(name) && !may_know(p, name)));
}

const char *vmshm_policy_refusal_name(VMShmRefusal kind)
{
    static const char *const names[VMSHM_REFUSED_KINDS] = {
        [VMSHM_REFUSED_NAME] = "name",
        [VMSHM_REFUSED_POLICY] = "policy",
        [VMSHM_REFUSED_PERMISSION] = "permission",
        [VMSHM_REFUSED_READONLY] = "readonly",
        [VMSHM_REFUSED_LIMIT] = "limit",
        [VMSHM_REFUSED_MIGRATION] = "migration",
        [VMSHM_REFUSED_REQUEST] = "request",
    };

    return names[kind];
}

static const char *refusal_text(VMShmRefusal kind)
{
    static const char *const texts[VMSHM_REFUSED_KINDS] = {
        [VMSHM_REFUSED_NAME] = "not a shared memory name",
        [VMSHM_REFUSED_POLICY] = "not allowed by allow= and deny=",
        [VMSHM_REFUSED_PERMISSION] = "the host refuses it",
        [VMSHM_REFUSED_READONLY] = "needs create=on and not readonly=on",
        [VMSHM_REFUSED_LIMIT] = "over a limit of the device or of QEMU",
        [VMSHM_REFUSED_MIGRATION] = "-only-migratable, or a migration",
        [VMSHM_REFUSED_REQUEST] = "malformed request",
    };

    return texts[kind];
}

bool vmshm_policy_may_log(VMShmPolicy *p)
{
    int64_t now = qemu_clock_get_ms(QEMU_CLOCK_HOST);

    if (now - p->log_period_start >= LOG_PERIOD_MS ||
        now < p->log_period_start) {
        if (p->log_dropped) {
            warn_report("vmshm: %" PRIu64 " more lines were not logged",
                        p->log_dropped);
        }
        p->log_period_start = now;
        p->log_lines = 0;
        p->log_dropped = 0;
    }
    if (p->log_lines == LOG_LINES) {
        p->log_dropped++;
        return false;
    }
    p->log_lines++;
    return true;
}

int vmshm_policy_refuse(VMShmPolicy *p, VMShmRefusal kind, const char *name,
                        int err)
{
    p->refused[kind]++;
    VMSHM_TRACE(refuse, vmshm_policy_refusal_name(kind), name ?: "", err);
    if (vmshm_policy_may_log(p)) {
        g_autofree char *shown = g_strescape(name ?: "", NULL);

        warn_report("vmshm: refused \"%.80s\": %s (%s)", shown,
                    refusal_text(kind), strerror(-err));
    }
    return err;
}
