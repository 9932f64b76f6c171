# SPDX-License-Identifier: GPL-2.0-or-later
"""Compiles test programs and other files of a guest."""

import concurrent.futures
import os
import subprocess
import threading

from qemu import ROOT, Lost

from . import (abi, futex_selftests, host_rpc, linked, posix_tests,
               programs as software, python)
from .arch import X86
from .program import (DEBUG, HARNESS, HELPERS, LIBRARY, PROGRAMS, TESTS,
                      is_test, name_of)

# The directory of compiled test programs
FOLDER = os.path.join(ROOT, "build", "guest")
FLAGS = ("-std=gnu11", "-static", "-s", "-O2", "-Wall", "-pthread",
         "-I", os.path.join(ROOT, "include"), "-I", HARNESS, "-I", TESTS)
T_C = os.path.join(HARNESS, "t.c")
LIBVMSHM = os.path.join(ROOT, "build", "lib", "libvmshm.a")


def files_in(*folders):
    return [os.path.join(folder, f) for folder in folders
            for f in sorted(os.listdir(folder))
            if os.path.isfile(os.path.join(folder, f))]


def headers(library):
    """The headers. A program that is older than one of them is compiled again.
    """
    found = [f for f in files_in(HARNESS, TESTS, LIBRARY) if f.endswith(".h")]
    for folder, _, names in os.walk(os.path.join(ROOT, "include")):
        found += [os.path.join(folder, f) for f in names]
    return found + [T_C, library]


class Build:
    """The compiled files for the guests of a run, of one architecture.

    `folder`  the directory of these files, and of the logs of the guests
    `files`   (path in the guest, file) of each file in all guests
    """

    def __init__(self, programs, folder=FOLDER, arch=X86()):
        self.arch = arch
        # Files for another architecture have a separate directory.
        if arch.name != X86.name:
            folder += "-" + arch.name
        self.folder = folder
        self.lock = threading.Lock()
        os.makedirs(folder, exist_ok=True)
        self.library = LIBVMSHM
        if arch.name != X86.name:
            self.library = os.path.join(folder, "lib", "libvmshm.a")
        subprocess.run(["make", "-s", "-C", "lib", *arch.make,
                        "OUT=" + os.path.dirname(self.library)],
                       cwd=ROOT, check=True)
        self.files = [("init", os.path.join(HARNESS, "init")),
                      ("t.sh", os.path.join(HARNESS, "t.sh"))]
        self._compile({p.file for p in programs})
        if any(p.tool for p in programs):
            subprocess.run(["make", "-s", "-C", "tools", *arch.make,
                            "STATIC=1", "OUT=" + folder], cwd=ROOT, check=True)
            self.files.append(("bin/vmshm", os.path.join(folder, "vmshm")))
        if any(p.library for p in programs):
            self.files.append(("lib/libvmshm.so.0", python.LIBRARY))
        if any(p.rpc for p in programs):
            self.files += host_rpc.files()
        if any(p.abi for p in programs):
            self.files += abi.files(folder, FLAGS)
        if any(p.programs for p in programs):
            self.files += software.files(folder)
        if any(p.posix_tests for p in programs):
            self.files += posix_tests.files()
        if any(p.futex_selftests for p in programs):
            self.files += futex_selftests.files()
        if any(p.linked for p in programs):
            self.files += linked.files(folder)

    def python(self, program):
        """The files for running a Python program in a guest; may be empty"""
        with self.lock:
            return python.files(program, self.folder)

    def _compile(self, wanted):
        """Compiles the wanted tests, and all helper programs."""
        newest = max(os.path.getmtime(f) for f in headers(self.library))
        jobs = []
        for source in self._sources(wanted):
            test = is_test(name_of(source))
            out = os.path.join(self.folder, name_of(source)[:-2])
            self.files.append((("tests/" if test else "bin/") +
                               os.path.basename(out), out))
            if not os.path.exists(out) or os.path.getmtime(out) < max(
                    newest, os.path.getmtime(source)):
                jobs.append([self.arch.prefix + "gcc", *FLAGS, "-o", out,
                             source, *([T_C] if test else []), self.library])
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for done in pool.map(subprocess.run, jobs):
                if done.returncode:
                    raise Lost("does not compile: " + os.path.relpath(
                        next(a for a in done.args if a.endswith(".c"))))

    def _sources(self, wanted):
        """The sources to compile; scripts become files of the guest."""
        for source in files_in(HARNESS, TESTS, LIBRARY, DEBUG, PROGRAMS):
            file = name_of(source)
            if file in wanted and file.endswith(".sh"):
                self.files.append(("tests/" + file, source))
            elif file in wanted:
                yield source
        yield os.path.join(HARNESS, "kmsg.c")
        yield from (f for f in files_in(HELPERS) if f.endswith(".c"))
        yield os.path.join(ROOT, "examples", "guest.c")
        yield os.path.join(ROOT, "examples", "turns.c")
