# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests, several at once, and what their requests have to wait for."""

import queue
import threading

from bench_guest import BenchGuest, BenchHost, Lost, QmpError
from guest.host import Refused

PATIENCE = 60       # seconds until a guest that does not come is lost


class Meeting:
    """Where so many threads wait for each other; then one of them acts."""

    def __init__(self, count, action=None):
        self.barrier = threading.Barrier(count, action, PATIENCE)

    def wait(self):
        try:
            self.barrier.wait()
        except threading.BrokenBarrierError:
            raise Refused("another guest did not come") from None


class Member(BenchGuest):
    """A guest of a fleet, whose requests another kind of host serves."""

    def __init__(self, *args, host, **kwargs):
        super().__init__(*args, **kwargs)
        self.host = host        # a function of the VM

    def make_host(self, vm):
        return self.host(vm)


def run(guests):
    """Until all have ended. The first one that was lost, if any, is why the
    others were, too."""
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
    # Not join(): interrupted, it takes the thread for ended (Python 3.11).
    left = len(guests)
    try:
        while left:
            ended.get()
            left -= 1
    except BaseException:
        # Each cleans up when its machine is gone.
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
