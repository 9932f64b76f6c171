# SPDX-License-Identifier: GPL-2.0-or-later
"""The two registers of 2010: accesses with and without an effect"""

import contract as c
from qemu import string_bytes
from shm import Object, fresh_name, pattern
from vmshm import Vmshm, equal, machine, mapped, of_2010, true

SIZES = (1, 2, 4, 8)
# A device with an arena has registers here, which these tests do not use.
SECOND_HALF = range(0x40, 0x100)


def acts(offset, size):
    return offset in (c.REG_OPEN, c.REG_CLOSE) and size in SIZES


def test_open_acts_at_every_size():
    with Object(4096, b"host") as obj, machine() as vm:
        dev = Vmshm(vm)
        vm.store(dev.name, string_bytes(obj.name))
        for size in SIZES:
            # The upper half of 8 bytes is also 0.
            equal(dev.register(c.REG_OPEN, size), 0, f"open, {size} bytes")
            equal(dev.load(0, 4), b"host", f"open, {size} bytes")
            equal(dev.register(c.REG_OPEN, size), c.EBUSY,
                  f"second open, {size} bytes")
            dev.closed()


def test_close_acts_at_every_size():
    with Object(4096, b"host") as obj, machine() as vm:
        dev = Vmshm(vm)
        for size in SIZES:
            dev.opened(obj.name)
            equal(dev.register(c.REG_CLOSE, size), 0, f"close, {size} bytes")
            equal(dev.load(0, 4), bytes(4), f"close, {size} bytes")
            equal(mapped(vm, obj), [], f"close, {size} bytes")


def test_other_reads_give_0_and_do_nothing():
    with Object(4096, b"host") as obj, machine() as vm:
        dev = Vmshm(vm)
        vm.store(dev.name, string_bytes(obj.name))
        for opened in (False, True):
            if opened:
                dev.opened(obj.name)
            for size in SIZES:
                for offset in range(0, 0x1000 - size + 1):
                    if acts(offset, size) or any(
                            o in SECOND_HALF
                            for o in range(offset, offset + size)):
                        continue
                    equal(dev.register(offset, size), 0,
                          f"read of {size} at {offset:#x}")
                    if offset < SECOND_HALF.start:
                        equal(bool(mapped(vm, obj)), opened,
                              f"open after a read of {size} at {offset:#x}")
            equal(bool(mapped(vm, obj)), opened, "open after all reads")
        equal(dev.load(0, 4), b"host", "the buffer")


def test_misaligned_reads_across_close_do_nothing():
    with Object(4096, b"host") as obj, machine() as vm:
        dev = Vmshm(vm).opened(obj.name)
        for size, offset in ((2, 0x1f), (4, 0x1d), (4, 0x1e), (4, 0x1f),
                             (4, 0x21), (8, 0x1c), (8, 0x1e), (8, 0x24),
                             (8, 0x19), (8, 0x1f)):
            equal(dev.register(offset, size), 0,
                  f"read of {size} at {offset:#x}")
            true(mapped(vm, obj), f"a read of {size} at {offset:#x} closed")


def test_writes_to_the_registers_do_nothing():
    values = (0, 1, 0xff, 0x80000000, 0xffffffffffffffff)
    with Object(4096, b"host") as obj, machine() as vm:
        dev = Vmshm(vm)
        vm.store(dev.name, string_bytes(obj.name))
        for opened in (False, True):
            if opened:
                dev.opened(obj.name)
            for size in SIZES:
                for offset in range(0, 0x40):
                    if offset + size > 0x40:
                        continue
                    for value in values:
                        vm.write(dev.regs + offset, size,
                                 value & (1 << 8 * size) - 1)
                    equal(bool(mapped(vm, obj)), opened,
                          f"open after writes of {size} at {offset:#x}")
            for offset in range(0x100, 0x800, 8):
                vm.write(dev.regs + offset, 8, values[-1])
                equal(dev.register(offset, 8), 0, f"read at {offset:#x}")
            equal(bool(mapped(vm, obj)), opened, "open after all writes")
        equal(dev.load(0, 4), b"host", "the buffer")


def test_long_accesses_split_by_the_machine_are_harmless():
    """An access to the whole BAR0, such as a guest's rep movs or a memset of
    the host"""
    with Object(4096, b"host") as obj, machine(options=of_2010()) as vm:
        dev = Vmshm(vm)
        vm.store(dev.name, string_bytes(obj.name))
        data = vm.load(dev.regs, 0x1000)
        equal(data, bytes(0x1000), "all of BAR0")
        equal(mapped(vm, obj), [], "open, then close, in one sweep")
        dev.opened(obj.name)
        vm.store(dev.regs, b"\xff" * 0x1000)
        vm.fill(dev.regs, 0x1000, 0xff)
        equal(dev.load(0, 4), b"host", "after writes everywhere")
        data = vm.load(dev.regs, 0x1000)
        equal(data[0], c.EBUSY, "open register in the sweep")
        equal(data[1:], bytes(0xfff), "the rest")
        equal(mapped(vm, obj), [], "closed by the sweep")


def test_name_buffer_is_storage():
    with machine() as vm:
        dev = Vmshm(vm)
        equal(vm.load(dev.name, 1024), bytes(1024), "at the start")
        want = bytearray(1024)
        for size in SIZES:
            for offset in range(0, 1024 - size + 1, 13 if size > 1 else 1):
                data = pattern(size, offset + size)
                vm.write(dev.name + offset, size,
                         int.from_bytes(data, "little"))
                want[offset:offset + size] = data
        equal(vm.load(dev.name, 1024), bytes(want), "after odd writes")
        for size in SIZES:
            for offset in range(0, 1024 - size + 1, 11):
                equal(vm.read(dev.name + offset, size), int.from_bytes(
                    want[offset:offset + size], "little"),
                    f"read of {size} at {offset}")


def test_name_is_written_in_any_way():
    with Object(4096, b"host") as obj, machine() as vm:
        dev = Vmshm(vm)
        name = string_bytes(obj.name).ljust(1024, b"\xaa")
        for size in SIZES:
            for order in (1, -1):
                vm.fill(dev.name, 1024, 0xff)
                for at in range(0, 1024, size)[::order]:
                    vm.write(dev.name + at, size, int.from_bytes(
                        name[at:at + size], "little"))
                dev.opened(None)
                dev.closed()


def test_name_stays_after_open_and_close():
    with Object(4096) as obj, machine() as vm:
        dev = Vmshm(vm)
        name = string_bytes(obj.name) + pattern(1000)
        name = name[:1024]
        vm.store(dev.name, name)
        dev.opened(None)
        equal(vm.load(dev.name, len(name)), name, "after open")
        vm.fill(dev.name, 1024, 0)
        true(mapped(vm, obj), "a change of the name closed the object")
        vm.store(dev.name, name)
        dev.closed()
        equal(vm.load(dev.name, len(name)), name, "after close")
        equal(dev.open(fresh_name()), c.ENOENT, "a name that is not there")
