# SPDX-License-Identifier: GPL-2.0-or-later
"""Slots, which wait by futex(2) on the host for the guest, and their interrupts
"""

import os

import contract as c
import futex
from arena import MIB, PAGE
from qemu import ROOT, u32
from shm import Object, path
from slots import (ALL, FUTEX_WAITV, OPTIONS, Waits, asleep, host_wakes,
                   queue_is_left)
from vmshm import equal, machine, true, until


def test_idle_at_first_and_after_reset():
    with Object(PAGE) as obj, machine(options=OPTIONS) as vm:
        for _ in range(2):
            dev = Waits(vm)
            for n in range(c.SLOTS):
                equal((dev.slot(n, c.SLOT_PLACE), dev.state(n)), (0, 0),
                      f"slot {n}")
            equal(dev.fired(), 0, "fired")
            dev.attach(obj.name)
            for n in range(c.SLOTS):
                dev.arm(n, 0, n % 2)
            vm.qmp("system_reset")
            vm.event("RESET")
        queue_is_left(obj, 0)


def test_host_wakes_a_slot():
    with Object(PAGE) as obj, machine(options=OPTIONS) as vm:
        dev = Waits(vm)
        dev.attach(obj.name, 4 * PAGE)
        dev.arm(5, 4 * PAGE + 8, 0)
        equal(dev.state(5), c.SLOT_IS_ARMED, "armed")
        host_wakes(obj, 8, 1)
        dev.until(5, c.SLOT_IS_FIRED, "woken")
        equal(dev.fired(), 1 << 5, "fired")
        dev.set(c.REG_FIRED, 1 << 5)
        equal(dev.fired(), 0, "cleared")
        equal(dev.disarm(5), c.SLOT_IS_FIRED, "the slot was woken before")


def test_another_value_fires_at_once():
    with Object(PAGE) as obj, machine(options=OPTIONS) as vm:
        dev = Waits(vm)
        obj.write(0, b"\x07\0\0\x80")
        dev.attach(obj.name)
        dev.arm(0, 0, 0x80000007)
        dev.arm(95, 0, 0x80000006)
        dev.until(95, c.SLOT_IS_FIRED, "another value")
        equal(dev.state(0), c.SLOT_IS_ARMED, "the same value")
        equal(dev.fired(), 1 << 95, "fired")
        host_wakes(obj, 0, 1)
        dev.until(0, c.SLOT_IS_FIRED, "woken")


def test_count_is_exact():
    with Object(PAGE) as obj, machine(options=OPTIONS) as vm:
        dev = Waits(vm)
        dev.attach(obj.name)
        for n in range(c.SLOTS):
            dev.arm(n, 64, 0)
        host_wakes(obj, 64, 40)
        until(lambda: bin(dev.fired()).count("1") >= 40, "too few fired")
        states = [dev.state(n) for n in range(c.SLOTS)]
        equal(states.count(c.SLOT_IS_FIRED), 40, "fired")
        host_wakes(obj, 64, 56)
        for n in range(c.SLOTS):
            dev.until(n, c.SLOT_IS_FIRED, "woken")


def test_disarmed_slot_does_not_keep_a_wake_up():
    with Object(PAGE) as obj, machine(options=OPTIONS) as vm:
        dev = Waits(vm)
        dev.attach(obj.name)
        for turn in range(300):
            dev.arm(0, 0, turn)
            dev.arm(1, 0, turn)
            gone = dev.disarm(0) != c.SLOT_IS_FIRED
            true(gone, "the slot was woken")
            # The changed word also ends a wait that is not in the queue yet.
            obj.write(0, u32(turn + 1))
            futex.wake(path(obj.name), 0, 1)
            dev.until(1, c.SLOT_IS_FIRED, "the other slot")
            equal(dev.state(0), c.SLOT_IS_IDLE, "the disarmed slot")
            dev.set(c.REG_FIRED, 3)
        queue_is_left(obj, 0)


def test_guest_wakes_the_host_and_slots():
    with Object(PAGE) as obj, machine(options=OPTIONS) as vm:
        dev = Waits(vm)
        dev.attach(obj.name, PAGE)
        waiter = futex.Waiter(path(obj.name), 12, 0)

        def woken():
            dev.wake(PAGE + 12, 1)
            return waiter.done
        until(woken, "the host's waiter is not woken")
        dev.arm(1, PAGE, 0)
        dev.arm(2, PAGE, 0)

        def slots_woken():
            dev.wake(PAGE, ALL)
            return c.SLOT_IS_ARMED not in (dev.state(1), dev.state(2))
        until(slots_woken, "the slots sleep on")


def test_wake_of_none_wakes_none():
    with Object(PAGE) as obj, machine(options=OPTIONS) as vm:
        dev = Waits(vm)
        dev.attach(obj.name)
        for n in range(3):
            dev.arm(n, 0, 0)
        asleep(vm, 3)
        for _ in range(3):
            dev.wake(0, 0)
        equal(futex.wake(path(obj.name), 0, 4), 3, "waiters")


def test_two_machines():
    with Object(PAGE) as obj, machine(options=OPTIONS) as one, \
         machine(options=OPTIONS) as two:
        here, there = Waits(one), Waits(two)
        here.attach(obj.name, PAGE)
        there.attach(obj.name, 7 * PAGE)
        here.arm(0, PAGE + 4, 0)

        def woken():
            there.wake(7 * PAGE + 4, 1)
            return here.state(0) == c.SLOT_IS_FIRED
        until(woken, "the slot is not woken")


def test_host_without_futex_waitv():
    """On Linux before 5.16, only the feature for waiting is missing."""
    wrap = os.path.join(ROOT, "tests", "lib", "without.py"), str(FUTEX_WAITV)
    with Object(PAGE, b"host") as obj, \
         machine(options=OPTIONS, wrap=wrap) as vm:
        dev = Waits(vm)
        equal(dev.get(c.REG_FEATURES) & c.F_FUTEX, 0, "the feature")
        equal(dev.pci.capability(0x11), 0, "MSI-X")
        dev.attach(obj.name)
        dev.sees(0, b"host", "attached")
        dev.arm(0, 0, 1)
        dev.hold(1, 0)
        dev.wake(0, ALL)
        for register in range(c.REG_SLOT, 0x1000, 8):
            equal(vm.read(dev.regs + register, 8), 0, f"at {register:#x}")
        equal(obj.read(0, 4), b"host", "the object")


def test_read_only_span():
    with Object(PAGE) as obj, machine(options=OPTIONS + ",readonly=on") as vm:
        dev = Waits(vm)
        dev.attach_ro(obj.name)
        dev.arm(0, dev.span, 0)
        host_wakes(obj, 0, 1)
        dev.until(0, c.SLOT_IS_FIRED, "woken")


def test_readers_take_no_wake_up_from_others():
    """A wake-up of one waiter reaches a program of the host that waits after
    all slots of a guest with read-only access."""
    with Object(PAGE) as obj, machine(options=OPTIONS + ",readonly=on") as vm:
        dev = Waits(vm)
        dev.attach_ro(obj.name)
        for n in range(c.SLOTS):
            dev.arm(n, dev.span, 0)
        asleep(vm, c.SLOTS)
        waiter = futex.Waiter(path(obj.name), 0, 0)
        until(lambda: futex.waiters(path(obj.name), 0) == c.SLOTS + 1,
              "the program does not wait")
        equal(futex.wake(path(obj.name), 0, 1), 1, "woken")
        until(lambda: waiter.done, "the readers have kept the wake-up")
        equal(waiter.result, 0, "the result of the program's wait")
        for n in range(c.SLOTS):
            dev.until(n, c.SLOT_IS_FIRED, "a reader")


def test_readers_that_are_reset_pass_nothing_on_twice():
    with Object(PAGE) as obj, machine(options=OPTIONS) as vm:
        dev = Waits(vm)
        dev.attach(obj.name)
        dev.attach_ro(obj.name)
        dev.arm(0, dev.span, 0)
        asleep(vm, 1)
        equal(futex.wake(path(obj.name), 0, 1), 1, "woken")
        dev.until(0, c.SLOT_IS_FIRED, "the reader")
        # A waiter with write access has not used the wake-up yet.
        dev.arm(1, 0, 0)
        asleep(vm, 1)
        equal(futex.wake(path(obj.name), 0, 1), 1, "woken")
        dev.until(1, c.SLOT_IS_FIRED, "the writer")
        waiters = [futex.Waiter(path(obj.name), 0, 0) for _ in range(2)]
        until(lambda: futex.waiters(path(obj.name), 0) == 2, "no two waiters")
        dev.does(c.CMD_RELEASE)
        until(lambda: any(w.done for w in waiters), "the wake-up is lost")
        equal(futex.wake(path(obj.name), 0, 2), 1, "waiters that are left")


def test_nonsense_is_ignored():
    with Object(PAGE) as obj, machine(options=OPTIONS) as vm:
        dev = Waits(vm)
        dev.attach(obj.name)
        for place in (1, 2, 3, 2 * dev.span, 2 * dev.span + 4, 1 << 40,
                      (1 << 64) - 4):
            dev.arm(3, place, 0)
            equal(dev.state(3), c.SLOT_IS_IDLE, f"armed at {place:#x}")
        for place in (2 * dev.span, (1 << 50) - 4):
            dev.wake(place, ALL)
        dev.arm(3, 0, 0)
        for size in (1, 2, 4):
            vm.write(dev.regs + c.REG_SLOT + 3 * c.SLOT_SIZE + c.SLOT_CONTROL,
                     size, 0)
        vm.write(dev.regs + c.REG_WAKE, 4, 0)
        # Arming again changes nothing.
        dev.arm(3, PAGE // 2, 5)
        equal(dev.state(3), c.SLOT_IS_ARMED, "still armed")
        host_wakes(obj, 0, 1)
        dev.until(3, c.SLOT_IS_FIRED, "woken")
        # Accesses after the last slot and after the last register
        for offset in range(c.REG_SLOT + c.SLOTS * c.SLOT_SIZE, 0x1000, 8):
            if not c.REG_FIRED <= offset < c.REG_WAKE:
                vm.write(dev.regs + offset, 8, (1 << 64) - 1)
                equal(vm.read(dev.regs + offset, 8), 0, f"at {offset:#x}")


def test_release_makes_slots_idle():
    with Object(PAGE) as obj, machine(options=OPTIONS) as vm:
        dev = Waits(vm)
        dev.attach(obj.name)
        for n in range(c.SLOTS):
            dev.arm(n, 0, 0)
        dev.does(c.CMD_RELEASE)
        equal([dev.state(n) for n in range(c.SLOTS)],
              [c.SLOT_IS_IDLE] * c.SLOTS, "slots")
        queue_is_left(obj, 0)


def test_unplug_and_end_while_slots_wait():
    with Object(PAGE) as obj, machine() as vm:
        vm.add("vmshm", id="hot", addr="9", arena=2 * MIB)
        threads = len(os.listdir(f"/proc/{vm.pid}/task"))
        dev = Waits(vm, slot=9)
        dev.attach(obj.name)
        for n in range(c.SLOTS):
            dev.arm(n, 4 * n, 0)
        vm.remove("hot", lambda: vm.eject_acpi(0xae00, 0, 9))
        until(lambda: len(os.listdir(f"/proc/{vm.pid}/task")) <= threads,
              "threads are left")
        vm.add("vmshm", id="hot", addr="9", arena=2 * MIB)
        dev = Waits(vm, slot=9)
        dev.attach(obj.name)
        dev.arm(7, 0, 0)


def test_unplug_while_slots_fire():
    with Object(PAGE) as obj, machine() as vm:
        before = len(os.listdir(f"/proc/{vm.pid}/task"))
        for _ in range(20):
            vm.add("vmshm", id="hot", addr="9", arena=2 * MIB)
            dev = Waits(vm, slot=9)
            dev.attach(obj.name)
            for n in range(c.SLOTS):
                dev.arm(n, 0, 0)
            futex.wake(path(obj.name), 0, c.SLOTS)
            vm.remove("hot", lambda: vm.eject_acpi(0xae00, 0, 9))
        until(lambda: len(os.listdir(f"/proc/{vm.pid}/task")) <= before,
              "threads are left")


def test_detached_while_a_slot_waits():
    with Object(PAGE) as obj, machine(options=OPTIONS) as vm:
        dev = Waits(vm)
        handle = dev.attach(obj.name)
        dev.arm(0, 0, 0)
        dev.detach(handle)
        os.truncate(path(obj.name), 0)
        equal(dev.disarm(0) in (c.SLOT_IS_IDLE, c.SLOT_IS_FIRED), True,
              "state")
        dev.arm(0, 0, 0)
        equal(dev.disarm(0), c.SLOT_IS_IDLE, "on private memory")
