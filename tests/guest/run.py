#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests in a real Debian kernel, emulated.

usage: run.py [PART-OF-A-TEST'S-NAME...]

The environment: KERNELS (default "6.1 6.12"), QEMU, VMSHM_SO, VMSHM_BUILTIN.
Kernels and drivers are fetched and built as needed, the device is not.

A test is passed when the guest says so. The guest also has to reach its end,
with no complaint from its kernel; one that dies or falls silent is lost: the
test that ran then has failed, and the others run in a new guest. What is in
build/guest/KERNEL/ afterwards: boot-N.log, the console of the N-th guest.
"""

import fcntl
import os
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lib"))
sys.dont_write_bytecode = True

import tier                             # noqa: E402
from guest.boot import Guest            # noqa: E402
from guest.build import FOLDER, Build   # noqa: E402
from guest.kernel import Kernel         # noqa: E402
from guest.program import all_programs  # noqa: E402
from qemu import Lost, need_device      # noqa: E402


class KernelRun:
    """All tests of one kernel: one guest for all programs that can share one,
    and another when one is lost."""

    def __init__(self, report, kernel, programs, build):
        self.report, self.kernel, self.build = report, kernel, build
        self.number, self.guest, self.stopped = 0, None, False
        # (program, tests without a result)
        self.todo = [(p, [t for t in p.tests
                          if report.wanted(self.name(p.name, t))])
                     for p in programs if kernel.debug or not p.debug]

    def name(self, *words):
        return "/".join([self.kernel.version, *words])

    def run(self):
        try:
            while not self.stopped:
                self.todo = [x for x in self.todo if x[1]]
                if not self.todo:
                    break
                self.boot(self.todo[0][0].guest)
        except Exception as e:      # noqa: BLE001
            self.report.fail(self.name("boot"), f"{type(e).__name__}: {e}")

    def stop(self):
        """From another thread"""
        self.stopped = True
        if self.guest:
            self.guest.stop()

    def boot(self, kind):
        """One guest of that kind, with all programs that are for it."""
        plan = [(p, tests) for p, tests in self.todo if p.guest == kind]
        self.number += 1
        self.guest = Guest(self.report, self.kernel, self.number, kind, plan,
                           self.build)
        self.guest.prefix += self.kernel.version + "-"
        try:
            self.guest.boot()
            self.ended()
        except Lost as e:
            if not self.stopped:
                self.lost(e)
        left = self.guest.todo
        self.todo = [(p, [t for t in tests if f"{p.name}/{t}" in left])
                     if p.guest == kind else (p, tests)
                     for p, tests in self.todo]

    def ended(self):
        for test in sorted(self.guest.todo):
            self.report.fail(self.name(test), "it did not run")
        self.guest.todo.clear()
        trouble, name = self.guest.trouble, self.name(f"boot-{self.number}")
        if trouble:
            more = f" (and {len(trouble) - 1} more)" if trouble[1:] else ""
            self.report.fail(name, f"the kernel said, {trouble[0]}{more}")
        else:
            self.report.ok(name)

    def lost(self, why):
        """The test that ran has failed; the others run in another guest."""
        words, culprit = self.guest.last_words(), self.guest.running
        why = f"{words}; {why}" if words else str(why)
        if culprit:
            self.report.fail(self.name(culprit),
                             f"the guest was LOST in it: {why}")
            self.guest.todo.discard(culprit)
        else:
            # Nothing says that another boot would do better
            self.report.fail(self.name(f"boot-{self.number}"),
                             f"the guest was LOST: {why}")
            for test in sorted(self.guest.todo):
                self.report.fail(self.name(test),
                                 "not run, the guest was LOST")
            self.guest.todo.clear()
        self.guest.tail()


def run_all(runs):
    """All at the same time: a guest often waits, and its processors then leave
    those of the host to the other one."""
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
    """Those that could be prepared"""
    for version in versions:
        try:
            kernel = Kernel(version)
            kernel.prepare()
            yield kernel
        except Lost as e:
            report.fail(f"{version}/boot", e)


def run(report):
    versions = os.environ.get("KERNELS", "6.1 6.12").split()
    programs = [p for p in all_programs()
                if any(report.wanted(f"{v}/{p.name}/{t}")
                       for v in versions for t in p.tests
                       if Kernel(v).debug or not p.debug)]
    need_device()
    # Two runs at once would write the same files, and slow each other down
    os.makedirs(FOLDER, exist_ok=True)
    with open(os.path.join(FOLDER, ".lock"), "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for another run.py", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        build = Build(programs)
        run_all([KernelRun(report, kernel, programs, build)
                 for kernel in kernels(report, versions)])


if __name__ == "__main__":
    tier.main("guest", run)
