/*
 * VMShm: resuming a VM that KVM has stopped because of lost memory
 *
 * QEMU does not report the reason of the stop. The reasons of KVM's last exits
 * distinguish an error of KVM itself, which is not handled here, from a call
 * that failed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <linux/kvm.h>
#include "hw/core/cpu.h"
#include "qemu/error-report.h"
#include "qemu/timer.h"
#include "vmshm-compat.h"
#include "vmshm-loss.h"
#include "vmshm-resume.h"

/* Since Linux 6.8, KVM says where an access has failed. */
#define EXIT_MEMORY_FAULT 39

/*
 * An object may have its memory again when resume() runs. Then no repair is
 * needed, and the VM can continue. If the memory is still lost, the VM stops
 * again immediately. VAIN_RESUMES resumes without a repair are allowed in
 * VAIN_PERIOD_MS milliseconds.
 */
#define VAIN_RESUMES 10
#define VAIN_PERIOD_MS 10000

static uint64_t resumed;
static unsigned vain;           /* since vain_start, without a repair */
static int64_t vain_start;      /* ms, monotonic */

uint64_t vmshm_resume_count(void)
{
    return resumed;
}

/* The host address of a guest address; NULL if there is no RAM */
static const void *host_of(uint64_t guest)
{
    MemoryRegionSection section = memory_region_find(
        get_system_memory(), guest, 1);
    const uint8_t *host = NULL;

    if (!section.mr) {
        return NULL;
    }
    if (memory_region_is_ram(section.mr)) {
        host = memory_region_get_ram_ptr(section.mr);
        host += section.offset_within_region;
    }
    memory_region_unref(section.mr);
    return host;
}

/* struct kvm_run's memory_fault, which QEMU's older headers do not have */
static uint64_t faulting_address(const struct kvm_run *run)
{
    uint64_t flags_and_address[2];

    memcpy(flags_and_address, (const char *)run +
           offsetof(struct kvm_run, hw), sizeof(flags_and_address));
    return flags_and_address[1];
}

/*
 * Repairs the memory that the last exit of @cpu names. False if the exit was an
 * error of KVM that is not about memory.
 */
static bool repair_exit(CPUState *cpu)
{
    const void *host;

    switch (cpu->kvm_run->exit_reason) {
    case KVM_EXIT_INTERNAL_ERROR:
    case KVM_EXIT_FAIL_ENTRY:
    case KVM_EXIT_SHUTDOWN:
        return false;
    case EXIT_MEMORY_FAULT:
        host = host_of(faulting_address(cpu->kvm_run));
        if (host) {
            vmshm_loss_bus_error(host);
        }
        break;
    }
    return true;
}

/* Whether one more resume without a repair is allowed */
static bool may_try(void)
{
    int64_t now = qemu_clock_get_ms(QEMU_CLOCK_REALTIME);

    if (now - vain_start >= VAIN_PERIOD_MS) {
        vain_start = now;
        vain = 0;
    }
    return ++vain <= VAIN_RESUMES;
}

static bool any_attached(VMShmAttachments *t, VMShmAttachment *a, void *opaque)
{
    *(bool *)opaque = true;
    return true;
}

static void resume(void *opaque)
{
    uint64_t losses = vmshm_loss_count();
    bool of_memory = true, attached = false;
    CPUState *cpu;

    vmshm_loss_repair();
    if (!runstate_check(RUN_STATE_INTERNAL_ERROR)) {
        return;
    }
    vmshm_window_lock();
    vmshm_attachments_each(any_attached, &attached);
    vmshm_window_unlock();
    CPU_FOREACH(cpu) {
        of_memory &= repair_exit(cpu);
    }
    if (!attached || !of_memory) {
        return;
    }
    /* QEMU resumes a VM after an internal error only if it was reset. */
    runstate_set(RUN_STATE_PAUSED);
    if (vmshm_loss_count() == losses && !may_try()) {
        warn_report("vmshm: the VM is paused: KVM cannot access memory of the "
                    "guest, perhaps a page of a shared memory object for which "
                    "the host has no memory; make room in its file system, "
                    "then use the command \"cont\"");
        return;
    }
    resumed++;
    vm_start();
}

static void state_changed(void *opaque, bool running, RunState state)
{
    if (!running && state == RUN_STATE_INTERNAL_ERROR) {
        /* Only after all handlers of the state change have run */
        aio_bh_schedule_oneshot(qemu_get_aio_context(), resume, NULL);
    }
}

void vmshm_resume_init(void)
{
    static bool done;

    if (!done && kvm_enabled()) {
        done = true;
        qemu_add_vm_change_state_handler(state_changed, NULL);
    }
}
