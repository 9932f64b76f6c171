#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs tests in Debian's kernels.

usage: run.py [PART-OF-A-TEST'S-NAME...]

The environment: KERNELS (default "6.1 6.12"), QEMU, VMSHM_SO, VMSHM_BUILTIN.
Kernels and drivers are downloaded and built if they are missing. The device is
not built.

A test has passed if the guest reports it. The guest also has to reach its end
without a warning of its kernel. A guest that dies or prints nothing for too
long is lost: the running test has failed, and the others run in a new guest.
The console of the N-th guest is in build/guest/KERNEL/boot-N.log.
"""

import fcntl
import os
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lib"))
sys.dont_write_bytecode = True

import tier                             # noqa: E402
from guest.arch import X86              # noqa: E402
from guest.boot import MOVED, Guest     # noqa: E402
from guest.build import FOLDER, Build   # noqa: E402
from guest.kernel import Kernel         # noqa: E402
from guest.program import all_programs  # noqa: E402
from qemu import Lost, need_device      # noqa: E402


def count(plan):
    """The number of tests in (program, tests) pairs"""
    return sum(len(tests) for _, tests in plan)


class KernelRun:
    """All tests of one kernel. Programs with equal requirements share a guest.
    Another guest replaces a lost one. A lane is a guest that runs beside those
    of the other lanes; each has a prefix of its own for the names of objects.
    """

    def __init__(self, report, kernel, programs, build, lanes=1):
        self.report, self.kernel, self.build = report, kernel, build
        self.lanes, self.lock = lanes, threading.Lock()
        self.number, self.stopped = 0, False
        self.guests = {}            # requirements: the guest that runs
        self.repeated = set()       # tests that a fault of QEMU ended once
        # (program, tests without a result). The longest programs are those of
        # debug kernels.
        self.todo = [(p, [t for t in p.tests
                          if report.wanted(self.name(p.name, t))])
                     for p in sorted(programs, key=lambda p: not p.debug)
                     if kernel.runs(p)]

    def name(self, *words):
        return "/".join([self.kernel.version, *words])

    def run(self):
        threads = [threading.Thread(target=self.run_lane, args=(n,),
                                    daemon=True) for n in range(self.lanes)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def run_lane(self, lane):
        try:
            while guest := self.next_guest(lane):
                self.boot(guest)
        except Exception as e:      # noqa: BLE001
            self.report.fail(self.name("boot"), f"{type(e).__name__}: {e}")

    def stop(self):
        """Ends the guests. Called from another thread."""
        self.stopped = True
        for guest in list(self.guests.values()):
            guest.stop()

    def next_guest(self, lane):
        """A guest for all programs of one kind, which is not booted yet, or
        None if nothing is left for this lane"""
        with self.lock:
            self.todo = [x for x in self.todo if x[1]]
            plan = []
            for program, tests in self.todo:
                if program.guest not in self.guests and (
                        not plan or program.guest == plan[0][0].guest):
                    plan.append((program, tests))
            if not plan or self.stopped:
                return None
            self.number += 1
            self.say_progress(plan)
            kind = plan[0][0].guest
            guest = Guest(self.report, self.kernel, self.number, kind, plan,
                          self.build)
            guest.prefix += self.kernel.version + "-"
            if self.lanes > 1:
                guest.prefix += f"{lane}-"
            self.guests[kind] = guest
            return guest

    def boot(self, guest):
        try:
            guest.boot()
            self.ended(guest)
        except Lost as e:
            if not self.stopped:
                self.lost(guest, e)
        with self.lock:
            self.todo = [(p, [t for t in tests
                              if f"{p.name}/{t}" in guest.todo])
                         if self.guests.get(p.guest) is guest else (p, tests)
                         for p, tests in self.todo]
            self.guests = {kind: other for kind, other in self.guests.items()
                           if other is not guest}

    def say_progress(self, plan):
        """Some kernels need hours."""
        if self.kernel.debug:
            print(f"     {time.strftime('%H:%M')}: boot {self.number} runs "
                  f"{count(plan)} of the {count(self.todo)} tests that are "
                  "left", flush=True)

    def ended(self, guest):
        for test in sorted(guest.todo):
            self.report.fail(self.name(test), "the test did not run")
        guest.todo.clear()
        trouble, name = guest.trouble, self.name(f"boot-{guest.number}")
        if trouble:
            more = f" (and {len(trouble) - 1} more)" if trouble[1:] else ""
            self.report.fail(name, f"the kernel said, {trouble[0]}{more}")
        else:
            self.report.ok(name)

    def lost(self, guest, why):
        """The running test has failed. The others run in another guest. A test
        that a fault of QEMU's emulation ended runs there once more."""
        words, culprit = guest.last_words(), guest.running
        why = f"{words}; {why}" if words else str(why)
        if culprit and MOVED.search(why) and culprit not in self.repeated:
            self.repeated.add(culprit)
            print(f"     again: {self.name(culprit)}: {why}", flush=True)
            return
        if culprit:
            self.report.fail(self.name(culprit),
                             f"the guest was LOST in it: {why}")
            guest.todo.discard(culprit)
        else:
            # No test ran, so that another boot would probably fail again.
            self.report.fail(self.name(f"boot-{guest.number}"),
                             f"the guest was LOST: {why}")
            for test in sorted(guest.todo):
                self.report.fail(self.name(test),
                                 "not run, the guest was LOST")
            guest.todo.clear()
        guest.tail()


def run_all(runs):
    """Runs the guests of all kernels at the same time. A guest often waits, and
    then leaves the host's processors to the other guests."""
    threads = [threading.Thread(target=r.run, daemon=True) for r in runs]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            while thread.is_alive():
                thread.join(1)
    except BaseException:
        for r in runs:
            r.stop()
        for thread in threads:
            thread.join(5)
        raise


def kernels(report, versions):
    """The kernels that could be prepared"""
    for version in versions:
        try:
            kernel = Kernel(version)
            kernel.prepare()
            yield kernel
        except Lost as e:
            report.fail(f"{version}/boot", e)


def run(report, versions=None):
    """Runs the tests. versions: the kernels; default: those of KERNELS"""
    versions = versions or os.environ.get("KERNELS", "6.1 6.12").split()
    programs = [p for p in all_programs()
                if any(report.wanted(f"{v}/{p.name}/{t}")
                       for v in versions for t in p.tests
                       if Kernel(v).runs(p))]
    need_device()
    # Two concurrent runs would write the same files, and be slower.
    os.makedirs(FOLDER, exist_ok=True)
    with open(os.path.join(FOLDER, ".lock"), "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for another run.py", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        ready = list(kernels(report, versions))
        # The host also runs helper programs and the tool. Therefore they are
        # always compiled for this machine.
        archs = {a.name: a for a in [X86()] + [k.arch for k in ready]}
        builds = {name: Build(programs if name == X86.name else
                              [p for p in programs if arch.runs(p)], arch=arch)
                  for name, arch in archs.items()}
        run_all([KernelRun(report, kernel, programs, builds[kernel.arch.name],
                           lanes=2 if kernel.debug else 1)
                 for kernel in ready])


if __name__ == "__main__":
    tier.main("guest", run)
