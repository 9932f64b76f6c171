/*
 * VMShm: no thread of a stock QEMU blocks SIGBUS
 *
 * qemu_thread_create() blocks SIGBUS in each thread. A fault that raises a
 * blocked SIGBUS ends the process. The device cannot ask a thread of a thread
 * pool to unblock SIGBUS, because such a thread is short-lived and runs no code
 * of a device. So the program's reference to pthread_sigmask() is replaced, as
 * the dynamic linker would have done it with LD_PRELOAD. The patch for QEMU
 * changes qemu_thread_create() instead.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <link.h>
#include "qemu/error-report.h"
#include "mask.h"

/* QEMU's own elf.h does not define this constant. */
#ifndef PT_GNU_RELRO
#define PT_GNU_RELRO 0x6474e552
#endif

static int sigmask_without_bus(int how, const sigset_t *set, sigset_t *old)
{
    sigset_t without;

    if (set && how != SIG_UNBLOCK) {
        without = *set;
        sigdelset(&without, SIGBUS);
        set = &without;
    }
    return pthread_sigmask(how, set, old);
}

/* The relocations of a program, from its dynamic section */
typedef struct Dynamic {
    ElfW(Addr) base;
    const ElfW(Sym) *symbols;
    const char *strings;
    const ElfW(Rela) *table[2];     /* of functions, and of the rest */
    size_t bytes[2];
} Dynamic;

static void read_dynamic(Dynamic *d, const ElfW(Dyn) *dyn)
{
    for (; dyn->d_tag != DT_NULL; dyn++) {
        switch (dyn->d_tag) {
        case DT_SYMTAB:
            d->symbols = (void *)dyn->d_un.d_ptr;
            break;
        case DT_STRTAB:
            d->strings = (void *)dyn->d_un.d_ptr;
            break;
        case DT_JMPREL:
            d->table[0] = (void *)dyn->d_un.d_ptr;
            break;
        case DT_PLTRELSZ:
            d->bytes[0] = dyn->d_un.d_val;
            break;
        case DT_RELA:
            d->table[1] = (void *)dyn->d_un.d_ptr;
            break;
        case DT_RELASZ:
            d->bytes[1] = dyn->d_un.d_val;
            break;
        }
    }
}

/* Where the program keeps the address of the function @name, or NULL */
static void **find_reference(const Dynamic *d, const char *name)
{
    unsigned i;

    for (i = 0; i < ARRAY_SIZE(d->table); i++) {
        const ElfW(Rela) *r = d->table[i];
        const ElfW(Rela) *end = r + d->bytes[i] / sizeof(*r);

        for (; r < end; r++) {
            const ElfW(Sym) *sym = d->symbols + (r->r_info >> 32);

            if (r->r_info >> 32 && strcmp(d->strings + sym->st_name,
                                          name) == 0) {
                return (void **)(d->base + r->r_offset);
            }
        }
    }
    return NULL;
}

/* The program comes first. RELRO may have made its references read-only. */
static int replace(struct dl_phdr_info *info, size_t size, void *opaque)
{
    bool *replaced = opaque;
    Dynamic d = { .base = info->dlpi_addr };
    bool readonly = false;
    void **reference;
    uintptr_t page;
    int i;

    for (i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];

        if (p->p_type == PT_DYNAMIC) {
            read_dynamic(&d, (void *)(d.base + p->p_vaddr));
        }
    }
    reference = d.symbols && d.strings ? find_reference(&d, "pthread_sigmask")
                                       : NULL;
    if (!reference) {
        return 1;
    }
    for (i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];

        readonly |= p->p_type == PT_GNU_RELRO &&
                    (uintptr_t)reference - d.base - p->p_vaddr < p->p_memsz;
    }
    page = QEMU_ALIGN_DOWN((uintptr_t)reference, qemu_real_host_page_size());
    if (readonly && mprotect((void *)page, qemu_real_host_page_size(),
                             PROT_READ | PROT_WRITE) < 0) {
        return 1;
    }
    *reference = sigmask_without_bus;
    if (readonly) {
        mprotect((void *)page, qemu_real_host_page_size(), PROT_READ);
    }
    *replaced = true;
    return 1;
}

void vmshm_mask_init(void)
{
    bool replaced = false;

    dl_iterate_phdr(replace, &replaced);
    if (!replaced) {
        warn_report("vmshm: threads of QEMU's thread pool block SIGBUS; the VM "
                    "ends if one of them meets an object that was truncated");
    }
}
