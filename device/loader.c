/*
 * VMShm: the loader, which -plugin names, for every QEMU
 *
 * The device itself fits one QEMU binary only. This loader includes no header
 * of QEMU: it reads the build ID of the running program and loads the device
 * that was built for it, vmshm-devices/BUILDID.so in its own directory.
 *
 * LD_PRELOAD can also name the loader. It then has no effect in processes that
 * are not QEMU, such as QEMU's children.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <dlfcn.h>
#include <elf.h>
#include <limits.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef VMSHM_BUILD_COMMAND
#error "VMSHM_BUILD_COMMAND: what builds a device; the QEMU's path is appended"
#endif

#define EXPORT __attribute__((visibility("default")))

/* QEMU reads this after the constructor, which copies the device's value. */
EXPORT int qemu_plugin_version;

typedef int InstallFunc(uint64_t id, const void *info, int argc, char **argv);

static InstallFunc *device_install;

/* QEMU's tools, and programs other than QEMU, do not have these symbols. */
static bool is_qemu_system(void)
{
    return dlsym(RTLD_DEFAULT, "qmp_query_version") &&
           dlsym(RTLD_DEFAULT, "pci_register_bar") &&
           dlsym(RTLD_DEFAULT, "register_module_init");
}

static size_t align_up(size_t n, size_t alignment)
{
    return (n + alignment - 1) & ~(alignment - 1);
}

/* The description of the build ID note among these notes, or NULL */
static const unsigned char *find_build_id(const char *notes, size_t size,
                                          size_t alignment, size_t *length)
{
    size_t at = 0;

    while (size - at >= sizeof(ElfW(Nhdr))) {
        const ElfW(Nhdr) *note = (const void *)(notes + at);
        size_t name = at + sizeof(*note);
        size_t desc = name + align_up(note->n_namesz, alignment);
        size_t end = desc + note->n_descsz;

        if (desc < name || end < desc || end > size) {
            return NULL;
        }
        if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 &&
            memcmp(notes + name, "GNU", 4) == 0) {
            *length = note->n_descsz;
            return (const unsigned char *)notes + desc;
        }
        at = align_up(end, alignment);
        if (at > size) {
            return NULL;
        }
    }
    return NULL;
}

/* For dl_iterate_phdr(), which begins with the main program: 1 ends it. */
static int copy_build_id(struct dl_phdr_info *info, size_t size, void *opaque)
{
    char *text = opaque;
    size_t i, j, length;

    for (i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        const unsigned char *id;

        if (ph->p_type != PT_NOTE) {
            continue;
        }
        id = find_build_id((const char *)info->dlpi_addr + ph->p_vaddr,
                           ph->p_memsz, ph->p_align == 8 ? 8 : 4, &length);
        if (id && length && length <= 64) {
            for (j = 0; j < length; j++) {
                sprintf(text + 2 * j, "%02x", id[j]);
            }
            break;
        }
    }
    return 1;
}

/* This file's name as the dynamic linker was given it */
static const char *own_name(void)
{
    Dl_info info;

    return dladdr(&qemu_plugin_version, &info) ? info.dli_fname : "vmshm.so";
}

/* This file's directory, with links followed */
static bool own_directory(char directory[PATH_MAX])
{
    char *end;

    if (!realpath(own_name(), directory)) {
        return false;
    }
    end = strrchr(directory, '/');
    *end = '\0';
    return true;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/*
 * Takes this file out of LD_PRELOAD, because children of QEMU have no use for
 * it. True if LD_PRELOAD named this file; then QEMU's main() has not run yet.
 */
static bool leave_ld_preload(void)
{
    const char *preload = getenv("LD_PRELOAD");
    char *text, *kept, *part, *state;
    bool found = false;

    if (!preload) {
        return false;
    }
    text = strdup(preload);
    kept = calloc(1, strlen(preload) + 1);
    if (!text || !kept) {
        abort();
    }
    for (part = strtok_r(text, ": ", &state); part;
         part = strtok_r(NULL, ": ", &state)) {
        if (strcmp(base_name(part), base_name(own_name())) == 0) {
            found = true;
        } else {
            if (*kept) {
                strcat(kept, ":");
            }
            strcat(kept, part);
        }
    }
    if (*kept) {
        setenv("LD_PRELOAD", kept, 1);
    } else {
        unsetenv("LD_PRELOAD");
    }
    free(text);
    free(kept);
    return found;
}

/* The device's file for the running QEMU; otherwise says why there is none. */
static bool device_path(char *path, size_t size, const char *exe)
{
    char directory[PATH_MAX], build_id[2 * 64 + 1] = "";

    dl_iterate_phdr(copy_build_id, build_id);
    if (!*build_id) {
        fprintf(stderr, "vmshm.so: %s has no build ID by which its device "
                "could be found; link it with -Wl,--build-id\n", exe);
        return false;
    }
    if (!own_directory(directory) ||
        snprintf(path, size, "%s/vmshm-devices/%s.so", directory,
                 build_id) >= (int)size) {
        fprintf(stderr, "vmshm.so: cannot tell the directory of %s\n",
                own_name());
        return false;
    }
    if (access(path, F_OK) < 0) {
        fprintf(stderr, "vmshm.so: there is no %s for this QEMU, %s; build it "
                "with: %s%s\n", path, exe, VMSHM_BUILD_COMMAND, exe);
        return false;
    }
    return true;
}

static bool load_device(void)
{
    char path[PATH_MAX], exe[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    const int *version;
    void *handle;

    exe[length < 0 ? 0 : length] = '\0';
    if (!device_path(path, sizeof(path), exe)) {
        return false;
    }
    handle = dlopen(path, RTLD_NOW);
    if (!handle) {
        fprintf(stderr, "vmshm.so: %s\n", dlerror());
        return false;
    }
    version = dlsym(handle, "qemu_plugin_version");
    device_install = (InstallFunc *)dlsym(handle, "qemu_plugin_install");
    if (!version || !device_install) {
        fprintf(stderr, "vmshm.so: %s is no device of VMShm; build it anew "
                "with: %s%s\n", path, VMSHM_BUILD_COMMAND, exe);
        return false;
    }
    qemu_plugin_version = *version;
    return true;
}

/*
 * If no device can be loaded for -plugin, QEMU ends here. Otherwise QEMU would
 * first report a wrong plugin version, because the version is the device's.
 * Under LD_PRELOAD, QEMU may go on without a device.
 */
static void __attribute__((constructor)) load(void)
{
    bool preloaded;

    if (!is_qemu_system()) {
        return;
    }
    preloaded = leave_ld_preload();
    if (!load_device() && !preloaded) {
        exit(1);
    }
}

EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc,
                               char **argv)
{
    if (!device_install) {
        /* LD_PRELOAD and -plugin name this file; load() gave the reason. */
        exit(1);
    }
    return device_install(id, info, argc, argv);
}
