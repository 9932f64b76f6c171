# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernels of scripts/fetch-kernel."""

import os
import subprocess
import sys

from qemu import ROOT, Lost

from . import arch


class Kernel:
    """One kernel of scripts/fetch-kernel, and the driver for it"""

    def __init__(self, version):
        self.version = version
        self.arch = arch.of_kernel(version)
        self.name = version.removesuffix("-gicv2m")
        self.folder = os.path.join(ROOT, "build", "kernel", self.name)
        # The memory of a guest in MiB; the factor by which a guest is slower
        self.debug = version.endswith("-debug")
        self.memory, self.patience = (
            (1536, 6) if self.debug else (512, self.arch.patience))
        self.driver = os.path.join(ROOT, "build", "driver", self.name,
                                   "vmshm.ko")
        # Only a kernel for another architecture has this file.
        self.busybox = os.path.join(self.folder, "busybox")

    def prepare(self):
        """Downloads the kernel and builds the driver, if they are missing."""
        for command in (["scripts/fetch-kernel", self.name],
                        ["make", "-s", "-C", "driver", *self.arch.make_driver,
                         "KVER=" + self.name]):
            done = subprocess.run(command, cwd=ROOT, check=False,
                                  stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)
            if done.returncode:
                sys.stderr.write(done.stdout.decode(errors="replace"))
                raise Lost(" ".join(command) + " failed")

    def runs(self, program):
        """Whether guests of this kernel run a program"""
        return ((self.debug or not program.debug)
                and self.arch.runs(program))

    def modules(self, names):
        """The files of the modules and their dependencies, in loading order"""
        files = {}
        for folder, _, found in os.walk(os.path.join(self.folder, "modules")):
            for file in found:
                name = file.split(".ko")[0].replace("-", "_")
                files[name] = os.path.join(folder, file)
        order = []

        def add(name):
            name = name.replace("-", "_")
            if name not in files or files[name] in order:
                return
            needs = subprocess.run(
                ["modinfo", "-F", "depends", files[name]], check=True,
                stdout=subprocess.PIPE).stdout.decode().strip()
            for need in filter(None, needs.split(",")):
                add(need)
            order.append(files[name])

        for name in names:
            add(name)       # a missing module may be built into the kernel
        return order
