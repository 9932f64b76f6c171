# SPDX-License-Identifier: GPL-2.0-or-later
"""Compiles the programs of the benchmark, for the guest and for the host."""

import os
import subprocess

from bench_guest import BUILD, HERE, ROOT, Lost
from guest.build import T_C, Build
from guest.program import HARNESS, TESTS

# Objects in the archive that all programs are linked with
SHARED = ("b", "clock", "link", "link-channel", "link-ring", "link-stream",
          "link-words", "peers", "talk", "vfio")
ON_HOST = ("peer", "host-only", "broadcast-writer")

FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-pthread", "-I",
         HARNESS, "-I", TESTS, "-I", os.path.join(ROOT, "include"))
LIBRARY = os.path.join(ROOT, "build", "lib", "libvmshm.a")


def run(*command, **kwargs):
    if subprocess.run(command, check=False, **kwargs).returncode:
        raise Lost("does not compile: " + os.path.relpath(command[-1]))


def source(name):
    return os.path.join(HERE, name + ".c")


def archive():
    """Builds an archive of the shared objects."""
    path = os.path.join(BUILD, "shared.a")
    objects = [os.path.join(BUILD, name + ".o") for name in ("t", *SHARED)]
    for file, out in zip([T_C, *(source(name) for name in SHARED)], objects):
        run("gcc", *FLAGS, "-c", "-o", out, file)
    if os.path.exists(path):
        os.unlink(path)
    run("ar", "rcs", path, *objects)
    return path


def programs(names, tests):
    """Builds bench/NAME.c, programs of tests/guest/, and the files that the
    harness needs. The programs of the host are in BUILD."""
    run("make", "-s", "-C", os.path.join(ROOT, "lib"))
    # This builds the helper programs of the tests, in their own directory.
    Build([])
    built, shared = Build(tests, BUILD), archive()
    for name in (*names, *ON_HOST):
        out = os.path.join(BUILD, name)
        run("gcc", *FLAGS, "-static", "-s", "-o", out, source(name), shared,
            LIBRARY)
        if name in names:
            built.files.append(("tests/" + name, out))
    return built
