# SPDX-License-Identifier: GPL-2.0-or-later
"""Slots that hold a word. The host kernel marks the word when the guest
ends."""

import os
import struct

import contract as c
import futex
from arena import MIB, PAGE
from shm import Object, path
from slots import OPTIONS, Waits, host_wakes, queue_is_left
from vmshm import Skip, equal, machine, sandbox, true, until

WAITERS, DIED, TID_MASK = 0x80000000, 0x40000000, 0x3fffffff
NOBODY = 65534
THREADS = 24        # the limit of QEMU's threads in one of the tests


def word(obj, offset=0):
    return struct.unpack("<I", obj.read(offset, 4))[0]


def held(dev, obj, n=0, place=0, offset=0):
    """Makes slot n hold the word at `place`, which is at `offset` of the
    object, as the driver does. Returns the owner."""
    dev.hold(n, place)
    owner = dev.owner(n)
    true(0 < owner <= TID_MASK, f"owner {owner:#x}")
    obj.write(offset, struct.pack("<I", owner | WAITERS))
    return owner


def threads(vm):
    return {int(tid) for tid in os.listdir(f"/proc/{vm.pid}/task")}


def waiter(obj, expected, offset=0):
    """A waiter on the host, which is already asleep"""
    w = futex.Waiter(path(obj.name), offset, expected)
    until(lambda: w.asleep, "the waiter does not fall asleep")
    return w


def marked(obj, *waiters, offset=0):
    """Waits until the word has the mark of a dead owner and one of the waiters
    is woken."""
    equal(word(obj, offset), DIED | WAITERS, "the word")
    if waiters:
        until(lambda: any(w.done for w in waiters), "no waiter was woken")
        equal([w.result for w in waiters if w.done], [0], "woken")
        host_wakes(obj, offset, len(waiters) - 1)


def test_until_the_guest_ends_it():
    with Object(PAGE) as obj, machine(options=OPTIONS) as vm:
        dev = Waits(vm)
        dev.attach(obj.name, 3 * PAGE)
        before = threads(vm)
        dev.hold(7, 3 * PAGE + 8)
        owner = dev.owner(7)
        equal(threads(vm) - before, {owner}, "new threads")
        equal(obj.read(0, PAGE), bytes(PAGE), "the device writes nothing")
        obj.write(8, struct.pack("<I", owner | WAITERS))
        waiters = [waiter(obj, owner | WAITERS, 8) for _ in range(2)]
        equal(dev.disarm(7), c.SLOT_IS_IDLE, "ended")
        marked(obj, *waiters, offset=8)
        equal(threads(vm), before, "threads")
        equal(dev.fired(), 0, "fired")


def test_again_and_again():
    with Object(PAGE) as obj, machine(options=OPTIONS) as vm:
        dev = Waits(vm)
        dev.attach(obj.name)
        for turn in range(200):
            held(dev, obj, turn % 3, 4, 4)
            dev.disarm(turn % 3)
            marked(obj, offset=4)
            # The slot waits for the word.
            dev.arm(turn % 3, 4, DIED | WAITERS)
            host_wakes(obj, 4, 1)
            dev.until(turn % 3, c.SLOT_IS_FIRED, "woken")


def ends(how, *args):
    """Checks that how(vm, dev) ends the hold of a word with a waiter."""
    with Object(PAGE) as obj, machine(*args, options=OPTIONS) as vm:
        dev = Waits(vm)
        dev.attach(obj.name, 2 * PAGE)
        owner = held(dev, obj, 95, 2 * PAGE)
        one = waiter(obj, owner | WAITERS)
        how(vm, dev)
        marked(obj, one)


def test_until_qemu_is_killed():
    ends(lambda vm, dev: vm.kill())


def test_until_qemu_ends():
    ends(lambda vm, dev: vm.quit())


def test_until_reset():
    def reset(vm, dev):
        vm.qmp("system_reset")
        vm.event("RESET")
        equal(Waits(vm).state(95), c.SLOT_IS_IDLE, "after reset")

    ends(reset)


def test_until_release():
    def release(vm, dev):
        dev.does(c.CMD_RELEASE)
        equal(dev.state(95), c.SLOT_IS_IDLE, "after RELEASE")

    ends(release)


def test_until_unplug():
    with Object(PAGE) as obj, machine() as vm:
        vm.add("vmshm", id="hot", addr="9", arena=2 * MIB)
        before = threads(vm)
        dev = Waits(vm, slot=9)
        dev.attach(obj.name)
        owner = held(dev, obj)
        one = waiter(obj, owner | WAITERS)
        vm.remove("hot", lambda: vm.eject_acpi(0xae00, 0, 9))
        marked(obj, one)
        equal(threads(vm), before, "threads")


def test_all_slots():
    with Object(PAGE) as obj:
        with machine(options=OPTIONS) as vm:
            dev = Waits(vm)
            dev.attach(obj.name)
            owners = {held(dev, obj, n, 4 * n, 4 * n)
                      for n in range(c.SLOTS)}
            equal(len(owners), c.SLOTS, "owners")
            vm.kill()
        for n in range(c.SLOTS):
            marked(obj, offset=4 * n)


def test_a_word_that_was_changed_is_left_alone():
    with Object(PAGE) as obj, machine(options=OPTIONS) as vm:
        dev = Waits(vm)
        dev.attach(obj.name)
        for value in (0, 1, WAITERS, WAITERS | DIED, 0xffffffff):
            held(dev, obj)
            obj.write(0, struct.pack("<I", value))
            dev.disarm(0)
            equal(word(obj), value, "the word")
        # The word has the owner's number without the bit for waiters.
        owner = held(dev, obj)
        obj.write(0, struct.pack("<I", owner))
        one = waiter(obj, owner)
        dev.disarm(0)
        equal(word(obj), DIED, "the word")
        true(not one.done, "the waiter was woken")
        host_wakes(obj, 0, 1)


def test_nonsense_is_ignored():
    with Object(PAGE) as obj, machine(options=OPTIONS) as vm:
        dev = Waits(vm)
        dev.attach(obj.name)
        before = threads(vm)
        for place in (1, 2, 3, 2 * dev.span, 2 * dev.span + 4, 1 << 40,
                      (1 << 64) - 4):
            dev.hold(3, place)
            equal(dev.state(3), c.SLOT_IS_IDLE, f"held at {place:#x}")
        equal(threads(vm), before, "threads")
        # A slot that waits and a slot that holds are not affected.
        dev.arm(3, 0, 0)
        dev.hold(3, 0)
        equal(dev.state(3), c.SLOT_IS_ARMED, "hold of a slot that waits")
        host_wakes(obj, 0, 1)
        dev.until(3, c.SLOT_IS_FIRED, "woken")
        owner = held(dev, obj, 3)
        for control in (c.SLOT_HOLD, c.SLOT_ARM, c.SLOT_ARM | c.SLOT_HOLD,
                        (1 << 64) - 1):
            dev.set_slot(3, c.SLOT_CONTROL, control)
            equal(dev.owner(3), owner, f"control {control:#x}")
        # The place is read at the start of the hold only.
        dev.set_slot(3, c.SLOT_PLACE, 5)
        dev.set_slot(3, c.SLOT_CONTROL, 0xffffffff)
        equal(dev.state(3), c.SLOT_IS_IDLE, "ended")
        marked(obj)
        queue_is_left(obj, 0)


def test_read_only_span():
    with Object(PAGE) as obj, machine(options=OPTIONS) as vm:
        dev = Waits(vm)
        dev.attach_ro(obj.name)
        owner = held(dev, obj, 0, dev.span)
        dev.disarm(0)
        equal(word(obj), owner | WAITERS, "hold of a read-only word")


def test_where_nothing_is_attached():
    with machine(options=OPTIONS) as vm:
        dev = Waits(vm)
        dev.hold(0, PAGE)
        owner = dev.owner(0)
        dev.put(PAGE, struct.pack("<I", owner | WAITERS))
        dev.hold(1, dev.span + PAGE)
        dev.disarm(0)
        dev.disarm(1)
        dev.sees(PAGE, struct.pack("<I", DIED | WAITERS), "private memory")


def test_object_goes_while_its_word_is_held():
    with Object(PAGE) as obj, machine(options=OPTIONS) as vm:
        dev = Waits(vm)
        handle = dev.attach(obj.name)
        owner = held(dev, obj)
        held(dev, obj, 1, 4, 4)
        dev.detach(handle)
        dev.disarm(0)
        equal(word(obj), owner | WAITERS, "no longer this guest's")
        dev.attach(obj.name)
        held(dev, obj)
        os.truncate(path(obj.name), 0)
        equal(dev.disarm(0), c.SLOT_IS_IDLE, "hold of lost memory")
        dev.disarm(1)


def test_in_the_sandbox():
    ends(lambda vm, dev: dev.disarm(95), *sandbox())


def test_host_without_threads():
    if os.getuid():
        raise Skip("needs root, to run QEMU as another user")
    limit = ("prlimit", f"--nproc={THREADS}")
    with Object(PAGE, mode=0o666) as obj, \
            machine(options=OPTIONS, user=NOBODY, wrap=limit) as vm:
        dev = Waits(vm)
        dev.attach(obj.name)
        for n in range(THREADS):
            dev.hold(n, 4 * n)
        states = [dev.state(n) & 0xffffffff for n in range(THREADS)]
        true(states[0] == c.SLOT_IS_HELD, "the first is held")
        equal(states[-1], c.SLOT_IS_IDLE, "the last")
        # A slot without a thread fires at once, as a spurious wake-up.
        dev.arm(95, 0, 0)
        equal(dev.state(95), c.SLOT_IS_FIRED, "a waiter")
        equal(dev.fired(), 1 << 95, "fired")
        for n in range(THREADS):
            dev.disarm(n)
        dev.arm(94, 0, 0)
        equal(dev.state(94), c.SLOT_IS_ARMED, "with threads again")


def test_no_hold_where_numbers_are_not_unique():
    """In a PID namespace, HOLD fails, because threads of two containers can
    have the same number."""
    if os.geteuid():
        raise Skip("only root can start QEMU in a PID namespace")
    with Object(PAGE) as obj, \
            machine(options=OPTIONS, wrap=(
                "unshare", "--pid", "--fork", "--kill-child",
                "--mount-proc")) as vm:
        dev = Waits(vm)
        dev.attach(obj.name)
        dev.hold(0, 0)
        equal(dev.state(0), c.SLOT_IS_IDLE, "the slot")
        true("words cannot be held" in vm.said(), vm.said())
        # All other functions work.
        dev.arm(0, 0, 0)
        equal(dev.state(0) & 0xffffffff, c.SLOT_IS_ARMED, "armed")
