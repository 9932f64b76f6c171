# SPDX-License-Identifier: GPL-2.0-or-later
"""The numbers of regs.h equal those of contract.py, and those that PCI shows"""

import os
import re

import contract as c
from qemu import ROOT
from vmshm import SLOT, Skip, Vmshm, equal, machine, of_2010, true


def test_regs_h_has_the_numbers_of_the_contract():
    file = os.path.join(ROOT, "include", "vmshm", "regs.h")
    with open(file, encoding="utf-8") as header:
        found = {name: int(value, 0) for name, value in re.findall(
            r"^#define\s+VMSHM_(\w+)\s+(\w+)", header.read(), re.M)}
    # Errno values, class and revision are not in regs.h.
    ours = {name: value for name, value in vars(c).items()
            if name.isupper() and not name.startswith("E") and
            name not in ("OK", "PCI_CLASS", "PCI_REVISION")}
    equal(sorted(found.keys() ^ ours.keys()), [], "names in one file only")
    for name, value in ours.items():
        equal(found[name], value, f"VMSHM_{name}")


def identity(f):
    equal(f.get(0x00, 2), c.PCI_VENDOR_ID, "vendor")
    equal(f.get(0x02, 2), c.PCI_DEVICE_ID, "device")
    equal(f.get(0x08, 1), c.PCI_REVISION, "revision")
    equal(f.get(0x0a, 2), c.PCI_CLASS, "class")
    equal(f.get(0x0e, 1), 0, "header type")


def test_pci_identity():
    with machine() as vm:
        identity(vm.function(SLOT))


def bars_of_2010(f, registers=4096):
    # 32-bit, not prefetchable, memory: type bits 0
    equal(f.probe(0), (registers, 0), "BAR0")
    equal(f.probe(1), (1048576, 0), "BAR1")
    equal(f.probe(2), (1024, 0), "BAR2")


def with_memory():
    """The size of BAR0 in bytes if the device has an arena, and therefore a
    command memory"""
    return 262144 if of_2010() else 4096


def test_bar_sizes_and_types():
    with machine() as vm:
        bars_of_2010(vm.function(SLOT), with_memory())


def test_bars_of_2010_without_arena():
    with machine(options=of_2010()) as vm:
        f = vm.function(SLOT)
        identity(f)
        bars_of_2010(f)
        for number in (3, 4, 5):
            equal(f.probe(number), (0, 0), f"BAR{number}")
        equal(f.get(0x3d, 1), 0, "interrupt pin")
        equal(f.get(0x34, 1), 0, "capabilities")
        dev = Vmshm(vm)
        for offset in range(0x40, 0x1000, 4):
            equal(dev.register(offset), 0, f"register {offset:#x}")


def test_conventional_function_on_a_pcie_root_bus():
    with machine(machine="q35") as vm:
        f = vm.function(SLOT)
        identity(f)
        bars_of_2010(f, with_memory())
        true(not f.capability(0x10), "it has a PCI Express capability")


def test_second_half_is_found_by_its_id():
    if not of_2010():
        raise Skip("this device has no arena")
    with machine(options=",arena=64M") as vm:
        f = vm.function(SLOT)
        size, kind = f.probe(4)
        equal(kind, 0xc, "BAR4: 64-bit, prefetchable")
        dev = Vmshm(vm)
        equal(dev.register(c.REG_ID), 0x68736d76, "ID")
        equal(dev.register(c.REG_VERSION), 0x00010001, "version")
        equal(dev.register(c.REG_FEATURES), 0x19, "features")
        spans = [dev.register(lo) | dev.register(lo + 4) << 32
                 for lo in (c.REG_RW_SIZE_LO, c.REG_RO_SIZE_LO)]
        equal(spans, [64 << 20, 64 << 20], "spans")
        equal(size, 128 << 20, "BAR4 size")
