# SPDX-License-Identifier: GPL-2.0-or-later
"""This Python for a guest: the program, and the modules that a file imports.

The guest has the same paths as the host, so nothing has to be told where they
are. Modules go as they are, and compiled, because compiling takes an emulated
machine seconds.
"""

import os
import py_compile
import re
import subprocess
import sys
from importlib.util import cache_from_source

# Imports the file and prints what files came of that
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


def files(program, build):
    """(path in guest, file)s that run a Python program there."""
    python = os.path.realpath(sys.executable)
    text = subprocess.run([python, "-I", "-S", "-c", _LIST, program],
                          check=True, stdout=subprocess.PIPE).stdout.decode()
    modules = sorted({os.path.abspath(line) for line in text.splitlines()
                      if os.path.exists(line)} | {os.__file__})
    found = {python, *modules}
    found |= libraries([f for f in found if not f.endswith(".py")])
    pairs = [(f, os.path.realpath(f)) for f in sorted(found)]
    for module in modules:
        if module.endswith(".py"):
            compiled = os.path.join(build, "python", module[1:] + "c")
            if not os.path.exists(compiled):
                mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
                py_compile.compile(module, compiled, doraise=True,
                                   invalidation_mode=mode)
            pairs.append((cache_from_source(module), compiled))
    return pairs + [("bin/python3", _start(python, build))]


def _start(python, build):
    """A script: isolated, and without the modules of a site."""
    script = os.path.join(build, "python3")
    with open(script, "w", encoding="ascii") as f:
        f.write(f'#!/bin/sh\nexec {python} -I -S "$@"\n')
    os.chmod(script, 0o755)
    return script
