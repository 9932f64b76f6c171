# SPDX-License-Identifier: GPL-2.0-or-later
"""Linux's own tests of futex(2) for a guest: its selftests of futex, from
Debian's package of the kernel's sources."""

import glob
import os
import shutil
import subprocess
import tempfile

from qemu import ROOT

PACKAGE = "linux-source-6.1"
FOLDER = os.path.join(ROOT, "build", "futex-selftests")
# The parts of the sources that are unpacked
PARTS = ("futex", "kselftest.h")
FLAGS = ("-w", "-O2", "-static", "-pthread", "-D_GNU_SOURCE=")
# The directory in the guest
GUEST_FOLDER = "usr/lib/futex-selftests"


def unpack(folder):
    """Downloads the package, and unpacks the tests to the directory."""
    subprocess.run([os.path.join(ROOT, "scripts", "apt-suite"), "bookworm",
                    "download", PACKAGE], cwd=folder, check=True)
    deb, = glob.glob(folder + "/*.deb")
    script = ('dpkg-deb --fsys-tarfile "$1" | '
              'tar -xO "./usr/src/$2.tar.xz" | '
              'tar -xJ --strip-components=4 '
              f'{" ".join(f"$2/tools/testing/selftests/{p}" for p in PARTS)}')
    subprocess.run(["sh", "-ec", script, "sh", deb, PACKAGE], cwd=folder,
                   check=True)
    os.unlink(deb)


def fetch():
    """Unpacks the tests once. Returns the directory of their programs."""
    if not os.path.exists(FOLDER):
        with tempfile.TemporaryDirectory(dir=os.path.dirname(FOLDER)) as new:
            unpack(new)
            shutil.copytree(new, FOLDER)
    return os.path.join(FOLDER, "futex", "functional")


def files():
    """(path in the guest, file) of each program, and of the list of calls"""
    top = fetch()
    found = [(f"{GUEST_FOLDER}/run.sh", os.path.join(top, "run.sh"))]
    for source in sorted(glob.glob(top + "/*.c")):
        out = source.removesuffix(".c")
        if not os.path.exists(out):
            subprocess.run(["gcc", *FLAGS, "-I", top + "/../include",
                            "-I", FOLDER, "-o", out, source], check=True)
        found.append((f"{GUEST_FOLDER}/{os.path.basename(out)}", out))
    return found
