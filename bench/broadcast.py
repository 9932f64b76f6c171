# SPDX-License-Identifier: GPL-2.0-or-later
"""One writer on the host and readers in several guests."""

import os
import subprocess
import threading

import fleet
from bench_guest import BUILD
from guest.host import SHM, Refused
from qemu import die_with_parent

READERS = (1, 2, 4)
SIZES = (4 << 10, 1 << 20)
TIME = 300          # milliseconds


class Case:
    """One broadcast to a number of readers."""

    def __init__(self, name, size, readers, results):
        self.name, self.size, self.readers = name, size, readers
        self.results = results
        self.lock = threading.Lock()
        self.writer = None
        self.progress = name + "-progress"
        self.received = []
        self.opened = fleet.Meeting(readers, self._go)
        self.ended = fleet.Meeting(readers, self._sum_up)

    def prepare(self):
        """Creates the objects and starts the writer, once for all callers."""
        with self.lock:
            if self.writer:
                return
            with open(SHM + self.progress, "xb") as f:
                f.truncate(4096)
            self.writer = subprocess.Popen(
                [os.path.join(BUILD, "broadcast-writer"), self.name,
                 str(self.size), str(TIME), SHM + self.progress,
                 str(self.readers)], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, preexec_fn=die_with_parent)
            if self.writer.stdout.readline() != b"ready\n":
                raise Refused("no broadcast")

    def _go(self):
        self.writer.stdin.close()

    def _sum_up(self):
        published = int(self.writer.stdout.read())
        self.writer.stdout.close()
        self.writer.wait()
        rate = sum(count / us for count, _, us in self.received)
        lost = sum(lost for _, lost, _ in self.received)
        keys = {"name": "broadcast", "readers": str(self.readers),
                "size": str(self.size)}
        for what, unit, value in (
                ("entries", "per_s", rate * 1e6),
                ("bytes", "mbs", rate * self.size),
                ("lost", "share", lost / (published * self.readers))):
            self.results.append(({**keys, "what": what}, unit, value))


class Host(fleet.BenchHost):
    """The host of one guest. Guest 0 takes part in all cases. The guest with
    the highest number takes part only in cases with all readers."""

    def __init__(self, vm, results, number, rounds):
        super().__init__(vm, results, None)
        self.number = number
        self.rounds = rounds        # [[Case]]
        self.left = None
        self.case = None

    def do_next_broadcast(self):
        """The name of the broadcast and of the progress object, and the number
        of this reader. The answer is empty at the end of a round."""
        if self.left is None:
            self.left = self.rounds.pop(0)
        if not self.left:
            self.left = None
            return ""
        self.case = self.left.pop(0)
        self.case.prepare()
        return f"{self.case.name} {self.case.progress} {self.number}"

    def do_opened(self):
        self.case.opened.wait()

    def do_received(self, *numbers):
        self.case.received.append([int(n) for n in numbers])
        self.case.ended.wait()


def measure(make, rounds, results):
    """Measures all cases. make(number, program, tests, host) makes a guest."""
    cases = [[Case(f"{Host.PREFIX}broadcast-{n}-{readers}-{size}", size,
                   readers, results) for size in SIZES for readers in READERS]
             for n in range(rounds)]
    guests = []
    for number in range(max(READERS)):
        own = [[c for c in part if c.readers > number] for part in cases]
        guests.append(make(
            number, "broadcast", ["reader"] * rounds,
            lambda vm, n=number, own=own: Host(vm, results, n, own)))
    fleet.run(guests)
