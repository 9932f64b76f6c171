/*
 * VMShm: the handlers of SIGBUS and SIGSEGV
 *
 * QEMU blocks SIGBUS in all threads but KVM's vCPUs, and a fault that raises a
 * blocked SIGBUS ends the process. Threads that start after the device was
 * loaded do not block it (mask.c, or the patch for QEMU). In those that were
 * there before, which can be the main thread, vCPUs and I/O threads, it is
 * unblocked here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "hw/core/cpu.h"
#include "qemu/atomic.h"
#include "vmshm-compat.h"
#include "vmshm-loss.h"
#include "vmshm-sigbus.h"

static struct sigaction qemu_bus, qemu_segv;

/*
 * A memory error that needs no action now. QEMU's handler gets it in the main
 * loop, because that handler may take locks.
 */
static struct {
    siginfo_t info;
    bool pending;               /* atomic */
    QEMUBH *bh;
} memory_error;

static void pass_on(const struct sigaction *to, int number, siginfo_t *info,
                    void *context)
{
    if (to->sa_flags & SA_SIGINFO) {
        to->sa_sigaction(number, info, context);
    } else if (to->sa_handler != SIG_DFL && to->sa_handler != SIG_IGN) {
        to->sa_handler(number);
    } else {
        /* The access is repeated, and ends QEMU as without this handler. */
        signal(number, SIG_DFL);
        if (info->si_code <= 0) {
            raise(number);
        }
    }
}

static void on_bus_error(int number, siginfo_t *info, void *context)
{
    int saved = errno;

    if (info->si_code == BUS_ADRERR && vmshm_loss_bus_error(info->si_addr)) {
        errno = saved;
        return;
    }
    if (info->si_code == BUS_MCEERR_AO && !current_cpu) {
        if (!qatomic_xchg(&memory_error.pending, true)) {
            memory_error.info = *info;
            qemu_bh_schedule(memory_error.bh);
        }
    } else {
        pass_on(&qemu_bus, number, info, context);
    }
    errno = saved;
}

static void on_segv(int number, siginfo_t *info, void *context)
{
    int saved = errno;

    if (info->si_code != SEGV_ACCERR ||
        !vmshm_loss_write_fault(info->si_addr)) {
        pass_on(&qemu_segv, number, info, context);
    }
    errno = saved;
}

static void pass_on_memory_error(void *opaque)
{
    siginfo_t info = memory_error.info;

    qatomic_set(&memory_error.pending, false);
    pass_on(&qemu_bus, SIGBUS, &info, NULL);
}

static void unblock(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGBUS);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void unblock_cpu(CPUState *cpu, run_on_cpu_data data)
{
    unblock();
}

static void unblock_iothread(void *opaque)
{
    unblock();
}

static int ask_iothread(Object *object, void *opaque)
{
    IOThread *thread = (IOThread *)object_dynamic_cast(object, TYPE_IOTHREAD);

    if (thread) {
        aio_bh_schedule_oneshot(iothread_get_aio_context(thread),
                                unblock_iothread, NULL);
    }
    return 0;
}

static void ask_iothreads(void)
{
    object_child_foreach(object_get_objects_root(), ask_iothread, NULL);
}

/*
 * A vCPU and an I/O thread unblock SIGBUS before they work for the guest: a
 * vCPU before its first instruction, an I/O thread because the device that uses
 * it is realized by this call.
 */
static void device_realized(DeviceListener *listener, DeviceState *dev)
{
    CPUState *cpu = (CPUState *)object_dynamic_cast(OBJECT(dev), TYPE_CPU);

    if (cpu) {
        async_run_on_cpu(cpu, unblock_cpu, RUN_ON_CPU_NULL);
    }
    ask_iothreads();
}

static DeviceListener listener = {
    .realize = device_realized,
};

static void install(int number, void (*handler)(int, siginfo_t *, void *),
                    struct sigaction *old)
{
    struct sigaction action = {
        .sa_sigaction = handler,
        .sa_flags = SA_SIGINFO | SA_ONSTACK,
    };

    sigaction(number, NULL, old);
    sigaction(number, &action, NULL);
}

void vmshm_sigbus_init(void)
{
    static bool done;
    CPUState *cpu;

    if (done) {
        return;
    }
    done = true;
    memory_error.bh = qemu_bh_new(pass_on_memory_error, NULL);
    install(SIGBUS, on_bus_error, &qemu_bus);
    install(SIGSEGV, on_segv, &qemu_segv);
    unblock();
    CPU_FOREACH(cpu) {
        async_run_on_cpu(cpu, unblock_cpu, RUN_ON_CPU_NULL);
    }
    ask_iothreads();
    device_listener_register(&listener);
}
