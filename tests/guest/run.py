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

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lib"))
sys.dont_write_bytecode = True

import tier                             # noqa: E402
from guest.boot import Guest            # noqa: E402
from guest.build import FOLDER, Build   # noqa: E402
from guest.kernel import Kernel         # noqa: E402
from guest.program import all_programs  # noqa: E402
from qemu import Lost, need_device      # noqa: E402


def run_kernel(report, kernel, programs, build):
    """Boots one guest for all programs that can share one, and another when
    one is lost."""
    todo = []
    for p in programs:
        tests = [t for t in p.tests
                 if report.wanted(f"{kernel.version}/{p.name}/{t}")]
        if tests:
            todo.append((p, tests))
    number = 0
    while todo:
        guest_kind = todo[0][0].guest
        plan = [(p, t) for p, t in todo if p.guest == guest_kind]
        number += 1
        name = f"{kernel.version}/boot-{number}"
        guest = None
        try:
            guest = Guest(report, kernel, number, guest_kind, plan, build)
            guest.boot()
            for test in sorted(guest.todo):
                report.fail(f"{kernel.version}/{test}", "it did not run")
            guest.todo.clear()
            if guest.trouble:
                report.fail(name, "the kernel said, " + guest.trouble[0] + (
                    f" (and {len(guest.trouble) - 1} more)"
                    if len(guest.trouble) > 1 else ""))
            else:
                report.ok(name)
        except Lost as e:
            culprit = guest.running if guest else None
            words = guest.last_words() if guest else None
            e = f"{words}; {e}" if words else e
            if culprit:
                report.fail(f"{kernel.version}/{culprit}",
                            f"the guest was LOST in it: {e}")
                guest.todo.discard(culprit)
            else:
                report.fail(name, f"the guest was LOST: {e}")
            if guest:
                guest.tail()
            if not culprit:
                # Nothing says that another boot would do better
                for p, tests in plan:
                    for t in tests:
                        if not guest or f"{p.name}/{t}" in guest.todo:
                            report.fail(f"{kernel.version}/{p.name}/{t}",
                                        "not run, the guest was LOST")
                guest = None
        left = guest.todo if guest else set()
        rest = [(p, [t for t in tests if f"{p.name}/{t}" in left])
                for p, tests in plan]
        todo = [x for x in rest if x[1]] + \
               [x for x in todo if x[0].guest != guest_kind]


def run(report):
    versions = os.environ.get("KERNELS", "6.1 6.12").split()
    programs = [p for p in all_programs()
                if any(report.wanted(f"{v}/{p.name}/{t}")
                       for v in versions for t in p.tests)]
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
        for version in versions:
            try:
                kernel = Kernel(version)
                kernel.prepare()
            except Lost as e:
                report.fail(f"{version}/boot", e)
                continue
            run_kernel(report, kernel, programs, build)


if __name__ == "__main__":
    tier.main("guest", run)
