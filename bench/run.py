#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Measures VMShm and its peers in one guest and one run, and prints a table.

Stores the numbers in build/bench.json, a picture in build/bench.svg, and the
table with the machine and the versions in build/report.txt, for users who send
it. docs/performance.md explains the numbers. A slow result is not a failure.

The environment: ACCEL (tcg or kvm; default: kvm if Linux guests run under it
here), KVER (default 6.1), QEMU, VMSHM_SO.
"""

import argparse
import json
import os
import platform
import sys

import bench_guest
import broadcast
import build
import exits
import fleet
import futexes
import idle
import messages
import names
import net
import picture
import table
import wakes
from bench_guest import BUILD, LOAD, ROOT, Lost, plan_of
from guest.kernel import Kernel
from machine import MODULES, Machine
from results import Results, summarize
from qemu import BUILTIN, VMSHM_SO, QmpError, package
import accel
import cleanup
import report_file

ROUNDS = 7
# The rounds of measurements that take long
SHORT = 5

# Programs that run before the mount, in each round, and on a loaded machine
BEFORE = [("cost", ["idle", "attached", "places"])]
EACH = [("attach", ["alone", "stat"]), ("hotplug", ["sizes"]),
        ("memory", ["copy", "random", "register_access"]),
        ("attach", ["with_1", "with_100", "with_1000"]),
        ("trip", ["sleep", "rest", "spin", "host"]), ("bulk", ["all"])]
LOADED = [("trip", ["loaded"]), ("bulk", ["loaded"]), ("attach", ["loaded"])]
PROGRAMS = ("attach", "broadcast", "bulk", "cost", "futex-calls", "hotplug",
            "idle", "memory", "names", "trip", "wake")


class Progress:
    """One line that is rewritten on a terminal, or a line for each tenth."""

    def __init__(self, steps):
        self.steps, self.done = steps, 0
        self.shown = -1

    def __call__(self, test):
        done = min(self.done * 100 // self.steps, 100)
        if sys.stdout.isatty():
            print(f"\r\033[Kmeasuring, {done} %: {test}", end="", flush=True)
        elif done // 10 > self.shown:
            self.shown = done // 10
            print(f"measuring, {self.shown * 10} %", flush=True)
        self.done += 1

    def end(self):
        if sys.stdout.isatty():
            print("\r\033[K", end="", flush=True)


def count(steps):
    return sum(len(tests) for _, tests in steps)


def attempt(left_out, name, part):
    """Measures a part on which no other part depends. If the part is lost, the
    table has the reason."""
    try:
        part()
    except (Lost, QmpError) as e:
        left_out[name] = " ".join(str(e).split())[:200]


class Measurement:
    """All measurements, one after the other. Each result is (keys, unit,
    value)."""

    def __init__(self, kernel, tap, rounds):
        self.kernel, self.tap, self.rounds = kernel, tap, rounds
        self.short = min(rounds, SHORT)
        self.steps = BEFORE * rounds + [("memory", ["types"])] + \
            EACH * rounds + LOADED * self.short
        counting = sum(len(p.tests) for p in exits.programs()) + 1
        self.progress = Progress(
            count(self.steps) + counting + messages.ROUNDS + 3 * self.short +
            futexes.count(self.short) +
            max(broadcast.READERS) * rounds)
        self.results = []
        self.common = {"progress": self.progress, "results": self.results}
        self.built = build.programs(PROGRAMS, exits.programs())
        self.left_out = {}

    def member(self, number, program, tests, host, args="-device vmshm,"
               "id=vmshm0", modules="", driver=""):
        """A separate guest for a program"""
        return fleet.Member(self.kernel, number + 2, (args, driver, modules),
                            plan_of([(program, [t]) for t in tests]),
                            self.built, host=host, **self.common)

    def all_peers(self):
        """Runs the guest with all peers."""
        with Machine(self.tap) as machine:
            fleet.run([bench_guest.BenchGuest(
                self.kernel, 1, (machine.qemu, "", MODULES),
                plan_of(self.steps), self.built, machine=machine,
                **self.common)])

    def messages(self):
        """Measures messages between processes of this host. Returns None if the
        old version is not available."""
        try:
            return messages.measure(progress=lambda n: self.progress(
                f"messages, round {n + 1}"))
        except (messages.Failed, OSError) as e:
            self.left_out["version 0.1"] = str(e)
            return None

    def names(self):
        why = names.measure(self.member, self.short, self.results,
                            self.kernel.memory)
        if why:
            self.left_out["virtiofs"] = why

    def idle(self):
        idle.measure(self.member, self.short, self.results)

    def wakes(self):
        wakes.measure(self.member, self.short, self.results)

    def futexes(self):
        futexes.measure(self.member, self.short, self.results)

    def exits(self):
        exits.measure(self.kernel, self.built, self.tap, self.common)

    def run(self):
        """Returns the data for the table and the picture."""
        try:
            channel = self.messages()
            self.all_peers()
            broadcast.measure(self.member, self.rounds, self.results)
            for name, part in (("files by name", self.names),
                               ("idle guests", self.idle),
                               ("wake-ups", self.wakes),
                               ("futex(2)", self.futexes),
                               ("exits", self.exits)):
                attempt(self.left_out, name, part)
        finally:
            self.progress.end()
        return {"messages": channel, "results": summarize(self.results)}


def no_vsock():
    """The reason why vsock is not a peer"""
    if not os.path.exists("/dev/vhost-vsock"):
        return "the host has no /dev/vhost-vsock, and Debian no back end for " \
               "vhost-user-vsock"
    return "this benchmark has no program for it"


def about(kernel, measurement, load):
    with open(os.path.join(ROOT, "VERSION"), encoding="ascii") as f:
        version = f.read().strip()
    with open(os.path.join(kernel.folder, "release"), encoding="ascii") as f:
        release = f.read().strip()
    return {"vmshm": version, "guest": release, "qemu": package(),
            "accelerator": accel.choose(), "guest_cpus": 2,
            "cpus": len(os.sched_getaffinity(0)), "host": platform.release(),
            "rounds": measurement.rounds, "short": measurement.short,
            "busy": LOAD, "load": load, "left_out": measurement.left_out}


def measure(rounds):
    """Runs the benchmark. Returns all data."""
    kernel = Kernel(os.environ.get("KVER", "6.1"))
    if not BUILTIN and not os.path.exists(VMSHM_SO):
        raise Lost(f"no {os.path.relpath(VMSHM_SO)}: make device first")
    accel.choose()
    kernel.prepare()
    no_tap, load = net.prepare(), os.getloadavg()[0]
    measurement = Measurement(kernel, not no_tap, rounds)
    if no_tap:
        measurement.left_out["TCP, tap"] = no_tap
    measurement.left_out["vsock"] = no_vsock()
    data = measurement.run()
    return {"machine": about(kernel, measurement, load), **data}


def leave(data, exit_us, kernel_exit_us):
    """Prints the tables and writes the files."""
    path = os.path.join(ROOT, "build", "bench.json")
    with open(path, "w", encoding="ascii") as f:
        json.dump(data, f, indent=1)
        f.write("\n")
    text = table.render(data) + "\n".join(
        exits.section(Results(data), (exit_us, kernel_exit_us))) + "\n"
    print(text)
    print(picture.draw(data, os.path.join(ROOT, "build", "bench.svg")))
    report = report_file.write("make bench", [
        *text.splitlines(), "", "All numbers:", json.dumps(data)])
    print(f"Numbers: {os.path.relpath(path)}; to send: {report}")


def run(args):
    os.makedirs(BUILD, exist_ok=True)
    try:
        leave(measure(args.rounds), args.exit_us, args.kernel_exit_us)
    except (Lost, QmpError) as e:
        sys.exit(f"bench: {e}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N",
                        help=f"of all measurements (default: {ROUNDS})")
    exits.add_options(parser)
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error("--rounds: at least 1")
    cleanup.main("bench", lambda: run(args))


if __name__ == "__main__":
    main()
