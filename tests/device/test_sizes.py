# SPDX-License-Identifier: GPL-2.0-or-later
"""Objects of many sizes: the contents of the buffer, and the unchanged bytes"""

import os

import contract as c
from shm import Object, pattern
from vmshm import Vmshm, equal, machine, true

PAGE = 4096
MIB = 1 << 20
SIZES = (1, 2, 4095, 4096, 4097, 8191, 8192, MIB - PAGE - 1, MIB - PAGE,
         MIB - PAGE + 1, MIB - 1, MIB, MIB + 1, MIB + PAGE, 3 * MIB)


def pages(size):
    """The size, rounded up to whole pages."""
    return -(-size // PAGE) * PAGE


def check(size):
    """Checks all rules for an object of a size from 1 byte on."""
    data = pattern(size, size)
    shown = data[:MIB]
    with Object(size, data) as obj, machine(devices=2) as vm:
        dev, other = Vmshm(vm), Vmshm(vm, slot=5)
        dev.store(0, pattern(MIB, 1))
        dev.opened(obj.name).shows(shown, "open")

        # Within its size, the guest writes to the host's object.
        flipped = bytes(b ^ 0xff for b in shown)
        dev.store(0, flipped)
        equal(obj.read(0, size + 1), flipped + data[MIB:], "the object")

        # Behind the last page, the buffer is private memory of this device.
        rest = pages(size)
        if rest < MIB:
            dev.store(rest, pattern(MIB - rest, 2))
            equal(dev.load(rest, MIB - rest), pattern(MIB - rest, 2),
                  "the rest is memory")
            equal(obj.read(0, MIB), flipped, "the object has no rest")
            other.opened(obj.name).shows(flipped, "another device")
            other.closed()
            other.is_zero("another device, closed")
        dev.closed()
        dev.is_zero("closed")
        dev.opened(obj.name).shows(flipped[:MIB], "open again")

        # Writes to the whole buffer do not make the object grow.
        vm.fill(dev.buffer, MIB, 0x5a)
        equal(obj.size, size, "size")
        equal(obj.read(0, size + 1), b"\x5a" * len(shown) + data[MIB:],
              "content")
        dev.closed()
        equal(obj.size, size, "size after close")


def _add(size):
    # Each size has a test, so that a failure names the size.
    globals()[f"test_{size}_bytes"] = lambda: check(size)


for _size in SIZES:
    _add(_size)


def test_0_bytes_is_no_data():
    with Object(0) as obj, machine() as vm:
        dev = Vmshm(vm)
        equal(dev.open(obj.name), c.ENODATA, "open")
        equal(obj.size, 0, "size")
        dev.is_zero("after it")
        # After the creator has set the size, the object can be opened.
        obj.write(0, b"sized")
        dev.opened(None).shows(b"sized", "sized now")
        equal(obj.size, 5, "size")


def test_1_gib_sparse():
    size = 1 << 30
    with Object(size) as obj, machine() as vm:
        obj.write(0, b"start")
        obj.write(MIB, b"behind the buffer")
        obj.write(size - 3, b"end")
        dev = Vmshm(vm).opened(obj.name)
        dev.shows(b"start", "the first MiB")
        dev.store(MIB - 4, b"last")
        dev.closed()
        equal(obj.size, size, "size")
        equal(obj.read(MIB - 4, 21), b"lastbehind the buffer", "content")
        equal(obj.read(size - 3, 4), b"end", "end")
        # Only the pages that the guest can access use memory.
        used = os.fstat(obj.fd).st_blocks * 512
        true(used <= MIB + 2 * PAGE, f"{used} bytes of memory in use")


def test_size_is_taken_at_open():
    with Object(PAGE, pattern(PAGE)) as obj, machine() as vm:
        dev = Vmshm(vm).opened(obj.name)
        obj.write(PAGE, pattern(PAGE, 1))
        dev.shows(pattern(PAGE), "grown while open")
        dev.store(PAGE, b"private")
        equal(obj.read(PAGE, PAGE), pattern(PAGE, 1), "the grown part")
        dev.closed()
        dev.opened(obj.name).shows(pattern(PAGE) + pattern(PAGE, 1),
                                   "opened again")
