# SPDX-License-Identifier: GPL-2.0-or-later
"""The requests of t.h about examples/rpc/: the service on the host, and what
guests need to call it."""

import os
import subprocess

from qemu import ROOT, die_with_parent

from .python import libraries

EXAMPLE = os.path.join(ROOT, "examples", "rpc")
BUILD = os.path.join(ROOT, "build", "rpc")
LIBRARY = os.path.join(BUILD, "librpcblas.so")
# Seconds for it to end, when it is to
DEADLINE = 150


def files():
    """(path in guest, file)s: the library, programs, what they are linked
    with."""
    subprocess.run(["make", "-s", "-C", EXAMPLE], check=True)
    products = os.path.join(BUILD, "products")
    subprocess.run(
        ["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-Wall", "-pthread",
         "-o", products, os.path.join(ROOT, "tests", "rpc", "products.c"),
         LIBRARY, "-lm"], check=True)
    programs = [os.path.join(BUILD, "sgemm-demo"), products]
    found = libraries(programs) - {LIBRARY}
    return [("bin/" + os.path.basename(f), f) for f in programs] + [
        (f, os.path.realpath(f)) for f in sorted(found)] + [
        ("lib/librpcblas.so", LIBRARY)]


class HostRpc:
    """For Host: the service that runs."""

    service = None

    def do_blas(self, name):
        """Begins, at the channel of that name and at a port: its number."""
        self.path(name)
        self.service = subprocess.Popen(
            [os.path.join(BUILD, "blas-service"), "-m", "1", "vmshm:" + name,
             "tcp:127.0.0.1:0"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            preexec_fn=die_with_parent)
        self.service.stdout.readline()
        return self.service.stdout.readline().decode().strip().split(":")[-1]

    def do_blas_kill(self):
        self.service.kill()
        self.service.wait(DEADLINE)

    def do_blas_end(self):
        """Its exit code"""
        self.service.terminate()
        return str(self.service.wait(DEADLINE))
