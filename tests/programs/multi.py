#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""An ordinary program that uses multiprocessing, and no interface of VMShm.
test-multiprocessing.sh runs it on the host and in a guest.

usage: multi.py PATH KIND ROLE ROUNDS       ROLE is 0 or 1

Names begin with the last component of PATH. Role 0 creates the objects, and has
to begin first. Processes of one parent inherit the objects of multiprocessing,
or unpickle them. This program opens the objects by name, as unpickling does.
"""

import _multiprocessing
import sys
import time
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import ShareableList, SharedMemory
from multiprocessing.synchronize import Condition, Lock, RLock, Semaphore

RECURSIVE, COUNTING = 0, 1      # kinds of SemLock
DEADLINE = 300


def patiently(attach):
    """Attaches an object of another process. Waits until the object exists."""
    end = time.monotonic() + DEADLINE
    while True:
        try:
            return attach()
        except (FileNotFoundError, ValueError):
            # ValueError: the object has no size yet.
            if time.monotonic() > end:
                raise


def number(buffer):
    """The number that a block begins with"""
    return int.from_bytes(buffer[:8], "little")


def count(buffer):
    buffer[:8] = (number(buffer) + 1).to_bytes(8, "little")


def leave(memory):
    """Unregisters a block, so that the end of this process does not remove it.
    Before Python 3.13, a process also removes blocks of other processes."""
    # pylint: disable-next=protected-access
    resource_tracker.unregister(memory._name, "shared_memory")


class Party:
    """One of the two processes"""

    def __init__(self, base, role, rounds):
        self.base, self.role, self.rounds = base, role, rounds
        self.kept = None

    def semlock(self, cls, tail, kind, value, most):
        name = f"/{self.base}{tail}"
        if not self.role:
            _multiprocessing.SemLock(kind, value, most, name, False)
        lock = cls.__new__(cls)
        patiently(lambda: lock.__setstate__((0, kind, most, name)))
        return lock

    def semaphore(self, tail, value=0):
        return self.semlock(Semaphore, tail, COUNTING, value, 2**31 - 1)

    def lock(self, tail):
        return self.semlock(Lock, tail, COUNTING, 1, 1)

    def rlock(self, tail):
        return self.semlock(RLock, tail, RECURSIVE, 1, 1)

    def memory(self, tail):
        name = self.base + tail
        if self.role:
            self.kept = patiently(lambda: SharedMemory(name))
        else:
            self.kept = SharedMemory(name, create=True, size=4096)
        leave(self.kept)
        return self.kept

    # Kinds

    def run_semaphore(self):
        both = self.semaphore("-a"), self.semaphore("-b")
        mine, other = both[self.role], both[1 - self.role]
        for _ in range(self.rounds):
            if not self.role:
                other.release()
            assert mine.acquire(timeout=DEADLINE)
            if self.role:
                other.release()

    def run_lock(self):
        words = self.memory("-m").buf
        lock, done = self.lock("-l"), self.semaphore("-d")
        for _ in range(self.rounds):
            with lock:
                count(words)
        done.release()
        if not self.role:
            assert done.acquire(timeout=DEADLINE)
            assert done.acquire(timeout=DEADLINE)
            assert number(words) == 2 * self.rounds, number(words)

    def run_condition(self):
        words = self.memory("-m").buf
        condition = Condition.__new__(Condition)
        condition.__setstate__((self.rlock("-l"), self.semaphore("-s"),
                                self.semaphore("-w"), self.semaphore("-x")))
        for _ in range(self.rounds):
            with condition:
                assert condition.wait_for(
                    lambda: number(words) % 2 == self.role, DEADLINE)
                count(words)
                condition.notify_all()

    def run_memory(self):
        both = self.semaphore("-a"), self.semaphore("-b")
        memory = self.memory("-m")
        for i in range(self.rounds):
            text = f"round {i}".encode()
            if not self.role:
                memory.buf[:len(text)] = text
                both[1].release()
                assert both[0].acquire(timeout=DEADLINE)
                assert memory.buf[:len(text)] == text[::-1]
            else:
                assert both[1].acquire(timeout=DEADLINE)
                assert memory.buf[:len(text)] == text
                memory.buf[:len(text)] = text[::-1]
                both[0].release()

    def run_list(self):
        both = self.semaphore("-a"), self.semaphore("-b")
        name = self.base + "-m"
        if not self.role:
            shared = ShareableList([0, 0.5, "text", None], name=name)
            both[1].release()
        else:
            assert both[1].acquire(timeout=DEADLINE)
            shared = ShareableList(name=name)
            both[0].release()
        leave(shared.shm)
        for i in range(self.rounds):
            assert both[self.role].acquire(timeout=DEADLINE)
            assert shared[0] == 2 * i + self.role and shared[3] is None
            shared[0] += 1
            shared[2] = f"text {self.role}"[:4]
            both[1 - self.role].release()


if __name__ == "__main__":
    path, what, which, how_often = sys.argv[1:]
    getattr(Party(path.rpartition("/")[2], int(which), int(how_often)),
            "run_" + what)()
