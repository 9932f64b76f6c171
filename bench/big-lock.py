#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""usage: big-lock.py [ROUNDS]

Measures how long each command of the device holds QEMU's big lock: alone, while
a process of the host allocates and frees 64 MiB all the time, while a process
of the host holds the locks of the object's inode and of its directory, and
while 2016 slots of the device wait. The stock QEMU runs without a guest; a
preloaded library (big-lock.c) measures. The table has the longest time of all
rounds (default: 10) in milliseconds. The time that a thread waits for a
processor does not count. Needs root, for a tmpfs and for userfaultfd(2).
"""

import contextlib
import mmap
import os
import struct
import subprocess
import sys
import tempfile
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
for part in ("tests/lib", "tests/device"):
    sys.path.insert(0, os.path.join(ROOT, part))
sys.dont_write_bytecode = True

import cleanup                  # noqa: E402
import contract as c            # noqa: E402
from inode_lock import InodeLock            # noqa: E402
from mailbox import Mailboxes               # noqa: E402
from qemu import die_with_parent            # noqa: E402
from slots import asleep                    # noqa: E402
from vmshm import Skip, equal, machine, until           # noqa: E402

BUILD = os.path.join(ROOT, "build", "bench")
MIB = 1 << 20
SIZE = 64 * MIB
PAGE = c.PAGE_SIZE
OBJECTS = 1000
SLOTS = 2016
WORDS = SIZE            # the place of the object with the words of the slots
LOOP = "import os,sys\nf=os.open(sys.argv[1],os.O_RDWR|os.O_CREAT)\n" \
    "print(flush=True)\n" \
    f"while 1: os.posix_fallocate(f,0,{SIZE}); os.ftruncate(f,0)"
# QEMU's monitor answers this often while a command waits for a lock.
ANSWERS = 5

# The commands: arguments, and what is attached before: nothing, or an object
# whose pages were all accessed
COMMANDS = {
    "no command": (None, None, {}, False),
    "STAT": (c.CMD_STAT, "/a", {}, False),
    "STAT, no such name": (c.CMD_STAT, "/none", {}, False),
    "ATTACH 64 MiB": (c.CMD_ATTACH, "/a", {}, False),
    "HOLD": (c.CMD_HOLD, "/a", {}, False),
    "DETACH 64 MiB": (c.CMD_DETACH, None, {}, True),
    "LIST, of 1000": (c.CMD_LIST, None, {}, False),
    "CREATE": (c.CMD_CREATE, "/new", {"mode": 0o600}, False),
    "UNLINK 64 MiB": (c.CMD_UNLINK, "/a", {}, False),
    "RENAME": (c.CMD_RENAME, "/a", {"second": "/b"}, False),
    "LINK": (c.CMD_LINK, "/a", {"second": "/b"}, False),
    "RESIZE to 128 MiB": (c.CMD_RESIZE, "/a", {"length": 2 * SIZE}, False),
    "RESIZE to 4 KiB": (c.CMD_RESIZE, "/a", {"length": PAGE}, True),
    "ALLOCATE 64 MiB": (c.CMD_ALLOCATE, "/a", {"offset": SIZE, "length": SIZE},
                        False),
    "SETATTR": (c.CMD_SETATTR, "/a", {"mode": 0o640, "flags": c.RQ_MODE},
                False),
    "STATFS": (c.CMD_STATFS, None, {}, False),
    "RELEASE 64 MiB": (c.CMD_RELEASE, None, {}, True),
}


class Meter:
    """The longest time for which the big lock was held"""

    def __init__(self):
        os.makedirs(BUILD, exist_ok=True)
        self.library = os.path.join(BUILD, "big-lock.so")
        subprocess.run(
            ["gcc", "-O2", "-Wall", "-shared", "-fPIC", "-o", self.library,
             os.path.join(ROOT, "bench", "big-lock.c")], check=True)
        # pylint: disable-next=consider-using-with
        self.file = tempfile.NamedTemporaryFile()
        self.file.truncate(mmap.PAGESIZE)
        self.map = mmap.mmap(self.file.fileno(), mmap.PAGESIZE)

    def environment(self):
        return {"LD_PRELOAD": self.library, "BIG_LOCK": self.file.name}

    def reset(self):
        self.map[:8] = bytes(8)

    def ms(self):
        return int.from_bytes(self.map[:8], "little") / 1e6


class Object:
    """An object of 64 MiB with all its memory, in the form for InodeLock"""

    def __init__(self, folder):
        self.path = f"{folder}/a"
        self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        os.posix_fallocate(self.fd, 0, SIZE)

    def close(self):
        os.close(self.fd)


@contextlib.contextmanager
def tmpfs():
    if os.geteuid():
        raise Skip("mounting needs root")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=True)
        try:
            yield folder
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


@contextlib.contextmanager
def allocating(folder):
    """A process of the host allocates and frees 64 MiB all the time."""
    with subprocess.Popen([sys.executable, "-c", LOOP, f"{folder}/loop"],
                          stdout=subprocess.PIPE,
                          preexec_fn=die_with_parent) as loop:
        loop.stdout.readline()
        try:
            yield
        finally:
            loop.kill()


def sleeps(thread):
    with open(f"/proc/self/task/{thread.native_id}/stat",
              encoding="ascii") as f:
        return f.read().rsplit(")", 1)[1].split()[0] == "D"


@contextlib.contextmanager
def locked(folder, obj):
    """A write holds the lock of the object, and an unlink(2) of another name of
    the object holds the lock of the directory. Yields a function that releases
    both."""
    other = f"{folder}/other"
    os.link(obj.path, other)
    with InodeLock(obj) as lock:
        unlink = threading.Thread(target=os.unlink, args=(other,))
        unlink.start()
        until(lambda: sleeps(unlink), "unlink() does not wait")
        yield lock.release
        lock.release()
        unlink.join()


class Bench:
    """A QEMU with a device, and the results"""

    def __init__(self, folder, meter, vm):
        self.folder, self.meter, self.dev = folder, meter, Mailboxes(vm)
        self.longest = {}
        for n in range(OBJECTS):
            with open(f"{folder}/object-{n}", "wb"):
                pass
        with open(f"{folder}/words", "wb") as f:
            f.truncate(2 * PAGE)

    def arm(self):
        """All slots wait."""
        dev = self.dev
        dev.posts(c.CMD_ATTACH, "/words", place=WORDS)
        dev.vm.store(dev.regs + c.MEM_RECORD, b"".join(
            struct.pack("<QQIIQ", WORDS + 4 * n, 0, 0, 0, 0)
            for n in range(SLOTS)))
        dev.vm.batch([f"writeq {dev.regs + c.REG_START:#x} "
                      f"{c.SLOT_ARM | n:#x}" for n in range(SLOTS)])
        asleep(dev.vm, SLOTS)

    def once(self, command, name, how, attached, situation):
        """Executes the command. Returns the longest time in milliseconds."""
        dev, obj = self.dev, Object(self.folder)
        with contextlib.ExitStack() as stack:
            stack.callback(self.clean, obj)
            if attached:
                dev.posts(c.CMD_ATTACH, "/a")
                how = {**how, "handle": dev.res_handle()}
                dev.vm.fill(dev.arena, SIZE, 1)
            if situation == "slots":
                self.arm()
            release = stack.enter_context(locked(self.folder, obj)) \
                if situation == "locked" else lambda: None
            # The turn of the main loop that has done the last access has ended.
            dev.vm.qmp("query-status")
            self.meter.reset()
            if command is None:
                dev.get(c.REG_SLOTS)
                return self.meter.ms()
            tag = dev.submit(0, command, name, **how)
            for _ in range(ANSWERS):
                dev.vm.qmp("query-status")
            release()
            equal(dev.wait(0, tag), c.OK if name != "/none" else c.ENOENT,
                  f"command {command}")
            dev.vm.qmp("query-status")
            return self.meter.ms()

    def clean(self, obj):
        self.dev.posts(c.CMD_RELEASE)
        obj.close()
        for name in "abn":
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{self.folder}/{name.replace('n', 'new')}")

    def situation(self, name, rounds):
        for title, how in COMMANDS.items():
            print(f"{name}: {title}", file=sys.stderr)
            self.longest[title, name] = max(
                self.once(*how, name) for _ in range(rounds))


def lines(longest, rounds):
    yield "Milliseconds for which the big lock is held, the longest of " \
        f"{rounds} commands"
    yield f"{'':20}{'alone':>10}{'allocating':>12}{'locked':>10}" \
        f"{'2016 slots':>12}"
    for title in COMMANDS:
        yield f"{title:20}" + "".join(
            f"{longest[title, s]:{w}.2f}" for s, w in (
                ("alone", 10), ("allocating", 12), ("locked", 10),
                ("slots", 12)))


def run(rounds):
    meter = Meter()
    try:
        with tmpfs() as folder, machine(
                options=f",dir={folder},create=on,arena=256M",
                env=meter.environment()) as vm:
            bench = Bench(folder, meter, vm)
            bench.situation("alone", rounds)
            bench.situation("locked", rounds)
            bench.situation("slots", rounds)
            with allocating(folder):
                bench.situation("allocating", rounds)
    except Skip as e:
        sys.exit(f"big-lock: {e}")
    print("\n".join(lines(bench.longest, rounds)))


def main():
    if len(sys.argv) > 2 or sys.argv[1:] in (["-h"], ["--help"]):
        sys.exit(__doc__.strip())
    rounds = int((sys.argv[1:] or [10])[0])
    cleanup.main("big-lock", lambda: run(rounds))


if __name__ == "__main__":
    main()
