# SPDX-License-Identifier: GPL-2.0-or-later
"""Several guests at the same time, and barriers for their requests."""

import queue
import threading

from bench_guest import BenchGuest, BenchHost, Lost, QmpError
from guest.host import Refused

PATIENCE = 60       # seconds until a missing guest counts as lost


class Meeting:
    """A barrier for a number of threads; then one of them acts."""

    def __init__(self, count, action=None):
        self.barrier = threading.Barrier(count, action, PATIENCE)

    def wait(self):
        try:
            self.barrier.wait()
        except threading.BrokenBarrierError:
            raise Refused("another guest did not come") from None


class Member(BenchGuest):
    """A guest of a fleet; its requests are served by a given host object."""

    def __init__(self, *args, host, **kwargs):
        super().__init__(*args, **kwargs)
        self.host = host        # a function of the VM

    def make_host(self, vm):
        return self.host(vm)


def run(guests):
    """Runs until all have ended. If a guest is lost, the first lost guest is
    the cause for the others."""
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
    # Not join(): after a signal it reports the thread as ended (Python 3.11).
    left = len(guests)
    try:
        while left:
            ended.get()
            left -= 1
    except BaseException:
        # Each thread cleans up when its VM is gone.
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
