#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Stress test of waiting and waking between the host and two guests.

usage: run.py [PART-OF-A-TEST'S-NAME...]

The environment: TOKENS, the number of tokens that are made and taken while
workers are killed at random (default 30000); WORKERS, the number of workers of
each of the three sides (default 6); KERNELS, whose first and last kernel the
guests run; QEMU, VMSHM_SO.

party.c describes the work of the parties. After a lost wake-up, all workers
sleep for ever. Then no value changes any more, and the test prints the word for
which each worker waits.
"""

import ctypes
import functools
import mmap
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
sys.dont_write_bytecode = True

import futex                                # noqa: E402
import tier                                 # noqa: E402
from board import CROWD, END, SIDES, TURNS, WORKERS, Board  # noqa: E402
from guest.boot import BackgroundGuest      # noqa: E402
from guest.build import Build               # noqa: E402
from guest.host import SHM, Host            # noqa: E402
from guest.kernel import Kernel             # noqa: E402
from guest.program import DEFAULT_QEMU, Program     # noqa: E402
from qemu import Lost, die_with_parent, need_device     # noqa: E402

BUILD = os.path.join(ROOT, "build", "stress")
# The name differs from "party", a helper program that Build() compiles.
PARTY = os.path.join(BUILD, "stress-party")
TOKENS = int(os.environ.get("TOKENS", "30000"))
TOKENS_MACHINE_KILLED = 10000
ROUNDS_OF_TURNS = 1000
ALL = 0x7fffffff

# Seconds without a change after which a wake-up counts as lost
SILENCE = 150


class Guest(BackgroundGuest):
    """A side that is a guest. It prints nothing during the test."""

    silence = 7200

    def __init__(self, kernel, number, program, build):
        super().__init__(kernel, number, program.guest,
                         [(program, [str(number)])], build)
        self.number = number


class Stress:
    """The object, and the processes that use it"""

    def __init__(self):
        self.name = SHM + Host.PREFIX + "board"
        self.fd = os.open(self.name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        # Each guest that ends removes the name.
        self.path = f"/proc/{os.getpid()}/fd/{self.fd}"
        size = -(-ctypes.sizeof(Board) // mmap.PAGESIZE) * mmap.PAGESIZE
        os.ftruncate(self.fd, size)
        self.map = mmap.mmap(self.fd, size)
        self.board = Board.from_buffer(self.map)
        self.board.forget()
        self.guests, self.children = [], []
        self.alive = len(SIDES)

    def start(self, kernels, program, build):
        self.party("0", self.path)
        for number, kernel in enumerate(kernels, 1):
            self.guests.append(Guest(kernel, number, program, build).start())

    def party(self, *words):
        child = subprocess.Popen([PARTY, *words], stdin=subprocess.DEVNULL,
                                 preexec_fn=die_with_parent)
        self.children.append(child)
        return child

    def close(self):
        for guest in self.guests:
            guest.kill()
        for child in self.children:
            child.kill()
            child.wait()
        if os.path.exists(self.name):
            os.unlink(self.name)

    def conduct(self, kind, total, kills_guest=False):
        """Runs a round: a test on all sides."""
        left = self.alive - kills_guest
        conductor = self.party("conduct", self.path, str(kind), str(total),
                               str(self.alive), str(left))
        progress = Progress()
        while True:
            try:
                code = conductor.wait(timeout=0.1)
                break
            except subprocess.TimeoutExpired:
                pass
            self.look()
            progress.look(self.board)
            if left < self.alive and self.board.taken > total // 3:
                self.kill_guest()
        progress.end()
        if code:
            raise Lost(f"the conductor has failed: exit code {code}")
        if left < self.alive:
            raise Lost("the round ended before a guest could be killed")

    def look(self):
        """Raises Lost if a side has failed."""
        if self.children[0].poll():
            raise Lost("the host's side has failed")
        for guest in self.guests:
            if guest.problem:
                raise Lost(f"{SIDES[guest.number]}: {guest.problem}")

    def kill_guest(self):
        """Kills a guest. Its processes may have taken wake-ups without handling
        them, so all other workers are woken."""
        self.guests.pop().kill()
        self.alive -= 1
        for word in (Board.taken, Board.made):
            futex.wake(self.path, word.offset, ALL)

    def end(self):
        """Ends the guests. Raises Lost if a kernel has printed a warning."""
        self.conduct(END, 0)
        for guest in self.guests:
            guest.thread.join()
            if guest.trouble:
                raise Lost(f"{SIDES[guest.number]}'s kernel said, "
                           f"{guest.trouble[0]}")
        self.look()


class Progress:
    """On a terminal, one line that is rewritten; otherwise a line for each
    tenth of the work"""

    def __init__(self):
        self.state, self.since = None, time.monotonic()
        self.tenths = 0

    def look(self, board):
        """Raises Lost if no value changes any more."""
        now = time.monotonic()
        if self.state != board.state():
            self.state, self.since = board.state(), now
        elif now - self.since > SILENCE:
            self.end()
            for sleeper in board.sleepers():
                print("   " + sleeper)
            raise Lost("no value changes any more; see the sleeping workers")
        done, total = board.progress()
        if sys.stdout.isatty():
            print(f"\r\033[K{done} of {total}", end="", flush=True)
        elif total and done * 10 // total > self.tenths:
            self.tenths = done * 10 // total
            print(f"   {done} of {total}", flush=True)

    def end(self):
        if sys.stdout.isatty():
            print("\r\033[K", end="", flush=True)


def print_statistics(board, seconds):
    """Prints statistics, which do not affect the result."""
    b = board
    shares = ", ".join(f"{side} {b.sum('tokens', n) * 50 / b.total:.0f} %"
                       for n, side in enumerate(SIDES))
    print(f"   {b.taken} tokens in {seconds:.0f} s: {shares}")
    print(f"   {b.sum('woken')} sleeps ended by a wake-up, "
          f"{b.sum('late')} by a deadline; {b.sum('killed')} kills",
          flush=True)


def check_tokens(board, total):
    """Checks that each token was made once and taken once."""
    if (board.made, board.taken) != (total, total):
        return f"{board.made} were made and {board.taken} taken, not {total}"
    for n, side in enumerate(SIDES):
        if not board.sum("woken", n):
            return f"{side} was never woken"
    killed = board.sum("killed")
    for what, first in (("taken", 0), ("made", 1)):
        # A killed worker may not have counted its last token.
        count = board.sum("tokens", first=first, step=2)
        if not total - killed <= count <= total:
            return (f"the workers have {what} {count} of {total}, "
                    f"with {killed} kills")
    return None


def test_turns(stress):
    stress.conduct(TURNS, ROUNDS_OF_TURNS)
    if stress.board.turns != len(SIDES) * ROUNDS_OF_TURNS:
        return f"there were {stress.board.turns} turns"
    return None


def test_crowd(stress):
    start = time.monotonic()
    stress.conduct(CROWD, TOKENS)
    print_statistics(stress.board, time.monotonic() - start)
    return check_tokens(stress.board, TOKENS)


def test_machine_killed(stress):
    """A VM is killed. The last counts of its workers may be missing."""
    stress.conduct(CROWD, TOKENS_MACHINE_KILLED, kills_guest=True)
    stress.board.line[-1][0].killed += WORKERS
    return check_tokens(stress.board, TOKENS_MACHINE_KILLED)


def test_end(stress):
    """The other guest ends, and its kernel has printed no warning."""
    stress.end()


TESTS = (("stress/turns", test_turns), ("stress/crowd", test_crowd),
         ("stress/machine_killed", test_machine_killed),
         ("stress/end", test_end))


def compile_party():
    done = subprocess.run(
        ["gcc", "-std=gnu11", "-static", "-s", "-O2", "-Wall",
         f"-DWORKERS={WORKERS}", "-I", os.path.join(ROOT, "include"),
         "-o", PARTY, os.path.join(HERE, "party.c")], check=False)
    if done.returncode:
        raise Lost("tests/stress/party.c does not compile")
    build = Build([], BUILD)
    build.files.append(("tests/party", PARTY))
    return build


def prepare(stress):
    """Builds the programs and starts both guests."""
    need_device()
    versions = os.environ.get("KERNELS", "6.1 6.12").split()
    kernels = [Kernel(v) for v in (versions[0], versions[-1])]
    for kernel in kernels:
        kernel.prepare()
    build = compile_party()
    program = Program("party.c", "", "", DEFAULT_QEMU)
    stress.start(kernels, program, build)


class Sequence:
    """Tests that depend on the previous tests. No test runs after a failure."""

    def __init__(self, stress):
        self.stress, self.lost = stress, False

    def __call__(self, test):
        if self.lost:
            return "not run, because a test before it failed"
        self.lost = True
        why = test(self.stress)
        self.lost = bool(why)
        return why


def run_tests(report):
    wanted = [(name, test) for name, test in TESTS if report.wanted(name)]
    if not wanted:
        return
    os.makedirs(BUILD, exist_ok=True)
    stress = Stress()
    try:
        prepare(stress)
        run = Sequence(stress)
        tier.each(report, [(name, functools.partial(run, test))
                           for name, test in wanted])
    finally:
        stress.close()


if __name__ == "__main__":
    tier.main("stress", run_tests)
