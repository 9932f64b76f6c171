# SPDX-License-Identifier: GPL-2.0-or-later
"""Accesses to device registers, which are exits of the VM under KVM, and their
assumed cost. QEMU's trace counts them exactly, also under emulation."""

import os
import re

import bench_guest
import fleet
from form import columns, digits
from guest.program import TESTS, Program
from machine import MODULES, Machine

# The assumed microseconds of an exit to user space, and of an exit that the
# kernel handles
USER, KERNEL = 2.0, 0.7

# The kernel handles the doorbells of the peers (ioeventfd).
IN_KERNEL = ("doorbell", "serial", "tcp")

HOWS = (("rest", "after a pause"), ("sleep", "no pause"))
PEERS = (("channel", "VMShm channel"), ("channel-0", "VMShm channel, no poll"),
         ("words", "VMShm words"), ("words-0", "VMShm words, no poll"),
         ("doorbell", "doorbell, no poll"), ("doorbell-look", "doorbell"),
         ("doorbell-flag", "doorbell with flag"), ("serial", "virtio-serial"),
         ("tcp-tap", "TCP, tap"), ("tcp-user", "TCP, user mode"))

# The test that counts the register accesses of operations of the driver
TEST = os.path.join(TESTS, "test-accesses.c")


def add_options(parser):
    parser.add_argument("--exit-us", type=float, default=USER,
                        help="assumed microseconds of an exit to user space "
                        "under KVM")
    parser.add_argument("--kernel-exit-us", type=float, default=KERNEL,
                        help="the same for an exit that the kernel handles")


class Counting(fleet.Member):
    """A guest that runs tests. A failing test has already written its numbers.
    """

    def result(self, line):
        if not line.startswith(("not ok", "skip", "note")):
            super().result(line)


def counted(lines):
    """(operation, number) from the lines of a console"""
    for line in lines:
        found = re.search(r"accesses: (.+?) ([\d.]+)\s*$", line)
        if found:
            yield found[1], float(found[2])


def programs():
    return Program.all_of(TEST)


def measure(kernel, built, tap, common):
    """Counts the accesses in two guests, one after the other."""
    results = common["results"]
    for program in programs():
        guest = Counting(
            kernel, "exits", program.guest, [(program, program.tests)], built,
            host=lambda vm: fleet.BenchHost(vm, results, None), **common)
        fleet.run([guest])
        for operation, number in counted(guest.console()):
            results.append(({"name": "exits", "operation": operation}, "each",
                            number))
    with Machine(tap, count=True) as machine:
        fleet.run([bench_guest.BenchGuest(
            kernel, "exits-peers", (machine.qemu, "", MODULES),
            bench_guest.plan_of([("trip", ["exits"])]), built, machine=machine,
            **common)])


def row(title, in_user, in_kernel, cost):
    in_user, in_kernel = (max(n, 0) for n in (in_user, in_kernel))
    us = in_user * cost[0] + in_kernel * cost[1]
    return (title, *(digits(n) if n % 1 else f"{n:.0f}"
                     for n in (in_user, in_kernel)), f"{digits(us)} us")


def rows(table, cost):
    """(operation, exits to user space, exits in the kernel, their time)"""
    for r in table.results:
        if r["name"] == "exits" and "operation" in r:
            yield row(r["operation"], r["median"], 0, cost)
    for how, title in HOWS:
        for peer, name in PEERS:
            r = table.find(name="exits", how=how, peer=peer)
            if r:
                ends = (0, r["median"]) if peer.startswith(IN_KERNEL) else \
                    (r["median"], 0)
                yield row(f"round trip, {title}: {name}", *ends, cost)


def section(table, cost=(USER, KERNEL)):
    found = list(rows(table, cost))
    if not found:
        return
    widths = (48, -11, -10, -10)
    yield ""
    yield (f"Exits under KVM; assumed: {cost[0]:g} us to user space, "
           f"{cost[1]:g} us in the kernel")
    yield columns(widths, ("", "user space", "in kernel", "cost"))
    for cells in found:
        yield columns(widths, cells)
