#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""usage: run.py

Measures VMShm and its peers in one emulated guest and one run, and prints a
table. Stores the numbers in build/bench.json and a picture in build/bench.svg.
docs/performance.md explains the numbers. A slow result is not a failure.

The environment: KVER (default 6.1), QEMU, VMSHM_SO.
"""

import json
import os
import platform
import signal
import sys

import bench_guest
import broadcast
import build
import fleet
import idle
import net
import picture
import table
from bench_guest import BUILD, ROOT, Lost
from guest.kernel import Kernel
from machine import MODULES, Machine
from results import summarize
from qemu import BUILTIN, VMSHM_SO, QmpError, package

ROUNDS = 7

# Programs that run once before the mount, in each round, once at the end
BEFORE = [("cost", ["idle", "attached", "places"])] * ROUNDS + [
    ("memory", ["types"])]
EACH = [("attach", ["alone", "stat"]), ("hotplug", ["sizes"]),
        ("memory", ["copy", "random", "register_access"]),
        ("attach", ["with_1", "with_100", "with_1000"]),
        ("trip", ["sleep", "rest", "spin", "host"]), ("bulk", ["all"])]
PROGRAMS = ("attach", "broadcast", "bulk", "cost", "hotplug", "idle", "memory",
            "trip")
AFTER = [("attach", ["exits"])]


class Progress:
    """One line that is rewritten on a terminal, or a line for each round."""

    def __init__(self, steps):
        self.steps, self.done = steps, 0
        self.shown = -1

    def __call__(self, test):
        if sys.stdout.isatty():
            print(f"\r\033[Kmeasuring, {self.done * 100 // self.steps} %: "
                  f"{test}", end="", flush=True)
        elif self.done * 10 // self.steps > self.shown:
            self.shown = self.done * 10 // self.steps
            print(f"measuring, {self.shown * 10} %", flush=True)
        self.done += 1

    def end(self):
        if sys.stdout.isatty():
            print("\r\033[K", end="", flush=True)


def plan_of(steps):
    found = bench_guest.programs({name for name, _ in steps})
    return [(found[name], tests) for name, tests in steps]


def measure_one(kernel, built, steps, tap, common):
    """The measurements in one guest with all peers"""
    with Machine(tap) as machine:
        vm = bench_guest.BenchGuest(kernel, 1, (machine.qemu, "", MODULES),
                              plan_of(steps), built, machine=machine, **common)
        fleet.run([vm])


def measure_several(kernel, built, common):
    """The measurements in several guests at the same time"""
    def make(number, program, tests, host, args="-device vmshm,id=vmshm0"):
        return fleet.Member(kernel, number + 2, (args, "", ""),
                            plan_of([(program, [test]) for test in tests]),
                            built, host=host, **common)

    idle.measure(make, ROUNDS, common["results"])
    broadcast.measure(make, ROUNDS, common["results"])


def measure(kernel, tap):
    """All results, as (keys, unit, value)s."""
    results = []
    steps = BEFORE + EACH * ROUNDS + AFTER
    several = (1 + max(broadcast.READERS)) * ROUNDS
    progress = Progress(sum(len(tests) for _, tests in steps) + several)
    common = {"progress": progress, "results": results}
    built = build.programs(PROGRAMS)
    try:
        measure_one(kernel, built, steps, tap, common)
        measure_several(kernel, built, common)
    finally:
        progress.end()
    return results


def about(kernel, no_tap, load):
    with open(os.path.join(ROOT, "VERSION"), encoding="ascii") as f:
        version = f.read().strip()
    with open(os.path.join(kernel.folder, "release"), encoding="ascii") as f:
        release = f.read().strip()
    return {"vmshm": version, "guest": release, "qemu": package(),
            "accelerator": "tcg", "guest_cpus": 2,
            "cpus": len(os.sched_getaffinity(0)), "host": platform.release(),
            "rounds": ROUNDS, "no_tap": no_tap, "load": load}


def main():
    if len(sys.argv) > 1:
        sys.exit(__doc__.strip())
    # Run every "finally"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.makedirs(BUILD, exist_ok=True)
    kernel = Kernel(os.environ.get("KVER", "6.1"))
    try:
        if not BUILTIN and not os.path.exists(VMSHM_SO):
            raise Lost(f"no {os.path.relpath(VMSHM_SO)}: make device first")
        kernel.prepare()
        no_tap, load = net.prepare(), os.getloadavg()[0]
        measured = measure(kernel, not no_tap)
    except (Lost, QmpError) as e:
        sys.exit(f"bench: {e}")
    data = {"machine": about(kernel, no_tap, load),
            "results": summarize(measured)}
    with open(os.path.join(ROOT, "build", "bench.json"), "w",
              encoding="ascii") as f:
        json.dump(data, f, indent=1)
        f.write("\n")
    print(table.render(data))
    print(picture.draw(data, os.path.join(ROOT, "build", "bench.svg")))


if __name__ == "__main__":
    main()
