# SPDX-License-Identifier: GPL-2.0-or-later
"""Several guests at the same time, and barriers for their requests."""

import queue
import threading

from bench_guest import BenchGuest, BenchHost, Lost, QmpError
from guest.host import Refused

PATIENCE = 60       # seconds until a missing guest counts as lost


class Meeting:
    """A barrier for a number of threads. When all have arrived, one of them
    calls a function."""

    def __init__(self, count, action=None):
        self.barrier = threading.Barrier(count, action, PATIENCE)

    def wait(self):
        try:
            self.barrier.wait()
        except threading.BrokenBarrierError:
            raise Refused("another guest has not reached the barrier") from None


class Member(BenchGuest):
    """A guest of a fleet. A given host object serves its requests."""

    def __init__(self, *args, host, **kwargs):
        super().__init__(*args, **kwargs)
        self.host = host        # a function of the VM

    def make_host(self, vm):
        return self.host(vm)


def run(guests):
    """Runs the guests until all have ended. If guests are lost, the first lost
    guest is reported as the cause."""
    ended, lost = queue.SimpleQueue(), []

    def one(guest):
        try:
            guest.boot()
            guest.finish()
        except (Lost, QmpError) as e:
            lost.append((e, guest))
        finally:
            ended.put(guest)

    for guest in guests:
        threading.Thread(target=one, args=[guest]).start()
    # After a signal, join() of Python 3.11 reports a running thread as ended.
    left = len(guests)
    try:
        while left:
            ended.get()
            left -= 1
    except BaseException:
        # Each thread cleans up after the end of its VM.
        for guest in guests:
            guest.stop()
        for _ in range(left):
            ended.get()
        raise
    if lost:
        error, guest = lost[0]
        guest.progress.end()
        guest.tail()
        raise error


__all__ = ["BenchHost", "Meeting", "Member", "run"]
