# SPDX-License-Identifier: GPL-2.0-or-later
"""The registers from 0x40 on: constants, latches, access sizes"""

import os
import re

import contract as c
from arena import MIB, Arena, attachments, refusals
from qemu import ROOT
from shm import Object, fresh_name, pattern
from vmshm import SLOT, Vmshm, equal, machine, mapped, true

LATCHES = (c.REG_FLAGS, c.REG_HANDLE, c.REG_OFFSET_LO, c.REG_OFFSET_HI,
           c.REG_LENGTH_LO, c.REG_LENGTH_HI, c.REG_PLACE_LO, c.REG_PLACE_HI,
           c.REG_MODE)
RESULTS = range(c.REG_RES_HANDLE, c.REG_RES_BLOCKS_HI + 4, 4)
CONSTANTS = range(c.REG_ID, c.REG_SLOTS + 4, 4)
UNASSIGNED = [0x6c, *range(0x74, 0x80, 4),
              *range(0xa4, 0xb0, 4), 0xb8, 0xbc, *range(0xf8, 0x1000, 4)]
ALL = range(0x40, 0x100, 4)
# The features of a host with futex_waitv(2)
FUTEX = c.F_FUTEX | c.F_MEMORY
JUNK = (0xffffffff, 0x80000000, 1, 0x5a5aa5a5)


def constants(options):
    """(features, max. objects, writable span, read-only span) of a device"""
    with machine(options=options) as vm:
        dev = Arena(vm)
        equal(dev.get(c.REG_ID), c.ID, "ID")
        equal(dev.get(c.REG_VERSION),
              c.VERSION_MAJOR << 16 | c.VERSION_MINOR, "version")
        size, kind = dev.pci.probe(c.BAR_ARENA)
        spans = [dev.get64(r) for r in (c.REG_RW_SIZE_LO, c.REG_RO_SIZE_LO)]
        equal((size, kind), (sum(spans), 0xc), "BAR4")
        return dev.get(c.REG_FEATURES), dev.get(c.REG_MAX_OBJECTS), *spans


def documented():
    """The bytes of the default span in docs/spec.md"""
    with open(os.path.join(ROOT, "docs", "spec.md"), encoding="utf-8") as spec:
        number, unit = re.search(r"`arena=SIZE` \| (\d+)([MG]) ",
                                 spec.read()).groups()
    return int(number) << {"M": 20, "G": 30}[unit]


def test_constants_follow_the_properties():
    span = documented()
    equal(constants(""), (c.F_ARENA | FUTEX, 4096, span, span), "defaults")
    equal(constants(",create=on,max-objects=1,arena=2M"),
          (c.F_ARENA | c.F_CREATE | FUTEX, 1, 2 * MIB, 2 * MIB),
          "the smallest")
    equal(constants(",readonly=on,max-objects=16384,arena=8G"),
          (c.F_ARENA | c.F_READONLY | FUTEX, 16384, 8 << 30, 8 << 30),
          "more than 32 bits")


def test_largest_arena():
    with Object(5000, b"host") as obj, machine(options=",arena=1T") as vm:
        dev = Arena(vm)
        equal(dev.span, 1 << 40, "span")
        last = dev.span - 4096
        dev.detach(dev.attach(obj.name, last, length=4096),
                   dev.attach_ro(obj.name, last, length=4096),
                   dev.attach(obj.name, dev.span >> 1))
        handle = dev.attach_ro(obj.name, last)
        dev.sees(dev.span + last, b"host", "the last page")
        dev.detach(handle)
        dev.sees_zeros(dev.span + last, 4096, "after detach")


def test_device_of_2010_has_no_second_half():
    with Object(4096, b"host") as obj, machine(options=",arena=0") as vm:
        dev = Vmshm(vm)
        equal(dev.pci.probe(c.BAR_ARENA), (0, 0), "BAR4")
        dev.open(obj.name)
        for offset in range(0x40, 0x1000, 4):
            vm.write(dev.regs + offset, 4, 0xffffffff)
        for command in range(0x100):
            vm.write(dev.regs + c.REG_COMMAND, 4, command)
        for offset in range(0x40, 0x1000, 4):
            equal(dev.register(offset), 0, f"register {offset:#x}")
        equal(refusals(vm), {}, "refusals")
        dev.shows(b"host", "the buffer")
        dev.closed()
        equal(dev.open(fresh_name()), c.ENOENT, "open after the command")


def test_everything_is_0_at_the_start():
    with machine() as vm:
        dev = Arena(vm)
        for offset in (*LATCHES, *RESULTS, c.REG_STATUS, c.REG_COMMAND):
            equal(dev.get(offset), 0, f"register {offset:#x}")


def test_latches_keep_what_was_written():
    with machine() as vm:
        dev = Arena(vm)
        for salt in JUNK:
            want = {r: (salt + i * 0x01010101) & 0xffffffff
                    for i, r in enumerate(LATCHES)}
            for register, value in want.items():
                dev.set(register, value)
            for register, value in want.items():
                equal(dev.get(register), value, f"register {register:#x}")


def test_latches_stay_over_commands():
    with Object(8192) as obj, machine(options=",create=on") as vm:
        dev = Arena(vm)
        handle = dev.attach(obj.name)
        for command in range(11):
            want = {"flags": 0, "handle": handle if command == 3 else 77,
                    "offset": 4096, "length": 4096, "place": 8192,
                    "mode": 0o600}
            dev.command(command, obj.name, **want)
            equal([dev.get(c.REG_FLAGS), dev.get(c.REG_HANDLE),
                   dev.get64(c.REG_OFFSET_LO), dev.get64(c.REG_LENGTH_LO),
                   dev.get64(c.REG_PLACE_LO), dev.get(c.REG_MODE)],
                  list(want.values()), f"latches after command {command}")


def used(vm, obj):
    """A device whose result registers are not 0"""
    dev = Arena(vm)
    dev.attach(obj.name, 4096)
    return dev


def registers(dev):
    return {r: dev.get(r) for r in ALL}


def test_reads_have_no_side_effect():
    with Object(5000, pattern(5000)) as obj, machine() as vm:
        dev = used(vm, obj)
        vm.store(dev.name, b"/still here\0")
        before, there = registers(dev), attachments(vm)
        for _ in range(3):
            for size in (1, 2, 4, 8):
                for offset in range(0x40, 0x1000 - size + 1):
                    dev.register(offset, size)
            vm.load(dev.regs + 0x40, 0x1000 - 0x40)
        equal(registers(dev), before, "registers")
        equal(attachments(vm), there, "attachments")
        equal(vm.load(dev.name, 12), b"/still here\0", "BAR2")
        equal(refusals(vm), {}, "refusals")
        dev.sees(4096, pattern(5000), "the object")


def test_read_only_and_unassigned_registers_ignore_writes():
    with Object(4096) as obj, machine() as vm:
        dev = used(vm, obj)
        before = registers(dev)
        for register in (*CONSTANTS, c.REG_STATUS, *RESULTS, *UNASSIGNED):
            for value in JUNK:
                dev.set(register, value)
        equal(registers(dev), before, "registers")
        for register in UNASSIGNED:
            equal(dev.get(register), 0, f"register {register:#x}")


def test_other_accesses_read_0_and_are_ignored():
    """Accesses of 1, 2 and 8 bytes, and unaligned accesses of 4 bytes"""
    with Object(4096) as obj, machine() as vm:
        dev = used(vm, obj)
        for register in LATCHES:
            dev.set(register, 0x11223344)
        before = registers(dev)
        for size in (1, 2, 4, 8):
            for offset in range(0x40, 0x100 - size + 1):
                if size == 4 and offset % 4 == 0:
                    continue
                what = f"{size} bytes at {offset:#x}"
                equal(dev.register(offset, size), 0, f"read of {what}")
                for value in (2 ** (8 * size) - 1, c.CMD_STAT, c.CMD_DETACH):
                    vm.write(dev.regs + offset, size, value)
                equal(registers(dev), before, f"after a write of {what}")
        equal(len(attachments(vm)), 1, "attachments")
        equal(refusals(vm), {}, "refusals")


def test_accesses_over_the_border_of_the_halves():
    with Object(4096) as obj, machine() as vm:
        dev = Vmshm(vm).opened(obj.name)
        for size, offset in ((2, 0x3f), (4, 0x3d), (4, 0x3e), (4, 0x3f),
                             (8, 0x39), (8, 0x3c), (8, 0x3f)):
            vm.write(dev.regs + offset, size, 0xff)
            equal(dev.register(offset, size), 0, f"{size} at {offset:#x}")
        true(mapped(vm, obj), "the object is closed")


def test_unknown_commands():
    with Object(4096) as obj, machine() as vm:
        dev = used(vm, obj)
        before = registers(dev)
        unknown = (0, 13, 0xff, 0x100, 0x102, 0x10002, 0x80000000, 0xffffffff)
        for number in unknown:
            equal(dev.command(number, obj.name), c.ENOSYS, f"{number:#x}")
        equal(refusals(vm), {"request": len(unknown)}, "refusals")
        after = registers(dev)
        equal({r: after[r] for r in RESULTS},
              {r: before[r] for r in RESULTS}, "results")
        equal(dev.get(c.REG_COMMAND), 0, "the command register reads")


def test_status_is_the_last_commands():
    with Object(4096) as obj, machine() as vm:
        dev = Arena(vm)
        for _ in range(3):
            equal(dev.command(c.CMD_STAT, fresh_name()), c.ENOENT, "missing")
            equal(dev.get(c.REG_STATUS), c.ENOENT, "read again")
            equal(dev.command(c.CMD_STAT, obj.name), c.OK, "there")
            # Open and close are not commands, and leave results unchanged.
            equal(dev.open(fresh_name()), c.ENOENT, "open")
            equal(dev.get(c.REG_STATUS), c.OK, "after open")


def test_a_command_that_fails_sets_no_result():
    missing = fresh_name()
    with Object(5000) as obj, machine(options=",create=on") as vm:
        dev = used(vm, obj)
        equal(dev.command(c.CMD_LIST), c.OK, "list")
        before = {r: dev.get(r) for r in RESULTS}
        true(all(before[r] for r in (c.REG_RES_HANDLE, c.REG_RES_COUNT,
                                     c.REG_RES_SIZE_LO)), before)
        for number, more in ((c.CMD_STAT, {}), (c.CMD_ATTACH, {}),
                             (c.CMD_DETACH, {"handle": 0xffff}),
                             (c.CMD_UNLINK, {}), (c.CMD_RENAME, {}),
                             (c.CMD_RESIZE, {"length": 1}),
                             (c.CMD_ALLOCATE, {"length": 1}),
                             (c.CMD_HOLD, {}), (c.CMD_LINK, {}),
                             (c.CMD_CREATE, {"mode": 0o1777}), (99, {})):
            more.setdefault("second", missing)
            true(dev.command(number, missing, **more), f"{number} worked")
            equal({r: dev.get(r) for r in RESULTS}, before,
                  f"after command {number}")


def test_each_command_sets_its_own_results():
    """A command does not change the result registers of other commands."""
    with Object(5000) as obj, machine(options=",create=on") as vm:
        dev = used(vm, obj)
        handle = dev.get(c.REG_RES_HANDLE)
        dev.does(c.CMD_LIST)
        count = dev.get(c.REG_RES_COUNT)
        about = dev.result()
        for number, more in ((c.CMD_STAT, {}),
                             (c.CMD_RESIZE, {"length": 5000}),
                             (c.CMD_ALLOCATE, {"length": 5000})):
            dev.does(number, obj.name, **more)
            equal(dev.get(c.REG_RES_HANDLE), handle, f"handle, {number}")
            equal(dev.get(c.REG_RES_COUNT), count, f"count, {number}")
            equal(dev.result()[:3], about[:3], f"stat, {number}")
        about = dev.result()
        dev.detach(handle)
        dev.does(c.CMD_LIST, offset=1 << 40)
        equal(dev.get(c.REG_RES_COUNT), 0, "count, after all names")
        equal(dev.get(c.REG_RES_HANDLE), handle, "handle, after DETACH")
        equal(dev.result(), about, "stat, after DETACH and LIST")


def test_unused_flags_are_refused():
    """Each command that uses FLAGS refuses unknown flags."""
    allowed = {c.CMD_STAT: c.RQ_HANDLE,
               c.CMD_ATTACH: c.RQ_HANDLE | c.RQ_READONLY | c.RQ_LIMIT,
               c.CMD_RESIZE: c.RQ_HANDLE | c.RQ_GROW,
               c.CMD_ALLOCATE: c.RQ_HANDLE,
               c.CMD_HOLD: c.RQ_HANDLE | c.RQ_READONLY,
               c.CMD_RENAME: c.RQ_NOREPLACE, c.CMD_LINK: 0}
    with Object(4096) as obj, machine(options=",create=on") as vm:
        dev = used(vm, obj)
        for number, flags in allowed.items():
            for bit in range(32):
                if not flags >> bit & 1:
                    equal(dev.command(number, obj.name, flags=1 << bit,
                                      handle=1, length=4096, second="/x"),
                          c.EINVAL, f"command {number}, flag {1 << bit:#x}")
        equal(len(attachments(vm)), 1, "attachments")


def test_reset_zeroes_the_registers():
    with Object(5000) as obj, machine() as vm:
        dev = used(vm, obj)
        for register in LATCHES:
            dev.set(register, 0xffffffff)
        dev.set(c.REG_COMMAND, 99)
        before = [dev.get(r) for r in CONSTANTS]
        vm.qmp("system_reset")
        vm.event("RESET")
        dev.assign()
        for offset in (*LATCHES, *RESULTS, c.REG_STATUS):
            equal(dev.get(offset), 0, f"register {offset:#x}")
        equal([dev.get(r) for r in CONSTANTS], before, "constants")


def test_registers_are_per_device():
    with Object(4096) as obj, machine(devices=2) as vm:
        one, other = Arena(vm), Arena(vm, slot=SLOT + 1)
        one.attach(obj.name)
        one.command(99)
        for offset in (*LATCHES, *RESULTS, c.REG_STATUS):
            equal(other.get(offset), 0, f"register {offset:#x}")
        equal(attachments(vm, "vmshm1"), [], "attachments")
