#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the bare-metal guest under TCG, and under KVM if it is available.

The guest (main.c) drives the device without a kernel, and writes its results to
QEMU's debug console. This program creates the host's objects, acts as the
host's side of the tests, and checks the objects after the end of the guest.
"""

import mmap
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lib"))
sys.dont_write_bytecode = True

import futex   # noqa: E402
import qemu    # noqa: E402
import shm     # noqa: E402
import tier    # noqa: E402

GUEST = os.path.join(qemu.ROOT, "build", "bare", "guest.elf")

TESTS = ["pci", "fresh", "name", "attach", "live", "busy", "detach",
         "reattach", "small-object", "missing", "bad-names",
         "register-writes", "access-sizes", "misaligned", "scribble", "decode",
         "move", "irq-setup", "irq", "irq-masked", "irq-all-masked",
         "irq-moved", "irq-off-and-on", "smp-start", "smp-read", "smp-write",
         "smp-both", "mailbox", "smp-mailboxes", "smp-one-mailbox"]
HOST_TESTS = ["host-text", "host-patterns", "host-writes"]
KVM_TESTS = ["host-direct-irq"]

# accelerator: (QEMU's options, the guest's options). step is the distance in
# bytes of the words in the buffer that the guest checks. KVM without hardware
# virtualization emulates each instruction, and is some hundred times slower
# than TCG. There the guest checks fewer words, but several in each page, at
# offsets that differ from page to page.
ACCELERATORS = {
    "tcg": (["-accel", "tcg,thread=multi"],
            {"rounds": 5000, "seconds": 3, "step": 4}),
    "kvm": (["-accel", "kvm", "-cpu", "qemu64"],
            {"rounds": 2000, "seconds": 3, "step": 1020}),
}
MACHINES = ["pc", "q35"]

# Seconds after which a guest is lost
DEADLINE = 120

# The exit code of isa-debug-exit is 2 * VALUE + 1 for the guest's VALUE.
EXIT_DONE = 2 * 0x10 + 1

# The objects; guest.h and single.c have the same numbers
A_TAG, A_SIZE = 0xa1, 0x100000
B_TAG, B_SIZE = 0xb2, 0x10064
WRITE_PAGES = (0x2000, 0x81000)
WRITE_TAG = 0x57
ROUND_OF = {"a": 0, "b": 1}     # round % 3 in which race.c opens the object
TEXT_SIZE = 8192
TEXT_HOST = b"hello from the host\0"
TEXT_GUEST = b"I was here: bare metal\0"
TEXT_GUEST_AT, PING_AT, PONG_AT, WORD_AT = 0x100, 0x200, 0x204, 0x300
LAST_WORD = 0xcafe0042


def words(data):
    return struct.unpack(f"<{len(data) // 4}I", data)


def pattern(tag, size):
    data = bytearray(struct.pack(
        f"<{size // 4}I", *(tag << 24 | i for i in range(size // 4))))
    for page in WRITE_PAGES:
        if page < size:
            data[page:page + 4096] = bytes(4096)
    return bytes(data)


def text_object():
    data = bytearray(TEXT_SIZE)
    data[:len(TEXT_HOST)] = TEXT_HOST
    data[-4:] = struct.pack("<I", LAST_WORD)
    return bytes(data)


class Objects:
    """The host's objects for one guest. The end of the `with` block removes
    them."""

    def __init__(self):
        prefix = f"/{shm.PREFIX}bare-"
        self.names = {k: prefix + k for k in ("text", "a", "b", "missing")}
        self.made = []

    def __enter__(self):
        try:
            self._make("text", text_object())
            self._make("a", pattern(A_TAG, A_SIZE))
            self._make("b", pattern(B_TAG, B_SIZE))
            with open(self._path("text"), "r+b") as f:
                self.text = mmap.mmap(f.fileno(), TEXT_SIZE)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *unused):
        for path in self.made:
            os.unlink(path)

    def _path(self, key):
        return "/dev/shm" + self.names[key]

    def _make(self, key, data):
        with open(self._path(key), "xb") as f:
            self.made.append(self._path(key))
            f.write(data)

    def data(self, key):
        with open(self._path(key), "rb") as f:
            return f.read()

    def pong(self):
        """Writes the word plus one, for which the guest waits."""
        ping, = struct.unpack_from("<I", self.text, PING_AT)
        struct.pack_into("<I", self.text, PONG_AT, ping + 1)

    def wake(self):
        """Wakes the guest's slot. The slot waits now, or will wait soon."""
        end = time.monotonic() + DEADLINE
        while not futex.wake(self._path("text"), WORD_AT, 1):
            if time.monotonic() > end:
                return


class Guest:
    """A QEMU that runs the guest, until it ends or is lost."""

    def __init__(self, machine, accel, objects):
        self.ours, theirs = socket.socketpair()
        self.end = time.monotonic() + DEADLINE
        self.stderr = tempfile.TemporaryFile()
        accel_args, options = ACCELERATORS[accel]
        options = [f"{k}={v}" for k, v in {**objects.names,
                                           **options}.items()]
        command = [
            qemu.QEMU, "-M", machine, *accel_args, "-smp", "2", "-m", "64",
            "-nodefaults", "-display", "none", "-no-reboot",
            "-chardev", f"socket,id=out,fd={theirs.fileno()}",
            "-device", "isa-debugcon,iobase=0xe9,chardev=out",
            "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
            *qemu.load_args(), "-device", "vmshm",
            "-kernel", GUEST, "-append", " ".join(options)]
        with theirs:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=self.stderr,
                stderr=self.stderr, pass_fds=[theirs.fileno()],
                preexec_fn=qemu.die_with_parent)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.ours.close()
        self.stderr.close()

    def lines(self):
        """The lines of the guest, until QEMU ends or the deadline passes"""
        rest = b""
        while True:
            self.ours.settimeout(max(self.end - time.monotonic(), 0.001))
            try:
                data = self.ours.recv(4096)
            except (TimeoutError, ConnectionError):
                return
            if not data:
                return
            *full, rest = (rest + data).split(b"\n")
            for line in full:
                yield line.decode(errors="replace")

    def ended(self):
        """The reason why QEMU has not ended properly, or None"""
        try:
            code = self.process.wait(max(self.end - time.monotonic(), 1))
        except subprocess.TimeoutExpired:
            return f"no end within {DEADLINE} s"
        if code == EXIT_DONE:
            return None
        self.stderr.seek(0)
        said = self.stderr.read().decode(errors="replace").strip()
        # The output of a lost guest ends with the reason.
        return f"QEMU ended with {code}; it said: {said[-300:] or 'nothing'}"


def sleeps_of(process):
    """The number of times that QEMU's main thread has gone to sleep"""
    with open(f"/proc/{process.pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f
                    if line.startswith("voluntary_ctxt_switches"))


def check_text(objects, rounds):
    del rounds
    data = objects.data("text")
    if len(data) != TEXT_SIZE:
        return f"size is {len(data)}"
    want = bytearray(text_object())
    want[TEXT_GUEST_AT:TEXT_GUEST_AT + len(TEXT_GUEST)] = TEXT_GUEST
    want[PING_AT:PONG_AT + 4] = data[PING_AT:PONG_AT + 4]
    ping, pong = struct.unpack_from("<2I", data, PING_AT)
    if ping != 0x03123456 or pong != ping + 1:
        return f"last ping {ping:#x}, pong {pong:#x}"
    return None if data == want else "bytes differ from what is expected"


def check_patterns(objects, rounds):
    """Checks that only the pages for writes have changed."""
    del rounds
    for key, tag, size in ("a", A_TAG, A_SIZE), ("b", B_TAG, B_SIZE):
        data = bytearray(objects.data(key))
        if len(data) != size:
            return f"object {key}: size is {len(data)}"
        for page in WRITE_PAGES:
            if page < size:
                data[page:page + 4096] = bytes(4096)
        for i, (got, want) in enumerate(zip(words(data),
                                            words(pattern(tag, size)))):
            if got != want:
                return f"object {key}, word {i:#x}: {got:#x}, not {want:#x}"
    return None


def check_writes(objects, rounds):
    """Checks that the pages for writes contain only words of rounds in which
    the guest had this object open."""
    for key in "a", "b":
        data = objects.data(key)
        for page in WRITE_PAGES:
            if page >= len(data):
                continue
            found = [w for w in words(data[page:page + 4096]) if w]
            for word in found:
                number = word & 0xffffff
                if (word >> 24 != WRITE_TAG or number >= rounds or
                        number % 3 != ROUND_OF[key]):
                    return f"object {key}: {word:#x} must not be in it"
            if not found:
                return f"object {key}, page {page:#x}: no write arrived"
    return None


HOST_CHECKS = dict(zip(HOST_TESTS,
                       (check_text, check_patterns, check_writes)))


class Run:
    """A run of the guest, with one machine type and one accelerator"""

    def __init__(self, out, prefix):
        self.out, self.prefix = out, prefix
        self.left = list(TESTS)     # no result yet
        self.notes = []
        self.sleeps = {}            # of each test, at each wake-up

    def result(self, name, why=None):
        full = self.prefix + name
        if not self.out.wanted(full):
            return
        if why is None:
            self.out.ok(full)
        else:
            self.out.fail(full, "; ".join([why, *self.notes]))

    def wake(self, objects, process):
        """Makes the guest's slot fire."""
        self.sleeps.setdefault(self.left[0], []).append(sleeps_of(process))
        objects.wake()

    def check_direct(self):
        """Checks that KVM raised the interrupts without QEMU's main thread,
        which did not wake up."""
        found = self.sleeps.get("irq", [])
        if len(found) < 2:
            return "no interrupts"
        woken = found[-1] - found[0]
        if woken < len(found) // 2:
            return None
        return f"QEMU's main thread woke {woken} times for {len(found)}"

    def take(self, line, objects, process):
        """Processes a line from the guest. Returns the numbers of the last
        line.
        """
        word, _, rest = line.partition(" ")
        if word == "note":
            self.notes.append(rest)
        elif line == "ask pong":
            objects.pong()
        elif line == "ask wake":
            self.wake(objects, process)
        elif word == "end":
            return rest
        elif word in ("ok", "FAIL"):
            name, _, why = rest.partition(": ")
            if name in self.left:
                self.left.remove(name)
                self.result(name, why if word == "FAIL" else None)
            else:
                self.result("guest", f"unexpected line: {line}")
            self.notes = []
        return None

    def run(self, machine, accel):
        rounds = ACCELERATORS[accel][1]["rounds"]
        counts = {"ok": 0, "FAIL": 0}
        token = None
        with Objects() as objects:
            with Guest(machine, accel, objects) as guest:
                for line in guest.lines():
                    token = self.take(line, objects, guest.process) or token
                    word = line.partition(" ")[0]
                    if word in counts:
                        counts[word] += 1
                lost = guest.ended()
            if not lost and token != f"{counts['ok']} {counts['FAIL']}":
                lost = f"no end token that fits, but {token!r}"
            if lost:
                # The first test without a result failed, or the end of the
                # guest.
                name = self.left.pop(0) if self.left else "guest"
                self.result(name, f"guest lost: {lost}")
            for name in self.left:
                self.result(name, "no result")
            for name, check in HOST_CHECKS.items():
                self.result(name, "not checked, guest lost" if lost else
                            check(objects, rounds))
            if accel == "kvm":
                self.result(KVM_TESTS[0], self.check_direct())


def kvm_refusal():
    """The reason why KVM cannot be used, or None"""
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC))
    except OSError as e:
        return f"/dev/kvm: {e.strerror}"
    return None


def run_tests(report):
    subprocess.run(["make", "-s", "-C", HERE, f"OUT={os.path.dirname(GUEST)}"],
                   check=True)
    no_kvm = kvm_refusal()
    for accel in ACCELERATORS:
        for machine in MACHINES:
            prefix = f"bare/{accel}-{machine}/"
            names = [prefix + n for n in TESTS + HOST_TESTS + KVM_TESTS]
            if not any(report.wanted(n) for n in names):
                continue
            if accel == "kvm" and no_kvm:
                report.skip(prefix + "all", no_kvm)
                continue
            Run(report, prefix).run(machine, accel)


if __name__ == "__main__":
    tier.main("bare", run_tests)
