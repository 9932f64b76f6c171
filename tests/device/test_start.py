# SPDX-License-Identifier: GPL-2.0-or-later
"""Slots that records in the command memory start. One access arms a slot at any
place, and wakes other waiters before."""

import struct

import contract as c
import futex
from arena import PAGE
from shm import Object, path
from slots import ALL, OPTIONS, Waits, asleep, host_wakes, queue_is_left
from vmshm import equal, machine, until


class Records(Waits):
    """A device with records"""

    def record(self, n, place, expected=0, *, wake=0, count=0, vector=0,
               zero=0):
        self.vm.store(self.regs + c.MEM_RECORD + n * c.RECORD_SIZE,
                      struct.pack("<QQIIQ", place,
                                  count << c.WAKE_COUNT_SHIFT | wake // 4,
                                  expected, vector, zero))

    def request(self, value):
        self.vm.write(self.regs + c.REG_START, 8, value)

    def start(self, n, place, expected=0, **how):
        self.record(n, place, expected, **how)
        self.request(c.SLOT_ARM | n)

    def end(self, n):
        """Ends the wait. Returns whether the slot had fired."""
        self.request(n)
        return self.has_fired(n)

    def has_fired(self, n):
        word = self.vm.read(self.regs + c.MEM_FIRED + n // 32 * 4, 4)
        return word >> n % 32 & 1

    def until_fired(self, n):
        until(lambda: self.has_fired(n), f"slot {n} has not fired")


def test_the_first_and_the_last_slot():
    with Object(PAGE) as obj, machine(options=OPTIONS) as vm:
        dev = Records(vm)
        dev.attach(obj.name)
        for n in (0, c.SLOTS - 1, c.SLOTS, c.SLOTS_MAX - 1):
            dev.start(n, 64)
            host_wakes(obj, 64, 1)
            dev.until_fired(n)
            dev.start(n, 128, 1)        # the word has another value
            dev.until_fired(n)


def test_registers_and_records_are_views_of_one_slot():
    with Object(PAGE) as obj, machine(options=OPTIONS) as vm:
        dev = Records(vm)
        dev.attach(obj.name)
        dev.start(5, 64)
        equal((dev.state(5), dev.slot(5, c.SLOT_PLACE)),
              (c.SLOT_IS_ARMED, 64), "the slot that the record started")
        equal(dev.disarm(5), c.SLOT_IS_IDLE, "ended by the register")
        dev.arm(5, 128, 0)
        dev.start(5, 256)       # no effect, because the slot is armed
        equal(dev.slot(5, c.SLOT_PLACE), 128, "the place of an armed slot")
        equal((dev.end(5), dev.state(5)), (0, c.SLOT_IS_IDLE),
              "ended by START")
        for place in (64, 128, 256):
            queue_is_left(obj, place)


def test_it_wakes_and_then_waits():
    with Object(PAGE) as obj, machine(options=OPTIONS) as vm:
        dev = Records(vm)
        dev.attach(obj.name)
        waiters = [futex.Waiter(path(obj.name), 12, 0) for _ in range(3)]

        def woken():
            dev.start(700, 64, wake=12, count=ALL)
            # A wake-up of the same word comes first, and does not wake the
            # slot.
            dev.start(701, 128, wake=128, count=ALL)
            equal(dev.end(700), 0, "the slot that waits")
            equal(dev.end(701), 0, "a slot that wakes its own word")
            return all(w.done for w in waiters)
        until(woken, "the host's waiter is not woken")


def test_each_of_all_slots_waits():
    with Object(PAGE) as obj, machine(options=OPTIONS) as vm:
        dev = Records(vm)
        dev.attach(obj.name)
        slots = range(0, c.SLOTS_MAX, 2)
        for n in slots:
            dev.start(n, n % 1024 * 4)
        asleep(vm, len(slots))
        for n in range(0, 1024, 2):
            host_wakes(obj, n * 4, 2)
        for n in slots:
            dev.until_fired(n)
        vm.qmp("system_reset")
        vm.event("RESET")
        dev.assign()
        fired = vm.load(dev.regs + c.MEM_FIRED, c.SLOTS_MAX // 8)
        equal(fired, bytes(len(fired)), "FIRED after a reset")


def test_nonsense_is_ignored():
    with Object(PAGE) as obj, machine(options=OPTIONS) as vm:
        dev = Records(vm)
        dev.attach(obj.name)
        for place in (1, 2, 3, 2 * dev.span, 1 << 40, (1 << 64) - 4):
            dev.start(3, place)
            equal(dev.state(3), c.SLOT_IS_IDLE, f"armed at {place:#x}")
        dev.start(3, 0, zero=1)
        equal(dev.state(3), c.SLOT_IS_IDLE, "armed by another record")
        dev.start(3, 0, zero=1 << 63, wake=0, count=ALL)
        equal(dev.state(3), c.SLOT_IS_IDLE, "armed by another record")
        dev.record(3, 0)
        for value in (c.SLOTS_MAX, c.SLOTS_MAX | c.SLOT_ARM, (1 << 64) - 1,
                      c.SLOT_HOLD | 3, c.SLOT_HOLD | c.SLOT_ARM | 3,
                      1 << 63 | c.SLOT_ARM | 3):
            dev.request(value)
            equal(dev.state(3), c.SLOT_IS_IDLE, f"START {value:#x}")
        for size in (1, 2, 4):
            vm.write(dev.regs + c.REG_START, size, 3)
            vm.write(dev.regs + c.REG_START + 4, size, 1)
        equal(dev.state(3), c.SLOT_IS_IDLE, "a part of START")
        equal(vm.read(dev.regs + c.REG_START, 8), 0, "START is write-only")
        for vector in (c.VECTORS_MAX, (1 << 32) - 1):
            dev.start(3, 0, 1, vector=vector)
            dev.until_fired(3)
            dev.set(c.REG_FIRED, 1 << 3)
        dev.start(3, 0, wake=2 * dev.span, count=ALL)
        equal(dev.state(3), c.SLOT_IS_ARMED, "the state of the slot")
        dev.hold(4, 0)
        dev.start(4, 64)
        equal(dev.state(4) & 0xffffffff, c.SLOT_IS_HELD, "a held slot")
        dev.request(4)
        equal(dev.state(4), c.SLOT_IS_IDLE, "a held slot that is ended")


def test_a_wake_up_is_passed_on():
    """A wake-up of a slot that was ended is passed to the next waiter."""
    with Object(PAGE) as obj, machine(options=OPTIONS) as vm:
        dev = Records(vm)
        dev.attach(obj.name)
        for turn in range(200):
            dev.start(1000, 0, turn)
            dev.start(1001, 0, turn)
            equal(dev.end(1000), 0, "the slot was woken")
            obj.write(0, struct.pack("<I", turn + 1))
            futex.wake(path(obj.name), 0, 1)
            dev.until_fired(1001)
            equal(dev.has_fired(1000), 0, "the slot that was ended")
            word = dev.regs + c.MEM_FIRED + 1001 // 32 * 4
            vm.write(word, 4, 0)
        queue_is_left(obj, 0)
