#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The device on a host with vm.overcommit_memory=2 that has no memory left.

usage: run.py [PART-OF-A-TEST'S-NAME...]

The sysctl applies to a whole machine. Therefore, this host is a guest under
TCG with Debian's Linux 6.1, in which mmap(MAP_FIXED) that fails has already
unmapped the range. The QEMU under test runs in it, with TCG as well, as another
user than root, for whom the kernel reserves memory. Its qtest and QMP sockets
are virtio consoles. Its processors do not run.
"""

import collections
import glob
import os
import shutil
import socket
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(ROOT, "tests", "device"),
                os.path.join(ROOT, "tests", "lib")]
sys.dont_write_bytecode = True

import contract as c                # noqa: E402
import qemu                         # noqa: E402
import tier                         # noqa: E402
from arena import MIB, PAGE, Arena, attachments     # noqa: E402
from vmshm import SLOT, equal, true     # noqa: E402

FOLDER = os.path.join(ROOT, "build", "overcommit")
KERNEL = os.path.join(ROOT, "build", "kernel", "6.1")
DRIVERS = ("virtio/virtio_ring.ko", "virtio/virtio.ko",
           "virtio/virtio_pci_legacy_dev.ko",
           "virtio/virtio_pci_modern_dev.ko", "virtio/virtio_pci.ko",
           "char/virtio_console.ko")
DATA = bytes(range(1, 65))
SIZE = 4 * MIB          # more than QEMU's own heap has free
FEW = range(0, SIZE, SIZE // 8)


def libraries(*binaries):
    """The files of the shared libraries of programs, by their paths"""
    found = {}
    for binary in binaries:
        text = subprocess.run(["ldd", binary], check=True, text=True,
                              stdout=subprocess.PIPE).stdout
        for word in text.split():
            if word.startswith("/"):
                found[word] = word
    return found


def build():
    """The initramfs of the guest"""
    os.makedirs(FOLDER, exist_ok=True)
    helper = os.path.join(FOLDER, "helper")
    subprocess.run(["gcc", "-O2", "-Wall", "-static", "-o", helper,
                    os.path.join(HERE, "helper.c")], check=True)
    binary = shutil.which(qemu.QEMU)
    device = qemu.device_file()
    modules = glob.glob("/usr/lib/*/qemu/accel-tcg-x86_64.so")
    drivers = os.path.join(KERNEL, "modules", "kernel", "drivers")
    files = {"/init": os.path.join(HERE, "init"), "/helper": helper,
             "/usr/bin/qemu": binary, "/vmshm.so": device,
             **{f"/modules/{i}.ko": os.path.join(drivers, name)
                for i, name in enumerate(DRIVERS)},
             **{m: m for m in modules},
             **libraries(binary, device, *modules)}
    for bios in ("bios-256k.bin", "kvmvapic.bin", "linuxboot_dma.bin"):
        for folder in ("/usr/share/seabios", "/usr/share/qemu"):
            if os.path.exists(f"{folder}/{bios}"):
                files[f"/rom/{bios}"] = f"{folder}/{bios}"
    out = os.path.join(FOLDER, "initramfs")
    subprocess.run([os.path.join(ROOT, "scripts", "initramfs"), out,
                    *(f"{path}={file}" for path, file in files.items())],
                   check=True)
    return out


class Host:
    """The host: a guest with a shell"""

    def __init__(self, initramfs):
        pairs = [socket.socketpair() for _ in range(3)]
        self.qtest, self.qmp, shell = (ours for ours, _ in pairs)
        fds = [theirs.fileno() for _, theirs in pairs]
        command = [qemu.QEMU, "-M", "q35", "-accel", "tcg,thread=multi",
                   "-cpu", "max", "-m", "768", "-nodefaults", "-display",
                   "none", "-no-reboot", "-kernel", KERNEL + "/vmlinuz",
                   "-initrd", initramfs, "-append",
                   "console=ttyS0 quiet panic=-1 no_timer_check", "-serial",
                   f"file:{FOLDER}/console", "-device", "virtio-serial-pci"]
        for i, fd in enumerate(fds):
            command += ["-chardev", f"socket,id=s{i},fd={fd}",
                        "-device", f"virtconsole,chardev=s{i}"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, pass_fds=fds,
            preexec_fn=qemu.die_with_parent)
        for _, theirs in pairs:
            theirs.close()
        self.shell = qemu._Line(shell)
        true(self.shell.line().strip() == b"ready", "the guest is not ready")

    def run(self, command):
        """Runs a command in the host. Returns its output."""
        self.shell.send(command.encode() + b"\n")
        lines = []
        while True:
            line = self.shell.line().decode(errors="replace").strip()
            if line.startswith("@"):
                equal(line, "@0", f"{command}: {lines}")
                return lines
            lines.append(line)

    def fill(self):
        """Takes the memory that the host commits to users."""
        self.run("mkfifo /tmp/full; /helper as 1000 /helper fill > /tmp/full &"
                 " read x < /tmp/full; test $x = full; rm /tmp/full")

    def free(self):
        self.run("killall helper; while pidof helper; do :; done")

    def end(self):
        self.process.kill()
        self.process.wait()


class Machine(qemu.Qemu):
    """The QEMU under test, in the host"""

    def __init__(self, host):       # pylint: disable=super-init-not-called
        self.events = collections.deque()
        self.host, self.ended = host, False
        self._qmp_lock = threading.Lock()
        self.next32, self.next64 = 0xe0000000, 1 << 40
        host.run(
            "/helper as 1000 /usr/bin/qemu -M pc -accel tcg,tb-size=8 -m 16 "
            "-nodefaults -display none -S -L /rom "
            "-chardev serial,id=qtest,path=/dev/hvc0 -qtest chardev:qtest "
            "-qtest-log /dev/null "
            "-chardev serial,id=qmp,path=/dev/hvc1 -qmp chardev:qmp "
            "-plugin /vmshm.so -device vmshm,id=vmshm0,addr=4,arena=8M,"
            "create=on > /tmp/output 2>&1 & echo $! > /tmp/pid")
        self._qmp = qemu._Line(host.qmp)
        self._qtest = qemu._Line(host.qtest)
        self._message()
        self.qmp("qmp_capabilities")

    def said(self):
        return "\n".join(self.host.run("cat /tmp/output"))


def prepared(host):
    """The device with an object that is attached twice, and a sparse object"""
    dev = Arena(Machine(host), slot=SLOT)
    for name in "/full", "/sparse":
        dev.does(c.CMD_CREATE, name, mode=0o666)
        dev.does(c.CMD_RESIZE, name, length=SIZE)
    dev.attach("/full")
    for at in FEW:
        dev.put(at, DATA)
    return dev


def writes(dev, places, what):
    """Memory that does not show an object reads as zero and can be written."""
    for at in places:
        dev.sees(at, bytes(len(DATA)), f"{what}, at {at:#x}")
    dev.put(places[0], DATA)
    dev.sees(places[0], DATA, f"written: {what}")


def test_detach(host, dev):
    handle = dev.attach("/full", SIZE)
    host.fill()
    equal(dev.command(c.CMD_DETACH, handle=handle), c.OK, "detach")
    writes(dev, [SIZE + at for at in FEW], "detached")
    dev.sees(0, DATA, "the other attachment")


def test_sparse(host, dev):
    dev.attach("/sparse", SIZE)
    host.fill()
    writes(dev, [SIZE + at for at in FEW], "a page without memory")
    equal(dev.command(c.CMD_STAT, "/full"), c.OK, "stat")
    dev.sees(0, DATA, "the other attachment")


def test_truncated(host, dev):
    host.fill()
    host.run(f"truncate -s {PAGE} /dev/shm/full")
    dev.sees(0, DATA, "before the end")
    writes(dev, FEW[1:], "behind the end")


def test_reset(host, dev):
    host.fill()
    dev.vm.qmp("system_reset")
    dev.vm.event("RESET")
    equal(attachments(dev.vm), [], "attachments")
    dev.pci.assign()
    dev.sees(0, bytes(64), "after the reset")


TESTS = (test_detach, test_sparse, test_truncated, test_reset)


def each(initramfs, test):
    host = Host(initramfs)
    try:
        dev = prepared(host)
        test(host, dev)
        host.free()
        # With memory, everything works again.
        dev.does(c.CMD_RELEASE)
        dev.sees(0, bytes(64), "released")
        dev.attach("/sparse")
        dev.put(0, DATA)
        dev.sees(0, DATA, "attached again")
        dev.vm.qmp("quit")
        host.run("while kill -0 $(cat /tmp/pid) 2>/dev/null; do :; done")
    except qemu.Lost as e:
        raise AssertionError(f"{e}: see {FOLDER}/console") from e
    finally:
        host.end()


def run(report):
    qemu.need_device()
    initramfs = build()
    tier.each(report, (
        (f"overcommit/{t.__name__[5:]}",
         lambda t=t: each(initramfs, t)) for t in TESTS))


if __name__ == "__main__":
    tier.main("overcommit", run)
