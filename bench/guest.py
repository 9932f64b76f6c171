# SPDX-License-Identifier: GPL-2.0-or-later
"""The benchmark's guest: that of the guest tests, with other programs in it,
whose results are numbers."""

import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
TESTS = os.path.join(ROOT, "tests", "guest")
sys.path[:0] = [TESTS, os.path.join(ROOT, "tests", "lib")]

import run as harness                       # noqa: E402
from host import SHM, Host                  # noqa: E402
from qemu import Lost, QmpError             # noqa: E402

BUILD = os.path.join(ROOT, "build", "bench")
# The harness puts what it builds there, apart from what the tests build
harness.BUILD = BUILD

PIECE = b"v" * (1 << 20)


class BenchHost(Host):
    """Does what bench/*.c ask for, besides what tests can ask for."""

    def __init__(self, vm, results):
        super().__init__(vm)
        self.results = results
        self.trace = os.path.join(BUILD, "trace.log")
        self.seen = 0
        self.plugged = None

    def do_result(self, *words):
        """KEY=VALUE..., the last is what was measured."""
        *keys, (unit, value) = (word.split("=", 1) for word in words)
        self.results.append((dict(keys), unit, float(value)))

    def do_object(self, name, size):
        """An object with all of its memory, unless it is there already."""
        left = int(size)
        if SHM + name in self.made and os.path.exists(SHM + name):
            return
        self.do_create(name, size)
        with open(self.path(name), "r+b", buffering=0) as f:
            while left > 0:
                left -= f.write(PIECE[:left])

    def do_objects(self, prefix, count, size):
        """Objects PREFIX-0, PREFIX-1, ..."""
        for n in range(int(count)):
            self.do_object(f"{prefix}-{n}", size)

    def do_plug(self, name, size):
        """An ivshmem-plain with that object."""
        self.plugged = time.monotonic()
        self.vm.qmp("object-add", qom_type="memory-backend-file",
                    id="hotmem", share=True, size=int(size),
                    mem_path=self.path(name))
        self.vm.qmp("device_add", driver="ivshmem-plain", id="hot",
                    memdev="hotmem", bus="rp0")

    def do_since_plug(self):
        """Microseconds."""
        return f"{(time.monotonic() - self.plugged) * 1e6:.1f}"

    def do_unplug(self, *_):
        """Microseconds until QEMU says that it is gone."""
        start = time.monotonic()
        self.vm.qmp("device_del", id="hot")
        self.vm.event("DEVICE_DELETED", lambda d: d.get("device") == "hot")
        self.vm.qmp("object-del", id="hotmem")
        return f"{(time.monotonic() - start) * 1e6:.1f}"

    def do_exits(self, step):
        """Counts accesses to the device's registers since the last call:
        the exits that a guest under KVM would take."""
        # QEMU appends
        if step == "begin" and os.path.exists(self.trace):
            os.unlink(self.trace)
        events = ("memory_region_ops_read", "memory_region_ops_write")
        if step in ("begin", "end"):
            for event in events:
                self.vm.hmp(f"trace-event {event} "
                            f"{'on' if step == 'begin' else 'off'}")
            if step == "begin":
                self.vm.hmp(f"logfile {self.trace}")
            return
        with open(self.trace, encoding="ascii", errors="replace") as f:
            f.seek(self.seen)
            text = f.read()
            self.seen = f.tell()
        count = len(re.findall(r"^memory_region_ops.*name 'vmshm-", text,
                               re.M))
        self.results.append(({"name": "exits", "step": step}, "exits", count))


class BenchGuest(harness.Guest):
    """One boot for everything. plan: [(program, [test])], and may have the
    same again for another round."""

    def __init__(self, *args, progress, results):
        super().__init__(None, *args)
        self.progress, self.results = progress, results

    def listen(self, channel, host):
        bench = BenchHost(host.vm, self.results)
        try:
            super().listen(channel, bench)
        finally:
            bench.close()

    def result(self, line):
        word, _, rest = line.partition(" ")
        if word == "run":
            self.progress(rest)
        elif word != "ok":
            raise Lost(f"the guest said: {line}")

    def finish(self):
        """What the kernel complained about is no result."""
        if self.trouble:
            raise Lost("the kernel said, " + self.trouble[0])


def compile_programs(names):
    """Compiles bench/NAME.c, for each with its library; (path in the guest,
    file)s of these and of what the harness needs."""
    files = harness.build([])
    libraries = [os.path.join(HERE, "b.c"), os.path.join(TESTS, "t.c")]
    for name in names:
        out = os.path.join(BUILD, name)
        done = subprocess.run(
            ["gcc", "-std=gnu11", "-static", "-s", "-O2", "-Wall", "-pthread",
             "-I", TESTS, "-I", os.path.join(ROOT, "include"), "-o", out,
             os.path.join(HERE, name + ".c"), *libraries], check=False)
        if done.returncode:
            raise Lost(f"does not compile: bench/{name}.c")
        files.append(("tests/" + name, out))
    return files


def programs(names, qemu):
    """What the plan of a guest is made of, by name."""
    found = {}
    for name in names:
        with open(os.path.join(HERE, name + ".c"), encoding="utf-8") as f:
            found[name] = harness.Program(name + ".c", f.read(), "", qemu)
    return found


__all__ = ["BUILD", "BenchGuest", "Lost", "QmpError", "compile_programs",
           "harness", "programs"]
