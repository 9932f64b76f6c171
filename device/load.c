/*
 * VMShm: how the device gets into a QEMU that was built without it
 *
 * loader.c loads this into the QEMU that it was built for, on behalf of
 * -plugin or of LD_PRELOAD. It can also be named with -plugin itself.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/module.h"
#include "qapi/qapi-commands-control.h"
#include "mask.h"
#include "vmshm-compat.h"
#include "vmshm.h"
#ifdef VMSHM_NEAREST
#include "layout.h"
#endif
#if __has_include("plugins/qemu-plugin.h")
#include "plugins/qemu-plugin.h"
#else
#include "qemu/qemu-plugin.h"
#endif

#ifndef VMSHM_QEMU_STAMP
#error "VMSHM_QEMU_STAMP: what --version says of the QEMU this is built for"
#endif

#ifndef VMSHM_BUILD_COMMAND
#error "VMSHM_BUILD_COMMAND: what builds a device; the QEMU's path is appended"
#endif

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

static bool fits;        /* this is the QEMU that the device was built for */
static bool registered;

static void register_once(void)
{
    if (!registered) {
        registered = true;
        vmshm_mask_init();
        vmshm_register_types();
    }
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

/* The end of a line that says why the device does not fit */
static void say_how_to_build(void)
{
    g_autofree char *exe = g_file_read_link("/proc/self/exe", NULL);

    fprintf(stderr, "; build it anew with: %s%s\n", VMSHM_BUILD_COMMAND,
            exe ? exe : "");
}

/*
 * Nothing inside QEMU is stable, not even between two builds of a release. The
 * loader compares build IDs; this is for a file that got a wrong name.
 */
static bool fits_this_qemu(void)
{
    g_autofree char *running = running_version();

    if (strcmp(running, VMSHM_QEMU_STAMP) == 0) {
        return true;
    }
    fprintf(stderr, "vmshm.so: built for QEMU %s, but this is QEMU %s",
            VMSHM_QEMU_STAMP, running);
    say_how_to_build();
    return false;
}

#ifdef VMSHM_NEAREST

/*
 * With headers of another point release, the layouts can be checked only after
 * QEMU has created its machine.
 */
static void refuse_preload(void)
{
    fprintf(stderr, "vmshm.so: built from the source of QEMU %s; such a device "
            "needs -plugin in the place of LD_PRELOAD\n", VMSHM_NEAREST);
}

static void say_difference(const char *name)
{
    fprintf(stderr, "vmshm.so: built from the source of QEMU %s, but %s is "
            "different in this QEMU %s", VMSHM_NEAREST, name,
            VMSHM_QEMU_STAMP);
    say_how_to_build();
}

static void __attribute__((constructor)) vmshm_plugin_load(void)
{
    fits = fits_this_qemu();
    if (fits) {
        register_module_init(refuse_preload, MODULE_INIT_QOM);
    }
}

static void confirm_layouts(void)
{
    const char *difference = vmshm_layout_difference(say_difference);

    if (difference) {
        say_difference(difference);
        exit(1);
    }
}

#else

/*
 * The last check, in case the build has used the wrong headers. QEMU's own
 * table of a PCI device has the offsets of fields that come after all the types
 * that are embedded there.
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
                    "%zu, but here it is at %zu", VMSHM_QEMU_STAMP, f->name,
                    here, f->offset);
            say_how_to_build();
            return false;
        }
    }
    return true;
}

static void __attribute__((constructor)) vmshm_plugin_load(void)
{
    fits = fits_this_qemu() && layouts_fit();
    if (fits) {
        /* Runs only under LD_PRELOAD: QEMU has yet to register its types. */
        register_module_init(register_once, MODULE_INIT_QOM);
    }
}

static void confirm_layouts(void)
{
}

#endif

QEMU_PLUGIN_EXPORT
int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info,
                        int argc, char **argv)
{
    if (!fits) {
        /* The reason was printed; QEMU's own line would say less. */
        exit(1);
    }
    confirm_layouts();
    register_once();
    return 0;
}
