# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest of the benchmark. It is the guest of the tests, with programs whose
results are numbers."""

import math
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))

from guest.boot import Guest                # noqa: E402
from guest.host import Host, Refused        # noqa: E402
from guest.program import Program           # noqa: E402
from qemu import Lost, QmpError, die_with_parent        # noqa: E402
from shm import Object                      # noqa: E402
import work                                 # noqa: E402

# Separate from the files that the tests build
BUILD = os.path.join(ROOT, "build", "bench")

# Processes that only compute, on a loaded host
LOAD = 8

PIECE = b"v" * (1 << 20)
LINK_MEMORY = 9 << 20       # as in link.h


class BenchHost(Host):
    """Serves the requests of bench/*.c, in addition to those of tests."""

    def __init__(self, vm, results, machine):
        super().__init__(vm)
        self.results, self.machine = results, machine
        self.plugs, self.plugged = 0, None
        self.busy = []
        # See do_cpu_begin()
        self.used, self.request = (0, 0), (math.inf, math.inf)
        self.begun = False

    def do_result(self, *words):
        """Stores a result. Words are KEY=VALUE; the last one is UNIT=VALUE, the
        measured value."""
        *keys, (unit, value) = (word.split("=", 1) for word in words)
        self.add(dict(keys), unit, float(value))

    def add(self, keys, unit, value):
        if self.busy:
            keys["load"] = str(len(self.busy))
        self.results.append((keys, unit, value))

    def do_load(self):
        """Makes the host busy."""
        self.busy = work.busy(LOAD)

    def do_no_load(self):
        for child in self.busy:
            child.kill()
            child.wait()
        self.busy = []

    def close(self):
        self.do_no_load()
        super().close()

    def _work(self):
        """The processor time in microseconds of the VM, and of the programs at
        the host's end of the links"""
        return (work.time_of([self.vm.pid]),
                work.time_of(child.pid for child in self.children))

    def do_cpu_begin(self):
        """Begins a measurement of processor time. A second request directly
        after the first one measures the cost of a request; the lowest cost
        counts."""
        used = self._work()
        cost = [b - a for a, b in zip(self.used, used)]
        if self.begun:
            self.request = [min(a, b) for a, b in zip(self.request, cost)]
        self.used, self.begun = used, True

    def do_cpu_end(self, *words):
        """Ends the measurement: the processor time for each message"""
        used, count, self.begun = self._work(), int(words[-1]), False
        keys = dict(word.split("=", 1) for word in words[:-1])
        for side, a, b, request in zip(("vm", "host"), self.used, used,
                                       self.request):
            self.add({**keys, "side": side}, "us",
                     max(b - a - request, 0) / count)

    def do_object(self, name, size):
        """Creates an object with all its memory, unless the object exists."""
        left = int(size)
        if os.path.exists(self.path(name)):
            return
        self.do_create(name, size)
        with open(self.path(name), "r+b", buffering=0) as f:
            while left > 0:
                left -= f.write(PIECE[:left])

    def do_objects(self, prefix, count, size):
        """Creates the objects PREFIX-0, PREFIX-1, ..."""
        for n in range(int(count)):
            self.do_object(f"{prefix}-{n}", size)

    def _words(self, words):
        """The words, in which names are replaced by values that only the host
        knows"""
        for word in words:
            if word.startswith("@shm/"):
                yield self.path(word[len("@shm"):])
            else:
                yield from self.machine.words.get(word, [word])

    def do_peer(self, *words):
        """Starts the host's end of a link. Returns the message that the end is
        ready."""
        child = subprocess.Popen(
            [os.path.join(BUILD, "peer"), *self._words(words)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            pass_fds=self.machine.fds, preexec_fn=die_with_parent)
        self.children.append(child)
        said = child.stdout.readline().decode().split()
        if said[:1] != ["ready"]:
            raise Refused(f"no peer: {' '.join(words)}")
        return " ".join(said[1:])

    def do_tap(self):
        """The host's address at the tap"""
        if not self.machine.tap:
            raise Refused("there is no tap")
        return self.machine.tap

    def do_host_only(self):
        with Object(LINK_MEMORY) as memory:
            said = subprocess.run(
                [os.path.join(BUILD, "host-only"), memory.path], check=True,
                stdout=subprocess.PIPE, preexec_fn=die_with_parent).stdout
        for line in said.decode().splitlines():
            self.do_result(*line.split())

    def do_plug(self, name, size):
        """Plugs in an ivshmem-plain with that object."""
        # A new ID, because QEMU may not have removed the last device yet.
        self.plugs += 1
        self.plugged = time.monotonic()
        self.vm.qmp("object-add", qom_type="memory-backend-file",
                    id=f"hot{self.plugs}", share=True, size=int(size),
                    mem_path=self.path(name))
        self.vm.qmp("device_add", driver="ivshmem-plain", id="hot",
                    memdev=f"hot{self.plugs}", bus="rp0")

    def do_since_plug(self):
        """The microseconds since the device was plugged in"""
        return f"{(time.monotonic() - self.plugged) * 1e6:.1f}"

    def do_plug_out(self):
        """Removes the device. Returns the microseconds until QEMU reports that
        the device is gone."""
        start = time.monotonic()
        self.vm.qmp("device_del", id="hot")
        self.vm.event("DEVICE_DELETED", lambda d: d.get("device") == "hot")
        self.vm.qmp("object-del", id=f"hot{self.plugs}")
        return f"{(time.monotonic() - start) * 1e6:.1f}"


class BenchGuest(Guest):
    """One boot for the whole plan, [(program, [test])]. A plan can contain
    the same pair again for another round."""

    def __init__(self, *args, progress, results, machine=None):
        super().__init__(None, *args)
        self.progress, self.results = progress, results
        self.machine, self.vm = machine, None

    def make_host(self, vm):
        return BenchHost(vm, self.results, self.machine)

    def stop(self):
        """Ends the guest. Called from another thread."""
        if self.vm:
            self.vm.process.kill()

    def result(self, line):
        word, _, rest = line.partition(" ")
        if word == "run":
            self.progress(rest)
            self.running, self.began = rest, time.monotonic()
        elif word == "ok":
            self.times.append((time.monotonic() - self.began, rest))
            self.running = None
        else:
            raise Lost(f"unexpected line of the guest: {line}")

    def finish(self):
        """Ends the run. A warning of the kernel makes the run invalid."""
        if self.trouble:
            raise Lost("the kernel said, " + self.trouble[0])


def programs(names):
    """The programs for the plan of a guest, by name"""
    found = {}
    for name in names:
        with open(os.path.join(HERE, name + ".c"), encoding="utf-8") as f:
            found[name] = Program(name + ".c", f.read(), "", "")
    return found


def plan_of(steps):
    """The plan of a guest, from a sequence of (program, [test])"""
    found = programs({name for name, _ in steps})
    return [(found[name], tests) for name, tests in steps]


__all__ = ["BUILD", "BenchGuest", "Lost", "QmpError", "plan_of"]
