# SPDX-License-Identifier: GPL-2.0-or-later
"""The cost of an idle guest: without a device, with a device, and with waiters
"""

import time

import fleet
import futex
import work

WINDOW = 1          # seconds

# The arguments of the guest's QEMU. The trace counts register accesses.
ARGS = "-D @FOLDER@/trace"


class Host(fleet.BenchHost):
    """The host's side of the idle guest"""

    def __init__(self, vm, results):
        super().__init__(vm, results, None)
        self.threads = set()

    def do_idle(self, state, settle, *more):
        """Measures after `settle` seconds, because a guest with a new device is
        busy for a while."""
        time.sleep(float(settle))
        self.do_accesses("on")
        before = work.of_threads(self.vm.pid)
        time.sleep(WINDOW)
        after = work.of_threads(self.vm.pid)
        done = {task: [b - a for a, b in zip(before[task], after[task])]
                for task in after if task in before}
        values = {"us": sum(us for us, _ in done.values()),
                  "switches": sum(n for _, n in done.values()),
                  "exits": self.do_accesses("off")}
        if state == "device":
            self.threads = set(after)
        if state == "waiters":
            # The new threads are those of the device that wait for the guest.
            new = [d for task, d in done.items() if task not in self.threads]
            values["threads"] = len(new) * WINDOW
            values["thread-switches"] = sum(n for _, n in new)
        keys = {"name": "idle", "state": state,
                **dict(word.split("=", 1) for word in more)}
        for unit, value in values.items():
            self.add(dict(keys), unit, value / WINDOW)

    def do_wake_all(self, name, count):
        """Sets and wakes the first words of an object."""
        words = [futex.Word(self.path(name), 4 * n) for n in range(int(count))]
        for word in words:
            word.word.value = 1
            word.futex(futex.WAKE_BITSET, futex.ALL, futex.ALL_BITS)


def measure(make, rounds, results):
    """Measures all states. make(number, program, tests, host, args) makes a
    guest."""
    fleet.run([make(0, "idle", ["rest"] * rounds,
                    lambda vm: Host(vm, results), ARGS)])
