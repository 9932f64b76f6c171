# SPDX-License-Identifier: GPL-2.0-or-later
"""Test programs and their requirements; see t.h."""

import os
import re

from qemu import ROOT

# The directories of programs. Programs in the second one also run on the host.
TESTS = os.path.join(ROOT, "tests", "guest")
LIBRARY = os.path.join(ROOT, "tests", "library")
# For kernels of "make check-debug" only
DEBUG = os.path.join(ROOT, "tests", "debug")
# For "make check-programs" only, which sets T_PROGRAMS to the number of rounds
PROGRAMS = os.path.join(ROOT, "tests", "programs")
HARNESS = os.path.dirname(os.path.abspath(__file__))
# Helper programs that tests start
HELPERS = os.path.join(TESTS, "helpers")

DEFAULT_QEMU = "-device vmshm,id=vmshm0"

# A device with create=on counts all objects that its guest could use. With this
# policy, the objects of other programs and of other guests do not count.
OWN = "create=on,allow=/@PREFIX@*"

# Names that "qemu:" accepts instead of arguments: (arguments, modules of the
# kernel). @PREFIX@ is the prefix of the names of the run's objects, without the
# "/". @FOLDER@ is a directory for the files of QEMU. @KERNEL@ and @INITRAMFS@
# are the files of the guest.
MACHINES = {
    "channels": (f"-device vmshm,{OWN} -device vmshm "
                 "-device vmshm,readonly=on", ""),
    # The device is alone on its bus, so that it can be reset. The trace is for
    # accesses.h.
    "programs": (f"-device vmshm,{OWN},bus=rp2 -D @FOLDER@/trace", ""),
    "two": ("-device vmshm,id=vmshm0,addr=8 "
            "-device vmshm,id=vmshm1,arena=0,addr=9", ""),
    # Devices of contract 1.0; the second device has the host's names.
    "registers": ("-device vmshm,id=vmshm0,create=on,command-memory=off,"
                  "prefix=@PREFIX@r- -device vmshm,command-memory=off", ""),
    # The devices must be those of fs.h. The disk is for the hibernation image.
    "sleep": (
        "-device vmshm,bus=rp2 -action reboot=reset "
        "-blockdev file,node-name=disk,filename=@FOLDER@/disk "
        "-device virtio-blk-pci,drive=disk", "virtio_pci virtio_blk"),
    # The kernel and the initramfs are disks of the VM.
    "restart": (
        "-device vmshm,id=vmshm0 -action reboot=reset "
        "-blockdev file,node-name=k,filename=@KERNEL@,read-only=on "
        "-device virtio-blk-pci,drive=k "
        "-blockdev file,node-name=i,filename=@INITRAMFS@,read-only=on "
        "-device virtio-blk-pci,drive=i", "virtio_pci virtio_blk"),
    "files": (
        f"-device vmshm,id=vmshm0,{OWN} "
        "-device vmshm,id=vmshm1 "
        "-device vmshm,id=vmshm2,readonly=on "
        f"-device vmshm,id=vmshm3,arena=4M,{OWN} "
        "-device vmshm,id=vmshm4,allow=/@PREFIX@yes*:/@PREFIX@maybe*,"
        "deny=/*secret*:/*[0-9]x "
        "-device vmshm,id=vmshm5,prefix=@PREFIX@in-,create=on "
        "-device vmshm,id=vmshm6,max-objects=8,max-bytes=1M "
        "-device vmshm,id=vmshm7,arena=4G "
        "-device vmshm,id=vmshm8,arena=64M,create=on,dir=@FOLDER@/small "
        "-blockdev file,node-name=disk,filename=@FOLDER@/disk,cache.direct=off "
        "-device virtio-blk-pci,drive=disk "
        # The trace for test-accesses.c
        "-D @FOLDER@/trace",
        "virtio_pci virtio_blk loop"),
}

# A directive in a comment line
DIRECTIVE = r"^[ \t]*[*#/]+[ \t]*{}:[ \t]*(.*?)[ \t]*$"


def directives(text, word):
    return re.findall(DIRECTIVE.format(word), text, re.M)


def name_of(source):
    """The name of the file; tests/library/test-NAME.c is library-NAME.c."""
    folder, file = os.path.split(source)
    return file.replace("test-", "library-") if folder == LIBRARY else file


def is_test(file):
    return re.fullmatch(r"(test|library)-.*\.(c|sh)", file)


class Program:
    """A file test-NAME.c or test-NAME.sh, and its requirements. variant is the
    word after "qemu" in the line with the arguments, if any."""

    def __init__(self, source, text, variant, qemu):
        self.debug = os.path.dirname(source) == DEBUG
        self.file = file = name_of(source)
        self.name = re.sub(r"^test-|\.(c|sh)$", "", file)
        if variant:
            self.name += "@" + variant
        pattern = (r"^T_TEST\((\w+)\)" if file.endswith(".c")
                   else r"^test_(\w+)\(\)")
        self.tests = re.findall(pattern, text, re.M)
        self.expected = directives(text, "expect-log")
        self.traces = directives(text, "expect-trace")
        # The factor for the time after which one of its tests fails
        self.longer = max(map(int, directives(text, "longer")), default=1)
        self.python = [n.split()[1] for n in directives(text, "needs")
                       if n.startswith("python ")]
        self.rounds = "rounds" in directives(text, "needs")
        self.library = "library" in directives(text, "needs")
        # The last test of the program kills the VM.
        self.last = "last" in directives(text, "order")
        self.tool = "tool" in directives(text, "needs")
        self.rpc = "rpc" in directives(text, "needs")
        self.abi = "abi" in directives(text, "needs")
        self.programs = "programs" in directives(text, "needs")
        self.posix_tests = "posix-tests" in directives(text, "needs")
        self.futex_selftests = "futex-selftests" in directives(text, "needs")
        self.linked = "linked" in directives(text, "needs")
        # Whether the program needs no other programs of this machine
        self.portable = not (self.python or self.library or self.rpc
                             or self.abi or self.linked
                             or "x86" in directives(text, "needs"))
        qemu, modules = MACHINES.get(
            qemu, (qemu, " ".join(directives(text, "modules"))))
        driver = " ".join(directives(text, "driver") +
                          directives(text, f"driver {variant}"))
        # Programs with equal values share a guest.
        self.guest = (qemu, None if driver == "none" else driver, modules)

    @classmethod
    def all_of(cls, source):
        """A program for each line "qemu:" or "qemu VARIANT:"."""
        with open(source, encoding="utf-8") as f:
            text = f.read()
        runs = re.findall(DIRECTIVE.format(r"qemu(?:[ \t]+(\w+))?"), text,
                          re.M)
        return [cls(source, text, *run)
                for run in runs or [("", DEFAULT_QEMU)]]

    @property
    def in_guest(self):
        return re.sub(r"\.c$", "", self.file)


def all_programs():
    """The programs of all directories, or those of make check-programs; some
    only for many rounds"""
    folders = ((PROGRAMS,) if os.environ.get("T_PROGRAMS")
               else (HARNESS, TESTS, LIBRARY, DEBUG))
    return [p for folder in folders
            for f in sorted(os.listdir(folder))
            if is_test(name_of(os.path.join(folder, f)))
            for p in Program.all_of(os.path.join(folder, f))
            if not p.rounds or os.environ.get("T_ROUNDS")]
