# SPDX-License-Identifier: GPL-2.0-or-later
"""Other builds of the helper program "primitives" than the static one with
glibc: linked dynamically, with musl, and for i386. The host runs the same
files.
"""

import os
import subprocess

from .abi import compilers
from .program import HELPERS
from .python import libraries

SOURCE = os.path.join(HELPERS, "primitives.c")
MUSL_LOADER = "/lib/ld-musl-x86_64.so.1"


def commands():
    """(name, compiler with options) of each build. The names of dynamic builds
    contain "dynamic"."""
    options = ["-std=gnu11", "-s", "-O2", "-Wall", "-pthread"]
    yield "primitives-dynamic", ["gcc", *options]
    for abi, compiler, _ in compilers():
        yield f"primitives-{abi}", [*compiler, *options, "-static"]
        if abi == "musl":
            yield "primitives-musl-dynamic", [*compiler, *options]


def files(folder):
    """(path in the guest, file) of each build whose compiler is installed, and
    of its libraries"""
    found = []
    for name, command in commands():
        out = os.path.join(folder, name)
        subprocess.run([*command, "-o", out, SOURCE], check=True)
        found.append(("bin/" + name, out))
        if name == "primitives-dynamic":
            found += [(f[1:], os.path.realpath(f)) for f in libraries([out])]
        elif name == "primitives-musl-dynamic":
            found.append((MUSL_LOADER[1:], os.path.realpath(MUSL_LOADER)))
    return found
