# SPDX-License-Identifier: GPL-2.0-or-later
"""The interface of tests to commands by registers and to the arena (BAR4)"""

import collections

import contract as c
from qemu import string_bytes
from vmshm import SLOT, Vmshm, equal, true

PAGE = c.PAGE_SIZE
MIB = 1 << 20

# Arguments of command() for 64-bit registers: the low half of each register
WIDE = {"offset": c.REG_OFFSET_LO, "length": c.REG_LENGTH_LO,
        "place": c.REG_PLACE_LO}
NARROW = {"flags": c.REG_FLAGS, "handle": c.REG_HANDLE, "mode": c.REG_MODE}

Stat = collections.namedtuple(
    "Stat", "mode size ident uid gid mtime mtime_ns blocks")


class Arena(Vmshm):
    """A vmshm device with an arena."""

    def __init__(self, vm, **how):
        super().__init__(vm, **how)
        self.span = self.get64(c.REG_RW_SIZE_LO)

    @property
    def arena(self):
        return self.pci.bars[c.BAR_ARENA]

    # Registers

    def get(self, register):
        return self.register(register)

    def get64(self, low):
        return self.get(low) | self.get(low + 4) << 32

    def set(self, register, value):
        self.vm.write(self.regs + register, 4, value)

    # Commands

    def lines(self, number, name=None, second=None, **registers):
        """The lines of qtest for a command. Registers without an argument are
        0.
        """
        out = []
        for at, text in ((0, name), (c.NAME_SECOND, second)):
            if text is not None:
                data = string_bytes(text)
                out.append(f"write {self.name + at:#x} {len(data):#x} "
                           f"0x{data.hex()}")
        for key, register in NARROW.items():
            out.append(f"writel {self.regs + register:#x} "
                       f"{registers.pop(key, 0):#x}")
        for key, low in WIDE.items():
            value = registers.pop(key, 0)
            for register, half in ((low, value & 0xffffffff),
                                   (low + 4, value >> 32)):
                out.append(f"writel {self.regs + register:#x} {half:#x}")
        true(not registers, f"no such registers: {registers}")
        out.append(f"writel {self.regs + c.REG_COMMAND:#x} {number:#x}")
        return out

    def command(self, number, name=None, **registers):
        """Executes a command. Returns its status."""
        lines = self.lines(number, name, **registers)
        lines.append(f"readl {self.regs + c.REG_STATUS:#x}")
        return int(self.vm.batch(lines)[-1], 16)

    def does(self, number, name=None, **registers):
        """Executes a command, which has to succeed."""
        equal(self.command(number, name, **registers), c.OK,
              f"command {number} {name or ''} {registers}")
        return self

    def result(self):
        mtime = self.get64(c.REG_RES_MTIME_LO)
        return Stat(self.get(c.REG_RES_MODE), self.get64(c.REG_RES_SIZE_LO),
                    self.get64(c.REG_RES_IDENT_LO), self.get(c.REG_RES_UID),
                    self.get(c.REG_RES_GID),
                    mtime - (mtime >> 63 << 64),    # the time is signed
                    self.get(c.REG_RES_MTIME_NS),
                    self.get64(c.REG_RES_BLOCKS_LO))

    def stat(self, name=None, **registers):
        return self.does(c.CMD_STAT, name, **registers).result()

    def attach(self, name, place=0, **registers):
        """Attaches an object, which has to succeed. Returns the handle."""
        self.does(c.CMD_ATTACH, name, place=place, **registers)
        handle = self.get(c.REG_RES_HANDLE)
        true(handle, "the handle is 0")
        return handle

    def attach_ro(self, name, place=0, **registers):
        """As attach(), in the read-only span, at `place` from its start"""
        return self.attach(name, self.span + place, flags=c.RQ_READONLY,
                           **registers)

    def detach(self, *handles):
        for handle in handles:
            self.does(c.CMD_DETACH, handle=handle)

    def names(self, first=0):
        """Lists the objects by LIST. Returns (names, sizes of the parts of the
        list)."""
        found, parts = [], []
        while True:
            self.does(c.CMD_LIST, offset=first + len(found))
            count = self.get(c.REG_RES_COUNT)
            if not count:
                return found, parts
            part = self.vm.load(self.name, c.NAME_SIZE).split(b"\0")[:count]
            equal(len(part), count, "names in BAR2")
            found += part
            parts.append(count)

    # Memory

    def look(self, place, size):
        return self.vm.load(self.arena + place, size)

    def put(self, place, data):
        self.vm.store(self.arena + place, data)

    def sees(self, place, data, what):
        equal(self.look(place, len(data)), data, what)

    def sees_zeros(self, place, size, what):
        self.sees(place, bytes(size), what)


def property_of(vm, name, device="vmshm0"):
    return vm.qmp("qom-get", path=f"/machine/peripheral/{device}",
                  property=name)


def attachments(vm, device="vmshm0"):
    """The attachments that QEMU's monitor shows, sorted by place"""
    return sorted(property_of(vm, "attachments", device),
                  key=lambda a: (a.get("bar", 0), a.get("place", 0)))


def refusals(vm, device="vmshm0"):
    """The counts of refusals that QEMU's monitor shows, without those of 0"""
    return {kind: count for kind, count in property_of(
        vm, "refusals", device).items() if count}


def arenas(vm, count):
    return [Arena(vm, slot=SLOT + i) for i in range(count)]
