# SPDX-License-Identifier: GPL-2.0-or-later
"""Several guests at once, and what their requests have to wait for."""

import threading

from guest import BenchGuest, BenchHost, Lost
from host import Refused

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
    lost = []

    def one(guest):
        try:
            guest.boot()
            guest.finish()
        except Lost as e:
            lost.append((e, guest))

    threads = [threading.Thread(target=one, args=[g]) for g in guests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if lost:
        lost[0][1].tail()
        raise lost[0][0]


__all__ = ["BenchHost", "Meeting", "Member", "run"]
