/*
 * VMShm: how the device gets into a QEMU that was built without it
 *
 * The shared object is named with -plugin, or in LD_PRELOAD where QEMU has no
 * plugins. Its QEMU symbols are weak: a process that is not QEMU, such as a
 * child that inherits LD_PRELOAD, can load it and nothing happens.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <dlfcn.h>
#include "qemu/module.h"
#include "qapi/qapi-commands-control.h"
#include "vmshm-compat.h"
#include "vmshm.h"
#if __has_include("plugins/qemu-plugin.h")
#include "plugins/qemu-plugin.h"
#else
#include "qemu/qemu-plugin.h"
#endif

#ifndef VMSHM_QEMU_STAMP
#error "VMSHM_QEMU_STAMP: what --version says of the QEMU this is built for"
#endif

/* The rest is made weak in the object files, see build.sh; these are asked. */
#pragma weak qmp_query_version
#pragma weak pci_register_bar
#pragma weak register_module_init

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

static bool fits;        /* this is the QEMU that the device was built for */
static bool registered;

static void register_once(void)
{
    if (!registered) {
        registered = true;
        vmshm_register_types();
    }
}

/* The file's name without folders, as LD_PRELOAD may or may not have them. */
static char *own_name(void)
{
    Dl_info info;

    return dladdr(&qemu_plugin_version, &info)
           ? g_path_get_basename(info.dli_fname) : NULL;
}

static bool is_named(const char *path, const char *name)
{
    g_autofree char *base = g_path_get_basename(path);

    return strcmp(base, name) == 0;
}

/* Children of QEMU have no use for us. */
static void leave_ld_preload(void)
{
    const char *preload = getenv("LD_PRELOAD");
    g_autofree char *self = own_name();
    g_autofree char *rest = NULL;
    g_auto(GStrv) parts = NULL;
    size_t i, kept = 0;

    if (!preload || !self) {
        return;
    }
    parts = g_strsplit_set(preload, ": ", -1);
    for (i = 0; parts[i]; i++) {
        if (*parts[i] && !is_named(parts[i], self)) {
            parts[kept++] = parts[i];
        } else {
            g_free(parts[i]);
        }
    }
    parts[kept] = NULL;
    rest = g_strjoinv(":", parts);
    if (*rest) {
        setenv("LD_PRELOAD", rest, 1);
    } else {
        unsetenv("LD_PRELOAD");
    }
}

static bool is_qemu_system(void)
{
    /* Absent from QEMU's tools and from everything that is not QEMU. */
    return qmp_query_version && pci_register_bar && register_module_init;
}

/* As "qemu-system-x86_64 --version" prints it: "7.2.22 (Debian 1:7.2...)". */
static char *running_version(void)
{
    VersionInfo *info = qmp_query_version(NULL);
    char *text = g_strdup_printf("%d.%d.%d%s%s%s", (int)info->qemu->major,
                                 (int)info->qemu->minor,
                                 (int)info->qemu->micro,
                                 *info->package ? " (" : "", info->package,
                                 *info->package ? ")" : "");

    qapi_free_VersionInfo(info);
    return text;
}

/* Nothing inside QEMU is stable, not even between two builds of a release. */
static bool fits_this_qemu(void)
{
    g_autofree char *running = running_version();

    if (strcmp(running, VMSHM_QEMU_STAMP) == 0) {
        return true;
    }
    fprintf(stderr, "vmshm.so: built for QEMU %s, but this is QEMU %s; "
            "run \"make device\" to build it anew\n", VMSHM_QEMU_STAMP,
            running);
    return false;
}

/*
 * The last line, should the build have got the wrong headers: QEMU's own table
 * of a PCI device tells where it has fields that come after all the types that
 * are embedded there.
 */
static bool layouts_fit(void)
{
    const VMStateField *f;

    for (f = vmstate_pci_device.fields; f->name; f++) {
        size_t here = strcmp(f->name, "irq_state") == 0
                      ? offsetof(PCIDevice, irq_state)
                      : strcmp(f->name, "version_id") == 0
                      ? offsetof(PCIDevice, version_id) : f->offset;

        if (f->offset != here) {
            fprintf(stderr, "vmshm.so: built for QEMU %s, whose %s is at byte "
                    "%zu, but here it is at %zu; run \"make device\" to build "
                    "it anew\n", VMSHM_QEMU_STAMP, f->name, here, f->offset);
            return false;
        }
    }
    return true;
}

static void __attribute__((constructor)) vmshm_plugin_load(void)
{
    if (!is_qemu_system()) {
        return;
    }
    leave_ld_preload();
    fits = fits_this_qemu() && layouts_fit();
    if (fits) {
        /* Runs only if QEMU has yet to come to it, hence under LD_PRELOAD. */
        register_module_init(register_once, MODULE_INIT_QOM);
    }
}

QEMU_PLUGIN_EXPORT
int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info,
                        int argc, char **argv)
{
    if (!fits) {
        /* The reason was printed; QEMU's own line would say less. */
        exit(1);
    }
    register_once();
    return 0;
}
