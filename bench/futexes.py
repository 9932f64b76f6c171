# SPDX-License-Identifier: GPL-2.0-or-later
"""The cost of futex(2) in a guest, with the driver's parameter "futex" off and
on, and that of a seccomp trap"""

import fleet
from form import columns, spread


class NoPeers:
    """In the place of the machine with other peers"""

    words, fds = {}, ()


STATES = (("off", ""), ("on", "futex=1"))
EACH = ("calls", "pairs", "host")

ROWS = (
    ("wait", "private", "FUTEX_WAIT, private"),
    ("wait", "tmpfs", "FUTEX_WAIT, tmpfs"),
    ("wait", "vmshm", "FUTEX_WAIT, vmshm"),
    ("wake", "private", "FUTEX_WAKE, private"),
    ("wake", "tmpfs", "FUTEX_WAKE, tmpfs"),
    ("wake", "vmshm", "FUTEX_WAKE, vmshm"),
    ("pair", "tmpfs", "round trip in the guest, tmpfs"),
    ("pair", "vmshm", "round trip in the guest, vmshm"),
    ("pair", "host", "round trip to the host, vmshm"))


def steps(state, rounds):
    return list(EACH) * rounds + (["trapped"] * rounds if state == "off"
                                  else [])


def count(rounds):
    return sum(len(steps(state, rounds)) for state, _ in STATES)


def measure(make, rounds, results):
    """Measures in two guests, one after the other. make() makes a guest."""
    for number, (state, driver) in enumerate(STATES):
        fleet.run([make(number, "futex-calls", steps(state, rounds),
                        lambda vm: fleet.BenchHost(vm, results, NoPeers),
                        driver=driver)])


def section(table):
    if not table.find(name="futex"):
        return
    widths = (34, 22, 22)
    yield ""
    yield "futex(2) in the guest, by the parameter futex of the driver"
    yield columns(widths, ("", "off", "on"))
    for what, memory, title in ROWS:
        found = (table.find(name="futex", what=what, memory=memory,
                            state=state) for state, _ in STATES)
        yield columns(widths, (title, *(spread(r) if r else "-"
                                        for r in found)))
    trapped = table.find(name="futex", what="wait", state="trap")
    if trapped:
        yield columns(widths, ("SECCOMP_RET_TRAP, empty handler",
                               spread(trapped)))
