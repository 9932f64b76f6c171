# SPDX-License-Identifier: GPL-2.0-or-later
"""Wake-ups, alone and beside allocations of the same guest"""

import fleet
from form import columns, spread, time_text, times

ARGS = "-device vmshm,id=vmshm0,create=on"


def measure(make, rounds, results):
    """Measures in a guest from make(number, program, tests, host, args)."""
    fleet.run([make(20, "wake", ["beside_allocation"] * rounds,
                    lambda vm: fleet.BenchHost(vm, results, None), ARGS)])


def section(table):
    """The lines of the table"""
    own, tail = (table.find(name=n, state="alone")
                 for n in ("wake", "wake-p99"))
    if not own:
        return
    widths = (26, 23, 10, -10)
    yield ""
    yield "VMSHM_IOC_WAKE without a waiter, and beside a loop of fallocate()"
    yield columns(widths, ("", "median", "p99", "p99/alone"))
    for state, title in (("alone", "alone"), ("allocating", "beside 64 MiB")):
        median, p99 = (table.find(name=n, state=state)
                       for n in ("wake", "wake-p99"))
        yield columns(widths, (title, spread(median), time_text(p99),
                               times(table.ratio(p99, tail))))
