# SPDX-License-Identifier: GPL-2.0-or-later
"""BARs that are used in each order, moved, overlapping and disabled"""

import itertools

import contract as c
from qemu import string_bytes
from shm import Object
from vmshm import Vmshm, equal, machine, mapped, true

ADDRESSES = (0xe0000000, 0xe1000000, 0xe2000000)


def test_every_order_of_placing():
    with Object(4096, b"host") as obj, machine() as vm:
        dev = Vmshm(vm)
        for order in itertools.permutations((0, 1, 2)):
            dev.pci.decode(False)
            for address, bar in zip(ADDRESSES, order):
                dev.pci.place(bar, address)
            dev.pci.decode(True)
            dev.opened(obj.name).shows(b"host", f"order {order}")
            dev.closed()


def test_every_order_of_use():
    """Accesses to the name, to open, to the buffer and to close are harmless in
    any order."""
    with Object(4096, b"host") as obj, machine() as vm:
        dev = Vmshm(vm)

        def name():
            vm.store(dev.name, string_bytes(obj.name))

        def buffer():
            dev.store(100, b"x")
            dev.load(0, 200)

        steps = (name, buffer, dev.open, dev.close, dev.load)
        for order in itertools.permutations(steps):
            vm.fill(dev.name, 1024, 0)
            for step in order:
                step()
            dev.closed()
            dev.is_zero("at the end") if order[0] is name else None
            true(not mapped(vm, obj), "still mapped")


def test_moved_while_open():
    with Object(4096, b"host") as obj, machine() as vm:
        dev = Vmshm(vm).opened(obj.name)
        for bar, address in ((1, 0xe8000000), (0, 0xe9000000),
                             (2, 0xea000000), (1, 0xe4000000)):
            dev.pci.place(bar, address)
            dev.shows(b"host", f"BAR{bar} moved")
            equal(dev.open(), c.EBUSY, "open")
        dev.store(0, b"HOST")
        equal(obj.read(0, 4), b"HOST", "the object")
        dev.closed()
        dev.is_zero("closed")


def test_decoding_off_while_open():
    with Object(4096, b"host") as obj, machine() as vm:
        dev = Vmshm(vm).opened(obj.name)
        dev.pci.decode(False)
        equal(dev.load(0, 4) == b"host", False, "the buffer is there")
        dev.store(0, b"lost")
        dev.register(c.REG_CLOSE)
        true(mapped(vm, obj), "switching off closed the object")
        equal(obj.read(0, 4), b"host", "the object")
        dev.pci.decode(True)
        dev.shows(b"host", "switched on again")
        dev.closed()


def test_decoding_off_at_close():
    """The object is closed while its BAR does not decode, and is then shown at
    another address."""
    with Object(4096, b"one") as one, Object(4096, b"two") as two, \
            machine() as vm:
        dev = Vmshm(vm).opened(one.name)
        # Only BAR1 and BAR2 move.
        dev.pci.place(1, 0)
        dev.closed()
        dev.opened(two.name)
        dev.pci.place(1, 0xe8000000)
        dev.shows(b"two", "placed again")


def test_overlapping_bars():
    with Object(4096, b"host") as obj, machine() as vm:
        dev = Vmshm(vm).opened(obj.name)
        placed = dict(dev.pci.bars)
        for bar in (0, 2, 1):
            dev.pci.place(bar, placed[1])
            vm.fill(placed[1] + 0x100, 0x300, 0)
            vm.load(placed[1] + 0x100, 0x300)
        # BARs over RAM, the BIOS and the interrupt controllers, and at the end
        for address in (0x00000000, 0x00100000, 0x000f0000, 0xfec00000,
                        0xfee00000, 0xfff00000):
            for bar in (0, 1, 2):
                dev.pci.place(bar, address)
        for bar in (0, 1, 2):
            dev.pci.place(bar, placed[bar])
        dev.load()
        dev.closed()
        dev.opened(obj.name)
        dev.closed()


def test_other_configuration_writes():
    """Random values are written to each byte of configuration space."""
    with Object(4096, b"host") as obj, machine() as vm:
        dev = Vmshm(vm).opened(obj.name)
        f = dev.pci
        before = [f.get(at) for at in (0x00, 0x08)]
        for value in (0xff, 0x00, 0x55):
            for at in range(256):
                f.set(at, value, 1)
        equal([f.get(at) for at in (0x00, 0x08)], before, "identity")
        vm.qmp("system_reset")
        vm.event("RESET")
        dev.assign()
        dev.opened(obj.name).shows(b"host", "after reset")


