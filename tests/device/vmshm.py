# SPDX-License-Identifier: GPL-2.0-or-later
"""The interface of tests to the device, and checks for tests"""

import functools
import os
import subprocess
import time

import contract as c
from qemu import BUILTIN, DEADLINE, QEMU, VMSHM_SO, Qemu, string_bytes
from tier import Skip

SLOT = 4


def equal(got, want, what):
    """Fails unless the two values are equal."""
    if got == want:
        return
    if isinstance(got, bytes) and len(got) > 32:
        at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b),
                  min(len(got), len(want)))
        raise AssertionError(
            f"{what}: differs at byte {at:#x}: {got[at:at + 8].hex()}, "
            f"expected {want[at:at + 8].hex()}")
    raise AssertionError(f"{what}: {got!r}, expected {want!r}")


def true(value, what):
    """Fails unless the value is true."""
    if not value:
        raise AssertionError(what)


class Vmshm:
    """A vmshm device in a VM. Addresses are assigned to its BARs, unless the
    BARs are already at `bars` (after a migration)."""

    def __init__(self, vm, slot=SLOT, bus=0, bars=None):
        self.vm = vm
        self.pci = vm.function(slot, bus)
        if bars is None:
            self.assign()
        else:
            self.pci.bars = dict(bars)

    def assign(self):
        """Assigns addresses to BARs, as firmware does after each reset."""
        self.pci.assign()

    @property
    def regs(self):
        return self.pci.bars[c.BAR_REGS]

    @property
    def buffer(self):
        return self.pci.bars[c.BAR_BUFFER]

    @property
    def name(self):
        return self.pci.bars[c.BAR_NAME]

    def register(self, offset, size=4):
        return self.vm.read(self.regs + offset, size)

    def open(self, name=None):
        """Writes the name, unless it is None, and opens it. Returns the value
        of the register."""
        if name is not None:
            self.vm.store(self.name, string_bytes(name))
        return self.register(c.REG_OPEN)

    def close(self):
        return self.register(c.REG_CLOSE)

    def opened(self, name):
        """Opens an object, which has to succeed."""
        equal(self.open(name), c.OK, f"open {name}")
        return self

    def closed(self):
        equal(self.close(), 0, "close")

    def load(self, offset=0, size=c.BUFFER_SIZE):
        return self.vm.load(self.buffer + offset, size)

    def store(self, offset, data):
        self.vm.store(self.buffer + offset, data)

    def shows(self, data, what):
        """Checks that the buffer contains data, followed by zeros."""
        equal(self.load(), data + bytes(c.BUFFER_SIZE - len(data)), what)

    def is_zero(self, what):
        self.shows(b"", what)


def machine(*args, devices=1, options="", **how):
    """A QEMU with devices at slots SLOT, SLOT + 1, ..., named vmshm0, vmshm1,
    ..."""
    for i in range(devices):
        args += ("-device", f"vmshm,id=vmshm{i},addr={SLOT + i:#x}{options}")
    return Qemu(*args, **how)


@functools.cache
def device_help():
    """The output of QEMU for -device vmshm,help. QEMU prints it before it
    handles -plugin, so that the device is loaded by LD_PRELOAD."""
    env = {} if BUILTIN else {"LD_PRELOAD": VMSHM_SO}
    return subprocess.run(
        [QEMU, "-device", "vmshm,help"], env={**os.environ, **env},
        check=True, timeout=DEADLINE, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE).stdout.decode()


@functools.cache
def of_2010():
    """The options for the device of 2010: three BARs, two registers"""
    with Qemu(machine="none", accel=None) as vm:
        has = vm.qmp("device-list-properties", typename="vmshm")
    return ",arena=0" if any(p["name"] == "arena" for p in has) else ""


def sandbox():
    """The arguments for QEMU's sandbox with all restrictions"""
    args = ("-sandbox", "on,obsolete=deny,elevateprivileges=deny,"
            "spawn=deny,resourcecontrol=deny")
    done = subprocess.run(
        [QEMU, *args, "-M", "none", "-version"], timeout=DEADLINE,
        check=False, stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode:
        raise Skip("this QEMU has no sandbox: " +
                   done.stderr.decode(errors="replace"))
    return args


def not_builtin():
    """Skips a test about loading the device if the device is a part of QEMU."""
    if BUILTIN:
        raise Skip("the device is part of this QEMU")


def until(condition, what):
    """Waits for a condition that has no event, for example the work of QEMU's
    RCU thread. `what` is the text of a failure, or a function that returns it.
    """
    end = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(what() if callable(what) else what)
        os.sched_yield()


def mapped(vm, obj):
    """The lines of /proc/PID/maps with the inode of the object"""
    inode = os.fstat(obj.fd).st_ino
    with open(f"/proc/{vm.pid}/maps", encoding="utf-8",
              errors="replace") as maps:
        return [line for line in maps
                if line.split()[4] == str(inode) and "/dev/shm/" in line]


def descriptors(vm):
    """The target of each file descriptor of QEMU"""
    folder, found = f"/proc/{vm.pid}/fd", []
    for fd in os.listdir(folder):
        try:
            found.append(os.readlink(f"{folder}/{fd}"))
        except FileNotFoundError:
            pass        # QEMU has closed it
    return sorted(found)


def released(vm, obj):
    """Waits until QEMU has no mapping and no descriptor of the object."""
    equal(mapped(vm, obj), [], "mappings left")
    left = [d for d in descriptors(vm) if d.startswith(obj.path)]
    equal(left, [], "descriptors left")
