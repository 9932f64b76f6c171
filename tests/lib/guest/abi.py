# SPDX-License-Identifier: GPL-2.0-or-later
"""The helper program "party" for other ABIs than that of the tests: with the C
library musl, and for i386 on a 64-bit kernel."""

import os
import shutil
import subprocess

from qemu import ROOT

from .program import HELPERS


def compilers():
    """(ABI, compiler, prefix of binutils) of each installed compiler"""
    arch = subprocess.run(["gcc", "-print-multiarch"], check=True,
                          stdout=subprocess.PIPE).stdout.decode().strip()
    # musl-gcc does not search the headers of the kernel.
    musl = ["musl-gcc", "-idirafter", "/usr/include", "-idirafter",
            "/usr/include/" + arch]
    cross = "i686-linux-gnu-"
    return [(abi, compiler, prefix) for abi, compiler, prefix in
            (("musl", musl, ""), ("i386", [cross + "gcc"], cross))
            if shutil.which(compiler[0])]


def files(folder, flags):
    """(path in the guest, file) of each program"""
    found = []
    for abi, compiler, prefix in compilers():
        lib = os.path.join(folder, "lib-" + abi)
        subprocess.run(
            ["make", "-s", "-C", os.path.join(ROOT, "lib"), "OUT=" + lib,
             "CC=" + " ".join(compiler), f"AR={prefix}ar",
             f"OBJCOPY={prefix}objcopy", "CFLAGS=-O2 -Wall -Wno-psabi",
             lib + "/libvmshm.a"], check=True)
        out = os.path.join(folder, "party-" + abi)
        subprocess.run([*compiler, *flags, "-Wno-psabi", "-o", out,
                        os.path.join(HELPERS, "party.c"),
                        lib + "/libvmshm.a"], check=True)
        found.append(("bin/party-" + abi, out))
    return found
