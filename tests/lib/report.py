# SPDX-License-Identifier: GPL-2.0-or-later
"""The output of all test tiers: a line for each test, a total at the end.

    ok NAME
    FAIL NAME: why
    skip NAME: why
    N passed, N failed[, N skipped]
"""

import sys
import threading

RED, GREEN, YELLOW = "31", "32", "33"


def _plain(name):
    """Files and functions have '_' in their names, and most tests have '-'."""
    return name.replace("_", "-")


class Report:
    """Counts results and prints them. The arguments of the program are
    substrings of test names, in which '-' and '_' are the same; without any,
    every test is wanted. Threads may share one."""

    def __init__(self, patterns=None, out=None):
        self.patterns = [_plain(p) for p in (
            sys.argv[1:] if patterns is None else patterns)]
        self.out = sys.stdout if out is None else out
        self.passed = self.failed = self.skipped = 0
        self.failures = []          # "NAME: why"
        self.lock = threading.Lock()

    def wanted(self, name):
        name = _plain(name)
        return not self.patterns or any(p in name for p in self.patterns)

    def ok(self, name):
        with self.lock:
            self.passed += 1
            self._line("ok", GREEN, name)

    def fail(self, name, why):
        with self.lock:
            self.failed += 1
            self.failures.append(f"{name}: {' '.join(str(why).split())}")
            self._line("FAIL", RED, name, why)

    def skip(self, name, why):
        with self.lock:
            self.skipped += 1
            self._line("skip", YELLOW, name, why)

    def total(self):
        text = f"{self.passed} passed, {self.failed} failed"
        return f"{text}, {self.skipped} skipped" if self.skipped else text

    def finish(self):
        """Prints the total. Returns the exit code of the program.

        Patterns that match no test are a failure, so that a typing error does
        not look like success."""
        print(self.total(), file=self.out, flush=True)
        if not (self.passed or self.failed or self.skipped):
            return 1
        return 1 if self.failed else 0

    def _line(self, word, colour, name, why=None):
        if self.out.isatty():
            word = f"\033[{colour}m{word}\033[0m"
        text = f"{word} {name}"
        if why is not None:
            # A reason with several lines becomes one line.
            text += ": " + " ".join(str(why).split())
        print(text, file=self.out, flush=True)
