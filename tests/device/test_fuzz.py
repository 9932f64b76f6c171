# SPDX-License-Identifier: GPL-2.0-or-later
"""Random writes to all registers, and random commands. The device survives,
leaks nothing, and stays within its limits."""

import os
import random

import contract as c
from arena import MIB, PAGE, Arena, attachments
from mailbox import Mailboxes
from qemu import string_bytes
from shm import Object, pattern
from store import Store
from tracer import Calls
from vmshm import descriptors, equal, machine, released, true, until

SEED = 20000
ROUNDS = 220
STEPS = 100
ARENA = 4 * MIB
MAX_OBJECTS, MAX_BYTES = 24, 8 * MIB
COMMANDS = range(1, 13)


def number(rng, bits):
    """A random number, often at a limit or a power of 2"""
    kind = rng.random()
    if kind < 0.35:
        value = rng.randrange(64) * PAGE
    elif kind < 0.5:
        value = rng.randrange(40)
    elif kind < 0.6:
        value = ARENA + rng.randrange(-8, 64) * PAGE
    elif kind < 0.8:
        value = (1 << rng.randrange(65)) - rng.choice((0, 1, 1, PAGE))
    else:
        value = rng.getrandbits(bits)
    return value & (1 << bits) - 1


class Fuzz:
    def __init__(self, rng, dev, names):
        self.rng, self.dev, self.names = rng, dev, names
        self.handle = 1

    def name(self):
        name = self.rng.choice(self.names)
        at = self.rng.choice((0, 0, 0, c.NAME_SECOND, self.rng.randrange(
            1024 - len(name))))
        return [f"write {self.dev.name + at:#x} {len(name) + 1:#x} "
                f"0x{string_bytes(name).hex()}"]

    def wide(self):
        low = self.rng.choice((c.REG_OFFSET_LO, c.REG_LENGTH_LO,
                               c.REG_PLACE_LO))
        value = number(self.rng, 64)
        return [f"writel {self.dev.regs + low:#x} {value & 0xffffffff:#x}",
                f"writel {self.dev.regs + low + 4:#x} {value >> 32:#x}"]

    def flags(self):
        value = self.rng.choice((0, 0, 1, 1, 2, 3, 4, 7, number(self.rng, 32)))
        return [f"writel {self.dev.regs + c.REG_FLAGS:#x} {value:#x}"]

    def handles(self):
        value = max(0, self.handle - self.rng.randrange(-3, 12))
        return [f"writel {self.dev.regs + c.REG_HANDLE:#x} {value:#x}"]

    def mode(self):
        value = self.rng.choice((0o600, 0o666, 0o200, number(self.rng, 32)))
        return [f"writel {self.dev.regs + c.REG_MODE:#x} {value:#x}"]

    def command(self):
        value = (number(self.rng, 32) if self.rng.random() < 0.02
                 else self.rng.choice(COMMANDS))
        # RELEASE is rare, because it detaches all objects.
        if value == c.CMD_RELEASE and self.rng.random() < 0.9:
            value = c.CMD_ATTACH
        return [f"writel {self.dev.regs + c.REG_COMMAND:#x} {value:#x}"]

    def wild(self):
        """A read or a write of any size and value at any register"""
        size, letter = self.rng.choice(((1, "b"), (2, "w"), (4, "l"),
                                        (8, "q")))
        bar, length = self.rng.choice(((self.dev.regs, 0x1000),
                                       (self.dev.regs, 0x100),
                                       (self.dev.name, 0x400)))
        at = bar + self.rng.randrange(length - size + 1)
        if bar == self.dev.name:
            at -= at % size
        if self.rng.random() < 0.5:
            return [f"read{letter} {at:#x}"]
        return [f"write{letter} {at:#x} {number(self.rng, 8 * size):#x}"]

    def memory(self):
        bar, length = self.rng.choice(((self.dev.arena, 2 * ARENA),
                                       (self.dev.arena, 64 * PAGE),
                                       (self.dev.buffer, MIB)))
        at = bar + self.rng.randrange(length // 8) * 8
        if self.rng.random() < 0.5:
            return [f"readq {at:#x}"]
        return [f"writeq {at:#x} {self.rng.getrandbits(64):#x}"]

    def seed(self):
        register = self.rng.choice((c.REG_OPEN, c.REG_CLOSE))
        return [f"readl {self.dev.regs + register:#x}"]

    KINDS = ((name, 12), (wide, 22), (flags, 10), (handles, 8), (mode, 2),
             (command, 25), (wild, 8), (memory, 12), (seed, 2))

    def lines(self):
        kinds, weights = zip(*self.KINDS)
        for kind in self.rng.choices(kinds, weights, k=STEPS):
            yield from kind(self)


class FuzzMailboxes(Fuzz):
    """The operations on registers, and commands in mailboxes"""

    def __init__(self, rng, dev, names):
        super().__init__(rng, dev, names)
        # The names in requests of mailboxes
        self.texts = [n if isinstance(n, bytes) else n.encode()
                      for n in names]

    def mailbox(self):
        """A request with mostly valid fields, and the doorbell"""
        rng, n = self.rng, self.rng.randrange(c.MAILBOXES_MAX)
        command = rng.choice((*range(1, 15), number(rng, 32)))
        # RELEASE is rare, because it detaches all objects.
        if command == c.CMD_RELEASE and rng.random() < 0.9:
            command = c.CMD_ATTACH
        head, names = self.dev.request(
            command, rng.choice(self.texts), rng.choice(self.texts),
            tag=rng.getrandbits(32), flags=rng.choice((
                0, 0, 1, 2, 8, 16, 34, rng.getrandbits(9))),
            handle=max(0, self.handle - rng.randrange(-3, 12)),
            offset=number(rng, 64), length=number(rng, 64),
            place=number(rng, 64), mode=0o600, vector=rng.randrange(10),
            mtime=rng.getrandbits(40), atime_ns=rng.getrandbits(31),
            zero=b"" if rng.random() < 0.9 else rng.randbytes(8))
        return self.submit(n, head, names)

    def submit(self, n, head, names):
        at = self.dev.box(n)
        return [f"write {at:#x} {len(head):#x} 0x{head.hex()}",
                f"write {at + c.MB_NAMES:#x} {len(names):#x} 0x{names.hex()}",
                f"writel {self.dev.regs + c.REG_DOORBELL:#x} {n:#x}"]

    KINDS = Fuzz.KINDS + ((mailbox, 12),)


def limits_hold(store, vm):
    there = [os.stat(f"/dev/shm/{n}") for n in os.listdir("/dev/shm")
             if n.startswith(store.prefix)]
    true(len(there) <= MAX_OBJECTS, f"{len(there)} objects")
    true(sum(st.st_size for st in there) <= MAX_BYTES or
         any(st.st_nlink > 1 for st in there), "bytes of the objects")
    now = attachments(vm)
    true(len(now) <= MAX_OBJECTS, f"{len(now)} attachments")
    true(sum(a["bytes"] for a in now) <= MAX_BYTES, "bytes attached")


def maps(vm):
    with open(f"/proc/{vm.pid}/maps", encoding="utf-8",
              errors="replace") as lines:
        return len(list(lines))


def test_random_registers_and_commands():
    rng = random.Random(SEED)
    mine = pattern(3 * PAGE)
    with Store([b"/a", b"/b"], 3 * PAGE) as store, \
            Object(3 * PAGE, mine) as outside:
        options = (f",arena={ARENA},prefix={store.prefix},create=on,"
                   f"max-objects={MAX_OBJECTS},max-bytes={MAX_BYTES}")
        with machine(options=options) as vm:
            dev = Arena(vm)
            dev.stat("/a")
            maps_before, fds = maps(vm), descriptors(vm)
            names = ["/a", "/b", "/c", "/d", "/e", "/f", "/x" * 2, "", "/",
                     "/..", "/" + "y" * 300, outside.name]
            fuzz = Fuzz(rng, dev, names)
            worked = set()
            for i in range(ROUNDS):
                vm.batch(list(fuzz.lines()))
                fuzz.handle = dev.get(c.REG_RES_HANDLE)
                for _ in range(3):
                    command = rng.choice(COMMANDS)
                    if dev.command(
                            command, rng.choice(names[:6]),
                            second=rng.choice(names[:6]), mode=0o600,
                            length=rng.randrange(5) * PAGE,
                            place=rng.randrange(200) * PAGE,
                            handle=max(0, fuzz.handle - rng.randrange(4)),
                            flags=rng.choice((0, 0, c.RQ_HANDLE))) == c.OK:
                        worked.add(command)
                if i % 10 == 0:
                    limits_hold(store, vm)
            limits_hold(store, vm)
            equal(worked, set(COMMANDS), "commands that ever worked")
            equal(outside.read(0, 3 * PAGE), mine, "the object outside")
            equal(outside.size, 3 * PAGE, "the size of the object")
            vm.qmp("system_reset")
            vm.event("RESET")
            vm.next32, vm.next64 = 0xe0000000, 1 << 40
            dev.assign()
            equal(attachments(vm), [], "attachments")
            equal(descriptors(vm), fds, "descriptors")
            true(maps(vm) < maps_before + 2 * 4096 + 100,
                 f"mappings: {maps(vm)}, before {maps_before}")
            for name in dev.names()[0]:
                dev.does(c.CMD_UNLINK, name)
            dev.does(c.CMD_CREATE, "/new", mode=0o600)
            dev.does(c.CMD_RESIZE, "/new", length=PAGE)
            dev.attach("/new")
            dev.put(0, b"works")
            dev.opened("/new").shows(b"works", "BAR1")
            released(vm, outside)


HOT = "9"                   # the slot of a device that comes and goes
# Calls of the host that take longer than a CPU of the guest waits for them
SLOW = ("openat", "openat2", "unlinkat", "linkat", "renameat2", "ftruncate",
        "fallocate", "chmod", "fchmod", "utimensat", "newfstatat", "statfs")
DELAY = 300                 # microseconds, of each of these calls
SLOW_ROUNDS, SLOW_STEPS = 40, 40


class Slow:
    """A device whose commands are still executed when it is reset, released
    or unplugged."""

    def __init__(self, rng, vm, store, names):
        self.rng, self.vm = rng, vm
        self.options = {"arena": ARENA, "prefix": store.prefix,
                        "create": True, "max_objects": MAX_OBJECTS,
                        "max_bytes": MAX_BYTES}
        vm.add("vmshm", id="vmshm0", addr=HOT, **self.options)
        self.dev = Mailboxes(vm, slot=int(HOT))
        self.fuzz = FuzzMailboxes(rng, self.dev, names)

    def assign(self):
        self.vm.next32, self.vm.next64 = 0xe0000000, 1 << 40
        self.dev.assign()

    def reset(self):
        self.vm.qmp("system_reset")
        self.vm.event("RESET")
        self.assign()

    def release(self):
        self.dev.does(c.CMD_RELEASE)

    def unplug(self):
        self.vm.remove("vmshm0",
                       lambda: self.vm.eject_acpi(0xae00, 0, int(HOT)))
        self.vm.add("vmshm", id="vmshm0", addr=HOT, **self.options)
        self.assign()

    def commands(self):
        lines = []
        for _ in range(SLOW_STEPS):
            lines += self.fuzz.mailbox()
        self.vm.batch(lines)
        self.fuzz.handle = self.dev.res_handle(self.rng.randrange(
            c.MAILBOXES_MAX)) & 0xffffff

    def works(self):
        """Each mailbox is free, and gives what it is asked for."""
        for n in range(c.MAILBOXES_MAX):
            until(lambda n=n: self.dev.post(c.CMD_STATFS, n=n) == c.OK,
                  f"mailbox {n} stays busy")


def test_random_mailboxes_of_a_slow_host():
    """Commands are under way whatever happens to the device."""
    rng = random.Random(SEED)
    mine = pattern(3 * PAGE)
    with Store([b"/a", b"/b"], 3 * PAGE) as store, \
            Object(3 * PAGE, mine) as outside, machine(devices=0) as vm:
        fds = descriptors(vm)
        slow = Slow(rng, vm, store, [
            "/a", "/b", "/c", "/d", "/e", "/sem.Ab3xYz", "/sem.x", "",
            "/..", outside.name])
        with Calls(vm, *SLOW, inject=",".join(SLOW) +
                   f":delay_enter={DELAY}"):
            for _ in range(SLOW_ROUNDS):
                slow.commands()
                rng.choice((slow.reset, slow.release, slow.unplug,
                            lambda: None))()
        slow.release()
        slow.works()
        limits_hold(store, vm)
        equal(outside.read(0, 3 * PAGE), mine, "the object outside")
        vm.remove("vmshm0", lambda: vm.eject_acpi(0xae00, 0, int(HOT)))
        equal(descriptors(vm), fds, "descriptors")
