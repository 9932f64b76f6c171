# SPDX-License-Identifier: GPL-2.0-or-later
"""The Open POSIX Test Suite for a guest, from Debian's source package. LTP
contains it as open_posix_testsuite."""

import concurrent.futures
import glob
import os
import re
import subprocess

from qemu import ROOT

from .python import libraries

PACKAGE = "posixtestsuite"
FOLDER = os.path.join(ROOT, "build", PACKAGE)
# The directories whose programs are compiled, and a call: other programs that
# contain it are compiled, too.
INTERFACES = re.compile(r"interfaces/(shm_|sem_|m(un)?map$|m(un)?lock$)")
CALL = re.compile(r"\bshm_open ?\(")
FLAGS = ("-w", "-O2", "-std=gnu99", "-D_GNU_SOURCE", "-pthread")
# This program opens a million objects, which takes an emulated guest more than
# 20 minutes: (what is replaced, by what)
SMALLER = {"shm_open/23-1.c": (" 1000 ", " 100 ")}
# The directory in the guest
GUEST_FOLDER = "usr/lib/posixtestsuite"


def fetch():
    """Downloads the sources once. Returns their directory."""
    pattern = os.path.join(FOLDER, PACKAGE + "-*", "conformance")
    if not glob.glob(pattern):
        os.makedirs(FOLDER, exist_ok=True)
        subprocess.run([os.path.join(ROOT, "scripts", "apt-suite"), "bookworm",
                        "source", PACKAGE], cwd=FOLDER, check=True)
        shorten()
    return os.path.dirname(glob.glob(pattern)[0])


def shorten():
    for name, (old, new) in SMALLER.items():
        path = glob.glob(f"{FOLDER}/{PACKAGE}-*/conformance/interfaces/{name}")
        with open(path[0], encoding="latin-1") as f:
            text = f.read()
        with open(path[0], "w", encoding="latin-1") as f:
            f.write(text.replace(old, new))


def wanted(source):
    with open(source, encoding="latin-1") as f:
        text = f.read()
    return re.search(r"\bmain ?\(", text) and (
        INTERFACES.search(os.path.dirname(source)) or CALL.search(text))


def files():
    """(path in the guest, file) of each program, and of its libraries"""
    top = fetch()
    jobs, found = [], []
    for source in sorted(glob.glob(top + "/conformance/**/[0-9]*.c",
                                   recursive=True)):
        if not wanted(source):
            continue
        out = source.removesuffix(".c") + ".test"
        name = "-".join(out.split("/")[-2:]).removesuffix(".test")
        found.append((f"{GUEST_FOLDER}/{name}", out))
        if not os.path.exists(out):
            jobs.append(["gcc", *FLAGS, "-I", top + "/include", "-o", out,
                         source, "-lrt"])
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for done in pool.map(subprocess.run, jobs):
            done.check_returncode()
    return found + [(f[1:], os.path.realpath(f))
                    for f in libraries([out for _, out in found])]
