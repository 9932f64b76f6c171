# SPDX-License-Identifier: GPL-2.0-or-later
"""The requests of t.h about examples/rpc/: the service on the host, and the
files with which guests call it."""

import os
import subprocess

from qemu import ROOT, die_with_parent

from .python import libraries

EXAMPLE = os.path.join(ROOT, "examples", "rpc")
BUILD = os.path.join(ROOT, "build", "rpc")
LIBRARY = os.path.join(BUILD, "librpcblas.so")
# Seconds in which the service ends after it was told to
DEADLINE = 150


def files():
    """(path in the guest, file) of the library, the programs, and the libraries
    that they are linked with"""
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
    """The part of Host that runs the service"""

    service = None

    def do_blas(self, name):
        """Starts the service at the channel of that name and at a port. Returns
        the number of the port."""
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
        """The exit code of the service"""
        self.service.terminate()
        return str(self.service.wait(DEADLINE))
