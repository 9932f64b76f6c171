/*
 * VMShm: what all devices of this QEMU may take of the process's limits
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <sys/resource.h>
#include "qemu/atomic.h"
#include "qemu/cutils.h"
#include "vmshm-budget.h"

/* The kernel's default, used if /proc does not have the limit */
#define MAX_MAP_COUNT 65530

/* Descriptors for QEMU itself, or a quarter of a limit that is low */
#define FILES_RESERVE 1024u

static unsigned mappings;           /* atomic */
static unsigned mappings_limit;     /* 0 before the first device comes */
static unsigned files;              /* atomic */
static unsigned files_limit;        /* set whenever a device comes */
static unsigned files_wanted;       /* of all devices */

/* Refuses what would exceed @limit, which *@taken may exceed already. */
static bool take(unsigned *taken, unsigned count, unsigned limit)
{
    unsigned old = qatomic_fetch_add(taken, count);

    if (old > limit || count > limit - old) {
        qatomic_sub(taken, count);
        return false;
    }
    return true;
}

bool vmshm_budget_take_mappings(unsigned count)
{
    return take(&mappings, count, mappings_limit);
}

void vmshm_budget_give_mappings(unsigned count)
{
    qatomic_sub(&mappings, count);
}

bool vmshm_budget_take_file(void)
{
    return take(&files, 1, files_limit);
}

void vmshm_budget_give_file(void)
{
    qatomic_sub(&files, 1);
}

static void set_mappings_limit(void)
{
    g_autofree char *text = NULL;
    unsigned count;

    /* The text ends with a newline, so the end pointer is not checked. */
    if (!g_file_get_contents("/proc/sys/vm/max_map_count", &text, NULL,
                             NULL) ||
        qemu_strtoui(text, &(const char *){ NULL }, 10, &count) < 0) {
        count = MAX_MAP_COUNT;
    }
    mappings_limit = count / 4 * 3;
}

static void set_files_limit(void)
{
    unsigned long long want = files_wanted + FILES_RESERVE;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
        files_limit = files_wanted;
        return;
    }
    if (limit.rlim_cur < want) {
        rlim_t old = limit.rlim_cur;

        limit.rlim_cur = MIN(want, limit.rlim_max);
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
            limit.rlim_cur = old;
        }
    }
    want = MIN(limit.rlim_cur, INT_MAX);
    files_limit = want - MIN(FILES_RESERVE, want / 4);
}

void vmshm_budget_add_device(unsigned count)
{
    if (!mappings_limit) {
        set_mappings_limit();
    }
    files_wanted += count;
    set_files_limit();
}

void vmshm_budget_remove_device(unsigned count)
{
    files_wanted -= count;
}
