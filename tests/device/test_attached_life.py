# SPDX-License-Identifier: GPL-2.0-or-later
"""Attachments during reset, unplugging, the end of QEMU and migration"""

import os
import signal
import tempfile

import contract as c
from arena import MIB, PAGE, Arena, arenas, attachments
from qemu import DEADLINE, Qemu
from shm import Object, pattern
from test_migration import (Image, StuckMigration, check_reason, completed,
                            events, migrates, refusal)
from vmshm import (SLOT, descriptors, equal, machine, mapped, released,
                   true, until)

ARENA = ",arena=16M"
LATCHES = (c.REG_FLAGS, c.REG_HANDLE, c.REG_OFFSET_LO, c.REG_OFFSET_HI,
           c.REG_LENGTH_LO, c.REG_LENGTH_HI, c.REG_PLACE_LO, c.REG_PLACE_HI,
           c.REG_MODE)
STATE = (*LATCHES, c.REG_STATUS,
         *range(c.REG_RES_HANDLE, c.REG_RES_BLOCKS_HI + 4, 4))


def attached(dev, obj):
    """Attaches the object in each possible way."""
    dev.opened(obj.name)
    dev.does(c.CMD_HOLD, obj.name)
    dev.attach_ro(obj.name, PAGE)
    return dev.attach(obj.name, PAGE)


def gone(vm, dev, obj, what):
    equal(attachments(vm), [], what)
    released(vm, obj)
    dev.is_zero(what)
    dev.sees_zeros(0, 4 * PAGE, what)
    dev.sees_zeros(dev.span, 4 * PAGE, what)


def test_reset():
    with Object(2 * PAGE, b"host") as obj, machine(options=ARENA) as vm:
        dev = Arena(vm)
        for _ in range(3):
            handle = attached(dev, obj)
            vm.qmp("system_reset")
            vm.event("RESET")
            dev.assign()
            gone(vm, dev, obj, "after reset")
            equal(dev.command(c.CMD_DETACH, handle=handle), c.EBADF, "stale")
        equal(obj.read(0, 4), b"host", "the object")


def test_unplug():
    with Object(2 * PAGE, b"host") as obj, \
            machine(devices=2, options=ARENA) as vm:
        dev, other = arenas(vm, 2)
        attached(dev, obj)
        other.attach(obj.name)
        vm.remove("vmshm0", lambda: vm.eject_acpi(0xae00, 0, SLOT))
        until(lambda: len(mapped(vm, obj)) == 1, "still mapped")
        other.sees(0, b"host", "the other device")
        other.does(c.CMD_RELEASE)
        released(vm, obj)


def test_50_times_plugged_lose_nothing():
    with Object(2 * PAGE, b"host") as obj, Qemu() as vm:
        def once():
            vm.add("vmshm", id="hot", addr="9", arena=16 * MIB,
                   allow="/*", deny="/x", prefix=obj.name[1:-1])
            vm.next32, vm.next64 = 0xe0000000, 1 << 40
            dev = Arena(vm, slot=9)
            attached(dev, Named("/" + obj.name[-1]))
            dev.does(c.CMD_LIST)
            dev.put(8 * PAGE, b"private")
            vm.remove("hot", lambda: vm.eject_acpi(0xae00, 0, 9))

        def state():
            with open(f"/proc/{vm.pid}/statm", encoding="ascii") as statm:
                pages = int(statm.read().split()[0])
            with open(f"/proc/{vm.pid}/maps", encoding="utf-8") as maps:
                return pages, len(list(maps))

        for _ in range(10):
            once()
        (pages, maps), fds = state(), descriptors(vm)
        for _ in range(50):
            once()
        # A leaked window has 32 MiB.
        until(lambda: state()[0] < pages + 64 * 256, "address space leaks")
        until(lambda: state()[1] < maps + 10, "mappings leak")
        equal(descriptors(vm), fds, "descriptors")
        released(vm, obj)


class Named:
    """An object under the name that the guest uses"""

    def __init__(self, name):
        self.name = name


def test_ends_of_qemu():
    for number, code in ((None, 0), (signal.SIGTERM, 0),
                         (signal.SIGKILL, -9)):
        with Object(2 * PAGE) as obj, machine(options=ARENA) as vm:
            dev = Arena(vm)
            attached(dev, obj)
            dev.put(PAGE, b"GUEST")
            if number is None:
                vm.quit()
            else:
                vm.process.send_signal(number)
                equal(vm.process.wait(DEADLINE), code, "exit code")
                vm.kill()       # cleanup
            equal(obj.read(0, 5), b"GUEST", "the object")
            true(os.path.exists(obj.path), "the object is gone")


def test_migration_is_refused_by_any_attachment():
    with Object(2 * PAGE, b"host") as obj, machine(options=ARENA) as vm, \
            tempfile.TemporaryDirectory() as folder:
        image = Image(vm, folder)
        dev = Arena(vm)
        events(vm)
        for attach in (dev.attach, dev.attach_ro,
                       lambda name: dev.does(c.CMD_HOLD, name)):
            attach(obj.name)
            handle = dev.get(c.REG_RES_HANDLE)
            check_reason(refusal(vm.qmp, "migrate", uri="exec:cat >/dev/null"))
            check_reason(refusal(vm.hmp, "savevm one"))
            check_reason(image.snapshot("save", "one") or "")
            equal(len(attachments(vm)), 1, "attachments")
            dev.detach(handle)
            equal(image.snapshot("save", "two"), None, "snapshot-save")
            equal(image.snapshot("delete", "two"), None, "snapshot-delete")
        # Migration is refused until the last attachment is detached.
        handles = [dev.attach(obj.name, i * 2 * PAGE) for i in range(3)]
        for handle in handles:
            check_reason(refusal(vm.qmp, "migrate", uri="exec:cat >/dev/null"))
            dev.detach(handle)
        migrates(vm)


def test_snapshot_loaded_while_attached_detaches():
    with Object(2 * PAGE, b"host") as obj, machine(options=ARENA) as vm, \
            tempfile.TemporaryDirectory() as folder:
        image = Image(vm, folder)
        dev = Arena(vm)
        dev.stat(obj.name)
        for register in LATCHES:
            dev.set(register, 0x5a5a0000 + register)
        before = [dev.get(r) for r in STATE]
        equal(image.snapshot("save", "one"), None, "snapshot-save")
        attached(dev, obj)
        error = image.snapshot("load", "one")
        if error is not None:
            check_reason(error)
            dev.sees(PAGE, b"host", "after the refusal")
        else:
            gone(vm, dev, obj, "after loading")
            equal([dev.get(r) for r in STATE], before, "registers")


def migrate(source, target, folder):
    for vm in (source, target):
        events(vm)
    uri = f"unix:{folder}/migration"
    target.qmp("migrate-incoming", uri=uri)
    source.qmp("migrate", uri=uri)
    return source.event("MIGRATION", lambda d: d["status"] in (
        "completed", "failed", "cancelled"))["status"]


def test_migration_after_detach_carries_the_registers():
    with Object(5 * PAGE, b"host") as obj, \
            tempfile.TemporaryDirectory() as folder, \
            machine(options=ARENA) as source, \
            machine("-incoming", "defer", options=ARENA) as target:
        dev = Arena(source)
        attached(dev, obj)
        dev.does(c.CMD_RELEASE)
        dev.does(c.CMD_LIST)
        dev.command(99)
        for i, register in enumerate(LATCHES):
            dev.set(register, 0x10203040 + i)
        source.store(dev.name, obj.name.encode() + b"\0" + pattern(800))
        state = {r: dev.get(r) for r in STATE}
        name = source.load(dev.name, 1024)
        dev.put(PAGE, b"private memory of the source")
        equal(migrate(source, target, folder), "completed", "migration")
        completed(target)
        there = Arena(target, bars=dev.pci.bars)
        equal({r: there.get(r) for r in STATE}, state, "registers")
        equal(target.load(there.name, 1024), name, "BAR2")
        gone(target, there, obj, "on the other side")
        there.attach(None, PAGE)
        there.sees(PAGE, b"host", "by the name that came along")


def test_migration_to_another_arena_size_is_refused():
    with tempfile.TemporaryDirectory() as folder, \
            machine(options=ARENA) as source, \
            machine("-incoming", "defer", options=",arena=32M") as target:
        try:
            events(source)
            target.qmp("migrate-incoming", uri=f"unix:{folder}/m")
            source.qmp("migrate", uri=f"unix:{folder}/m")
            # A QEMU whose incoming migration fails ends.
            equal(target.process.wait(DEADLINE) != 0, True, "exit code")
        finally:
            said = target.said()
            target.kill()
        # The message of QEMU 11.1 has numbers without a hint.
        true("vmshm" in said and ("arena" in said or "2000000" in said),
             f"it does not say why: {said}")
        Arena(source).sees_zeros(0, PAGE, "the source does not continue")


def test_attach_is_busy_while_migration_runs():
    with Object(2 * PAGE, b"host") as obj, machine(options=ARENA) as vm, \
            StuckMigration(vm) as migration:
        dev = Arena(vm)
        for number in (c.CMD_ATTACH, c.CMD_HOLD):
            equal(dev.command(number, obj.name), c.EBUSY, number)
        dev.stat(obj.name)
        released(vm, obj)
        migration.cancel()
        dev.attach(obj.name)
        dev.sees(0, b"host", "after the migration was cancelled")


def test_attach_under_only_migratable():
    with Object(2 * PAGE) as obj, \
            machine("-only-migratable", options=ARENA) as vm:
        dev = Arena(vm)
        for number in (c.CMD_ATTACH, c.CMD_HOLD):
            equal(dev.command(number, obj.name), c.EACCES, number)
        dev.stat(obj.name)
        released(vm, obj)
