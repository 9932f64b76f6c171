# SPDX-License-Identifier: GPL-2.0-or-later
"""vmshm-device, after `make install-device` into a temporary directory"""

import fcntl
import mmap
import os
import shutil
import subprocess
import tempfile

from qemu import QEMU, ROOT, build_id
from vmshm import Skip, equal, machine, not_builtin, true, until

# Seconds for a build of the device on a busy machine
LIMIT = 240


class Installed:
    """An installation. It uses the sources of QEMU in build/."""

    def __enter__(self):
        not_builtin()
        self.folder = tempfile.TemporaryDirectory()
        self.prefix = self.folder.name
        self.loader = os.path.join(self.prefix, "lib", "vmshm.so")
        self.devices = os.path.join(self.prefix, "lib", "vmshm-devices")
        self.qemu = os.path.realpath(shutil.which(QEMU))
        self.device = os.path.join(self.devices, build_id(self.qemu) + ".so")
        self.make("install")
        return self

    def __exit__(self, *_):
        self.folder.cleanup()

    def make(self, target):
        # OUT: the same files may be built at the same time.
        subprocess.run(
            ["make", "-s", "-C", os.path.join(ROOT, "device"), target,
             f"PREFIX={self.prefix}", f"OUT={self.prefix}/out",
             f"CACHE={self.prefix}/cache"], check=True, timeout=LIMIT,
            stdout=subprocess.DEVNULL)

    def run(self, *args, code=0):
        """The output of vmshm-device. code: the expected exit code; None for
        any."""
        env = dict(os.environ)
        if "QEMU_SRC" not in env:
            env["QEMU_SRC"] = source()
        done = subprocess.run(
            [os.path.join(self.prefix, "sbin", "vmshm-device"), *args],
            env=env, timeout=LIMIT, check=False, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        if code is not None:
            equal(done.returncode, code, f"exit code; said: {done.stdout}")
        return done.stdout


def source():
    """The source of the QEMU under test, which `make device` has downloaded"""
    text = subprocess.run([QEMU, "--version"], check=True, text=True,
                          stdout=subprocess.PIPE).stdout.split()[3]
    base = os.path.join(ROOT, "build", "qemu")
    for name in sorted(os.listdir(base)) if os.path.isdir(base) else []:
        path = os.path.join(base, name)
        if os.path.exists(os.path.join(path, "build-vmshm", ".complete")):
            with open(os.path.join(path, "VERSION"), encoding="ascii") as f:
                if f.read().strip() == text:
                    return path
    raise Skip(f"no source of QEMU {text} in build/qemu")


def fake(folder, digit):
    """Creates a device for a QEMU that is not installed."""
    path = os.path.join(folder, digit * 40)
    with open(path + ".so", "wb") as f:
        f.write(bytes(4096))
    with open(path + ".info", "w", encoding="ascii") as f:
        f.write("qemu=/usr/bin/qemu-of-yesterday\nversion=7.2.1 (old)\n")
    return path


def test_life_of_an_installation():
    """install, status, build, a VM, list, remove, uninstall"""
    with Installed() as at:
        text = at.run("status", code=1)
        true(f"missing {at.qemu}\n" in text, text)
        true(f"sudo vmshm-device build {at.qemu}\n" in text, text)
        at.run("build", at.qemu)
        text = at.run("status", code=None)
        true(f"ok      {at.qemu}\n" in text, text)
        equal(at.run("build", at.qemu), "", "a second build")
        with machine(load=["-plugin", at.loader]) as vm:
            text = at.run("list")
            true(f"used by process {vm.pid}\n" in text, text)
            true(build_id(at.qemu) in text, text)
            if os.geteuid() == 0:
                text = at.run("remove", "--all")
                true(f"process {vm.pid} uses it" in text, text)
                true(os.path.exists(at.device), "the device was removed")
        at.make("uninstall")
        shutil.rmtree(os.path.join(at.prefix, "out"))
        left = [f for _, _, files in os.walk(at.prefix) for f in files]
        equal(left, [], "files that uninstall left")


def test_remove():
    """Unused devices are removed. A mapped device and the device of an
    installed QEMU are kept."""
    with Installed() as at:
        if os.geteuid():
            true("needs root" in at.run("remove", code=1), "remove")
            return
        used, unused = fake(at.devices, "1"), fake(at.devices, "2")
        with open(at.device, "wb") as f:
            f.write(b"its QEMU is installed")
        with open(used + ".so", "rb") as f, \
             mmap.mmap(f.fileno(), 4096, prot=mmap.PROT_READ):
            text = at.run("remove")
        true(f"process {os.getpid()} uses it" in text, text)
        true("removing " + "2" * 40 in text, text)
        equal(sorted(f for f in os.listdir(at.devices) if f[0] != "."),
              sorted(os.path.basename(p) for p in (
                  used + ".so", used + ".info", at.device)), "files")
        true(not os.path.exists(unused + ".so"), "an unused device stays")


def is_blocked(process):
    """Whether a child of the process waits for a file lock"""
    with open("/proc/locks", encoding="ascii") as f:
        waiting = [int(line.split()[5]) for line in f if "->" in line]
    for pid in waiting:
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii") as f:
                parent = int(f.read().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if process.pid in (pid, parent):
            return True
    return False


def test_remove_waits_for_a_build():
    """What is in use is decided when no build is under way any more."""
    with Installed() as at:
        if os.geteuid():
            raise Skip("only root removes devices")
        used = fake(at.devices, "3") + ".so"
        with open(os.path.join(at.devices, ".lock"), "w",
                  encoding="ascii") as lock, open(used, "rb") as f:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with subprocess.Popen(
                    [os.path.join(at.prefix, "sbin", "vmshm-device"),
                     "remove"], stdout=subprocess.PIPE, text=True) as process:
                until(lambda: is_blocked(process), "remove does not wait")
                with mmap.mmap(f.fileno(), 4096, prot=mmap.PROT_READ):
                    fcntl.flock(lock, fcntl.LOCK_UN)
                    text = process.communicate(timeout=LIMIT)[0]
        true(f"process {os.getpid()} uses it" in text, text)
        true(os.path.exists(used), "a device in use was removed")


# An apt-suite that cannot unpack the whole source
FULL_DISK = """\
#!/bin/sh
mkdir -p qemu-1/include
echo 7.2.99 > qemu-1/VERSION
exit 1
"""


def test_source_that_was_not_unpacked():
    """A part of a source is not used as the source, now or later."""
    with Installed() as at:
        program = os.path.join(at.prefix, "share/vmshm/scripts/apt-suite")
        with open(program, "w", encoding="ascii") as f:
            f.write(FULL_DISK)
        env = {k: v for k, v in os.environ.items() if k != "QEMU_SRC"}
        env["QEMU_SOURCE"], env["QEMU_SUITE"] = "1:7.2.99+x-1", "x y"
        done = subprocess.run(
            [os.path.join(at.prefix, "sbin", "vmshm-device"), "build",
             at.qemu], env=env, timeout=LIMIT, check=False, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        equal(done.returncode, 1, done.stdout)
        true("found no source package" in done.stdout, done.stdout)
        left = [d for d, _, files in os.walk(at.prefix + "/cache")
                if ".complete" in files or "VERSION" in files]
        equal(left, [], "sources that are left")


def test_status_of_an_outdated_device():
    """A device from other sources is outdated and is built again."""
    with Installed() as at:
        at.run("build", at.qemu)
        before = os.stat(at.device).st_ino
        with open(os.path.join(at.prefix, "share/vmshm/device/vmshm.h"), "a",
                  encoding="ascii") as f:
            f.write("/* changed */\n")
        text = at.run("status", code=1)
        true(f"old     {at.qemu}\n" in text, text)
        at.run("build", at.qemu)
        true(os.stat(at.device).st_ino != before, "the device is the old one")


def test_wrong_arguments():
    with Installed() as at:
        for args in ((), ("nonsense",)):
            true("usage: vmshm-device" in at.run(*args, code=2), args)
        true("usage: vmshm-device" in at.run("--help"), "--help")
        true("is no program that can load plugins" in
             at.run("build", "/bin/true", code=1), "/bin/true")
        true("no /nonexistent here" in
             at.run("build", "/nonexistent", code=1), "/nonexistent")
