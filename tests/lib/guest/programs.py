# SPDX-License-Identifier: GPL-2.0-or-later
"""Third-party software for a guest (make check-programs), from the Debian
packages that are installed here. What is not installed is left out, and its
tests are skipped."""

import glob
import os
import re
import shutil
import subprocess

from .program import PROGRAMS
from .python import libraries

POSTGRESQL = "/usr/lib/postgresql/15"
OPENMPI = ("libopenmpi3", "openmpi-bin", "openmpi-common", "libpmix2",
           "libhwloc15")
STRESS_NG = "/usr/bin/stress-ng"
# Files of packages that no program needs
USELESS = re.compile(r"/usr/share/(doc|man|locale|lintian|bash-completion)/|"
                     r"/usr/include/|\.(a|la|bc|mod)$")


def compile_all(folder):
    """(path in the guest, file)s of what is compiled"""
    jobs = []
    if os.path.exists("/usr/include/boost/interprocess/detail/workaround.hpp"):
        jobs.append(("boost-interprocess",
                     ["g++", "-std=c++17", "-O2", "-Wall", "-static",
                      "-pthread", os.path.join(PROGRAMS, "boost.cpp")]))
    if shutil.which("mpicc"):
        jobs.append(("mpi-ring", ["mpicc", "-O2", "-Wall",
                                  os.path.join(PROGRAMS, "mpi-ring.c")]))
    if os.path.exists("/usr/include/fastdds/dds/domain"):
        jobs.append(("fastdds",
                     ["g++", "-std=c++17", "-O1", "-Wall", "-pthread",
                      os.path.join(PROGRAMS, "fastdds.cpp"), "-lfastrtps",
                      "-lfastcdr"]))
    for name, command in jobs:
        out = os.path.join(folder, name)
        subprocess.run([*command, "-o", out], check=True)
        yield "bin/" + name, out


def package_files(packages):
    """The files of Debian packages, as dpkg lists them"""
    done = subprocess.run(["dpkg", "-L", *packages], check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if done.returncode:
        return []
    return [f for f in done.stdout.decode().splitlines()
            if os.path.isfile(f) and not USELESS.search(f)]


def postgresql():
    if not os.path.exists(POSTGRESQL + "/bin/initdb"):
        return []
    names = ("initdb", "postgres", "psql", "pg_ctl", "pg_isready")
    return [os.path.join(POSTGRESQL, "bin", n) for n in names] + [
        f for f in glob.glob(POSTGRESQL + "/lib/*.so") if "llvm" not in f] + [
        f for f in glob.glob("/usr/share/postgresql/15/**", recursive=True)
        if os.path.isfile(f)] + [
        f for f in glob.glob("/usr/share/zoneinfo/Etc/UTC")]


def with_libraries(files):
    """The files, and the shared libraries that they need"""
    binaries = [f for f in files if is_elf(f)]
    return sorted({*files, *(libraries(binaries) if binaries else ())})


def is_elf(file):
    with open(file, "rb") as f:
        return f.read(4) == b"\x7fELF"


def is_static(file):
    done = subprocess.run(["ldd", file], check=False, capture_output=True)
    return done.returncode != 0


def files(folder):
    """(path in the guest, file)s"""
    compiled = list(compile_all(folder))
    found = postgresql() + package_files(OPENMPI)
    if os.path.exists(STRESS_NG):
        found.append(STRESS_NG)
    own = [file for _, file in compiled if not is_static(file)]
    needed = [f for f in with_libraries([*found, *own]) if f not in own]
    return compiled + [(f[1:], os.path.realpath(f)) for f in needed]
