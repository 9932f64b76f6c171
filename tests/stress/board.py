# SPDX-License-Identifier: GPL-2.0-or-later
"""The layout of the object that all parties share; see party.c"""

import ctypes
import os

SIDES = ("host", "guest 1", "guest 2")
WORKERS = int(os.environ.get("WORKERS", "6"))
TURNS, CROWD, END = range(3)

NOWHERE = 0xffffffff


class Line(ctypes.Structure):
    """The counters of a worker and of its predecessors"""
    _fields_ = [(name, ctypes.c_uint32) for name in (
        "waits_on", "expected", "tokens", "woken", "late", "wakes",
        "killed")]


class Board(ctypes.Structure):
    """The whole object"""
    _fields_ = [("taken", ctypes.c_uint32), ("made", ctypes.c_uint32),
                ("turn", ctypes.c_uint32 * len(SIDES))] + [
                    (name, ctypes.c_uint32)
                    for name in ("turns", "round", "kind", "total", "ready")
                ] + [("line", Line * WORKERS * len(SIDES))]

    def forget(self):
        """Marks all workers as not waiting."""
        for lines in self.line:
            for line in lines:
                line.waits_on = NOWHERE

    def word(self, offset):
        """(name, value) of a word"""
        words = {getattr(Board, n).offset: (n, getattr(self, n))
                 for n in ("taken", "made", "round", "ready")}
        for n, value in enumerate(self.turn):
            words[Board.turn.offset + 4 * n] = (f"turn[{n}]", value)
        return words.get(offset, (f"byte {offset}", "?"))

    def sleepers(self):
        """Lines about the waiting workers: the word, and its present value"""
        for side, lines in zip(SIDES, self.line):
            for n, line in enumerate(lines):
                if line.waits_on != NOWHERE:
                    name, value = self.word(line.waits_on)
                    yield (f"{side}/{n} sleeps while {name} is "
                           f"{line.expected}: it is {value}")

    def sum(self, what, side=None, first=0, step=1):
        """The sum of a counter over the workers of a side, or of all sides.
        first and step select some of the workers."""
        lines = self.line if side is None else [self.line[side]]
        return sum(getattr(line, what)
                   for part in lines for line in part[first::step])

    def state(self):
        """Values that change as long as a worker makes progress"""
        return self.taken, self.made, self.turns, self.round, self.ready

    def progress(self):
        """(number of finished operations, total)"""
        if self.kind == TURNS:
            return self.turns, self.total * len(SIDES)
        return self.taken, self.total
