# SPDX-License-Identifier: GPL-2.0-or-later
"""Starts the stock QEMU with the vmshm device, and controls it: QMP, qtest.

    with Qemu("-device", "vmshm") as vm:
        vm.qmp("query-status")
        vm.inl(0xcfc)

QEMU inherits its ends of the sockets, so that this program does not wait for a
connection. When QEMU dies, the sockets report the end of file.
"""

import base64
import collections
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
QEMU = os.environ.get("QEMU", "qemu-system-x86_64")
VMSHM_SO = os.path.abspath(os.environ.get(
    "VMSHM_SO", os.path.join(ROOT, "build", "vmshm.so")))
BUILTIN = os.environ.get("VMSHM_BUILTIN") == "1"

# Seconds without an answer after which a QEMU is lost. On a loaded host, QEMU
# may not run for a long time.
DEADLINE = 120

PR_SET_PDEATHSIG = 1
SO_SNDBUFFORCE = 32         # not in Python's module socket
_libc = ctypes.CDLL(None)


class Lost(Exception):
    """QEMU has ended or does not answer. The text ends with QEMU's output."""


class QmpError(Exception):
    """QEMU refused a command. The text is the reason that QEMU gave."""


def die_with_parent(number=signal.SIGKILL):
    """For preexec_fn: the child is killed when its parent dies."""
    _libc.prctl(PR_SET_PDEATHSIG, number)


def let_answers_wait(sock):
    """Lets QEMU write thousands of answers before this program reads them. The
    size is more than the system permits to other users than root."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 8 << 20)
    except PermissionError:
        pass


def load_args():
    """The arguments that load the device into QEMU."""
    return [] if BUILTIN else ["-plugin", VMSHM_SO]


def build_id(path):
    """The build ID of an ELF file, in hexadecimal digits."""
    text = subprocess.run(["readelf", "-n", path], check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    return re.search(r"Build ID: ([0-9a-f]+)", text).group(1)


def device_file():
    """The device for QEMU that the loader VMSHM_SO uses."""
    return os.path.join(os.path.dirname(VMSHM_SO), "vmshm-devices",
                        build_id(shutil.which(QEMU)) + ".so")


def need_device():
    """Raises Lost if there is no device to load."""
    if not BUILTIN and not os.path.exists(VMSHM_SO):
        raise Lost(f"no {os.path.relpath(VMSHM_SO)}: make device")


def package():
    """The package version in the output of QEMU's --version, or an empty
    string. The device must be built for this version."""
    text = subprocess.run([QEMU, "--version"], check=True,
                          stdout=subprocess.PIPE).stdout.decode()
    found = re.search(r"version \S+ \((.*)\)", text)
    return found.group(1) if found else ""


class _Line:
    """A socket that carries lines."""

    def __init__(self, sock):
        self.sock = sock
        self.sock.settimeout(DEADLINE)
        self.file = sock.makefile("rb", buffering=1 << 16)

    def send(self, data):
        try:
            self.sock.sendall(data)
        except OSError as e:
            raise Lost(f"QEMU does not read its socket: {e}") from e

    def line(self):
        try:
            data = self.file.readline()
        except OSError as e:
            raise Lost(f"QEMU does not answer: {e}") from e
        if not data.endswith(b"\n"):
            raise Lost("QEMU has ended")
        return data

    def close(self):
        self.file.close()
        self.sock.close()


class Qemu:
    """A QEMU process. The end of the `with` block quits QEMU through QMP, and
    raises Lost if the exit code is not 0.

    args      additional arguments
    machine   the argument of -M
    accel     the argument of -accel; None if args contains it
    qtest     the test drives the machine: its processors never start (-S),
              and a qtest server listens. Debian's QEMU has the server, but
              not the accelerator of that name.
    load      arguments that load the device; default: load_args()
    env       additional environment variables
    user      the user ID of the process (needs root)
    memory    guest memory in MiB
    wrap      a command, to which QEMU's command line is appended
    binary    the program to run
    """

    def __init__(self, *args, machine="pc", accel="tcg", qtest=True,
                 load=None, env=None, user=None, memory=32, wrap=(),
                 binary=QEMU):
        self.events = collections.deque()
        # Threads send commands one at a time.
        self._qmp_lock = threading.Lock()
        self._qmp = self._qtest = self.process = None
        # The addresses of the next memory BAR in the 32-bit and 64-bit windows
        self.next32, self.next64 = 0xe0000000, 1 << 40
        self.ended = False
        ours, theirs = socket.socketpair()
        fds, opened = [theirs.fileno()], []
        command = [*wrap, binary, "-M", machine,
                   *(["-accel", accel] if accel else []),
                   "-m", str(memory), "-nodefaults", "-display", "none",
                   "-chardev", f"socket,id=qmp0,fd={fds[0]}",
                   "-qmp", "chardev:qmp0"]
        if qtest:
            ours_qtest, theirs_qtest = socket.socketpair()
            let_answers_wait(theirs_qtest)
            fds.append(theirs_qtest.fileno())
            command += ["-S", "-chardev", f"socket,id=qtest,fd={fds[1]}",
                        "-qtest", "chardev:qtest",
                        "-qtest-log", "/dev/null"]
        if user is not None and load is None and not BUILTIN:
            # Another user may have no access to the path of the device. A
            # device is also a plugin by itself.
            fds.append(os.open(device_file(), os.O_RDONLY))
            load = ["-plugin", f"/proc/self/fd/{fds[-1]}"]
            opened = [fds[-1]]
        command += load_args() if load is None else load
        command += args
        self.stderr_file = tempfile.TemporaryFile()
        drop = {} if user is None else {
            "user": user, "group": user, "extra_groups": []}
        try:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL,
                stdout=self.stderr_file, stderr=self.stderr_file,
                env={**os.environ, **(env or {})}, pass_fds=fds,
                preexec_fn=die_with_parent, **drop)
        finally:
            theirs.close()
            if qtest:
                theirs_qtest.close()
            for fd in opened:
                os.close(fd)
        self.pid = self.process.pid
        self._qmp = _Line(ours)
        if qtest:
            self._qtest = _Line(ours_qtest)
        try:
            self._message()     # the greeting
            self.qmp("qmp_capabilities")
        except BaseException as e:
            self.kill()
            if isinstance(e, Lost):
                raise Lost(f"{e}; exit code {self.process.returncode}; "
                           f"output: {self.said()}") from e
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.quit()
        else:
            self.kill()
            if isinstance(value, Lost):
                value.args = (f"{value}; exit code "
                              f"{self.process.returncode}; "
                              f"output: {self.said()}",)

    # The process

    def said(self):
        """The output of QEMU so far."""
        # pread: QEMU writes through the same open file description
        data = os.pread(self.stderr_file.fileno(), 1 << 20, 0)
        return data.decode(errors="replace").strip()

    def quit(self):
        """Quits QEMU through QMP. Raises Lost if the exit code is not 0."""
        if self.ended:
            return
        try:
            self.qmp("quit")
            code = self.process.wait(DEADLINE)
        except (Lost, subprocess.TimeoutExpired) as e:
            self.kill()
            raise Lost(f"QEMU does not quit: {e}; exit code "
                       f"{self.process.returncode}; "
                       f"output: {self.said()}") from e
        self._end()
        if code:
            raise Lost(f"exit code {code}; output: {self.said()}")

    def kill(self):
        """Kills QEMU."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._end()

    def _end(self):
        if not self.ended:
            self.ended = True
            self._qmp.close()
            if self._qtest:
                self._qtest.close()

    # QMP

    def _message(self):
        return json.loads(self._qmp.line())

    def qmp(self, command, **arguments):
        """Runs a command. '_' in argument names stands for '-'."""
        request = {"execute": command}
        if arguments:
            request["arguments"] = {
                k.replace("_", "-"): v for k, v in arguments.items()}
        with self._qmp_lock:
            self._qmp.send(json.dumps(request).encode() + b"\n")
            while True:
                answer = self._message()
                if "event" in answer:
                    self.events.append(answer)
                elif "error" in answer:
                    raise QmpError(answer["error"]["desc"])
                else:
                    return answer["return"]

    def hmp(self, line):
        """Runs a command of the human monitor. Returns its output."""
        return self.qmp("human-monitor-command", command_line=line)

    def event(self, name, match=lambda data: True):
        """Waits for the next matching event and returns its data. Past events
        count, and each event is returned once."""
        for e in list(self.events):
            if e["event"] == name and match(e.get("data", {})):
                self.events.remove(e)
                return e.get("data", {})
        while True:
            e = self._message()
            if e["event"] == name and match(e.get("data", {})):
                return e.get("data", {})
            self.events.append(e)

    def forget(self, name):
        """Drops all events of this name up to now."""
        self.qmp("query-status")
        self.events = collections.deque(
            e for e in self.events if e["event"] != name)

    # qtest: accesses in the place of the guest's processor

    def qtest(self, line):
        self._qtest.send(line.encode() + b"\n")
        return self._answer(line)

    def _answer(self, line):
        while True:
            words = self._qtest.line().split()
            if words[0] == b"OK":
                return words[1].decode() if len(words) > 1 else ""
            if words[0] != b"IRQ":
                raise Lost(f"qtest: {line[:60]}: {b' '.join(words)!r}")

    # This number of lines and answers fits into the buffers of the sockets.
    AT_ONCE = 200

    def batch(self, lines):
        """Sends qtest lines without waiting for each answer. Returns the
        answers."""
        answers = []
        for at in range(0, len(lines), self.AT_ONCE):
            part = lines[at:at + self.AT_ONCE]
            self._qtest.send("".join(f"{x}\n" for x in part).encode())
            answers += [self._answer(line) for line in part]
        return answers

    def stream(self, lines):
        """Sends any number of qtest lines, and yields each answer when it
        arrives. QEMU never waits for this program, as it does at the ends of
        the parts of batch()."""
        def send():
            try:
                self._qtest.send("".join(f"{x}\n" for x in lines).encode())
            except Lost:
                pass    # the reader finds that QEMU has ended
        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        for line in lines:
            yield self._answer(line)
        sender.join()

    def _number(self, line):
        return int(self.qtest(line), 16)

    def inl(self, port):
        return self._number(f"inl {port:#x}")

    def outb(self, port, value):
        self.qtest(f"outb {port:#x} {value:#x}")

    def outl(self, port, value):
        self.qtest(f"outl {port:#x} {value:#x}")

    def read(self, address, size):
        """One access of 1, 2, 4 or 8 bytes."""
        letter = {1: "b", 2: "w", 4: "l", 8: "q"}[size]
        return self._number(f"read{letter} {address:#x}")

    def write(self, address, size, value):
        """One access of 1, 2, 4 or 8 bytes."""
        letter = {1: "b", 2: "w", 4: "l", 8: "q"}[size]
        self.qtest(f"write{letter} {address:#x} {value:#x}")

    # qtest searches the whole line for its end at each piece that it receives.
    PIECE = 1 << 16

    def load(self, address, size):
        """Bytes of any number; QEMU chooses the accesses."""
        parts = []
        for at in range(0, size, self.PIECE):
            n = min(self.PIECE, size - at)
            parts.append(base64.b64decode(
                self.qtest(f"b64read {address + at:#x} {n:#x}")))
        return b"".join(parts)

    def store(self, address, data):
        """Bytes of any number; QEMU chooses the accesses."""
        for at in range(0, len(data), self.PIECE):
            piece = data[at:at + self.PIECE]
            text = base64.b64encode(piece).decode()
            self.qtest(f"b64write {address + at:#x} {len(piece):#x} {text}")

    def fill(self, address, size, byte):
        self.qtest(f"memset {address:#x} {size:#x} {byte:#x}")

    # PCI

    def function(self, slot, bus=0):
        return PciFunction(self, bus, slot)

    def add(self, driver, **properties):
        """Runs device_add. '_' in property names stands for '-'."""
        self.qmp("device_add", driver=driver, **properties)

    def remove(self, ident, eject):
        """Runs device_del, then eject() in the place of the guest. Returns when
        QEMU reports that the device is gone."""
        self.qmp("device_del", id=ident)
        eject()
        self.event("DEVICE_DELETED", lambda d: d.get("device") == ident)

    def eject_acpi(self, base, bsel, slot):
        """Ejects a device as the guest's ACPI code does at the end of an
        unplug. base: 0xae00 on pc, 0xcc0 on q35; bsel: see bus_selector()."""
        self.outl(base + 0x10, bsel)
        self.outl(base + 0x08, 1 << slot)

    def bus_selector(self, path):
        """The ACPI number of a PCI bus, by its QOM path."""
        return self.qmp("qom-get", path=path, property="acpi-pcihp-bsel")


class PciFunction:
    """Function 0 of one PCI slot, through ports 0xcf8 and 0xcfc."""

    def __init__(self, vm, bus, slot):
        self.vm, self.bus, self.slot = vm, bus, slot
        self.base = 1 << 31 | bus << 16 | slot << 11
        self.bars = {}

    def get(self, offset, size=4):
        """A configuration register."""
        self.vm.outl(0xcf8, self.base | offset & ~3)
        value = self.vm.inl(0xcfc) >> 8 * (offset & 3)
        return value & (1 << 8 * size) - 1

    def set(self, offset, value, size=4):
        self.vm.outl(0xcf8, self.base | offset & ~3)
        letter = {1: "b", 2: "w", 4: "l"}[size]
        port = 0xcfc + (offset & 3)
        self.vm.qtest(f"out{letter} {port:#x} {value:#x}")

    def probe(self, number):
        """(size, low type bits) of a BAR, or (0, 0) if there is none. The
        function must not decode memory during this call."""
        at = 0x10 + 4 * number
        old = self.get(at)
        self.set(at, 0xffffffff)
        mask = self.get(at)
        self.set(at, old)
        if not mask:
            return 0, 0
        kind, mask = mask & 15, mask & ~15
        if kind & 6 == 4:
            high = self.get(at + 4)
            self.set(at + 4, 0xffffffff)
            mask |= self.get(at + 4) << 32
            self.set(at + 4, high)
            return (~mask & (1 << 64) - 1) + 1, kind
        return (~mask & 0xffffffff) + 1, kind

    def place(self, number, address):
        """Writes an address into a BAR."""
        at = 0x10 + 4 * number
        self.set(at, address & 0xffffffff)
        if self.get(at) & 6 == 4:
            self.set(at + 4, address >> 32)
        self.bars[number] = address

    def decode(self, on):
        """Sets or clears memory space and bus master in the command register.
        """
        self.set(4, 6 if on else 0, 2)

    def assign(self):
        """Assigns addresses to all memory BARs, as firmware does, and enables
        the decoding of memory."""
        vm, number = self.vm, 0
        self.decode(False)
        while number < 6:
            size, kind = self.probe(number)
            wide = kind & 6 == 4
            if size and not kind & 1:
                if wide:
                    address = -(-vm.next64 // size) * size
                    vm.next64 = address + size
                else:
                    address = -(-vm.next32 // size) * size
                    vm.next32 = address + size
                self.place(number, address)
            number += 2 if wide else 1
        self.decode(True)
        return self

    def capability(self, ident):
        """The offset of a capability, or 0"""
        at = self.get(0x34, 1)
        while at:
            if self.get(at, 1) == ident:
                return at
            at = self.get(at + 1, 1)
        return 0


def string_bytes(text):
    """The bytes of a name with a NUL at its end, as the guest writes them"""
    return (text if isinstance(text, bytes) else text.encode()) + b"\0"


def u32(value):
    return struct.pack("<I", value)
