/*
 * VMShm: futex(2) on the host, for waiters in the guest
 *
 * Each slot that waits has a thread, which waits with futex_waitv(2) for two
 * words at a time: the word in shared memory that the guest asked for, and a
 * private word of the slot, by which the guest's next request wakes the thread.
 * The kernel compares the value and begins to wait in one step, and the thread
 * stays in the queue until one of the two words is woken. So no wake-up is
 * lost. A wake-up that arrives when the guest has just given up is passed on to
 * the next waiter. A slot that holds a word has another kind of thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <linux/futex.h>
#include <sys/syscall.h>
#include "qemu/atomic.h"
#include "qemu/bswap.h"
#include "qemu/thread.h"
#include "vmshm-robust.h"
#include "vmshm-thread.h"
#include "vmshm-trace.h"
#include "vmshm-futex.h"
#include "vmshm/regs.h"

#define FIRED_REGS (VMSHM_SLOTS / 32)
#define FIRED (VMSHM_REG_FIRED - VMSHM_REG_SLOT)
#define WAKE (VMSHM_REG_WAKE - VMSHM_REG_SLOT)
#define START (VMSHM_REG_START - VMSHM_REG_SLOT)

typedef struct Slot {
    VMShmFutex *futex;

    QemuMutex lock;         /* protects all below */
    bool started;           /* there is a thread that waits */
    uint64_t place;         /* as the guest wrote it; not checked */
    uint32_t *word;
    uint32_t expected;
    unsigned vector;        /* the interrupt when it fires */
    bool readonly;          /* its waiter can only read the word */
    uint32_t state;         /* VMSHM_SLOT_IS_* */
    VMShmRobust *hold;        /* while the state is held */
    bool quit;              /* nothing begins any more */
    uint32_t request;       /* a futex; counts requests */
    bool waiting;           /* the thread may be in the queue of a word */
    bool leaving;           /* and there is a newer request */
    unsigned departures;    /* how often leaving has ended */
    QemuCond left;
} Slot;

struct VMShmFutex {
    VMShmWindow *arena;
    VMShmIrq *irq;
    unsigned refs;                  /* atomic: the device, and threads */
    /*
     * Atomic; in memory that the guest can write to as well. A bit says that
     * the guest has not collected a fired slot yet. The device uses the bits
     * for nothing else.
     */
    uint32_t *fired;
    const uint8_t *records;         /* the guest writes them; or NULL */
    unsigned leaving;               /* atomic: slots that are leaving */
    unsigned slots;
    Slot slot[];
};

static long wait_for_two(uint32_t *request, uint32_t request_value,
                         uint32_t *word, uint32_t word_value)
{
    /*
     * If both were woken, the kernel returns the index of the later entry. The
     * word comes last, because its wake-up must not be lost.
     */
    struct futex_waitv waiters[2] = {
        {
            .val = request_value,
            .uaddr = (uintptr_t)request,
            .flags = FUTEX_32 | FUTEX_PRIVATE_FLAG,
        }, {
            .val = word_value,
            .uaddr = (uintptr_t)word,
            .flags = FUTEX_32,
        },
    };

    return syscall(SYS_futex_waitv, waiters, 2, 0, NULL, 0);
}

static void wake(uint32_t *word, unsigned count)
{
    syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);
}

static void wake_private(uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* A slot's bit in its word of FIRED */
static uint32_t bit_of(unsigned n)
{
    return cpu_to_le32(1u << n % 32);
}

/* The slot's lock is held; the interrupt is raised without it. */
static void fire(Slot *s)
{
    unsigned n = s - s->futex->slot;

    VMSHM_TRACE(slot_fire, n);
    s->state = VMSHM_SLOT_IS_FIRED;
    qatomic_or(&s->futex->fired[n / 32], bit_of(n));
}

/* The slot's lock is held. */
static void wait_is_over(Slot *s)
{
    s->waiting = false;
    if (s->leaving) {
        s->leaving = false;
        s->departures++;
        qatomic_dec(&s->futex->leaving);
        qemu_cond_broadcast(&s->left);
    }
}

/*
 * Waits once for an armed slot. The slot's lock is held, but not during the
 * wait. True if the slot has fired.
 */
static bool wait_once(Slot *s)
{
    uint32_t *word = s->word;
    uint32_t expected = s->expected;
    uint32_t request = s->request;
    bool fires = false;
    long ret;
    int err;

    s->waiting = true;
    qemu_mutex_unlock(&s->lock);
    ret = wait_for_two(&s->request, request, word, expected);
    err = ret < 0 ? errno : 0;
    qemu_mutex_lock(&s->lock);
    if (s->request == request) {
        /*
         * There is no new request, so the word has ended the wait: it was
         * woken, has another value, or cannot be accessed any more. The guest
         * checks the word itself.
         */
        fires = ret != 0 && err != EINTR;
        if (fires) {
            fire(s);
        }
        if (ret == 1 && s->readonly) {
            /*
             * A waiter without write access cannot handle an event that needs a
             * write. The slot fires, and the next waiter is also woken.
             */
            wake(word, 1);
        }
    } else if (ret == 1) {
        /*
         * The wake-up is too late for its waiter. The current user of the slot
         * may have come after the wake-up, so the next waiter in the queue gets
         * it.
         */
        wake(word, 1);
    }
    wait_is_over(s);
    return fires;
}

static void *slot_thread(void *opaque)
{
    Slot *s = opaque;
    VMShmFutex *w = s->futex;

    /* The interrupt is a write to guest memory, which needs RCU. */
    rcu_register_thread();
    qemu_mutex_lock(&s->lock);
    while (!s->quit) {
        if (s->state == VMSHM_SLOT_IS_ARMED) {
            unsigned vector = s->vector;

            if (wait_once(s)) {
                qemu_mutex_unlock(&s->lock);
                vmshm_irq_raise(w->irq, vector);
                qemu_mutex_lock(&s->lock);
            }
        } else {
            uint32_t request = s->request;

            qemu_mutex_unlock(&s->lock);
            syscall(SYS_futex, &s->request, FUTEX_WAIT_PRIVATE, request, NULL,
                    NULL, 0);
            qemu_mutex_lock(&s->lock);
        }
    }
    qemu_mutex_unlock(&s->lock);
    rcu_unregister_thread();
    vmshm_futex_unref(w);
    return NULL;
}

/* The slot's lock is held. */
static void start_thread(Slot *s)
{
    pthread_t thread;

    qatomic_inc(&s->futex->refs);
    s->started = vmshm_thread_start(&thread, "vmshm-wait", slot_thread, s);
    if (s->started) {
        pthread_detach(thread);
    } else {
        qatomic_dec(&s->futex->refs);
    }
}

/* A new request; the slot's lock is held. */
static void request_changed(Slot *s)
{
    if (s->waiting && !s->leaving) {
        s->leaving = true;
        qatomic_inc(&s->futex->leaving);
    }
    qatomic_set(&s->request, s->request + 1);
    wake_private(&s->request);
}

/* The host address of the word at @place; NULL if @place is invalid */
static uint32_t *word_at(VMShmFutex *w, uint64_t place)
{
    if (place % sizeof(uint32_t) || place >= w->arena->size) {
        return NULL;
    }
    return (uint32_t *)(w->arena->host + place);
}

/* Whether a word is in the read-only span, the second half of the arena */
static bool is_readonly(VMShmFutex *w, uint64_t place)
{
    return place >= w->arena->size / 2;
}

/* The slot's lock is held. */
static bool is_free(Slot *s)
{
    return !s->quit && s->state != VMSHM_SLOT_IS_ARMED &&
           s->state != VMSHM_SLOT_IS_HELD;
}

static void arm(Slot *s, uint32_t expected, unsigned vector)
{
    uint32_t *word = word_at(s->futex, s->place);

    if (!word || !is_free(s)) {
        return;
    }
    VMSHM_TRACE(slot_arm, s - s->futex->slot, s->place, expected);
    if (!s->started) {
        start_thread(s);
    }
    s->word = word;
    s->readonly = is_readonly(s->futex, s->place);
    s->expected = expected;
    s->vector = vector;
    if (!s->started) {
        /* Without a thread the slot fires now; the guest checks the word. */
        fire(s);
        vmshm_irq_raise_later(s->futex->irq, s->vector);
        return;
    }
    s->state = VMSHM_SLOT_IS_ARMED;
    request_changed(s);
}

static void hold(Slot *s)
{
    uint32_t *word = word_at(s->futex, s->place);

    if (!word || !is_free(s)) {
        return;
    }
    s->hold = vmshm_robust_begin(word);
    s->state = s->hold ? VMSHM_SLOT_IS_HELD : VMSHM_SLOT_IS_IDLE;
}

/* Ends a wait or a hold. A slot that has fired keeps that state. */
static void end(Slot *s)
{
    if (s->state == VMSHM_SLOT_IS_ARMED) {
        s->state = VMSHM_SLOT_IS_IDLE;
        request_changed(s);
    } else if (s->state == VMSHM_SLOT_IS_HELD) {
        s->state = VMSHM_SLOT_IS_IDLE;
        vmshm_robust_end(s->hold);
        s->hold = NULL;
    }
}

static uint64_t control(Slot *s)
{
    uint64_t owner = s->hold ? vmshm_robust_owner(s->hold) : 0;

    return s->state | owner << VMSHM_SLOT_OWNER_SHIFT;
}

static uint64_t slot_read(Slot *s, unsigned reg)
{
    uint64_t value;

    qemu_mutex_lock(&s->lock);
    value = reg == VMSHM_SLOT_PLACE ? s->place : control(s);
    qemu_mutex_unlock(&s->lock);
    return value;
}

static void slot_write(Slot *s, unsigned reg, uint64_t value)
{
    qemu_mutex_lock(&s->lock);
    if (reg == VMSHM_SLOT_PLACE) {
        s->place = value;
    } else if (value & VMSHM_SLOT_ARM) {
        arm(s, value, value >> VMSHM_SLOT_VECTOR_SHIFT & 0xff);
    } else if (value & VMSHM_SLOT_HOLD) {
        hold(s);
    } else {
        end(s);
    }
    qemu_mutex_unlock(&s->lock);
}

static bool is_slot(uint64_t addr, unsigned size)
{
    return addr < VMSHM_SLOTS * VMSHM_SLOT_SIZE && size == 8 && addr % 8 == 0;
}

static bool is_fired(uint64_t addr, unsigned size)
{
    return addr >= FIRED && addr < FIRED + FIRED_REGS * 4 && size == 4 &&
           addr % 4 == 0;
}

uint64_t vmshm_futex_read(VMShmFutex *w, uint64_t addr, unsigned size)
{
    if (is_slot(addr, size)) {
        return slot_read(&w->slot[addr / VMSHM_SLOT_SIZE],
                         addr % VMSHM_SLOT_SIZE);
    }
    if (is_fired(addr, size)) {
        return le32_to_cpu(qatomic_read(&w->fired[(addr - FIRED) / 4]));
    }
    return 0;
}

bool vmshm_futex_fired(VMShmFutex *w)
{
    unsigned n;

    for (n = 0; n < w->slots / 32; n++) {
        if (qatomic_read(&w->fired[n])) {
            return true;
        }
    }
    return false;
}

static void wake_request(VMShmFutex *w, uint64_t value)
{
    unsigned count = value >> VMSHM_WAKE_COUNT_SHIFT;
    uint64_t place = (value & ((1ull << VMSHM_WAKE_COUNT_SHIFT) - 1)) * 4;
    uint32_t *word = word_at(w, place);

    VMSHM_TRACE(wake, place, count);
    /* FUTEX_WAKE with a count of 0 wakes one waiter. */
    if (word && count) {
        wake(word, count == 0xffff ? INT_MAX : count);
    }
}

/* Wakes, and then waits, as the record says. */
static void start_by_record(Slot *s, unsigned n)
{
    uint8_t copy[VMSHM_RECORD_SIZE];

    memcpy(copy, s->futex->records + n * VMSHM_RECORD_SIZE, sizeof(copy));
    if (ldq_le_p(copy + VMSHM_RECORD_ZERO)) {
        return;
    }
    wake_request(s->futex, ldq_le_p(copy + VMSHM_RECORD_WAKE));
    qemu_mutex_lock(&s->lock);
    if (is_free(s)) {
        s->place = ldq_le_p(copy + VMSHM_RECORD_PLACE);
        arm(s, ldl_le_p(copy + VMSHM_RECORD_EXPECTED),
            ldl_le_p(copy + VMSHM_RECORD_VECTOR));
    }
    qemu_mutex_unlock(&s->lock);
}

static void start_request(VMShmFutex *w, uint64_t value)
{
    uint64_t n = value & ~VMSHM_SLOT_ARM;
    Slot *s;

    if (!w->records || n >= w->slots) {
        return;
    }
    s = &w->slot[n];
    if (value & VMSHM_SLOT_ARM) {
        start_by_record(s, n);
    } else {
        qemu_mutex_lock(&s->lock);
        end(s);
        qemu_mutex_unlock(&s->lock);
    }
}

void vmshm_futex_write(VMShmFutex *w, uint64_t addr, uint64_t value,
                       unsigned size)
{
    if (is_slot(addr, size)) {
        slot_write(&w->slot[addr / VMSHM_SLOT_SIZE], addr % VMSHM_SLOT_SIZE,
                   value);
    } else if (is_fired(addr, size)) {
        qatomic_and(&w->fired[(addr - FIRED) / 4],
                    ~cpu_to_le32((uint32_t)value));
    } else if (addr == WAKE && size == 8) {
        wake_request(w, value);
    } else if (addr == START && size == 8) {
        start_request(w, value);
    }
}

bool vmshm_futex_possible(void)
{
    /* An empty list gives EINVAL; a missing system call gives another error. */
    return syscall(SYS_futex_waitv, NULL, 0, 0, NULL, 0) >= 0 ||
           errno == EINVAL;
}

unsigned vmshm_futex_records(const VMShmFutex *w)
{
    return w && w->records ? w->slots : 0;
}

VMShmFutex *vmshm_futex_new(VMShmWindow *arena, uint32_t *fired,
                            const uint8_t *records, VMShmIrq *irq)
{
    unsigned slots = records ? VMSHM_SLOTS_MAX : VMSHM_SLOTS;
    VMShmFutex *w = g_malloc0(sizeof(*w) + slots * sizeof(w->slot[0]));
    unsigned n;

    w->arena = arena;
    w->fired = fired;
    w->records = records;
    w->slots = slots;
    w->irq = irq;
    w->refs = 1;
    for (n = 0; n < slots; n++) {
        w->slot[n].futex = w;
        qemu_mutex_init(&w->slot[n].lock);
        qemu_cond_init(&w->slot[n].left);
    }
    return w;
}

bool vmshm_futex_leaving(VMShmFutex *w)
{
    return w && qatomic_read(&w->leaving);
}

void vmshm_futex_settle(VMShmFutex *w)
{
    unsigned n;

    if (!vmshm_futex_leaving(w)) {
        return;
    }
    for (n = 0; n < w->slots; n++) {
        Slot *s = &w->slot[n];
        unsigned departures;

        qemu_mutex_lock(&s->lock);
        departures = s->departures;
        while (s->leaving && s->departures == departures) {
            qemu_cond_wait(&s->left, &s->lock);
        }
        qemu_mutex_unlock(&s->lock);
    }
}

/* Ends the slot. An uncollected wake-up goes to the next waiter. */
static void drop(Slot *s)
{
    unsigned n = s - s->futex->slot;
    uint32_t bit = bit_of(n);

    end(s);
    if (s->state == VMSHM_SLOT_IS_FIRED && !s->readonly &&
        qatomic_fetch_and(&s->futex->fired[n / 32], ~bit) & bit) {
        wake(s->word, 1);
    }
}

void vmshm_futex_reset(VMShmFutex *w)
{
    unsigned n;

    for (n = 0; n < w->slots; n++) {
        Slot *s = &w->slot[n];

        qemu_mutex_lock(&s->lock);
        drop(s);
        s->state = VMSHM_SLOT_IS_IDLE;
        s->place = 0;
        qemu_mutex_unlock(&s->lock);
    }
    for (n = 0; n < w->slots / 32; n++) {
        qatomic_set(&w->fired[n], 0);
    }
}

void vmshm_futex_stop(VMShmFutex *w)
{
    unsigned n;

    for (n = 0; n < w->slots; n++) {
        Slot *s = &w->slot[n];

        qemu_mutex_lock(&s->lock);
        s->quit = true;
        drop(s);
        if (s->started) {
            request_changed(s);
        }
        qemu_mutex_unlock(&s->lock);
    }
    vmshm_futex_settle(w);
}

void vmshm_futex_unref(VMShmFutex *w)
{
    unsigned n;

    if (!w || qatomic_fetch_dec(&w->refs) > 1) {
        return;
    }
    for (n = 0; n < w->slots; n++) {
        qemu_cond_destroy(&w->slot[n].left);
        qemu_mutex_destroy(&w->slot[n].lock);
    }
    vmshm_irq_free(w->irq);
    g_free(w);
}
