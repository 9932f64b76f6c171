# SPDX-License-Identifier: GPL-2.0-or-later
"""Two processors that continuously read and write a range. The second processor
is plugged while the machine runs."""

import subprocess
import tempfile

from qemu import ROOT
from vmshm import machine, until

SOURCE = ROOT + "/tests/device/walk.S"
WHERE, MASK, ROUNDS, SEED, WAKE = range(0, 20, 4)


def build(folder):
    """Builds the firmware. Returns its path."""
    binary, rom = folder + "/walk", folder + "/walk.bin"
    subprocess.run(["gcc", "-m32", "-nostdlib", "-static", "-no-pie",
                    "-Wl,-Ttext=0xffff0000,-e,0,--build-id=none",
                    "-o", binary, SOURCE], check=True)
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", binary, rom],
                   check=True)
    return rom


class Walkers:
    """The machine with the processors"""

    def __init__(self, how, *args, options="", **more):
        with tempfile.TemporaryDirectory() as folder:
            self.vm = machine("-cpu", "qemu64", "-smp", "1,maxcpus=2",
                              "-bios", build(folder), *args,
                              options=options, **how, **more)

    def __enter__(self):
        self.vm.__enter__()
        self.vm.next64 = 0xf0000000     # the firmware is 32-bit code
        return self

    def __exit__(self, *more):
        return self.vm.__exit__(*more)

    @staticmethod
    def words(cpu):
        return 0x1000 + 0x100 * cpu

    def start(self, where, size):
        """Plugs the second processor, and starts the accesses of both."""
        vm = self.vm
        for cpu in 0, 1:
            vm.store(self.words(cpu), bytes(20))
            vm.write(self.words(cpu) + SEED, 4, 0x1234567 + cpu)
            vm.write(self.words(cpu) + MASK, 4, size - 4)
            vm.write(self.words(cpu) + WHERE, 4, where)
        vm.qmp("cont")
        self.walk([0], 1)
        free = next(s for s in vm.qmp("query-hotpluggable-cpus")
                    if "qom-path" not in s)
        vm.add(free["type"], id="cpu1", **{
            k.replace("-", "_"): v for k, v in free["props"].items()})
        vm.write(self.words(0) + WAKE, 4, 1)
        self.walk([0, 1], 1)

    def walk(self, cpus, rounds):
        """Returns when each processor has done `rounds` further rounds."""
        start = [self.vm.read(self.words(cpu) + ROUNDS, 4) for cpu in cpus]
        for cpu, before in zip(cpus, start):
            at = self.words(cpu) + ROUNDS
            until(lambda at=at, before=before:
                  (self.vm.read(at, 4) - before & 0xffffffff) > rounds,
                  f"processor {cpu} does not run")
