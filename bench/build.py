# SPDX-License-Identifier: GPL-2.0-or-later
"""Compiles the programs of the benchmark, for the guest and for the host."""

import os
import subprocess

from guest import BUILD, HERE, ROOT, TESTS, Lost, harness

# What all programs are linked with, as far as they need it
SHARED = ("b", "clock", "link", "link-channel", "link-ring", "link-stream",
          "link-words", "peers", "talk", "vfio")
ON_HOST = ("peer", "host-only", "broadcast-writer")

FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-pthread", "-I",
         TESTS, "-I", os.path.join(ROOT, "include"))
LIBRARY = os.path.join(ROOT, "build", "lib", "libvmshm.a")


def run(*command, **kwargs):
    if subprocess.run(command, check=False, **kwargs).returncode:
        raise Lost("does not compile: " + os.path.relpath(command[-1]))


def source(name):
    return os.path.join(HERE, name + ".c")


def archive():
    """Of all that is shared."""
    path = os.path.join(BUILD, "shared.a")
    objects = [os.path.join(BUILD, name + ".o") for name in ("t", *SHARED)]
    for file, out in zip([os.path.join(TESTS, "t.c"),
                          *(source(name) for name in SHARED)], objects):
        run("gcc", *FLAGS, "-c", "-o", out, file)
    if os.path.exists(path):
        os.unlink(path)
    run("ar", "rcs", path, *objects)
    return path


def programs(names):
    """(path in the guest, file)s of bench/NAME.c and of what the harness
    needs; those of the host are left in BUILD."""
    run("make", "-s", "-C", os.path.join(ROOT, "lib"))
    files, shared = harness.build([]), archive()
    for name in (*names, *ON_HOST):
        out = os.path.join(BUILD, name)
        run("gcc", *FLAGS, "-static", "-s", "-o", out, source(name), shared,
            LIBRARY)
        if name in names:
            files.append(("tests/" + name, out))
    return files
