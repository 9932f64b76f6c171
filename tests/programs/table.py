#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the third-party programs (make check-programs), and prints a table of
their results at the end.

usage: table.py [PART-OF-A-TEST'S-NAME...]

The environment is that of tests/guest/run.py; T_PROGRAMS is the number of
rounds.
"""

import os
import sys

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(TESTS, "guest"), os.path.join(TESTS, "lib")]
sys.dont_write_bytecode = True
os.environ.setdefault("T_PROGRAMS", "1000")

import run as guests                    # noqa: E402
import tier                             # noqa: E402


class Table:
    """A report that also counts the results of each program"""

    def __init__(self, report):
        self.report = report
        self.results = {}       # (program, kernel): {word: number}

    def __getattr__(self, name):
        return getattr(self.report, name)

    def _count(self, name, word):
        kernel, _, rest = name.partition("/")
        counts = self.results.setdefault((rest.partition("/")[0], kernel), {})
        counts[word] = counts.get(word, 0) + 1

    def ok(self, name):
        self._count(name, "passed")
        self.report.ok(name)

    def fail(self, name, why):
        self._count(name, "failed")
        self.report.fail(name, why)

    def skip(self, name, why):
        self._count(name, "skipped")
        self.report.skip(name, why)

    def lines(self):
        kernels = sorted({kernel for _, kernel in self.results},
                         key=lambda k: [int(n) for n in k.split(".")])
        yield f"{'':<18}" + "".join(f"Linux {k:<22}" for k in kernels)
        for program in sorted({p for p, _ in self.results}):
            if program.startswith("boot"):
                continue
            cells = (self.results.get((program, k), {}) for k in kernels)
            yield f"{program:<18}" + "".join(
                f"{', '.join(f'{n} {w}' for w, n in c.items()) or '-':<28}"
                for c in cells).rstrip()


def run(report):
    table = Table(report)
    guests.run(table)
    print(f"\nThird-party programs, {os.environ['T_PROGRAMS']} rounds:")
    for line in table.lines():
        print(line.rstrip())
    print(flush=True)


if __name__ == "__main__":
    tier.main("programs", run)
