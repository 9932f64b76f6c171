#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Random operations on the whole device, in a QEMU with ASan and UBSan.

    tests/fuzz/run.py SECONDS [SEED]

The operations use registers, command memory, names, slots, the MSI-X table with
addresses in the device's own BARs, the configuration space, moves of BARs,
resets, unplugging, snapshots and migration. At the same time, host processes
truncate, punch, remove and recreate the objects. In each fourth machine, two
processors access the arena and the whole BAR0.

Each machine has its own seed, so that the operations of a failing machine can
be repeated. Its last operations are printed. The order of operations of
processors and host threads is not repeated exactly. QEMU is the build of
`device/qemu-patch.sh sanitized`. Under TCG, QEMU 7.2 itself reads beyond an
array when a BAR moves while a processor accesses any device: tcg_commit()
changes the memory map before the processor drops its translations. Therefore,
processors are stopped while a BAR moves.
"""

import collections
import os
import random
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(ROOT, "tests", "device"),
                os.path.join(ROOT, "tests", "lib")]
sys.dont_write_bytecode = True
os.environ.setdefault("QEMU", ROOT + "/build/qemu-sanitized/build/qemu")
os.environ["VMSHM_BUILTIN"] = "1"
# QEMU itself leaks memory at its end.
os.environ["ASAN_OPTIONS"] = "detect_leaks=0:handle_sigbus=0"
os.environ["UBSAN_OPTIONS"] = "halt_on_error=1:print_stacktrace=1"

import cleanup                      # noqa: E402
import contract as c                # noqa: E402
from arena import MIB, PAGE, attachments    # noqa: E402
from mailbox import Mailboxes       # noqa: E402
from qemu import Lost, QmpError     # noqa: E402
from shm import Object, pattern     # noqa: E402
from store import Store             # noqa: E402
from test_fuzz import FuzzMailboxes, number  # noqa: E402
from test_migration import Image, events    # noqa: E402
from test_truncate import punch     # noqa: E402
from vmshm import SLOT, equal, true, until  # noqa: E402
from walk import ROUNDS, WAKE, WHERE, Walkers   # noqa: E402

ARENA = 4 * MIB             # as in test_fuzz
MAX_OBJECTS, MAX_BYTES = 24, 8 * MIB
BATCHES = 60                # for each machine
STEPS, ACTS = 1000, 3       # operations, and changes by the host, in a batch
REGISTERS, BAR0 = 0x1000, 0x20000   # bytes
BASE32, BASE64 = 0xe0000000, 1 << 40
MSIX, PENDING = 0x11, 0x800
SHOWN = 3000                # lines of a failing machine, more than a batch


class Fuzzer(FuzzMailboxes):
    """The operations of FuzzMailboxes, and operations on all other parts"""

    def __init__(self, rng, dev, names, wild):
        super().__init__(rng, dev, names)
        self.wild_bars = wild

    def valid(self):
        """A request that mostly succeeds. By chance alone, few objects are
        attached."""
        rng = self.rng
        command = rng.choice((c.CMD_CREATE, c.CMD_RESIZE, c.CMD_ATTACH,
                              c.CMD_ATTACH, c.CMD_HOLD, c.CMD_DETACH))
        length = rng.randrange(1, 16) * PAGE
        head, names = self.dev.request(
            command, rng.choice(self.texts[:6]), tag=rng.getrandbits(32),
            mode=0o600, handle=max(0, self.handle - rng.randrange(12)),
            length=0 if command == c.CMD_ATTACH else length,
            place=rng.randrange(64) * PAGE)
        return self.submit(rng.randrange(c.MAILBOXES_MAX), head, names)

    def command_memory(self):
        at = self.dev.regs + self.rng.randrange(REGISTERS, BAR0, 8)
        if self.rng.random() < 0.3:
            return [f"readq {at:#x}"]
        return [f"writeq {at:#x} {number(self.rng, 64):#x}"]

    def slot(self):
        rng = self.rng
        at = self.dev.regs + c.REG_SLOT + rng.randrange(
            c.SLOTS) * c.SLOT_SIZE
        place = rng.choice((rng.randrange(64) * PAGE + 4, number(rng, 64),
                            ARENA + rng.randrange(64) * PAGE))
        control = rng.choice((c.SLOT_ARM, c.SLOT_ARM, c.SLOT_ARM | 1,
                              c.SLOT_HOLD, 0, number(rng, 64)))
        control |= rng.randrange(10) << c.SLOT_VECTOR_SHIFT
        lines = [f"writeq {at:#x} {place:#x}",
                 f"writeq {at + 8:#x} {control:#x}", f"readq {at + 8:#x}"]
        return lines[rng.randrange(2):]

    def wake(self):
        rng, regs = self.rng, self.dev.regs
        value = rng.choice((rng.randrange(64) * PAGE // 4 + 1,
                            number(rng, 48)))
        value |= rng.choice((1, 2, 0xffff)) << c.WAKE_COUNT_SHIFT
        return [f"writeq {regs + c.REG_WAKE:#x} {value:#x}",
                f"writel {regs + c.REG_FIRED + 4 * rng.randrange(3):#x} "
                f"{rng.getrandbits(32):#x}"]

    def msix(self):
        """An entry of the MSI-X table with an address in a BAR or in RAM"""
        rng = self.rng
        table = self.dev.pci.bars[c.BAR_MSIX]
        entry = table + 16 * rng.randrange(c.VECTORS_MAX)
        base = rng.choice(list(self.dev.pci.bars.values()) + [0x800000])
        at = base + rng.choice((0, 0x20, c.REG_DOORBELL, c.REG_COMMAND,
                                c.REG_WAKE, rng.randrange(0x1000) * 4))
        data = rng.choice((*range(15), rng.getrandbits(32)))
        lines = [f"writel {entry:#x} {at & 0xffffffff:#x}",
                 f"writel {entry + 4:#x} {at >> 32:#x}",
                 f"writel {entry + 8:#x} {data:#x}",
                 f"writel {entry + 12:#x} {rng.randrange(2):#x}"]
        if rng.random() < 0.2:
            lines.append(f"writeq {table + PENDING:#x} 0x1")
            lines.append(f"readq {table + PENDING:#x}")
        return lines

    def config_write(self, offset, size, value):
        letter = {1: "b", 2: "w", 4: "l"}[size]
        port = 0xcfc + (offset & 3)
        return [f"outl 0xcf8 {self.dev.pci.base | offset & ~3:#x}",
                f"out{letter} {port:#x} {value:#x}", "inl 0xcfc"]

    def config(self):
        rng, size = self.rng, self.rng.choice((1, 2, 4))
        offset = rng.randrange(256 // size) * size
        if offset < 0x28 and not self.wild_bars:
            # This offset leaves the memory map unchanged.
            offset = 0x3c
        return self.config_write(offset, size, number(rng, 8 * size))

    def message_control(self):
        if not self.capability:
            return []
        return self.config_write(
            self.capability + 2, 2, self.rng.choice((0, 0x8000, 0xc000)))

    KINDS = FuzzMailboxes.KINDS + ((valid, 20), (command_memory, 4),
                                   (slot, 14), (wake, 6),
                                   (msix, 3), (config, 0.3),
                                   (message_control, 0.5))


class Host:
    """Operations of host processes on the objects"""

    def __init__(self, rng, store):
        self.rng, self.store = rng, store

    def act(self):
        rng, folder = self.rng, "/dev/shm/"
        names = [n for n in os.listdir(folder)
                 if n.startswith(self.store.prefix)]
        if not names:
            return "nothing"
        path = folder + rng.choice(names)
        act = rng.choice(("truncate", "truncate", "grow", "punch", "unlink",
                          "recreate", "rename"))
        try:
            if act == "unlink":
                os.unlink(path)
            elif act == "rename":
                os.rename(path, folder + rng.choice(names))
            else:
                flags = os.O_RDWR | (os.O_TRUNC if act == "recreate" else 0)
                fd = os.open(path, flags)
                try:
                    self.change(fd, act)
                finally:
                    os.close(fd)
        except OSError as e:
            act += f": {e.strerror}"
        return f"{act} {path}"

    def change(self, fd, act):
        if act == "punch":
            punch(fd, self.rng.randrange(8) * PAGE, 2 * PAGE)
        elif act == "truncate":
            os.ftruncate(fd, self.rng.randrange(8 * PAGE))
        else:
            os.ftruncate(fd, self.rng.randrange(1, 64) * PAGE)


class Machine:
    """A machine, and its random operations"""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.runs = seed % 4 == 3       # whether processors run
        self.base = BASE32              # address of the BARs below 4 GiB
        self.log = collections.deque(maxlen=SHOWN)
        self.operations = self.accesses = 0
        self.events = collections.Counter()

    def options(self):
        return {"arena": ARENA, "prefix": self.store.prefix, "create": True,
                "max_objects": MAX_OBJECTS, "max_bytes": MAX_BYTES}

    def text(self):
        return (f",arena={ARENA},prefix={self.store.prefix},create=on,"
                f"max-objects={MAX_OBJECTS},max-bytes={MAX_BYTES}")

    def assign(self):
        """Assigns addresses to BARs, as firmware does, and resumes processors.
        """
        self.vm.qmp("stop")
        self.place()
        self.resume()

    def place(self):
        self.vm.next32, self.vm.next64 = self.base, (
            0xf0000000 if self.runs else BASE64)
        self.dev.assign()
        self.fuzz.capability = self.dev.pci.capability(MSIX)
        if self.runs:
            for cpu, (bar, mask) in enumerate((
                    (self.dev.arena, 2 * ARENA - 4),
                    (self.dev.regs, self.rng.choice((REGISTERS, BAR0)) - 4))):
                at = self.processors.words(cpu)
                self.vm.write(at + 4, 4, mask)
                self.vm.write(at + WHERE, 4, bar)
            self.vm.write(self.processors.words(0) + WAKE, 4, 1)

    # Events

    def reset(self):
        self.vm.qmp("stop")
        self.vm.qmp("system_reset")
        self.vm.event("RESET")
        self.assign()

    def unplug(self):
        # A running processor without interrupts would keep the device from
        # being unplugged.
        self.vm.qmp("stop")
        self.vm.remove("vmshm0", lambda: self.vm.eject_acpi(0xae00, 0, SLOT))
        self.vm.add("vmshm", id="vmshm0", addr=hex(SLOT), **self.options())
        self.assign()

    def resume(self):
        if self.runs:
            self.vm.qmp("cont")

    def release(self):
        self.place()
        self.dev.register(c.REG_CLOSE)
        self.dev.set(c.REG_COMMAND, c.CMD_RELEASE)

    def migrate(self):
        """Migrates to /dev/null. The device refuses this if an object has been
        attached again."""
        self.vm.qmp("stop")
        self.release()
        self.resume()
        self.vm.forget("MIGRATION")
        try:
            self.vm.qmp("migrate", uri="exec:cat >/dev/null")
            self.vm.event("MIGRATION", lambda d: d["status"] in (
                "completed", "failed", "cancelled"))
        except QmpError:
            return
        # Disk images belong to the destination until this VM continues.
        until(lambda: self.vm.qmp("query-status")["status"] == "postmigrate",
              "the migration does not end")
        self.vm.qmp("cont")
        if not self.runs:
            self.vm.qmp("stop")

    def snapshot(self):
        self.vm.qmp("stop")
        self.release()
        self.image.snapshot("save", "one")
        self.batch(50)
        self.release()
        self.image.snapshot("load", "one")
        self.assign()

    def move(self):
        """Moves each BAR to another address."""
        self.base += self.rng.randrange(16) * 0x100000
        self.base = min(self.base, BASE32 + 0x4000000)
        self.assign()

    def tell(self, event):
        self.events[event.__name__] += 1
        self.log.append("# " + event.__name__)
        event()

    # Operations

    def batch(self, steps, host=None):
        """Random operations, and beside them changes by the host"""
        lines = []
        kinds, weights = zip(*self.fuzz.KINDS)
        for kind in self.rng.choices(kinds, weights, k=steps):
            lines += kind(self.fuzz)
        self.log.extend(lines[-SHOWN:])
        self.operations += len(lines)
        acts = self.rng.choices(range(len(lines)), k=ACTS) if host else ()
        for i, _ in enumerate(self.vm.stream(lines)):
            if i in acts:
                self.log.append("# host: " + host.act())

    def check(self):
        now = attachments(self.vm)
        true(len(now) <= MAX_OBJECTS, f"{len(now)} attachments")
        true(sum(a["bytes"] for a in now) <= MAX_BYTES, "bytes attached")
        equal(self.outside.read(0, 3 * PAGE), pattern(3 * PAGE),
              "the object outside")

    def life(self, end):
        names = ["/a", "/b", "/c", "/d", "/e", "/f", "/xx", "", "/", "/..",
                 "/sem.x", "/" + "y" * 300, self.outside.name]
        self.dev = Mailboxes(self.vm)
        self.fuzz = Fuzzer(self.rng, self.dev, names,
                           wild=not self.runs)
        self.assign()
        host = Host(self.rng, self.store)
        happens = (self.reset, self.unplug, self.migrate, self.snapshot,
                   self.move, self.assign)
        for _ in range(BATCHES):
            if time.monotonic() > end:
                break
            self.batch(STEPS, host)
            self.fuzz.handle = self.dev.get(c.REG_RES_HANDLE) & 0xffffff
            if self.rng.random() < 0.3:
                self.tell(self.rng.choice(happens))
            self.check()
        if self.runs:
            self.accesses = self.vm.read(
                self.processors.words(1) + ROUNDS, 4)

    def run(self, end):
        with Store([b"/a", b"/b"], 3 * PAGE) as self.store, \
                Object(3 * PAGE, pattern(3 * PAGE)) as self.outside, \
                tempfile.TemporaryDirectory() as folder, \
                Walkers({"accel": "tcg"},
                        options=self.text()) as self.processors:
            self.vm = self.processors.vm
            events(self.vm)
            self.image = Image(self.vm, folder)
            if self.runs:
                # Starts the second processor. Both use RAM until assign().
                self.processors.start(0x900000, 0x1000)
            self.life(end)


def fuzz(seconds, seed):
    # When QEMU has written an answer, this process does not take the processor
    # from it, but reads many answers later.
    os.sched_setscheduler(0, os.SCHED_BATCH | os.SCHED_RESET_ON_FORK,
                          os.sched_param(0))
    start = time.monotonic()
    end = start + seconds
    operations = accesses = machines = 0
    happened = collections.Counter()
    while time.monotonic() < end:
        one = Machine(seed)
        try:
            one.run(end)
        except (Lost, AssertionError, QmpError) as e:
            path = f"{ROOT}/build/fuzz/{seed}.log"
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write("\n".join([*one.log, str(e), ""]))
            print(f"{path} has the last operations and the reason:\n"
                  f"{str(e)[:200]}\nAgain, but not in the same order of "
                  f"threads:\n  tests/fuzz/run.py 60 {seed}")
            sys.exit(1)
        operations += one.operations
        accesses += one.accesses
        happened += one.events
        machines += 1
        print(f"seed {seed}: {one.operations} operations, {one.accesses} "
              "accesses of a processor to BAR0", flush=True)
        seed += 1
    print(", ".join(f"{n} {what}" for what, n in sorted(happened.items())))
    print(f"{machines} machines, {operations} operations and {accesses} "
          f"accesses of processors to BAR0 in {time.monotonic() - start:.0f} "
          "s, no finding")


def main():
    if not 2 <= len(sys.argv) <= 3 or not all(
            a.isdecimal() for a in sys.argv[1:]):
        sys.exit("usage: " + __doc__.split("\n\n")[1].strip())
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(10**9)
    cleanup.main("fuzz", lambda: fuzz(int(sys.argv[1]), seed))


if __name__ == "__main__":
    main()
