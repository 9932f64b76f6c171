# SPDX-License-Identifier: GPL-2.0-or-later
"""The cost of an idle guest, with a device and without."""

import glob
import re
import time

import fleet

WINDOW = 1          # seconds


def work_of(pid):
    """For each thread: (microseconds of processor time, number of context
    switches)."""
    work = {}
    for task in glob.glob(f"/proc/{pid}/task/*"):
        with open(f"{task}/schedstat", encoding="ascii") as f:
            time_ns = int(f.read().split()[0])
        with open(f"{task}/status", encoding="utf-8") as f:
            sleeps = sum(int(n) for n in re.findall(
                r"_ctxt_switches:\s+(\d+)", f.read()))
        work[task] = time_ns / 1e3, sleeps
    return work


class Host(fleet.BenchHost):
    """Of that guest."""

    def __init__(self, vm, results):
        super().__init__(vm, results, None)
        self.threads = set()

    def _result(self, state, unit, value):
        self.results.append(({"name": "idle", "state": state, "per": "s"},
                             unit, value / WINDOW))

    def do_idle(self, state, settle):
        """Measures after a number of seconds, because a guest with a new device
        is busy for a while."""
        time.sleep(int(settle))
        before = work_of(self.vm.pid)
        time.sleep(WINDOW)
        after = work_of(self.vm.pid)
        done = {task: [b - a for a, b in zip(before[task], after[task])]
                for task in after if task in before}
        for n, unit in enumerate(("us", "switches")):
            self._result(state, unit, sum(d[n] for d in done.values()))
        if state == "waiters":
            # The threads that wait for the guest
            new = [d for task, d in done.items() if task not in self.threads]
            self._result("waiting", "threads", len(new) * WINDOW)
            self._result("waiting", "switches", sum(d[1] for d in new))
        self.threads = set(after)

    def do_idle_exits(self):
        self.traced(True)
        time.sleep(WINDOW)
        self.traced(False)
        self._result("waiters", "exits", self.accesses())


def measure(make, rounds, results):
    """make(number, program, tests, host, args) makes a guest."""
    fleet.run([make(0, "idle", ["rest"] * rounds,
                    lambda vm: Host(vm, results), "")])
