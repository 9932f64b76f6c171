# SPDX-License-Identifier: GPL-2.0-or-later
"""futex(2) on a word of a file, as a program of the host uses it"""

import ctypes
import mmap
import os
import threading

SYS_FUTEX = 202     # x86-64
REQUEUE, WAIT_BITSET, WAKE_BITSET = 3, 9, 10
ALL = 0x7fffffff
ALL_BITS = 0xffffffff

_libc = ctypes.CDLL(None, use_errno=True)


class Word:
    """A 32-bit word of a file, which is mapped."""

    def __init__(self, path, offset):
        fd = os.open(path, os.O_RDWR)
        try:
            self.map = mmap.mmap(fd, 0)
        finally:
            os.close(fd)
        self.word = ctypes.c_uint32.from_buffer(self.map, offset)

    def futex(self, op, value, bits):
        return _libc.syscall(SYS_FUTEX, ctypes.byref(self.word), op, value,
                             None, None, ctypes.c_uint32(bits))


def wake(path, offset, count, bits=ALL_BITS):
    """Wakes up to count waiters. Returns the number of woken waiters."""
    return Word(path, offset).futex(WAKE_BITSET, count, bits)


def requeue(path, offset, target):
    """Moves all waiters of a word to the queue of the word at target. Returns
    their number. QEMU's threads for guests are counted."""
    source, goal = Word(path, offset), Word(path, target)
    count = _libc.syscall(SYS_FUTEX, ctypes.byref(source.word), REQUEUE, 0,
                          ctypes.c_long(ALL), ctypes.byref(goal.word), 0)
    if count < 0:
        raise OSError(ctypes.get_errno(), "FUTEX_REQUEUE")
    return count


def waiters(path, offset):
    """The number of waiters in the word's queue, with QEMU's threads for
    guests. Moving the waiters to the same queue counts them."""
    return requeue(path, offset, offset)


class Waiter:
    """A thread that waits for the word. After the end of the thread, result is
    0 if the thread was woken."""

    def __init__(self, path, offset, expected, bits=ALL_BITS):
        self.word, self.expected = Word(path, offset), expected
        self.bits = bits
        self.done, self.result = False, None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        self.result = self.word.futex(WAIT_BITSET, self.expected, self.bits)
        self.done = True

    @property
    def asleep(self):
        """Whether the thread is in the word's queue"""
        try:
            with open(f"/proc/self/task/{self.thread.native_id}/syscall",
                      encoding="ascii") as f:
                words = f.read().split()
        except FileNotFoundError:
            return False
        return words[:2] == [str(SYS_FUTEX),
                             hex(ctypes.addressof(self.word.word))]
