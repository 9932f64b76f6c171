# SPDX-License-Identifier: GPL-2.0-or-later
"""Puts the host's Python into a guest: a program and the modules it imports.

The files have the same paths as on the host, so that Python finds them. The
modules of this project have another path, because the guest may mount a file
system over the directory of the sources. Modules are copied as source and as
bytecode, because an emulated machine takes seconds to compile them.
"""

import os
import py_compile
import re
import subprocess
import sys
from importlib.util import cache_from_source

from qemu import ROOT

LIBRARY = os.path.join(ROOT, "build", "lib", "libvmshm.so.0")
# Directories of modules that are not part of Python; python3-numpy is in the
# second directory
MODULES = (os.path.join(ROOT, "python"), "/usr/lib/python3/dist-packages")
# The directory of the project's modules in the guest
GUEST_MODULES = "/python"
# Python searches neither the user's modules nor those of a site.
OPTIONS = ("-s", "-S")
ENVIRONMENT = {"PYTHONPATH": ":".join(MODULES), "VMSHM_LIBRARY": LIBRARY}

# Imports the file and prints the files that Python loaded for it.
_LIST = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("what", sys.argv[1])
spec.loader.exec_module(importlib.util.module_from_spec(spec))
sys.modules.pop("what", None)
for m in list(sys.modules.values()):
    if getattr(m, "__file__", None):
        print(m.__file__)
"""


def libraries(files):
    """The shared libraries of programs and modules."""
    text = subprocess.run(["ldd", *files], check=True,
                          stdout=subprocess.PIPE).stdout.decode()
    return set(re.findall(r"(?:=> |^\s+)(/\S+) \(0x", text, re.M))


def command(program, *words):
    """The command that runs a Python program on the host"""
    return [os.path.realpath(sys.executable), *OPTIONS,
            os.path.join(ROOT, program), *words]


def files(program, build):
    """(path in the guest, file) of each file that a Python program needs in a
    guest; empty if the host lacks a module that the program imports"""
    program = os.path.join(ROOT, program)
    python = os.path.realpath(sys.executable)
    done = subprocess.run([python, *OPTIONS, "-c", _LIST, program],
                          env={**os.environ, **ENVIRONMENT}, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode:
        return []
    modules = sorted({os.path.abspath(line)
                      for line in done.stdout.decode().splitlines()
                      if os.path.exists(line)} | {os.__file__})
    found = {python, *modules}
    found |= libraries([f for f in found if not f.endswith(".py")])
    pairs = [(_in_guest(f), os.path.realpath(f)) for f in sorted(found)]
    for module in modules:
        if module.endswith(".py"):
            compiled = os.path.join(build, "python", module[1:] + "c")
            if not os.path.exists(compiled):
                mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
                py_compile.compile(module, compiled, doraise=True,
                                   invalidation_mode=mode)
            pairs.append((cache_from_source(_in_guest(module)), compiled))
    return pairs + [(os.path.basename(program), program),
                    ("bin/python3", _start(python, build))]


def _in_guest(path):
    """The path of a file in the guest"""
    return path.replace(MODULES[0], GUEST_MODULES, 1)


def _start(python, build):
    """Writes the script that runs Python, and returns its path."""
    script = os.path.join(build, "python3")
    with open(script, "w", encoding="ascii") as f:
        f.write("#!/bin/sh\n"
                f"PYTHONPATH={GUEST_MODULES}:{MODULES[1]} "
                f"exec {python} {' '.join(OPTIONS)} \"$@\"\n")
    os.chmod(script, 0o755)
    return script
