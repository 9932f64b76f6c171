# SPDX-License-Identifier: GPL-2.0-or-later
"""The interface of tests to the slots of a device"""

import os

import contract as c
import futex
from arena import MIB, Arena
from shm import path
from vmshm import equal, true, until

OPTIONS = f",arena={2 * MIB}"
ALL = 0xffff
FUTEX_WAITV = 449       # the system call of Linux on x86-64


class Waits(Arena):
    """A device with slots"""

    def slot(self, n, register):
        return self.vm.read(self.regs + c.REG_SLOT + n * c.SLOT_SIZE +
                            register, 8)

    def set_slot(self, n, register, value):
        self.vm.write(self.regs + c.REG_SLOT + n * c.SLOT_SIZE + register, 8,
                      value)

    def arm(self, n, place, expected):
        self.set_slot(n, c.SLOT_PLACE, place)
        self.set_slot(n, c.SLOT_CONTROL, c.SLOT_ARM | expected)

    def disarm(self, n):
        self.set_slot(n, c.SLOT_CONTROL, 0)
        return self.state(n)

    def state(self, n):
        return self.slot(n, c.SLOT_CONTROL)

    def hold(self, n, place):
        self.set_slot(n, c.SLOT_PLACE, place)
        self.set_slot(n, c.SLOT_CONTROL, c.SLOT_HOLD)

    def owner(self, n):
        """The number that a word must contain while slot n holds it"""
        control = self.state(n)
        equal(control & 0xffffffff, c.SLOT_IS_HELD, f"slot {n}")
        return control >> c.SLOT_OWNER_SHIFT

    def fired(self):
        return sum(self.get(c.REG_FIRED + 4 * i) << 32 * i
                   for i in range(c.SLOTS // 32))

    def wake(self, place, count):
        self.vm.write(self.regs + c.REG_WAKE, 8,
                      count << c.WAKE_COUNT_SHIFT | place // 4)

    def until(self, n, state, what):
        until(lambda: self.state(n) == state, lambda: f"{what}: slot {n} is "
              f"{self.state(n)}, not {state}")


def host_wakes(obj, offset, count):
    """Wakes waiters on the host until `count` waiters were woken."""
    left = count

    def woken():
        nonlocal left
        left -= futex.wake(path(obj.name), offset, left)
        return not left
    until(woken, lambda: f"{left} do not wait")


def queue_is_left(obj, offset):
    """Waits until the threads of the device have left the queue."""
    until(lambda: not futex.wake(path(obj.name), offset, 1),
          "there is a waiter")


def threads_in(vm, call):
    """The threads of slots that are in this system call"""
    found = 0
    for task in os.listdir(f"/proc/{vm.pid}/task"):
        folder = f"/proc/{vm.pid}/task/{task}/"
        try:
            with open(folder + "comm", encoding="ascii") as comm, \
                 open(folder + "syscall", encoding="ascii") as syscall:
                found += (comm.read().strip() == "vmshm-wait" and
                          syscall.read().split()[0] == str(call))
        except (FileNotFoundError, ProcessLookupError):
            pass        # the thread has ended
    return found


def asleep(vm, count):
    """Returns when `count` slots are in a futex queue."""
    until(lambda: threads_in(vm, FUTEX_WAITV) == count, f"not {count} wait")
